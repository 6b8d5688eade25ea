//! A backup that is made beside a running centre gives all of it back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::Centre;

fn found(centre: &Centre, query: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut args = vec!["-o", "json", "hunt", query, "--limit", "1000"];
        args.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
        let page = centre.run(&args);
        assert!(page.status.success(), "{page:?}");
        for line in String::from_utf8(page.stdout).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            found.push(event["labels"]["n"].as_str().unwrap().parse().unwrap());
        }
        let told = String::from_utf8_lossy(&page.stderr).into_owned();
        cursor = told.split_once("--cursor ").map(|(_, rest)| {
            rest.split_whitespace().next().unwrap_or_default().trim_matches('\'').to_owned()
        });
        if cursor.is_none() {
            return found;
        }
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn created(centre: &Centre, folder: &Path, more: &[&str]) -> Value {
    let mut args = vec!["backup", "create", folder.to_str().unwrap()];
    args.extend(more);
    centre.json(&args)
}

/// Large enough that segments of the journal come and go while it is copied.
fn numbered(n: usize) -> String {
    let labels = json!({"n": n.to_string(), "filling": "x".repeat(1_500)});
    json!({"message": "kept", "labels": labels}).to_string() + "\n"
}

/// Whatever was acknowledged before a backup began is in it once, with its incidents, and the
/// restored centre goes on.
#[test]
fn a_backup_under_load_has_all_that_was_acknowledged() {
    let small = "[index]\ncheckpoint_age_max_s = 1\n[journal]\nsegment_bytes = \"1 MiB\"\n";
    let mut centre = Centre::new(small);
    let key = centre.onboard("dijon", "pc", "ecs");
    centre.start();
    let windows = centre.feed("dijon", "windows", "windows");
    let dump = support::dump_of_lsass("pc-1").to_string();
    let (status, answer) = support::post(&centre, &windows, dump);
    assert_eq!(status, 200, "{answer}");
    let incidents =
        |centre: &Centre| centre.json(&["incident", "list"])["items"].as_array().unwrap().len();
    wait("an incident", || incidents(&centre) == 1);
    let backups = tempfile::tempdir().unwrap();
    let (sent, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let rounds: Vec<(usize, String)> = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::SeqCst) {
                let body: String = (n..n + 50).map(numbered).collect();
                let (status, answer) = support::post(&centre, &key, body);
                assert_eq!(status, 200, "{answer}");
                n += 50;
                sent.store(n, Ordering::SeqCst);
            }
        });
        let rounds = (0..4)
            .map(|round: usize| {
                wait("some are sent", || sent.load(Ordering::SeqCst) > (round + 1) * 400);
                let least = sent.load(Ordering::SeqCst);
                let made = created(&centre, backups.path(), &[]);
                (least, made["id"].as_str().unwrap().to_owned())
            })
            .collect();
        done.store(true, Ordering::SeqCst);
        sending.join().unwrap();
        rounds
    });
    centre.stop();
    let verified = centre.run(&["backup", "verify", backups.path().to_str().unwrap()]);
    assert!(verified.status.success(), "{verified:?}");
    for (least, id) in rounds {
        let mut again = Centre::new(small);
        again.json(&["restore", backups.path().to_str().unwrap(), "--backup", &id]);
        again.start();
        wait("all are there", || found(&again, "message:kept").len() >= least);
        let all = found(&again, "message:kept");
        let different: BTreeSet<u64> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "some are there twice");
        // A prefix of what was sent.
        assert_eq!(different.last(), Some(&(all.len() as u64 - 1)));
        assert_eq!(incidents(&again), 1);
        // It goes on, with the same key.
        let (status, answer) = support::post(&again, &key, numbered(1_000_000));
        assert_eq!(status, 200, "{answer}");
        wait("what came later", || found(&again, "labels.n:1000000").len() == 1);
        let log = again.log();
        assert!(!log.contains("moved it aside"), "{log}");
        let audit = again.run(&["audit", "verify"]);
        assert!(audit.status.success(), "{audit:?}");
        again.stop();
        let whole = again.run(&["store", "verify"]);
        assert!(whole.status.success(), "{whole:?}");
    }
}

/// What is damaged or lost here comes back from there; on S3 it is the same `put`.
fn repaired(centre: &Centre, folder: &str) {
    let mut kept: Vec<_> = std::fs::read_dir(centre.path("data/splits/dijon"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    kept.sort();
    std::fs::write(&kept[0], b"damaged").unwrap();
    std::fs::remove_file(&kept[1]).unwrap();
    assert_eq!(centre.run(&["store", "verify"]).status.code(), Some(5));
    let nowhere = centre.run(&["store", "repair", "--backup", centre.path("").to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(5), "{nowhere:?}");
    let repaired = centre.json(&["store", "repair", "--backup", folder]);
    assert_eq!(repaired["repaired"].as_array().unwrap().len(), 2, "{repaired}");
    assert_eq!(repaired["left"], json!([]));
    assert_eq!(centre.run(&["store", "verify"]).status.code(), Some(0));
}

/// Splits are copied once; old backups go; damage is found, and nothing is written over.
#[test]
fn backups_share_splits_and_are_checked() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    let backups = tempfile::tempdir().unwrap();
    let folder = backups.path().to_str().unwrap().to_owned();
    let mut ids = Vec::new();
    for round in 0..3 {
        centre.start();
        let (status, answer) = support::post(&centre, &key, numbered(round));
        assert_eq!(status, 200, "{answer}");
        wait("it is indexed", || found(&centre, "message:kept").len() == round + 1);
        centre.stop();
        let made = created(&centre, backups.path(), &[]);
        assert_eq!((&made["splits"], &made["copied_splits"]), (&json!(round + 1), &json!(1)));
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let listed = centre.json(&["backup", "list", &folder]);
    let named: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap()).collect();
    assert_eq!(named, ids.iter().rev().collect::<Vec<_>>());

    if std::env::var_os("TEST_S3").is_none() {
        repaired(&centre, &folder);
    }

    // What was purged is in no backup once those from before are gone.
    centre.start();
    centre.json(&[
        "purge",
        "ask",
        "labels.n:0",
        "--commune",
        "dijon",
        "--reason",
        "Effacement",
        "--wait",
    ]);
    centre.stop();
    let made = created(&centre, backups.path(), &["--keep", "1"]);
    assert_eq!(made["removed"].as_array().unwrap().len(), 3);
    let splits = std::fs::read_dir(backups.path().join("splits/dijon")).unwrap();
    assert_eq!(splits.count(), 2);

    let refused = centre.run(&["restore", &folder]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("nothing is written over"), "{told}");

    let split = std::fs::read_dir(backups.path().join("splits/dijon")).unwrap().next().unwrap();
    let (path, mut bytes) = (split.as_ref().unwrap().path(), Vec::new());
    bytes.extend(std::fs::read(&path).unwrap());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let verified = centre.run(&["backup", "verify", &folder]);
    assert_eq!(verified.status.code(), Some(5), "{verified:?}");
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(told.contains("events of dijon"), "{told}");
    let again = Centre::new("");
    let refused = again.run(&["restore", &folder]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(!again.path("data/jacquemart.db").exists());

    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut again = again;
    again.json(&["restore", &folder]);
    again.start();
    let mut left = found(&again, "message:kept");
    left.sort_unstable();
    assert_eq!(left, [1, 2]);
}
