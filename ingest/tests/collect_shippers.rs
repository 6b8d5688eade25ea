//! The protocols that shippers already speak, over real sockets: Elasticsearch's bulk requests,
//! SEKOIA.IO's intake, Splunk's event collector and OpenTelemetry's protocol.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::sync::atomic::Ordering;

use collect_support::*;
use event::EventId;
use ingest::{bus::Bus, collect::http::HttpLimits};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

impl Door {
    async fn ask(&self, line: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut request = format!(
            "{line} HTTP/1.1\r\nHost: soc.example\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        exchange(self.address, &request).await
    }

    async fn bulk(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST /_bulk", &dijon(), body).await
    }

    /// The ids that the events of what is on the bus have.
    fn ids(&self) -> Vec<String> {
        (0..)
            .zip(self.bus.records())
            .map(|(offset, record)| {
                EventId::of(self.bus.id(), 0, offset, record.received).to_string()
            })
            .collect()
    }
}

fn statuses(answer: &Answer) -> Vec<u64> {
    let items = answer.json()["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn bulk_answers_item_by_item_once_they_are_durable() {
    let door = open(HttpLimits { record_bytes_max: 30, ..HttpLimits::default() }).await;
    let large = "x".repeat(31);
    let body = format!(
        "{{\"create\":{{\"_index\":\"winlogbeat-9\"}}}}\n{{\"a\":1}}\n\
         {{\"index\":{{\"_id\":\"mine\"}}}}\nnot json {{\n\
         {{\"delete\":{{\"_id\":\"mine\"}}}}\n\
         {{\"create\":{{}}}}\n\"{large}\"\n\
         {{\"create\":{{}}}}\n{{\"b\":2}}\n"
    );
    for (line, headers, body) in [
        ("POST /_bulk", String::new(), body.clone().into_bytes()),
        ("PUT /logs-x/_bulk?filter_path=errors", String::new(), body.clone().into_bytes()),
        ("POST /_bulk", "Content-Encoding: gzip\r\n".to_owned(), gzip(body.as_bytes())),
    ] {
        door.bus.payloads.lock().unwrap().clear();
        let answer = door.ask(line, &format!("{}{headers}", dijon()), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
        assert_eq!(statuses(&answer), [201, 201, 400, 413, 201]);
        assert_eq!(door.bus.raws(), ["{\"a\":1}", "not json {", "{\"b\":2}"]);
        let (answer, ids) = (answer.json(), door.ids());
        assert_eq!(answer["errors"], true);
        assert_eq!(answer["items"][0]["create"]["_id"], ids[0].as_str());
        assert_eq!(answer["items"][0]["create"]["_index"], "winlogbeat-9");
        assert_eq!(answer["items"][1]["index"]["_id"], "mine");
        assert_eq!(answer["items"][4]["create"]["_id"], ids[2].as_str());
        assert!(
            answer["items"][3]["create"]["error"]["reason"].as_str().unwrap().contains("30 bytes")
        );
    }
    let all_good = door.bulk("{\"create\":{}}\n{\"a\":1}\n").await.json();
    assert_eq!(all_good["errors"], false);
    assert_eq!(door.bulk("").await.json()["items"], json!([]));
    assert_eq!(door.meter.rejected("record-too-large"), 3);
}

#[tokio::test]
async fn bulk_refuses_in_the_words_its_clients_know() {
    let door = open(HttpLimits::default()).await;
    let error = |answer: &Answer| answer.json()["error"]["type"].as_str().unwrap().to_owned();
    let pair = "{\"create\":{}}\n{\"a\":1}\n";

    let answer = door.ask("POST /_bulk", "", pair).await;
    assert_eq!((answer.status, error(&answer).as_str()), (401, "security_exception"));
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"feed\"");
    assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
    let answer = door.ask("POST /_bulk", "Authorization: ApiKey nonsense\r\n", pair).await;
    assert_eq!(answer.status, 401);

    let answer = door.bulk("{\"create\":{}}\n{\"a\":1}\nnonsense\n{}\n").await;
    assert_eq!((answer.status, error(&answer).as_str()), (400, "illegal_argument_exception"));
    assert!(answer.json()["error"]["reason"].as_str().unwrap().contains("line 3: "), "{answer:?}");
    assert_eq!(door.bus.raws(), Vec::<String>::new());

    door.bus.set_full(true);
    let answer = door.bulk(pair).await;
    assert_eq!((answer.status, error(&answer).as_str()), (429, "es_rejected_execution_exception"));
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn bulk_says_which_items_a_full_bus_took() {
    let limits = HttpLimits { append_records_max: 2, ..HttpLimits::default() };
    let door = open(limits).await;
    door.bus.full_after_appends.store(1, Ordering::SeqCst);
    let answer = door.bulk("{\"create\":{}}\n{\"a\":1}\n".repeat(5)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (200, "5"), "{answer:?}");
    assert_eq!(statuses(&answer), [201, 201, 429, 429, 429]);
    assert_eq!(door.bus.raws().len(), 2);
}

#[tokio::test]
async fn what_elasticsearchs_clients_ask_first_is_answered_to_who_has_a_key() {
    let door = open(HttpLimits::default()).await;
    // `beats:KEY` as Beats send it.
    let basic = format!("Authorization: ApiKey {DIJON_KEY}\r\n");
    // An answer to HEAD has a length and no body.
    for (headers, status) in [(basic.as_str(), "200"), ("", "401")] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let request =
            format!("HEAD / HTTP/1.1\r\nHost: soc.example\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("x-elastic-product: Elasticsearch"), "{answer}");
    }
    let about = door.ask("GET /", &basic, "").await;
    assert_eq!(about.json()["version"]["number"], "9.1.4");
    assert_eq!(about.json()["tagline"], "You Know, for Search");
    for line in [
        "GET /_license",
        "GET /_xpack",
        "GET /_cluster/health",
        "GET /_cat/health",
        "GET /_nodes/_all/http",
        "PUT /_index_template/winlogbeat-9.1.4",
        "GET /_ilm/policy/winlogbeat",
        "PUT /_ilm/policy/winlogbeat",
        "PUT /_data_stream/winlogbeat-9.1.4",
        "PUT /_ingest/pipeline/x",
        "GET /_logstash/pipeline",
    ] {
        let body = if line.starts_with("PUT") { "{}" } else { "" };
        let answer = door.ask(line, &basic, body).await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        assert_eq!(answer.header("x-elastic-product"), "Elasticsearch", "{line}");
        assert_eq!(door.ask(line, "", body).await.status, 401, "{line}");
    }
}

#[tokio::test]
async fn the_intake_takes_every_shape_and_tells_the_events_ids() {
    let door = open(HttpLimits::default()).await;
    let head = format!("X-SEKOIAIO-INTAKE-KEY: {DIJON_KEY}\r\n");
    let query = format!("intake_key={DIJON_KEY}");
    let labelled = |json: &str| format!("{{\"intake_key\":{DIJON_KEY:?},{json}}}");
    for (line, headers, body, raws) in [
        (
            "POST /plain".to_owned(),
            head.as_str(),
            "[1:0] info: A IN\n".to_owned(),
            &["[1:0] info: A IN"][..],
        ),
        (format!("POST /plain?{query}"), "", "a".to_owned(), &["a"]),
        ("POST /plain/batch".to_owned(), head.as_str(), "a\nb\n".to_owned(), &["a", "b"]),
        (
            "POST /jsons?status_code=200".to_owned(),
            head.as_str(),
            "[\"a\\n\", {\"b\": 1}]".to_owned(),
            &["a\n", "{\"b\": 1}"],
        ),
        (
            format!("POST /jsons?path=$.p.q&{query}"),
            "",
            "{\"p\":{\"q\":[{\"b\":1}]}}".to_owned(),
            &["{\"b\":1}"],
        ),
        ("POST /".to_owned(), "", labelled("\"json\":\"{\\\"k\\\":1}\""), &["{\"k\":1}"]),
        ("POST /".to_owned(), head.as_str(), "{\"json\":\"a\"}".to_owned(), &["a"]),
        ("POST /batch".to_owned(), "", labelled("\"jsons\":[\"a\",\"b\"]"), &["a", "b"]),
        ("POST /array".to_owned(), "", format!("[{}]", labelled("\"json\":\"a\"")), &["a"]),
    ] {
        door.bus.payloads.lock().unwrap().clear();
        let answer = door.ask(&line, headers, body).await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        assert_eq!(door.bus.raws(), raws, "{line}");
        assert!(door.bus.records().iter().all(|record| record.feed.as_str() == "dijon-endpoints"));
        let (answer, ids) = (answer.json(), door.ids());
        match line.starts_with("POST /plain?") || line == "POST /plain" || line == "POST /" {
            true => assert_eq!(answer, json!({ "event_id": ids[0] }), "{line}"),
            false => assert_eq!(answer, json!({ "event_ids": ids }), "{line}"),
        }
    }
}

#[tokio::test]
async fn the_intake_parts_the_events_of_several_feeds() {
    let door = open(HttpLimits { record_bytes_max: 8, ..HttpLimits::default() }).await;
    let event = |key: &str, json: &str| json!({ "intake_key": key, "json": json });
    let body = json!([
        event(DIJON_KEY, "d1"),
        event(TALANT_KEY, "t1"),
        event(TALANT_KEY, "too long to take"),
        event(DIJON_KEY, "d2"),
    ]);
    let answer = door.ask("POST /array", "", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let taken: Vec<_> =
        door.bus.records().iter().map(|r| (r.commune.to_string(), r.raw.clone())).collect();
    assert_eq!(
        taken,
        [("dijon", "d1"), ("dijon", "d2"), ("talant", "t1")]
            .map(|(commune, raw)| (commune.to_owned(), raw.into()))
    );
    // The ids stand in the order of the body, whichever feed went first.
    let (answer, ids) = (answer.json(), door.ids());
    assert_eq!(answer["event_ids"], json!([ids[0], ids[2], ids[1]]));
    assert_eq!(answer["rejected"][0]["record"], 2);
    assert_eq!(door.meter.accepted("talant-phones"), (1, 2));

    // One wrong key, and nothing of the body is taken.
    door.bus.payloads.lock().unwrap().clear();
    let body = json!([event(DIJON_KEY, "d1"), event("nobody's", "x")]);
    let answer = door.ask("POST /array", "", body.to_string()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(door.bus.raws(), Vec::<String>::new());
}

#[tokio::test]
async fn the_intake_refuses_what_it_cannot_take() {
    let door = open(HttpLimits::default()).await;
    let head = format!("X-SEKOIAIO-INTAKE-KEY: {DIJON_KEY}\r\n");
    for (line, headers, body, status, part) in [
        ("POST /plain", "", "a", 401, "feed's key"),
        ("POST /plain?intake_key=wrong", "", "a", 401, "opens no feed"),
        ("POST /plain?intake_key=wrong", head.as_str(), "a", 401, "feed's key"),
        ("POST /jsons", head.as_str(), "{}", 400, "an array of events"),
        ("POST /jsons?path=a[0]", head.as_str(), "[]", 400, "path"),
        ("POST /", "", "{\"json\":1}", 401, "feed's key"),
        ("POST /batch", head.as_str(), "{}", 400, "jsons"),
        ("POST /array", head.as_str(), "{}", 400, "expected"),
    ] {
        let answer = door.ask(line, headers, body).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        let detail = answer.json()["detail"].clone();
        assert!(detail.as_str().unwrap().contains(part), "{line}: {detail}");
    }
    assert_eq!(door.bus.raws(), Vec::<String>::new());
    door.bus.set_full(true);
    let answer = door.ask("POST /plain", &head, "a").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    let _: Value = answer.json();
}

fn splunk() -> String {
    dijon().replace("Bearer", "Splunk")
}

#[tokio::test]
async fn the_event_collector_takes_events_and_what_is_beside_them() {
    let door = open(HttpLimits::default()).await;
    let body = r#"{"event":"a \"line\"","time":1433188255.5,"host":"pc-1","sourcetype":"st"}{"event":{"b":2}}"#;
    // Whatever the content type says.
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (line, headers, body) in [
        ("POST /services/collector", form, body.as_bytes().to_vec()),
        ("POST /services/collector/event", "", body.as_bytes().to_vec()),
        ("POST /services/collector/event/1.0?channel=x", "", body.as_bytes().to_vec()),
        ("POST /services/collector", "Content-Encoding: gzip\r\n", gzip(body.as_bytes())),
    ] {
        door.bus.payloads.lock().unwrap().clear();
        let answer = door.ask(line, &format!("{}{headers}", splunk()), body).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["code"]), (200, &json!(0)), "{line}: {told}");
        assert_eq!(told["ackId"].is_u64(), line.contains("channel"), "{told}");
        assert_eq!(door.bus.raws(), ["a \"line\"", "{\"b\":2}"]);
        let records = door.bus.records();
        let context = records[0].context.as_deref().unwrap();
        assert_eq!(context.host.as_deref(), Some("pc-1"));
        assert_eq!(context.time.unwrap().to_string(), "2015-06-01T19:50:55.5Z");
        assert_eq!(context.fields, [("hec.sourcetype".to_owned(), "st".to_owned())]);
        assert_eq!(records[1].context, None);
    }
    door.bus.payloads.lock().unwrap().clear();
    let key = dijon().split(' ').nth(2).unwrap().trim().to_owned();
    let line = format!("POST /services/collector/raw?token={key}&host=pc-2&time=1433188255");
    let answer = door.ask(&line, "", "one\n\ntwo\n").await;
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(0)));
    assert_eq!(door.bus.raws(), ["one", "two"]);
    assert_eq!(door.bus.records()[1].context.as_deref().unwrap().host.as_deref(), Some("pc-2"));
}

#[tokio::test]
async fn the_event_collector_refuses_in_splunks_words() {
    let door = open(HttpLimits { body_bytes_max: 4_000, ..HttpLimits::default() }).await;
    let ask = async |headers: &str, body: &str| {
        let answer = door.ask("POST /services/collector", headers, body).await;
        let told = answer.json();
        (answer.status, told["code"].as_u64().unwrap(), told["invalid-event-number"].clone())
    };
    let good = r#"{"event":"a"}"#;
    assert_eq!(ask("", good).await, (401, 2, Value::Null));
    assert_eq!(ask("Authorization: Splunk jqk_no\r\n", good).await, (403, 4, Value::Null));
    assert_eq!(ask(&splunk(), "").await, (400, 5, Value::Null));
    assert_eq!(ask(&splunk(), "nonsense").await, (400, 6, json!(0)));
    assert_eq!(ask(&splunk(), "{\"host\":\"x\"}").await, (400, 12, json!(0)));
    assert_eq!(door.bus.raws(), Vec::<String>::new());
    // Neighbours go through.
    let mixed = r#"{"event":"a"}{"event":""}{"event":"b"}"#;
    assert_eq!(ask(&splunk(), mixed).await, (400, 13, json!(1)));
    assert_eq!(door.bus.raws(), ["a", "b"]);
    let large = format!("{{\"event\":\"{}\"}}", "x".repeat(5_000));
    assert_eq!(ask(&splunk(), &large).await, (413, 6, Value::Null));

    let health = async || {
        let answer = door.ask("GET /services/collector/health", "", "").await;
        (answer.status, answer.json()["code"].as_u64().unwrap())
    };
    assert_eq!(health().await, (200, 17));
    door.bus.set_full(true);
    assert_eq!(ask(&splunk(), good).await, (503, 9, Value::Null));
    assert_eq!(health().await, (503, 18));
    door.bus.set_full(false);

    // What was acknowledged is durable; what was never told is not.
    let channel = format!("{}X-Splunk-Request-Channel: 7\r\n", splunk());
    let told = door.ask("POST /services/collector", &channel, good).await.json();
    let id = told["ackId"].as_u64().unwrap();
    let acks = format!("{{\"acks\":[{id},{}]}}", id + 1_000);
    let answer = door.ask("POST /services/collector/ack", &splunk(), &acks).await;
    assert_eq!(answer.json()["acks"][id.to_string()], true);
    assert_eq!(answer.json()["acks"][(id + 1_000).to_string()], false);
    assert_eq!(door.ask("POST /services/collector/ack", "", &acks).await.status, 401);
    assert_eq!(door.ask("POST /services/collector/ack", &splunk(), "{}").await.status, 400);
}

#[tokio::test]
async fn opentelemetrys_logs_are_taken_and_what_is_not_is_counted() {
    let door = open(HttpLimits { record_bytes_max: 200, ..HttpLimits::default() }).await;
    let json = format!("{}Content-Type: application/json; charset=utf-8\r\n", dijon());
    let record = |body: &str| format!("{{\"body\":{{\"stringValue\":\"{body}\"}}}}");
    let request = |records: &[String]| {
        format!(
            "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{}]}}]}}]}}",
            records.join(",")
        )
    };
    let ask = async |headers: &str, body: &str| {
        let answer = door.ask("POST /v1/logs", headers, body).await;
        (answer.status, answer.json())
    };
    let good = request(&[record("a"), record("b")]);
    assert_eq!(ask(&json, &good).await, (200, json!({})));
    assert_eq!(door.bus.raws(), ["a", "b"]);
    let mixed = request(&[record("c"), record(&"x".repeat(300)), record("d")]);
    let (status, told) = ask(&json, &mixed).await;
    assert_eq!((status, &told["partialSuccess"]["rejectedLogRecords"]), (200, &json!("1")));
    let why = told["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("log record 1") && why.contains("200 bytes"), "{why}");
    assert_eq!(door.bus.raws(), ["a", "b", "c", "d"]);
    assert_eq!(ask(&json, &request(&[record(&"x".repeat(300))])).await.0, 200);

    // Refusals are google.rpc.Status, in the request's own encoding.
    let other = "Content-Type: application/json\r\n";
    assert_eq!(ask(other, &good).await.1["code"], 16);
    let (status, told) = ask(&json, "nonsense").await;
    assert_eq!((status, &told["code"]), (400, &json!(3)), "{told}");
    let grpc = format!("{}Content-Type: application/grpc\r\n", dijon());
    let (status, told) = ask(&grpc, "").await;
    assert_eq!(status, 415);
    assert!(told["message"].as_str().unwrap().contains("over HTTP/2 only"), "{told}");
    door.bus.set_full(true);
    let answer = door.ask("POST /v1/logs", &json, &good).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!(14)));
    assert!(!answer.header("retry-after").is_empty());
    door.bus.set_full(false);
    // Nothing at all, in protobuf: a request without logs.
    let protobuf = format!("{}Content-Type: application/x-protobuf\r\n", dijon());
    let answer = door.ask("POST /v1/logs", &protobuf, "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-protobuf"));
    assert_eq!(door.bus.raws().len(), 4);
}

