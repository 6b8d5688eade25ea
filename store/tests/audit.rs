//! The audit trail: nothing is lost, and whatever is done to it is found and named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use store::audit::{
    AuditQuery, Checked, Entry, Fault, FaultKind, OPENED, PublicKey, Record, SEAL, Trail,
    TrailConfig, read, verify,
};

fn config(folder: &Path) -> TrailConfig {
    TrailConfig { seal_records: 10, ..TrailConfig::in_folder(folder) }
}

fn entry(n: usize) -> Entry {
    Entry {
        action: format!("test.{}", n % 3),
        by: format!("token:{}", n % 2),
        object: Some(format!("object-{n}")),
        query: Some("q=\"é\u{0}\n,\\\"hash\\\":\\\"\"".to_owned()),
        status: Some(200),
        ..Entry::default()
    }
}

/// A closed trail of some records; its key and head.
async fn trail(folder: &Path, records: usize) -> (PublicKey, String) {
    let trail = Trail::open(config(folder)).await.unwrap();
    for n in 0..records {
        trail.append(entry(n)).await.unwrap();
    }
    let key = trail.public_key().clone();
    trail.close().await;
    let checked = whole(folder, &key);
    assert_eq!(checked.unsealed, 0);
    (key, checked.head)
}

fn whole(folder: &Path, key: &PublicKey) -> Checked {
    verify(folder, key, None).unwrap().unwrap()
}

fn fault(folder: &Path, key: &PublicKey) -> Fault {
    verify(folder, key, None).unwrap().unwrap_err()
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    assert_eq!(files.len(), 1);
    files.pop().unwrap()
}

#[tokio::test]
async fn many_write_at_once_and_all_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("audit");
    let opened = Arc::new(Trail::open(config(&folder)).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let trail = Arc::clone(&opened);
        tasks.spawn(async move { trail.append(entry(n)).await.unwrap() });
    }
    let mut seqs = tasks.join_all().await;
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 500, "each has a number of its own");
    // Not closed: what was answered is there, sealed or not.
    let checked = whole(&folder, opened.public_key());
    assert!(checked.records > 500 && checked.seals > 0, "{checked:?}");
    opened.close().await;
    assert!(opened.append(entry(0)).await.is_err(), "it is closed");
    let before = whole(&folder, opened.public_key());
    assert_eq!(before.unsealed, 0);

    let again = Trail::open(config(&folder)).await.unwrap();
    assert_eq!(again.public_key(), opened.public_key(), "the key is kept");
    assert_eq!(again.append(entry(1)).await.unwrap(), before.records + 2);
    again.close().await;
    let after = whole(&folder, again.public_key());
    assert_eq!(after.records, before.records + 3, "opened, one entry, sealed");
    verify(&folder, again.public_key(), Some(&before.head)).unwrap().unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    for file in [only_file(&folder), folder.join("signing-key.p8")] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn whatever_is_done_to_it_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (key, head) = trail(dir.path(), 25).await;
    let path = only_file(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let found = |lines: Vec<String>| {
        fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let fault = fault(dir.path(), &key);
        assert_eq!(fault.file, path);
        (fault.line, fault.seq, fault.kind)
    };
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut lines);
        found(lines)
    };
    // One letter of one value.
    let altered = with(&|lines| lines[6] = lines[6].replace("token:1", "token:0"));
    assert!(matches!(altered, (7, 7, FaultKind::Altered(_))), "{altered:?}");
    // Removed, reordered, doubled.
    let displaced = |seq, expected| (expected, seq, FaultKind::Displaced { expected });
    let removed = with(&|lines| drop(lines.remove(4)));
    assert_eq!(removed, displaced(6, 5));
    assert_eq!(with(&|lines| lines.swap(8, 9)), displaced(10, 9));
    assert_eq!(with(&|lines| lines.insert(3, lines[2].clone())), displaced(3, 4));
    assert_eq!(with(&|lines| drop(lines.remove(0))), displaced(2, 1));
    // A line of text between.
    let strange = with(&|lines| lines.insert(2, "hello".to_owned()));
    assert!(matches!(strange, (3, 3, FaultKind::Altered(_))), "{strange:?}");

    // Somebody who knows how hashes are made, but has not the key, writes it anew.
    let forged = with(&|lines| rechain(lines, 6, |record| record.entry.by = "eve".to_owned()));
    let seal = lines.iter().position(|line| line.contains(SEAL)).unwrap() as u64 + 1;
    assert!(seal > 7);
    assert_eq!(forged, (seal, seal, FaultKind::Forged));
    // Only one line is made anew, with a hash that fits it.
    let unlinked = with(&|lines| {
        let mut one = vec![lines[6].clone()];
        rechain(&mut one, 0, |record| record.entry.by = "eve".to_owned());
        lines[6] = one.remove(0);
    });
    assert_eq!(unlinked, (8, 8, FaultKind::Unlinked));

    // The end is cut off at a record: only a hash noted elsewhere tells.
    let cut: String = lines[..12].iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, &cut).unwrap();
    whole(dir.path(), &key);
    let noted = verify(dir.path(), &key, Some(&head)).unwrap().unwrap_err();
    assert_eq!(noted.kind, FaultKind::HeadMissing);
    // … or within one.
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    assert_eq!(fault(dir.path(), &key).kind, FaultKind::Torn);
    // Another key's.
    fs::write(&path, &text).unwrap();
    let other = tempfile::tempdir().unwrap();
    let (others_key, _) = trail(other.path(), 1).await;
    assert_eq!(fault(dir.path(), &others_key).kind, FaultKind::Forged);
    verify(dir.path(), &key, Some(&head)).unwrap().unwrap();
}

