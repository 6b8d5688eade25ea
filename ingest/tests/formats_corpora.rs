//! Formats and captures on real events, which are outside of this repository.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use event::{
    BusId, CommuneId, Decode, Event, EventId, FeedId, FormatName, Record, Timestamp, fields,
};
use ingest::{capture::Capture, formats::Formats};
use serde_json::Value;

/// The corpora's folder, or `None` where it is not there.
fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    let there = folder.is_dir();
    if !there {
        eprintln!("skipped: no corpora at {}", folder.display());
    }
    there.then_some(folder)
}

fn decode(formats: &Formats, raw: Bytes) -> Event {
    decode_as(formats, FormatName::new("windows").unwrap(), raw)
}

fn decode_as(formats: &Formats, format: FormatName, raw: Bytes) -> Event {
    let received = Timestamp::from_secs(1_767_225_600);
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        // A feed of each format's own, as names of fields are bounded by feed.
        feed: FeedId::new(&format.as_str().replace(['_', '.'], "-")).unwrap(),
        format,
        received,
        raw,
        context: None,
    };
    formats.decode(record, EventId::of(BusId::from_bytes([1; 16]), 0, 0, received))
}

/// Every scalar of a record, as text.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| leaves(value, into)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, into)),
        Value::Null => {}
        Value::String(text) => into.push(text.clone()),
        scalar => into.push(scalar.to_string()),
    }
}

/// The values of the record that no field of the event has.
fn lost(event: &Event) -> Vec<String> {
    let record: Value = serde_json::from_slice(event.original()).unwrap();
    let mut wanted = Vec::new();
    leaves(&record, &mut wanted);
    let have: std::collections::HashSet<String> =
        event.iter().map(|(_, value)| value.to_text().into_owned()).collect();
    wanted.retain(|text| !have.contains(text));
    wanted
}

#[test]
fn every_captured_event_decodes_and_loses_nothing() {
    let Some(corpora) = corpora() else { return };
    let formats = Formats::builtin();
    let capture = Capture::open(&corpora.join("captures/windows-attacks.ndjson.zst")).unwrap();
    let progress = capture.progress();
    let (mut events, mut untimed) = (0u64, 0u64);
    for record in capture {
        let record = record.unwrap();
        let event = decode(&formats, record.raw);
        assert!(!event.is_pipeline_error(), "line {}: {event:?}", record.number);
        assert!(event.get(fields::EVENT_CODE).is_some(), "line {}", record.number);
        assert!(event.get(fields::HOST_NAME).is_some(), "line {}", record.number);
        untimed += u64::from(event.timestamp() == event.received());
        events += 1;
        if events % 7 == 0 {
            let lost = lost(&event);
            assert!(lost.is_empty(), "line {} loses {lost:?}", record.number);
        }
    }
    assert!(events > 70_000, "{events}");
    assert!(untimed < events / 100, "{untimed} of {events} have no time of their own");
    assert_eq!(Some(progress.bytes_read()), progress.bytes_total());
}

fn evtx_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            evtx_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "evtx") {
            into.push(path);
        }
    }
}

#[test]
fn every_regression_file_gives_all_its_records() {
    let Some(corpora) = corpora() else { return };
    let formats = Formats::builtin();
    let mut files = Vec::new();
    evtx_files(&corpora.join("sigmahq/regression_data"), &mut files);
    assert!(files.len() >= 90, "{}", files.len());
    let mut events = 0u64;
    for file in files {
        let mut of_file = 0u64;
        for record in Capture::open(&file).unwrap() {
            let record = record.unwrap();
            let event = decode(&formats, record.raw);
            assert!(!event.is_pipeline_error(), "{}: {event:?}", file.display());
            assert!(event.get(fields::WINLOG_CHANNEL).is_some(), "{}", file.display());
            assert!(event.timestamp() != event.received(), "{}", file.display());
            let lost = lost(&event);
            assert!(lost.is_empty(), "{} loses {lost:?}", file.display());
            of_file += 1;
        }
        assert!(of_file > 0, "{} has no record", file.display());
        // The crate's own count: nothing may be lost between it and the capture.
        let parsed = evtx::EvtxParser::from_path(&file).unwrap().records_json().count();
        assert_eq!(of_file, parsed as u64, "{}", file.display());
        events += of_file;
    }
    println!("{events} events");
}

