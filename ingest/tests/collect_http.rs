//! The HTTP door over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use collect_support::*;
use event::{BatchMark, BatchState, FeedId, Record};
use ingest::{Batches, BatchesError, bus::Bus, collect::http::HttpLimits};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

impl Door {
    async fn send(&self, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        exchange(self.address, &post(&format!("{}{headers}", dijon()), body.as_ref())).await
    }

    /// Sends a body that is taken whole.
    async fn accept(&self, headers: &str, body: impl AsRef<[u8]>, raws: &[&str]) {
        self.bus.payloads.lock().unwrap().clear();
        let body = body.as_ref();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = self.send(headers, body).await;
        assert_eq!(answer.status, 200, "{shown:?}: {answer:?}");
        assert_eq!(
            answer.json(),
            json!({"accepted": raws.len(), "rejected_count": 0, "rejected": []}),
            "{shown:?}"
        );
        assert_eq!(self.bus.raws(), raws, "{shown:?}");
    }

    /// Sends a body of which only `raws` are taken; gives what is said of the others as
    /// `record line reason`.
    async fn accept_some(&self, body: impl AsRef<[u8]>, raws: &[&str]) -> Vec<String> {
        self.bus.payloads.lock().unwrap().clear();
        let answer = self.send("", body).await;
        assert_eq!(answer.status, if raws.is_empty() { 422 } else { 200 }, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["accepted"], raws.len(), "{answer}");
        assert_eq!(self.bus.raws(), raws);
        let rejected = answer["rejected"].as_array().unwrap();
        assert_eq!(answer["rejected_count"], rejected.len());
        rejected
            .iter()
            .map(|r| format!("{} {} {}", r["record"], r["line"], r["reason"].as_str().unwrap()))
            .collect()
    }
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:jacquemart:problem:{slug}"), "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{problem}");
}