/// Changes the record at `from` and makes all hashes from there on anew; written from the
/// format's description alone.
fn rechain(lines: &mut [String], from: usize, change: impl Fn(&mut Record)) {
    let mut prev = None;
    for (n, line) in lines.iter_mut().enumerate().skip(from) {
        let mut record: Record = serde_json::from_str(line).unwrap();
        if n == from {
            change(&mut record);
        }
        if let Some(prev) = prev {
            record.prev = prev;
        }
        let text = serde_json::to_string(&record).unwrap();
        let hashed = text.strip_suffix('}').unwrap();
        let hash: String =
            Sha256::digest(hashed).iter().map(|byte| format!("{byte:02x}")).collect();
        *line = format!("{hashed},\"hash\":\"{hash}\"}}");
        prev = Some(hash);
    }
}

#[tokio::test]
async fn a_half_written_line_is_cut_off_and_a_damaged_one_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (key, _) = trail(dir.path(), 5).await;
    let path = only_file(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"seq\":9")).unwrap();
    let trail = Trail::open(config(dir.path())).await.unwrap();
    trail.append(entry(9)).await.unwrap();
    trail.close().await;
    whole(dir.path(), &key);
    let query = AuditQuery { action: Some(OPENED.into()), limit: 10, ..AuditQuery::default() };
    let opened = read(dir.path(), &query).unwrap();
    assert_eq!(opened.len(), 2);
    assert!(opened[0].entry.query.as_deref().unwrap().contains("8 bytes"), "{opened:?}");

    let damaged = fs::read_to_string(&path).unwrap().replace("object-4", "object-5");
    let damaged = format!("{}\n", damaged.lines().take(6).collect::<Vec<_>>().join("\n"));
    fs::write(&path, damaged).unwrap();
    let refused = Trail::open(config(dir.path())).await.err().unwrap().to_string();
    assert!(refused.contains("audit verify"), "{refused}");
}

