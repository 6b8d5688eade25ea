//! Captures in every wrapping.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::Write, path::PathBuf};

use ingest::capture::{Capture, CaptureError, Place};

/// A folder of test files that goes away with the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// Records as text with their numbers, and errors as text.
fn read(capture: Capture) -> Vec<Result<(u64, String), String>> {
    capture
        .map(|record| match record {
            Ok(record) => Ok((record.number, String::from_utf8_lossy(&record.raw).into_owned())),
            Err(error) => Err(error.to_string()),
        })
        .collect()
}

#[test]
fn lines_keep_their_bytes_in_every_compression() {
    let folder = Folder::new();
    let text = b"\xef\xbb\xbf{\"a\": 1}\r\n\n  {\"b\":\"\xff\"} \nnot json\n{\"c\":3}";
    let wrapped = [
        ("plain.log", text.to_vec()),
        ("no-suffix", gzip(text)),
        ("wrong-suffix.gz", zstd(text)),
        // Members one behind the other, as `cat a.gz b.gz` makes them.
        ("members.gz", [gzip(&text[..12]), gzip(&text[12..])].concat()),
        ("frames.zst", [zstd(&text[..12]), zstd(&text[12..])].concat()),
    ];
    for (name, bytes) in wrapped {
        let path = folder.file(name, &bytes);
        let capture = Capture::open(&path).unwrap();
        let progress = capture.progress();
        let records: Vec<_> = capture.map(Result::unwrap).collect();
        let raws: Vec<&[u8]> = records.iter().map(|record| &record.raw[..]).collect();
        assert_eq!(
            raws,
            [&b"{\"a\": 1}"[..], b"  {\"b\":\"\xff\"} ", b"not json", b"{\"c\":3}"],
            "{name}"
        );
        let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
        assert_eq!(numbers, [1, 3, 4, 5], "{name}");
        assert_eq!(progress.bytes_total(), Some(bytes.len() as u64), "{name}");
        assert_eq!(progress.bytes_read(), bytes.len() as u64, "{name}");
    }
}

#[test]
fn values_come_out_of_arrays_and_rows() {
    let folder = Folder::new();
    for (name, text) in [
        ("array", "[{\"a\":\"]}\\\"\"},\n {\"b\":[{}]}\n, {\"c\":{\"d\":{}}}]"),
        ("row", "{\"a\":\"]}\\\"\"}{\"b\":[{}]}  {\"c\":{\"d\":{}}}"),
        ("pretty", "{\"a\":\"]}\\\"\"}\n{\"b\":[{}]}\n{\"c\":{\"d\":{}}}\n"),
    ] {
        let path = folder.file(name, text.as_bytes());
        let records = read(Capture::open(&path).unwrap());
        let texts: Vec<_> = records.into_iter().map(|record| record.unwrap().1).collect();
        assert_eq!(texts, [r#"{"a":"]}\""}"#, r#"{"b":[{}]}"#, r#"{"c":{"d":{}}}"#], "{name}");
    }
    let pretty = "{\n  \"a\": 1\n}\n{\n  \"b\": 2\n}\n";
    let records = read(Capture::open(&folder.file("p", pretty.as_bytes())).unwrap());
    assert_eq!(records, [Ok((1, "{\n  \"a\": 1\n}".into())), Ok((2, "{\n  \"b\": 2\n}".into()))]);
    // What is no object in an array is seen too.
    let records = read(Capture::open(&folder.file("m", b"[1, \"a,b\", {\"c\":1}]")).unwrap());
    assert_eq!(
        records,
        [Ok((1, "1".into())), Ok((2, "\"a,b\"".into())), Ok((3, "{\"c\":1}".into()))]
    );
}

#[test]
fn a_record_too_long_does_not_sink_its_neighbours() {
    let folder = Folder::new();
    let long = "x".repeat(300_000);
    let text = format!("{{\"a\":1}}\n{{\"b\":\"{long}\"}}\r\n{{\"c\":3}}\n");
    let path = folder.file("long.ndjson", text.as_bytes());
    let file = path.display();
    let records = read(Capture::open_with(&path, 1_000).unwrap());
    let error =
        format!("read line 2 of {file}: it has more than 1000 bytes; raise record_bytes_max");
    assert_eq!(records, [Ok((1, "{\"a\":1}".into())), Err(error), Ok((3, "{\"c\":3}".into()))]);
    // The bound is on the record alone.
    let path = folder.file("exact.ndjson", b"12345\r\n123456\n12345");
    let records = read(Capture::open_with(&path, 5).unwrap());
    assert!(records[0].is_ok() && records[1].is_err() && records[2].is_ok(), "{records:?}");
    let text = format!("[{{\"a\":1}},{{\"b\":\"{long}\"}},{{\"c\":3}}]");
    let records = read(Capture::open_with(&folder.file("a.json", text.as_bytes()), 1_000).unwrap());
    assert_eq!(records.len(), 3);
    assert!(records[1].is_err());
    assert_eq!(records[2], Ok((3, "{\"c\":3}".into())));
}

#[test]
fn damage_is_told_and_ends_where_it_must() {
    let folder = Folder::new();
    let cut = folder.file("cut.json", b"[{\"a\":1},{\"b\":");
    let records: Vec<_> = Capture::open(&cut).unwrap().collect();
    assert!(records[0].is_ok());
    assert!(
        matches!(records[1], Err(CaptureError::Cut { place: Place::Value(2), .. })),
        "{records:?}"
    );
    assert_eq!(records.len(), 2);

    let lines: String = (0..50_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    for (name, mut bytes) in [("c.gz", gzip(lines.as_bytes())), ("c.zst", zstd(lines.as_bytes()))] {
        bytes.truncate(bytes.len() / 2);
        let records: Vec<_> = Capture::open(&folder.file(name, &bytes)).unwrap().collect();
        assert!(records.len() > 1_000, "{name}: {}", records.len());
        let (last, rest) = records.split_last().unwrap();
        assert!(matches!(last, Err(CaptureError::Read { .. })), "{name}: {last:?}");
        assert!(rest.iter().all(Result::is_ok), "{name}");
    }

    let empty = Capture::open(&folder.file("empty", b"")).unwrap();
    assert_eq!(empty.count(), 0);
    assert!(Capture::open(&folder.0.path().join("missing")).is_err());
    assert!(Capture::open(folder.0.path()).is_err(), "a folder is no capture");
    let evtx = folder.file("bad.evtx", b"ElfFile\0 and nothing else");
    assert!(matches!(Capture::open(&evtx), Err(CaptureError::Evtx { .. })));
}