#[tokio::test]
async fn every_shape_and_coding_is_taken_with_its_bytes_as_sent() {
    let door = open(HttpLimits::default()).await;
    for (body, raws) in [
        ("{\"a\":1}\n{\"b\": 2}\n", &["{\"a\":1}", "{\"b\": 2}"][..]),
        ("{\"a\":1}\r\n\r\n  \n{\"b\": 2}", &["{\"a\":1}", "{\"b\": 2}"]),
        ("\u{feff}{\"a\":1}\r\n\u{feff}{\"b\":2}\r\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("[{\"a\": 1} ,{\"b\":[2, 3]}]", &["{\"a\": 1}", "{\"b\":[2, 3]}"]),
        ("\u{feff} [\n{\"a\":1},\n{\"b\":2}\n]\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("[{\"a\":1}]\n[{\"b\":2}]\n{\"c\":3}", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]),
        ("{\"a\":1}", &["{\"a\":1}"]),
        (
            "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": []\n  }\n}\n",
            &["{\n  \"a\": 1,\n  \"b\": {\n    \"c\": []\n  }\n}"],
        ),
        ("{\r\n\"a\":\r\n1}\r\n{\r\n\"b\":2}", &["{\r\n\"a\":\r\n1}", "{\r\n\"b\":2}"]),
        // Whatever is well-formed is for the decoder to judge.
        ("1\n\"text\"\nnull\n[1,2]", &["1", "\"text\"", "null", "[1,2]"]),
        (
            "{\"a\":1,\"a\":2,\"n\":123456789012345678901234567890e999}\n{\"\":\"\\u0000\\ud800\"}",
            &[
                "{\"a\":1,\"a\":2,\"n\":123456789012345678901234567890e999}",
                "{\"\":\"\\u0000\\ud800\"}",
            ],
        ),
        ("", &[]),
        (" \r\n\n", &[]),
        ("[]", &[]),
    ] {
        door.accept("", body, raws).await;
        door.accept("Content-Encoding: identity\r\nContent-Type: text/plain\r\n", body, raws).await;
        door.accept("Content-Encoding: gzip\r\n", gzip(body.as_bytes()), raws).await;
        door.accept("Content-Encoding: ZSTD\r\n", zstd(body.as_bytes()), raws).await;
        // Members and frames one after another are one body.
        let (head, tail) = body.as_bytes().split_at(body.len() / 2);
        let members = [gzip(head), gzip(tail)].concat();
        door.accept("Content-Encoding: x-gzip, identity\r\n", members, raws).await;
        let frames = [zstd(head), zstd(tail)].concat();
        door.accept("Content-Encoding: zstd\r\n", frames, raws).await;
    }
    let record = door.bus.records().pop();
    assert!(record.is_none());
    door.accept("", "{\"a\":1}", &["{\"a\":1}"]).await;
    let record = door.bus.records().pop().unwrap();
    assert_eq!((record.commune.as_str(), record.feed.as_str()), ("dijon", "dijon-endpoints"));
    assert_eq!(record.format.as_str(), "windows");
    assert!(event::Timestamp::now().since(record.received) < Duration::from_secs(10));
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn a_bad_record_never_sinks_its_batch() {
    let door = open(HttpLimits { record_bytes_max: 1000, ..HttpLimits::default() }).await;
    let (a, b) = ("{\"a\":1}", "{\"b\":2}");

    let rejected = door.accept_some("{\"a\":1}\n\n{\"x\":\n{\"b\":2}\nnonsense\n", &[a, b]).await;
    assert_eq!(
        rejected,
        [
            "1 3 it is not JSON: EOF while parsing a value at byte 5",
            "3 5 it is not JSON: expected ident at byte 2"
        ]
    );
    let rejected = door.accept_some(b"{\"a\":1}\n{\"x\":\"\xff\"}\n{\"b\":2}", &[a, b]).await;
    assert_eq!(rejected, ["1 2 it is not UTF-8: byte 0xff at byte 7"]);
    let rejected = door.accept_some(b"{\"a\":1}\n{\"x\":\"\0\"}\n{\"b\":2}\0\n", &[a]).await;
    assert_eq!(rejected.len(), 2);
    assert!(rejected[0].starts_with("1 2 it is not JSON: control character"), "{rejected:?}");
    let huge = format!("{{\"a\":1}}\n{{\"x\":\"{}\"}}\n{{\"b\":2}}", "y".repeat(10_000_000));
    let rejected = door.accept_some(&huge, &[a, b]).await;
    assert_eq!(rejected, ["1 2 it has more than 1000 bytes (record_bytes_max)"]);
    let deep = format!("{{\"a\":1}}\n{}\n{{\"b\":2}}", "[".repeat(900));
    assert_eq!(door.accept_some(&deep, &[a, b]).await.len(), 1);

    // The same in an array.
    for (element, reason) in [
        ("{\"x\":}", "1 2 it is not JSON: expected value at byte 6"),
        ("{\"x\":[1}", "1 2 it is not JSON: expected `,` or `]` at byte 8"),
        ("nonsense", "1 2 it is not JSON: expected ident at byte 2"),
        (
            "{\"x\":\"open}",
            "1 2 it is not JSON: control character (\\u0000-\\u001F) found while parsing a string at byte 12",
        ),
    ] {
        let body = format!("[{{\"a\":1}},\n{element},\n{{\"b\":2}}]");
        let expected = if element.contains("open") { &[a][..] } else { &[a, b] };
        let rejected = door.accept_some(&body, expected).await;
        assert!(rejected[0].starts_with(reason), "{rejected:?}");
    }
    let body = format!("[{{\"a\":1}},{{\"x\":\"{}\"}},{{\"b\":2}}]", "},{".repeat(1000));
    let rejected = door.accept_some(&body, &[a, b]).await;
    assert_eq!(rejected, ["1 1 it has more than 1000 bytes (record_bytes_max)"]);
    let rejected = door.accept_some(b"[{\"a\":1},{\"x\":\"\xc3\"},{\"b\":2}]", &[a, b]).await;
    assert_eq!(rejected, ["1 1 it is not UTF-8: byte 0xc3 at byte 7"]);
    let rejected = door.accept_some("[{\"a\":1},\n{\"b\":2},", &[a, b]).await;
    assert_eq!(rejected, ["2 2 the array is not closed: `]` is missing"]);
    assert_eq!(door.accept_some("[{\"a\":1},\n{\"b\":", &[a]).await.len(), 1);

    // And of objects over several lines.
    let body = "{\n  \"a\": 1\n}\n{\n  \"x\": ,\n}\n{\n  \"b\": 2\n}\n";
    let rejected = door.accept_some(body, &["{\n  \"a\": 1\n}", "{\n  \"b\": 2\n}"]).await;
    assert_eq!(rejected, ["1 4 it is not JSON: expected value at byte 10"]);
    assert_eq!(door.accept_some("{\n  \"x\": [\n    1\n", &[]).await.len(), 1);

    assert!(door.meter.rejected("record-malformed") >= 10);
    assert!(door.meter.rejected("record-too-large") >= 2);
    assert!(door.meter.rejected("record-not-utf8") >= 2);
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn depth_keys_and_digits_cost_no_more_than_their_bytes() {
    let door = open(HttpLimits { record_bytes_max: 8 << 20, ..HttpLimits::default() }).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deeper = format!("{{\"a\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"key{n}\":{n}")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let digits = format!("{{\"n\":{}}}", "9".repeat(100_000));
    for record in [&deeper, &keys, &digits] {
        door.accept("", record, &[record]).await;
        door.accept("", format!("[{record},{record}]"), &[record, record]).await;
    }
    door.accept("", format!("[{deep}]"), &[&deep]).await;
}

#[tokio::test]
async fn nothing_acceptable_is_422_and_lists_are_bounded() {
    let door = open(HttpLimits { answer_rejections_max: 3, ..HttpLimits::default() }).await;
    let answer = door.send("", "no\n".repeat(50)).await;
    assert_problem(&answer, 422, "records-unreadable");
    let problem = answer.json();
    assert_eq!((&problem["accepted"], &problem["rejected_count"]), (&json!(0), &json!(50)));
    assert_eq!(problem["rejected"].as_array().unwrap().len(), 3);
    assert_eq!(door.meter.rejected("record-malformed"), 50);
}

#[tokio::test]
async fn requests_that_cannot_be_taken_say_why_and_how_to_mend_it() {
    let door = open(HttpLimits {
        body_bytes_max: 2000,
        decompressed_bytes_max: 4000,
        batch_records_max: 20,
        ..HttpLimits::default()
    })
    .await;
    let at = door.address;

    let answer = exchange(at, &post("", b"{}")).await;
    assert_problem(&answer, 401, "key-missing");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    for headers in [
        "Authorization: Basic YWI=\r\n".to_owned(),
        "Authorization: Digest x\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("{0}{0}", dijon()),
        "Authorization: Bearer caf\u{e9}\r\n".to_owned(),
    ] {
        assert_problem(&exchange(at, &post(&headers, b"{}")).await, 401, "key-missing");
    }
    let answer = exchange(at, &post("Authorization: bearer wrong\r\n", b"{}")).await;
    assert_problem(&answer, 401, "key-wrong");
    assert!(answer.header("www-authenticate").contains("invalid_token"));

    let answer = exchange(at, b"GET /ingest HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_problem(&answer, 405, "method");
    assert_eq!(answer.header("allow"), "POST");

    let answer = door.send("Content-Encoding: br\r\n", b"{}").await;
    assert_problem(&answer, 415, "content-encoding");
    assert_eq!(answer.header("accept-encoding"), "gzip, zstd");
    assert_problem(
        &door.send("Content-Encoding: gzip, zstd\r\n", b"{}").await,
        415,
        "content-encoding",
    );
    let answer = door.send("", gzip(b"{}")).await;
    assert_problem(&answer, 415, "content-encoding");
    assert!(answer.body.contains("`Content-Encoding: gzip`"));

    for body in [gzip(b"{\"a\":1}"), zstd(b"{\"a\":1}")] {
        let coding = if body[0] == 0x1f { "gzip" } else { "zstd" };
        let header = format!("Content-Encoding: {coding}\r\n");
        assert_problem(&door.send(&header, &body[..body.len() - 3]).await, 400, "body-unreadable");
        assert_problem(&door.send(&header, b"{\"a\":1}").await, 400, "body-unreadable");
        let trailing = [&body[..], b"{\"a\":1}"].concat();
        assert_problem(&door.send(&header, trailing).await, 400, "body-unreadable");
    }
    let utf16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_problem(&door.send("", &utf16).await, 400, "body-unreadable");
    assert_problem(&door.send("", &utf16[2..]).await, 400, "body-unreadable");

    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(3000));
    let answer = door.send("", &large).await;
    assert_problem(&answer, 413, "body-too-large");
    assert!(answer.body.contains("body_bytes_max"));
    let larger = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let answer = door.send("Content-Encoding: gzip\r\n", gzip(larger.as_bytes())).await;
    assert_problem(&answer, 413, "body-too-large");
    assert!(answer.body.contains("decompressed_bytes_max"));
    let answer = door.send("", "1\n".repeat(21)).await;
    assert_problem(&answer, 413, "body-too-large");
    assert!(answer.body.contains("batch_records_max"));

    assert_eq!(door.bus.raws().len(), 0);
    assert_eq!(door.admission.used_bytes(), 0);
    assert_eq!(door.meter.rejected("key-missing"), 6);
    assert_eq!(door.meter.rejected("body-too-large"), 3);
}

#[tokio::test]
async fn bombs_stop_at_the_bounds_without_their_memory() {
    let door = open_with(HttpLimits::default(), 64 << 20).await;
    let spaces = vec![b' '; 100 << 20];
    let bombs = [("gzip", gzip(&spaces)), ("zstd", zstd(&spaces))];
    for (coding, bomb) in &bombs {
        let answer = door.send(&format!("Content-Encoding: {coding}\r\n"), bomb).await;
        assert_problem(&answer, 413, "body-too-large");
        assert!(answer.body.contains("decompression_ratio_max"), "{answer:?}");
    }
    let lenient = open_with(
        HttpLimits { decompression_ratio_max: usize::MAX, ..HttpLimits::default() },
        256 << 20,
    )
    .await;
    for (coding, bomb) in &bombs {
        let answer = lenient.send(&format!("Content-Encoding: {coding}\r\n"), bomb).await;
        assert_problem(&answer, 413, "body-too-large");
        assert!(answer.body.contains("decompressed_bytes_max"), "{answer:?}");
    }
    // One that stays below the bounds is still refused where all doors have no memory for it.
    let lean = open_with(
        HttpLimits { decompression_ratio_max: usize::MAX, ..HttpLimits::default() },
        1 << 20,
    )
    .await;
    let answer = lean.send("Content-Encoding: gzip\r\n", gzip(&spaces[..8 << 20])).await;
    assert_problem(&answer, 503, "busy");
    assert_eq!(lean.admission.used_bytes(), 0);
}

#[tokio::test]
async fn a_zstd_window_beyond_8_mib_is_refused() {
    use std::io::Write;
    let door = open(HttpLimits::default()).await;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"{\"a\":1}").unwrap();
    encoder.flush().unwrap();
    let body = encoder.finish().unwrap();
    assert_problem(&door.send("Content-Encoding: zstd\r\n", body).await, 400, "body-unreadable");
}

#[tokio::test]
async fn chunked_pipelined_and_expecting_requests_are_served() {
    let door = open(HttpLimits::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let chunked = format!(
        "POST /ingest HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\n\r\n\
         4\r\n{{\"a\"\r\n5\r\n:1}}\n{{\r\n6\r\n\"b\":2}}\r\n0\r\nTrailer: x\r\n\r\n",
        dijon()
    );
    let mut pipelined = chunked.into_bytes();
    pipelined.extend(post(&dijon(), b"[3,4]"));
    pipelined.extend(post("", b"5"));
    pipelined.extend(post(&dijon(), b"6"));
    stream.write_all(&pipelined).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = read_answer(&mut stream).await.unwrap();
        answers.push((answer.status, answer.json()["accepted"].as_u64()));
    }
    assert_eq!(answers, [(200, Some(2)), (200, Some(2)), (401, None), (200, Some(1))]);
    assert_eq!(door.bus.raws(), ["{\"a\":1}", "{\"b\":2}", "3", "4", "6"]);

    let head = format!(
        "POST /ingest HTTP/1.1\r\nHost: x\r\n{}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        dijon()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 100);
    stream.write_all(b"7").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 200);
}

#[tokio::test]
async fn slow_and_broken_senders_are_cut_off_and_harm_nobody() {
    let door = open(HttpLimits {
        body_idle_time_max: Duration::from_millis(200),
        body_time_max: Duration::from_millis(600),
        header_time_max: Duration::from_millis(300),
        ..HttpLimits::default()
    })
    .await;
    let head = format!(
        "POST /ingest HTTP/1.1\r\nHost: x\r\n{}Content-Length: 100\r\n\r\n{{\"a\":1}}\n",
        dijon()
    );

    let mut silent = TcpStream::connect(door.address).await.unwrap();
    silent.write_all(head.as_bytes()).await.unwrap();
    let mut dripping = TcpStream::connect(door.address).await.unwrap();
    dripping.write_all(head.as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        for _ in 0..12 {
            let _ = dripping.write_all(b" ").await;
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        read_answer(&mut dripping).await
    });
    let mut gone = TcpStream::connect(door.address).await.unwrap();
    gone.write_all(head.as_bytes()).await.unwrap();
    drop(gone);
    let mut headless = TcpStream::connect(door.address).await.unwrap();
    headless.write_all(b"POST /ingest HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();

    let mut halved = TcpStream::connect(door.address).await.unwrap();
    halved.write_all(head.as_bytes()).await.unwrap();
    halved.shutdown().await.unwrap();
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(&post("", b"1")).await.unwrap();
    assert_eq!(read_answer(&mut idle).await.unwrap().status, 401);

    door.accept("", "{\"b\":2}", &["{\"b\":2}"]).await;
    assert!(read_answer(&mut halved).await.is_none_or(|answer| answer.status == 400));
    let ended = tokio::time::timeout(Duration::from_secs(5), read_answer(&mut idle)).await;
    assert!(ended.unwrap().is_none(), "an idle connection stays for good");
    let answer = read_answer(&mut silent).await.unwrap();
    assert_problem(&answer, 408, "body-slow");
    assert_eq!(answer.header("connection"), "close");
    assert_problem(&drip.await.unwrap().unwrap(), 408, "body-slow");
    let started = Instant::now();
    let answer = read_answer(&mut headless).await;
    assert!(answer.is_none_or(|answer| answer.status == 408));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(door.bus.raws(), ["{\"b\":2}"]);
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn a_batch_that_is_repeated_with_its_key_adds_nothing() {
    let door = open(HttpLimits::default()).await;
    let key = "Idempotency-Key: 7f3a\r\n";
    let body = "{\"a\":1}\n{nothing\n{\"b\":2}\n";
    let first = door.send(key, body.as_bytes()).await;
    assert_eq!((first.status, first.json()["accepted"].as_u64()), (200, Some(2)));
    // Compressed or not, it is the same batch.
    let coded = format!("{key}Content-Encoding: gzip\r\n");
    for (headers, bytes) in [(key, body.as_bytes().to_vec()), (&coded, gzip(body.as_bytes()))] {
        let again = door.send(headers, &bytes).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
        assert_eq!(again.json(), first.json());
    }
    let raws = ["{\"a\":1}", "{\"b\":2}"];
    assert_eq!(door.bus.raws(), raws);

    // Another body is not taken for the first, and a key that cannot be one is told.
    assert_problem(&door.send(key, b"{\"c\":3}").await, 422, "idempotency-key-reused");
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    for wrong in ["Idempotency-Key: \r\n", &long, &format!("{key}{key}")] {
        assert_problem(&door.send(wrong, b"{}").await, 400, "idempotency-key");
    }
    assert_eq!(door.bus.raws(), raws);

    // What was not taken is not remembered.
    door.bus.set_full(true);
    let key = "Idempotency-Key: 7f3b\r\n";
    assert_problem(&door.send(key, b"{\"c\":3}").await, 503, "bus-full");
    door.bus.set_full(false);
    let taken = door.send(key, b"{\"c\":3}").await;
    assert_eq!((taken.status, taken.json()["accepted"].as_u64()), (200, Some(1)));
    assert_eq!(door.bus.raws().len(), 3);
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn a_batch_is_known_to_other_doors_and_after_a_restart() {
    let limits = HttpLimits { append_records_max: 2, ..HttpLimits::default() };
    let (bus, batches) = (Arc::default(), Arc::<MemoryBatches>::default());
    let door = open_on(Arc::clone(&bus), batches.clone(), limits.clone(), 64 << 20).await;
    let key = "Idempotency-Key: 7f3d\r\n";
    let body = b"{\"a\":1}\n{\"b\":2}\n{nothing\n{\"c\":3}\n";
    let first = door.send(key, body).await;
    assert_eq!((first.status, first.json()["accepted"].as_u64()), (200, Some(3)));

    // The mark is with the last record of the last append alone, and says what was answered.
    let payloads = bus.payloads.lock().unwrap().clone();
    let ends: Vec<_> = payloads.iter().map(Record::batch_end).collect();
    assert_eq!((ends.len(), &ends[..2]), (3, &[None, None][..]));
    let (feed, mark) = ends[2].clone().unwrap();
    assert_eq!((feed.as_str(), mark.key.as_str()), ("dijon-endpoints", "7f3d"));
    let receipt: serde_json::Value = serde_json::from_str(&mark.receipt).unwrap();
    assert_eq!(receipt, first.json());

    // Killed after the append: whoever reads the bus says that it was taken.
    let batches = Arc::new(MemoryBatches::default());
    let begun = batches.begin(&feed, "7f3d", &mark.digest).await.unwrap();
    assert_eq!(begun, BatchState::New);
    let door = open_on(Arc::clone(&bus), batches.clone(), limits.clone(), 64 << 20).await;
    assert_problem(&door.send(key, body).await, 409, "still-taking");
    batches.settle(&feed, mark).await.unwrap();
    for _ in 0..2 {
        let again = door.send(key, body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
        assert_eq!(again.json(), first.json());
    }
    assert_problem(&door.send(key, b"{}").await, 422, "idempotency-key-reused");
    assert_eq!(bus.raws().len(), 3);

    // What the bus would not take is free again, elsewhere too.
    let key = "Idempotency-Key: 7f3e\r\n";
    bus.set_full(true);
    assert_problem(&door.send(key, b"{}").await, 503, "bus-full");
    bus.set_full(false);
    let door = open_on(Arc::clone(&bus), batches, limits.clone(), 64 << 20).await;
    assert_eq!(door.send(key, b"{}").await.status, 200);

    // Where nobody knows, nothing is taken, and batches without a key go on.
    let door = open_on(Arc::clone(&bus), Arc::new(NoBatches), limits, 64 << 20).await;
    let unknown = door.send("Idempotency-Key: 7f3f\r\n", b"{}").await;
    assert_problem(&unknown, 503, "batches-unknown");
    assert_eq!(bus.raws().len(), 4);
    assert_eq!(door.send("", b"{}").await.status, 200);
}

/// What keeps batches does not answer.
struct NoBatches;

#[async_trait]
impl Batches for NoBatches {
    async fn begin(&self, _: &FeedId, _: &str, _: &str) -> Result<BatchState, BatchesError> {
        Err(BatchesError("it is away".to_owned()))
    }

    async fn settle(&self, _: &FeedId, _: BatchMark) -> Result<(), BatchesError> {
        Err(BatchesError("it is away".to_owned()))
    }

    async fn forget(&self, _: &FeedId, _: &str) -> Result<(), BatchesError> {
        Err(BatchesError("it is away".to_owned()))
    }
}

#[tokio::test]
async fn a_sender_that_hangs_up_learns_by_its_key_what_became_of_the_batch() {
    let door = open(HttpLimits::default()).await;
    let key = "Idempotency-Key: 7f3c\r\n";
    *door.bus.delay.lock().unwrap() = Duration::from_secs(3);
    let mut gone = TcpStream::connect(door.address).await.unwrap();
    gone.write_all(&post(&format!("{}{key}", dijon()), b"{\"a\":1}")).await.unwrap();
    while door.bus.appends.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(gone);
    let early = door.send(key, b"{\"a\":1}").await;
    assert_problem(&early, 409, "still-taking");
    assert_eq!(early.header("retry-after"), "1");
    let until = Instant::now() + Duration::from_secs(10);
    let answer = loop {
        let answer = door.send(key, b"{\"a\":1}").await;
        if answer.status != 409 || Instant::now() > until {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (200, "true"));
    assert_eq!(door.bus.raws(), ["{\"a\":1}"]);
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_503_with_retry_after() {
    let door = open(HttpLimits { append_bytes_max: 1000, ..HttpLimits::default() }).await;
    door.bus.set_full(true);
    let answer = door.send("", b"{}").await;
    assert_problem(&answer, 503, "bus-full");
    assert_eq!(answer.header("retry-after"), "5");
    door.bus.set_full(false);
    door.bus.stopped.store(true, Ordering::SeqCst);
    let answer = door.send("", b"{}").await;
    assert_problem(&answer, 503, "bus-stopped");
    assert!(answer.body.contains("fsync failed"));
    door.bus.stopped.store(false, Ordering::SeqCst);

    // Full in the middle of a body: what is durable is told.
    door.bus.full_after_appends.store(2, Ordering::SeqCst);
    let body: String =
        (0..20).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}\n", "y".repeat(200))).collect();
    let answer = door.send("", &body).await;
    assert_problem(&answer, 503, "bus-full");
    let problem = answer.json();
    let accepted = door.bus.raws().len();
    assert!(0 < accepted && accepted < 20);
    assert_eq!(problem["accepted"], accepted);
    assert_eq!(problem["resume_at_record"], accepted);
    assert_eq!(problem["resume_at_line"], accepted + 1);
    let lines: Vec<&str> = body.lines().collect();
    door.bus.full_after_appends.store(0, Ordering::SeqCst);
    let answer = door.send("", lines[accepted..].join("\n")).await;
    assert_eq!(answer.json()["accepted"], 20 - accepted);
    assert_eq!(door.bus.raws(), lines);
    assert_eq!(door.meter.accepted("dijon-endpoints").0, 20);
    assert_eq!(door.meter.accepted("dijon-endpoints").1, body.len() as u64 - 20);
}

#[tokio::test]
async fn a_record_too_large_for_the_bus_is_turned_away_alone() {
    let door = open(HttpLimits::default()).await;
    door.bus.payload_bytes_max.store(200, Ordering::SeqCst);
    let large = format!("\"{}\"", "x".repeat(300));
    let body = format!("1\n{large}\n2\nbad\n{large}\n3");
    let rejected = door.accept_some(&body, &["1", "2", "3"]).await;
    assert_eq!(rejected.len(), 3);
    assert!(rejected[0].starts_with("1 2 it has 3") && rejected[0].contains("at most 200"));
    assert!(rejected[1].starts_with("3 4 it is not JSON"), "{rejected:?}");
    assert!(rejected[2].starts_with("4 5 it has 3"), "{rejected:?}");
    assert_eq!(door.meter.rejected("record-too-large"), 2);
}

#[tokio::test]
async fn an_answer_comes_only_after_the_append() {
    let door = open(HttpLimits::default()).await;
    *door.bus.delay.lock().unwrap() = Duration::from_millis(300);
    let started = Instant::now();
    assert_eq!(door.send("", b"{}").await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(door.bus.raws().len(), 1);
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_back() {
    let door = open(HttpLimits { concurrent_requests_max: 2, ..HttpLimits::default() }).await;
    *door.bus.delay.lock().unwrap() = Duration::from_millis(500);
    let (a, b) = (door.send("", b"1"), door.send("", b"2"));
    let late = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        door.send("", b"3").await
    };
    let (a, b, late) = tokio::join!(a, b, late);
    assert_eq!((a.status, b.status), (200, 200));
    assert_problem(&late, 503, "busy");
    assert_eq!(late.header("retry-after"), "1");

    let lean = open_with(HttpLimits::default(), 1000).await;
    let answer = lean.send("", vec![b' '; 2000]).await;
    assert_problem(&answer, 503, "busy");
}

#[tokio::test]
async fn a_large_refused_body_still_gets_its_answer() {
    let door = open(HttpLimits::default()).await;
    let body = vec![b'1'; 12 << 20];
    for _ in 0..5 {
        let answer = exchange(door.address, &post("Authorization: Bearer no\r\n", &body)).await;
        assert_problem(&answer, 401, "key-wrong");
    }
}

#[tokio::test]
async fn closing_finishes_requests_under_way_and_takes_no_more() {
    let door = open(HttpLimits::default()).await;
    *door.bus.delay.lock().unwrap() = Duration::from_millis(300);
    let idle = TcpStream::connect(door.address).await.unwrap();
    let close = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        door.cancel.cancel();
    };
    let (answer, ()) = tokio::join!(door.send("", b"1"), close);
    assert_eq!(answer.status, 200);
    let (address, bus) = (door.address, door.bus.clone());
    tokio::time::timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(bus.raws(), ["1"]);
    bus.close().await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_of_many_senders_arrive_exactly_once() {
    let door = open_with(HttpLimits::default(), 256 << 20).await;
    let door = Arc::new(door);
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let door = door.clone();
            tokio::spawn(async move {
                for batch in 0..3 {
                    let body: String = (0..5000)
                        .map(|n| {
                            format!("{{\"id\":\"{sender}-{batch}-{n}\",\"text\":\"caf\u{e9}\"}}\n")
                        })
                        .collect();
                    let answer = match batch {
                        0 => door.send("", body).await,
                        1 => door.send("Content-Encoding: gzip\r\n", gzip(body.as_bytes())).await,
                        _ => door.send("Content-Encoding: zstd\r\n", zstd(body.as_bytes())).await,
                    };
                    assert_eq!(answer.json()["accepted"], 5000);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut raws = door.bus.raws();
    assert_eq!(raws.len(), 120_000);
    raws.sort_unstable();
    raws.dedup();
    assert_eq!(raws.len(), 120_000);
    assert_eq!(door.admission.used_bytes(), 0);
}