#[tokio::test]
async fn a_record_too_long_to_be_found_again_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let trail = Trail::open(config(dir.path())).await.unwrap();
    let body = Some(serde_json::Value::String("x".repeat(3 << 20)));
    trail.append(Entry { body, ..entry(1) }).await.unwrap();
    let key = trail.public_key().clone();
    // As a crash would leave it, with the long one last.
    let crashed = tempfile::tempdir().unwrap();
    for file in [only_file(dir.path()), dir.path().join("signing-key.p8")] {
        fs::copy(&file, crashed.path().join(file.file_name().unwrap())).unwrap();
    }
    trail.close().await;
    let again = Trail::open(config(crashed.path())).await.unwrap();
    again.append(entry(2)).await.unwrap();
    again.close().await;
    whole(crashed.path(), &key);
    let query = AuditQuery { action: Some("test.1".into()), limit: 9, ..AuditQuery::default() };
    let [cut] = read(crashed.path(), &query).unwrap().try_into().unwrap();
    assert!(cut.entry.query.unwrap().contains("not kept whole"));
}

#[tokio::test]
async fn it_goes_on_in_further_files() {
    let dir = tempfile::tempdir().unwrap();
    let small = TrailConfig { file_bytes_max: 2_000, ..config(dir.path()) };
    let trail = Trail::open(small.clone()).await.unwrap();
    for n in 0..60 {
        trail.append(entry(n)).await.unwrap();
    }
    let key = trail.public_key().clone();
    trail.close().await;
    let checked = whole(dir.path(), &key);
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    // A crash between making a file and writing into it.
    let next = dir.path().join(format!("trail-{:020}.ndjson", checked.records + 1));
    fs::write(next, "").unwrap();
    let trail = Trail::open(small).await.unwrap();
    trail.close().await;
    assert_eq!(whole(dir.path(), &key).records, checked.records + 2);
    // A whole file removed.
    fs::remove_file(&files[2]).unwrap();
    assert!(matches!(fault(dir.path(), &key).kind, FaultKind::Displaced { .. }));
}

#[tokio::test]
async fn records_are_sealed_in_time_and_read_latest_first() {
    let dir = tempfile::tempdir().unwrap();
    let soon = TrailConfig { seal_every: Duration::from_millis(50), ..config(dir.path()) };
    let trail = Trail::open(soon).await.unwrap();
    for n in 0..7 {
        trail.append(entry(n)).await.unwrap();
    }
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while whole(dir.path(), trail.public_key()).unsealed > 0 {
        assert!(std::time::Instant::now() < until, "it is not sealed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let all = AuditQuery { action: Some("test.*".into()), limit: 100, ..AuditQuery::default() };
    let objects = |query: &AuditQuery| {
        let records: Vec<Record> = read(dir.path(), query).unwrap();
        records.into_iter().map(|record| record.entry.object.unwrap()).collect::<Vec<_>>()
    };
    let names = |ns: &[usize]| ns.iter().map(|n| format!("object-{n}")).collect::<Vec<_>>();
    assert_eq!(objects(&all), names(&[6, 5, 4, 3, 2, 1, 0]));
    assert_eq!(objects(&AuditQuery { limit: 2, ..all.clone() }), names(&[6, 5]));
    assert_eq!(
        objects(&AuditQuery { action: Some("test.1".into()), ..all.clone() }),
        names(&[4, 1])
    );
    assert_eq!(
        objects(&AuditQuery { by: Some("token:1".into()), ..all.clone() }),
        names(&[5, 3, 1])
    );
    assert_eq!(
        objects(&AuditQuery { object: Some("object-3".into()), ..all.clone() }),
        names(&[3])
    );
    let fifth =
        read(dir.path(), &AuditQuery { by: None, limit: 3, ..all.clone() }).unwrap()[2].clone();
    assert_eq!(
        objects(&AuditQuery { before: Some(fifth.seq), ..all.clone() }),
        names(&[3, 2, 1, 0])
    );
    let now = fifth.at.plus(Duration::from_secs(60));
    assert_eq!(objects(&AuditQuery { from: Some(now), ..all.clone() }), names(&[]));
    assert_eq!(objects(&AuditQuery { to: Some(now), limit: 1, ..all }), names(&[6]));
}
