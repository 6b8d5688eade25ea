//! What the journal makes of files that a crash cut short or a disk spoiled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;
use ingest::bus::{
    Bus, Group, Topic,
    journal::{Journal, OpenError},
};
use journal_support::{Numbers, append, copy, quick_dir, read_all, segments, small};

const SEGMENT_HEADER: u64 = 64;
const FRAME_HEADER: u64 = 48;

fn frame_bytes(payloads: &[Bytes]) -> u64 {
    let body: usize = payloads.iter().map(|payload| payload.len() + 4).sum();
    (FRAME_HEADER + body as u64).next_multiple_of(8)
}

/// Appends the batches one by one; gives them with where each frame ends.
async fn write(dir: &Path, batches: &[Vec<Bytes>]) -> Vec<u64> {
    let journal = Journal::open(small(dir)).unwrap();
    let mut ends = Vec::new();
    // After each sync comes a mark.
    let mut pos = SEGMENT_HEADER;
    for batch in batches {
        append(&journal, batch).await.unwrap();
        ends.push(pos + frame_bytes(batch));
        pos += frame_bytes(batch) + FRAME_HEADER;
    }
    journal.close().await;
    ends
}

fn some_batches(numbers: &mut Numbers, count: usize, bytes_max: u64) -> Vec<Vec<Bytes>> {
    let batch = |_| (0..=numbers.below(3)).map(|_| numbers.payload(bytes_max)).collect();
    (0..count).map(batch).collect()
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_batch() {
    let mut numbers = Numbers(11);
    let batches = some_batches(&mut numbers, 7, 40);
    let origin = quick_dir();
    let ends = write(origin.path(), &batches).await;
    let segment = segments(origin.path()).remove(0);
    let name = segment.strip_prefix(origin.path()).unwrap().to_owned();
    let allocated = fs::metadata(&segment).unwrap().len();
    let used = ends.last().unwrap() + FRAME_HEADER;

    let bytes = fs::read(&segment).unwrap();
    let written_end = |length: u64| {
        // Bytes that were zero anyway are not missing where zeros follow.
        let rest = bytes[length as usize..].iter().position(|byte| *byte != 0);
        rest.map_or(allocated, |zeros| length + zeros as u64)
    };

    for length in 0..=used {
        for zeros_follow in [false, true] {
            let dir = quick_dir();
            copy(origin.path(), dir.path());
            let file = fs::OpenOptions::new().write(true).open(dir.path().join(&name)).unwrap();
            file.set_len(length).unwrap();
            if zeros_follow {
                file.set_len(allocated).unwrap();
            }
            let there = if zeros_follow { written_end(length) } else { length };
            let whole = ends.iter().filter(|end| **end <= there).count();
            let expected: Vec<Bytes> = batches[..whole].concat();
            check_torn(dir.path(), &expected).await;
        }
    }
}

async fn check_torn(dir: &Path, expected: &[Bytes]) {
    let new = Bytes::from_static(b"after the crash");
    let journal = Journal::open(small(dir)).unwrap();
    let found = read_all(&journal, Group::Detect).await;
    assert_eq!(found.into_values().collect::<Vec<_>>(), expected);
    let appended = append(&journal, std::slice::from_ref(&new)).await.unwrap();
    assert!(appended.first >= expected.len() as u64);
    drop(journal);
    let journal = Journal::open(small(dir)).unwrap();
    let found: Vec<Bytes> = read_all(&journal, Group::Index).await.into_values().collect();
    assert_eq!(found, [expected, &[new]].concat());
}

/// Every place in the journal that holds something, as `(file, length)`.
fn used_files(dir: &Path) -> Vec<(String, u64)> {
    let mut files = vec![("meta".to_owned(), 1024), ("records/detect.cursor".to_owned(), 36)];
    for segment in segments(dir) {
        let bytes = fs::read(&segment).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        let name = segment.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
        files.push((name, used));
    }
    files
}

/// Opens and reads a spoiled journal: what comes is what was written at that offset, what does
/// not come was reported, and offsets go on.
async fn check_spoiled(dir: &Path, written: &BTreeMap<u64, Bytes>, what: &str) -> usize {
    let new = Bytes::from_static(b"after the damage");
    let mut first_found = None;
    for round in 0..2 {
        let journal = Journal::open(small(dir)).unwrap();
        let mut found = read_all(&journal, Group::Detect).await;
        if round == 1 {
            assert_eq!(found.pop_last().unwrap().1, new, "{what}");
        }
        for (offset, payload) in &found {
            assert_eq!(Some(payload), written.get(offset), "{what}: offset {offset}");
        }
        assert_eq!(found, read_all_again(&journal, round).await, "{what}");
        let quarantined = journal.status().await.quarantined;
        if found.len() < written.len() {
            assert!(!quarantined.is_empty(), "{what}: {} of {}", found.len(), written.len());
        }
        match &first_found {
            None => {
                let appended = append(&journal, std::slice::from_ref(&new)).await.unwrap();
                assert!(appended.first > *written.last_key_value().unwrap().0, "{what}");
                first_found = Some((found, quarantined));
            }
            Some(before) => assert_eq!(&(found, quarantined), before, "{what}: stable"),
        }
    }
    written.len() - first_found.map_or(0, |(found, _)| found.len())
}

async fn read_all_again(journal: &std::sync::Arc<Journal>, round: usize) -> BTreeMap<u64, Bytes> {
    let mut found = read_all(journal, Group::Index).await;
    if round == 1 {
        found.pop_last();
    }
    found
}

async fn spoilable(dir: &Path) -> BTreeMap<u64, Bytes> {
    let mut numbers = Numbers(23);
    let batches = some_batches(&mut numbers, 150, 1500);
    write(dir, &batches).await;
    assert!(segments(dir).len() > 2);
    (0..).zip(batches.concat()).collect()
}

#[tokio::test]
async fn a_flipped_bit_never_gives_a_wrong_payload_and_never_goes_unnoticed() {
    let origin = quick_dir();
    let written = spoilable(origin.path()).await;
    let files = used_files(origin.path());
    let mut numbers = Numbers(37);
    let mut lost = 0;
    for _ in 0..300 {
        let (name, used) = &files[numbers.below(files.len() as u64) as usize];
        let (pos, bit) = (numbers.below(*used), numbers.below(8));
        let dir = quick_dir();
        copy(origin.path(), dir.path());
        flip(&dir.path().join(name), pos, 1 << bit);
        lost += check_spoiled(dir.path(), &written, &format!("{name} at {pos}")).await;
    }
    assert!(lost > 0, "some flips hit records");
}

/// The last frame was acknowledged, and the mark after it says so.
#[tokio::test]
async fn damage_in_the_last_batch_is_no_torn_tail() {
    let batches = vec![vec![Bytes::from_static(b"first")], vec![Bytes::from_static(b"last one")]];
    for byte in 0..frame_bytes(&batches[1]) - 4 {
        let dir = quick_dir();
        let ends = write(dir.path(), &batches).await;
        flip(&segments(dir.path())[0], ends[1] - frame_bytes(&batches[1]) + byte, 0x40);
        let written = (0..).zip(batches.concat()).collect();
        check_spoiled(dir.path(), &written, &format!("byte {byte} of the last frame")).await;
        assert!(fs::read_dir(dir.path().join("quarantine")).unwrap().count() >= 2);
    }
}

#[tokio::test]
async fn zeroed_and_overwritten_sectors_are_set_aside() {
    let origin = quick_dir();
    let written = spoilable(origin.path()).await;
    let files = used_files(origin.path());
    let mut numbers = Numbers(41);
    for round in 0..60 {
        let (name, used) = &files[2 + numbers.below(files.len() as u64 - 2) as usize];
        // Not the last sector: its loss is what a torn write looks like.
        let pos = numbers.below((used / 512).saturating_sub(1).max(1)) * 512;
        let dir = quick_dir();
        copy(origin.path(), dir.path());
        let file = fs::OpenOptions::new().write(true).open(dir.path().join(name)).unwrap();
        file.write_all_at(&[if round % 2 == 0 { 0 } else { 0xa5 }; 512], pos).unwrap();
        check_spoiled(dir.path(), &written, &format!("sector {name} at {pos}")).await;
    }
}

#[tokio::test]
async fn a_missing_segment_is_reported_and_read_past() {
    let dir = quick_dir();
    let written = spoilable(dir.path()).await;
    fs::remove_file(&segments(dir.path())[1]).unwrap();
    let lost = check_spoiled(dir.path(), &written, "missing segment").await;
    assert!(lost > 0);
}

#[tokio::test]
async fn a_sealed_segment_that_lost_its_end_is_reported() {
    let dir = quick_dir();
    let written = spoilable(dir.path()).await;
    let segment = &segments(dir.path())[0];
    let length = fs::metadata(segment).unwrap().len();
    fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(length - 3000).unwrap();
    assert!(check_spoiled(dir.path(), &written, "short segment").await > 0);
}

/// A sender who knows the format and the place, but not the salt, cannot have a payload read as
/// frames when the frame that carries it is damaged.
#[tokio::test]
async fn frames_inside_payloads_are_never_taken_for_frames() {
    let dir = quick_dir();
    let genuine = vec![Bytes::from_static(b"genuine")];
    let carrier = write(dir.path(), std::slice::from_ref(&genuine)).await[0] + FRAME_HEADER;
    let first = fs::read(&segments(dir.path())[0]).unwrap();
    let mut forged = first[SEGMENT_HEADER as usize..][..frame_bytes(&genuine) as usize].to_vec();
    // The payload begins after header and length; four bytes more put the forgery at a
    // multiple of 8.
    let at = carrier + FRAME_HEADER + 4 + 4;
    forged[24..32].copy_from_slice(&at.to_le_bytes());
    let crc = crc32c::crc32c(&forged[..44]);
    forged[44..48].copy_from_slice(&crc.to_le_bytes());

    let journal = Journal::open(small(dir.path())).unwrap();
    append(&journal, &[[vec![0; 4], forged.clone()].concat().into()]).await.unwrap();
    append(&journal, &[Bytes::from_static(b"after")]).await.unwrap();
    drop(journal);
    let segment = segments(dir.path()).remove(0);
    assert_eq!(fs::read(&segment).unwrap()[at as usize..][..forged.len()], forged);
    flip(&segment, carrier + 16, 0x01);

    let journal = Journal::open(small(dir.path())).unwrap();
    let found: Vec<Bytes> = read_all(&journal, Group::Detect).await.into_values().collect();
    assert_eq!(found, ["genuine", "after"]);
    assert_eq!(journal.status().await.quarantined.len(), 1);
}

#[tokio::test]
async fn a_later_version_is_refused_and_nothing_touched() {
    for (file, version_at, crc_at) in [("meta", 8, 48), ("segment", 8, 60), ("cursor", 8, 32)] {
        let dir = quick_dir();
        write(dir.path(), &[vec![Bytes::from_static(b"kept")]]).await;
        let path = match file {
            "meta" => dir.path().join("meta"),
            "cursor" => dir.path().join("records/index.cursor"),
            _ => segments(dir.path()).remove(0),
        };
        let mut bytes = fs::read(&path).unwrap();
        bytes[version_at] = 9;
        let crc = crc32c::crc32c(&bytes[..crc_at]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = Journal::open(small(dir.path())).err().unwrap();
        assert!(matches!(error, OpenError::Newer { version: 9, .. }), "{file}: {error}");
        assert!(error.to_string().contains("format version 9"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_with_the_pid() {
    let dir = quick_dir();
    let journal = Journal::open(small(dir.path())).unwrap();
    let error = Journal::open(small(dir.path())).err().unwrap().to_string();
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    // The lock holds while a reader lives, and no longer.
    let reader = journal.reader(Topic::Records, Group::Detect).await.unwrap();
    drop(journal);
    assert!(matches!(Journal::open(small(dir.path())), Err(OpenError::Locked { .. })));
    drop(reader);
    Journal::open(small(dir.path())).unwrap();
}

fn flip(path: &Path, pos: u64, mask: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, pos).unwrap();
    file.write_all_at(&[byte[0] ^ mask], pos).unwrap();
}
