//! Commands that need no server.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use support::{JACQUEMART, corpora, process_event};

fn run(args: &[&str], stdin: &[u8]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(JACQUEMART)
        .args(args)
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that ends early closes the pipe; what it says is what counts.
        let _ = pipe.write_all(&stdin);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn decode_gives_a_line_a_record_in_order() {
    let good = process_event("pc-1", "whoami /all").to_string();
    let input = format!("{good}\nnot json\n{{\"a\":1}}\n{good}\n");
    let output = run(&["decode", "--format", "windows"], input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let events = lines(&output);
    assert_eq!(events.len(), 4);
    assert_eq!(events[0]["process"]["command_line"], "whoami /all");
    assert_eq!(events[0]["event"]["original"], good);
    assert_eq!(events[1]["event"]["kind"], "pipeline_error");
    assert_eq!(events[3]["process"]["command_line"], "whoami /all");
}

#[test]
fn decode_unwraps_envelopes() {
    let raw = process_event("pc-1", "whoami").to_string();
    let input = format!("{}\n{}\n", json!({"message": raw, "relay": "r1"}), json!({"text": raw}));
    let output = run(&["decode", "--format", "windows", "--envelope", "-"], input.as_bytes());
    let events = lines(&output);
    assert_eq!(events[0]["process"]["command_line"], "whoami");
    assert_eq!(events[0]["event"]["original"], raw);
    assert_eq!(events[1]["event"]["kind"], "pipeline_error");
    assert!(events[1]["error"]["message"].as_str().unwrap().contains("`message`"), "{}", events[1]);
}

#[test]
fn an_unknown_format_is_refused_with_the_known_ones() {
    let output = run(&["decode", "--format", "windoze"], b"");
    assert_eq!(output.status.code(), Some(2));
    for name in ["windows", "sentinelone", "sentinelone-cloud-funnel", "pradeo-mtd"] {
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
}

#[test]
fn detect_names_rule_event_and_what_matched() {
    let mut event = process_event("pc-7", "rundll32.exe comsvcs.dll, MiniDump 624 C:\\l.dmp full");
    event["Image"] = json!("C:\\Windows\\System32\\rundll32.exe");
    let input = format!("{}\n{event}\n", process_event("pc-1", "cmd /c ver"));
    let first = run(&["detect", "--format", "windows", "-"], input.as_bytes());
    assert!(first.status.success(), "{}", stderr(&first));
    let detections = lines(&first);
    assert!(!detections.is_empty(), "{}", stderr(&first));
    for detection in &detections {
        assert_eq!(detection["event"]["sequence"], 2);
        assert!(detection["rule"]["id"].is_string() && detection["rule"]["name"].is_string());
        assert!(detection["rule"]["level"].is_string() && detection["event"]["id"].is_string());
        assert!(!detection["matched"].as_array().unwrap().is_empty());
    }
    // Twice gives the same, byte for byte.
    let second = run(&["detect", "--format", "windows", "-"], input.as_bytes());
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn a_bad_rule_is_named_and_its_neighbours_load() {
    let dir = tempfile::tempdir().unwrap();
    let good = "title: good\nid: 0b5f8a3c-9d11-4a52-9d0b-7f3a5a0e0c7e\nlogsource: {category: process_creation, product: windows}\ndetection: {s: {CommandLine|contains: whoami}, condition: s}\nlevel: low\n";
    std::fs::write(dir.path().join("good.yml"), good).unwrap();
    std::fs::write(
        dir.path().join("bad.yml"),
        good.replace("contains", "contians").replace("0b5f", "1b5f"),
    )
    .unwrap();
    let path = dir.path().to_str().unwrap();
    let checked = run(&["rules", "check", path], b"");
    assert_eq!(checked.status.code(), Some(5));
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        text.contains("bad.yml:") && text.contains("contians") && text.contains("1 rules load"),
        "{text}"
    );
    let event = process_event("pc", "whoami").to_string();
    let output = run(&["detect", "--rules", path, "--format", "windows", "-"], event.as_bytes());
    assert_eq!(lines(&output).len(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("bad.yml:"));
}

#[test]
fn configuration_is_shown_checked_and_refused() {
    let shown = run(&["config", "show", "--set", "api.listen=127.0.0.1:9999"], b"");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("127.0.0.1:9999"));
    assert!(run(&["config", "check"], b"").status.success());
    let refused = run(&["config", "check", "--set", "api.lisen=127.0.0.1:9999"], b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("did you mean `listen`?"), "{}", stderr(&refused));
}

#[test]
fn help_and_completion_are_there() {
    let help = run(&["--help"], b"");
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in ["serve", "demo", "replay", "hunt", "Exit codes"] {
        assert!(text.contains(word), "{word}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(!run(&["completion", shell], b"").stdout.is_empty());
    }
}

/// Each regression case of SigmaHQ, through the binary: its rule fires on its `.evtx` at least
/// as often as upstream says.
#[test]
fn sigmahq_regression_cases_fire_through_the_binary() {
    let Some(corpora) = corpora("sigmahq_regression_cases_fire_through_the_binary") else { return };
    let mut files = Vec::new();
    collect(&corpora.join("sigmahq/regression_data"), &mut files);
    assert!(files.len() > 50, "{}", files.len());
    let rules: Vec<String> = std::fs::read_dir(corpora.join("sigmahq"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("rules"))
        .flat_map(|entry| ["--rules".to_owned(), entry.path().display().to_string()])
        .collect();
    let mut args: Vec<&str> = vec!["detect", "--format", "windows"];
    args.extend(rules.iter().map(String::as_str));
    args.extend(files.iter().map(String::as_str));
    let output = run(&args, b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let detections = lines(&output);
    let missing: Vec<&String> = files
        .iter()
        .filter(|file| {
            let rule =
                std::path::Path::new(file).file_stem().unwrap().to_string_lossy().into_owned();
            !detections
                .iter()
                .any(|d| d["rule"]["id"] == rule && d["log"]["file"]["path"] == **file)
        })
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
}

fn collect(dir: &std::path::Path, files: &mut Vec<String>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "evtx") {
            files.push(path.display().to_string());
        }
    }
}