/// What each format reaches at least, in percent: of what one vendor expects (recall), of what
/// both fill (precision), and of the vendor's other values that are to be found somewhere
/// (carry). Slightly below what is reached, so that losing a field shows.
///
/// Some floors are low where the expectation is not ours: `organization.id` is the commune's and
/// never a vendor's tenant (o365, lookout-mes), names are lower case where ECS says so
/// (suricata, checkpoint_harmony_mobile), and a process that begins is of type `start`.
const FLOORS: &[(&str, [f64; 3])] = &[
    ("azure-ad", [93.0, 95.0, 98.0]),
    ("auditbeat", [99.0, 99.0, 94.0]),
    ("winlogbeat", [90.0, 93.0, 98.5]),
    ("checkpoint", [97.0, 98.5, 98.0]),
    ("checkpoint_harmony_mobile", [87.5, 87.5, 99.0]),
    ("cisco-secure-firewall", [98.5, 99.0, 89.0]),
    ("fortigate", [96.5, 97.0, 99.0]),
    ("harfanglab", [94.5, 99.0, 90.0]),
    ("lookout-mes", [67.0, 99.0, 99.0]),
    ("microsoft-365-defender", [96.0, 94.0, 97.0]),
    ("microsoft-entraid-graphapi", [99.0, 99.0, 99.0]),
    ("microsoft-intune", [89.5, 92.0, 99.0]),
    ("message-trace", [99.0, 99.0, 99.0]),
    ("o365", [90.0, 98.5, 96.5]),
    ("okta-system-logs", [95.0, 95.0, 99.0]),
    ("openssh", [96.5, 99.0, 96.5]),
    ("paloalto-ngfw", [94.0, 96.5, 98.5]),
    ("pradeo-mtd", [99.0, 99.0, 99.0]),
    ("endpoint", [98.5, 98.5, 97.0]),
    ("cloud_funnel2.0", [94.0, 94.5, 99.0]),
    ("identity", [96.0, 99.0, 99.0]),
    ("sentinelone", [91.5, 95.5, 93.5]),
    ("stormshield-endpoint-security", [97.0, 97.0, 99.0]),
    ("stormshield_network_security", [97.0, 99.0, 99.0]),
    ("suricata", [75.0, 82.0, 99.0]),
    ("vade_cloud", [90.0, 99.0, 99.0]),
    ("vade_secure_m365", [99.0, 99.0, 99.0]),
    ("windows", [87.0, 96.5, 97.5]),
];

/// What all formats reach on average.
const MEANS: [f64; 3] = [92.0, 97.0, 98.0];

/// Every test of the intakes: its path, the format that its folder names, and the record.
fn intakes(folder: &Path, root: &Path, into: &mut BTreeMap<String, (String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            intakes(&path, root, into);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let test: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let Some(message) = test["input"]["message"].as_str() else { continue };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let format = folder.file_name().unwrap().to_str().unwrap().to_owned();
            into.insert(name, (format, message.to_owned()));
        }
    }
}

#[test]
fn formats_agree_with_another_vendor_as_far_as_ecs_lets_them() {
    let Some(corpora) = corpora() else { return };
    let root = corpora.join("intakes/tests");
    let mut tests = BTreeMap::new();
    intakes(&root, &root, &mut tests);
    assert!(tests.len() > 600, "{}", tests.len());
    let formats = Formats::builtin();
    let mut out = String::new();
    for (name, (format, message)) in &tests {
        let format = FormatName::new(format).unwrap();
        assert!(formats.get(format.as_str()).is_some(), "there is no format {format}");
        let event = decode_as(&formats, format, Bytes::from(message.clone()));
        assert!(!event.is_pipeline_error(), "{name}: {event:?}");
        let mut json = event.to_json();
        let members = json.as_object_mut().unwrap();
        // The commune, which the vendor cannot know.
        if let Some(organization) = members.get_mut("organization").and_then(Value::as_object_mut) {
            organization.remove("id");
        }
        members.insert("_test".to_owned(), name.as_str().into());
        writeln!(out, "{json}").unwrap();
    }
    let Some(scores) = score(&corpora, &root, &out) else { return };
    let mut problems = Vec::new();
    let mut sums = [0.0; 3];
    for (format, score) in scores["formats"].as_object().unwrap() {
        let reached = ["recall", "precision", "carry"].map(|name| score[name].as_f64());
        let name = format.rsplit('/').next().unwrap();
        let Some((_, floors)) = FLOORS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("{format} has no floor; it reaches {reached:?}"));
            continue;
        };
        for ((sum, reached), floor) in sums.iter_mut().zip(reached).zip(floors) {
            // A format without such values loses none.
            let reached = reached.filter(|value| value.is_finite()).unwrap_or(100.0);
            *sum += reached;
            if reached < *floor {
                problems.push(format!("{format} reaches {reached:.1} of at least {floor}"));
            }
        }
        println!("{format}: {reached:?}");
    }
    for (sum, floor) in sums.iter().zip(MEANS) {
        let mean = sum / FLOORS.len() as f64;
        println!("mean {mean:.2}");
        if mean < floor {
            problems.push(format!("the mean is {mean:.2} of at least {floor}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// What the corpora's own scorer says of `out`, where there is a Python to run it.
fn score(corpora: &Path, tests: &Path, out: &str) -> Option<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (events, numbers) = (folder.path().join("out.ndjson"), folder.path().join("scores.json"));
    fs::write(&events, out).unwrap();
    let run = Command::new("python3")
        .arg("-B")
        .arg(corpora.join("intakes/score.py"))
        .args([tests, &events])
        .arg("--json")
        .arg(&numbers)
        .output();
    let Ok(run) = run else {
        eprintln!("skipped: no python3 to run the scorer");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    // Python writes what is not a number as a word that JSON does not have.
    let text = fs::read_to_string(&numbers).unwrap().replace("NaN", "null");
    Some(serde_json::from_str(&text).unwrap())
}