/// The shared corpora; says so where they are absent.
fn corpora(test: &str) -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        Into::into,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {test}: no corpora at {} (set JACQUEMART_CORPORA)", folder.display());
    None
}

fn event_files(folder: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            event_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "evtx") {
            into.push(path);
        }
    }
}

#[tokio::test]
async fn a_windows_event_file_gives_the_records_that_replay_finds_in_it() {
    let Some(corpora) = corpora("a_windows_event_file_gives_the_records_that_replay_finds_in_it")
    else {
        return;
    };
    let mut files = Vec::new();
    event_files(&corpora.join("sigmahq/regression_data"), &mut files);
    assert!(files.len() >= 90, "{}", files.len());
    let door = open(HttpLimits::default()).await;
    for (number, file) in files.iter().enumerate() {
        door.bus.payloads.lock().unwrap().clear();
        let (bytes, headers) = match (std::fs::read(file).unwrap(), number % 2) {
            (bytes, 0) => (bytes, dijon()),
            (bytes, _) => (gzip(&bytes), format!("{}Content-Encoding: gzip\r\n", dijon())),
        };
        let answer = door.ask("POST /ingest", &headers, bytes).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", file.display());
        let meant: Vec<String> = ingest::capture::Capture::open(file)
            .unwrap()
            .map(|record| String::from_utf8(record.unwrap().raw.to_vec()).unwrap())
            .collect();
        assert!(!meant.is_empty());
        assert_eq!(door.bus.raws(), meant, "{}", file.display());
    }
    // A file that was damaged in the middle: what can be read of it is taken.
    let count = |file: &std::path::Path| ingest::capture::Capture::open(file).unwrap().count();
    let file = files.iter().max_by_key(|file| count(file)).unwrap();
    let whole = std::fs::read(file).unwrap();
    let mut damaged = whole.clone();
    let records = count(file);
    assert!(records > 2, "{}", file.display());
    // Behind the chunk's own tables and the first record.
    let first = 4_096 + 512;
    let size = u32::from_le_bytes(whole[first + 4..first + 8].try_into().unwrap()) as usize;
    damaged[first + size + 24..first + size + 60].fill(0xff);
    door.bus.payloads.lock().unwrap().clear();
    let answer = door.ask("POST /ingest", &dijon(), damaged).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["rejected_count"].as_u64().unwrap() >= 1, "{answer:?}");
    assert!(!door.bus.raws().is_empty() && door.bus.raws().len() < records);
}

#[tokio::test]
async fn what_only_begins_like_an_event_file_is_refused() {
    let door = open(HttpLimits::default()).await;
    let long = [b"ElfFile\0".as_slice(), &[0xff; 70_000]].concat();
    for body in [b"ElfFile\0".as_slice(), b"ElfFile\0 and nothing else", &long] {
        let answer = door.ask("POST /ingest", &dijon(), body).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
        assert!(answer.json()["detail"].is_string());
    }
    assert_eq!(door.bus.raws(), Vec::<String>::new());
}
