//! OTLP over gRPC, spoken by hyper's client over HTTP/2.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod collect_support;

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use collect_support::{DIJON_KEY, Door, dijon, exchange, gzip, open, post};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ingest::collect::http::HttpLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A field of protobuf that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
    out
}

/// An `ExportLogsServiceRequest` with a record for each text.
fn logs(texts: &[&str]) -> Vec<u8> {
    let records: Vec<u8> =
        texts.iter().flat_map(|text| field(2, &field(5, &field(1, text.as_bytes())))).collect();
    field(1, &field(2, &records))
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![flag];
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out
}

async fn connect(door: &Door) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

struct Called {
    http: u16,
    status: String,
    message: String,
    details: Vec<u8>,
    body: Bytes,
}

async fn call(
    sender: &mut SendRequest<Full<Bytes>>,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Called {
    let mut request = Request::post(format!("http://door{PATH}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.ready().await.unwrap();
    let answer = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let http = answer.status().as_u16();
    let head = answer.headers().clone();
    let whole = answer.into_body().collect().await.unwrap();
    let trailers = whole.trailers().cloned().unwrap_or_default();
    let text = |name: &str| {
        let value = head.get(name).or(trailers.get(name));
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    let details = STANDARD_NO_PAD.decode(text("grpc-status-details-bin")).unwrap();
    let (status, message) = (text("grpc-status"), text("grpc-message"));
    Called { http, status, message, details, body: whole.to_bytes() }
}

fn key() -> String {
    format!("Bearer {DIJON_KEY}")
}

#[tokio::test]
async fn calls_are_taken_and_answered_with_a_status() {
    let door = open(HttpLimits::default()).await;
    let mut sender = connect(&door).await;
    let key = key();
    let auth = ("authorization", key.as_str());
    let done = call(&mut sender, &[auth], framed(0, &logs(&["one", "two"]))).await;
    assert_eq!((done.http, done.status.as_str(), &done.body[..]), (200, "0", &[0; 5][..]));
    let zipped = framed(1, &gzip(&logs(&["three"])));
    let done = call(&mut sender, &[auth, ("grpc-encoding", "gzip")], zipped).await;
    assert_eq!(done.status, "0", "{}", done.message);
    let done = call(&mut sender, &[auth], framed(0, &[])).await;
    assert_eq!(done.status, "0", "an empty request is none: {}", done.message);
    assert_eq!(door.bus.raws(), ["one", "two", "three"]);

    let wrong = [("authorization", "Bearer no")];
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Headers<'_>, Vec<u8>, &str, &str); 8] = [
        (&[], framed(0, &logs(&["x"])), "16", "send the feed's key"),
        (&wrong, framed(0, &logs(&["x"])), "16", "opens no feed"),
        (&[auth], [framed(0, &logs(&["x"])), framed(0, &[])].concat(), "3", "one message"),
        (&[auth], framed(0, &logs(&["x"]))[..9].to_vec(), "3", "missing"),
        (&[auth], vec![0, 0], "3", "five bytes"),
        (&[auth], framed(0, b"\x0a\xffno protobuf"), "3", "past the end"),
        (&[auth], framed(1, &gzip(&logs(&["x"]))), "12", "identity"),
        (
            &[auth, ("grpc-encoding", "gzip")],
            framed(1, &gzip(&vec![0; 20 << 20])),
            "3",
            "grows more than",
        ),
    ];
    for (headers, body, status, part) in cases {
        let done = call(&mut sender, headers, body).await;
        assert_eq!((done.http, done.status.as_str()), (200, status), "{}", done.message);
        assert!(done.message.contains(part), "{part}: {}", done.message);
        assert!(done.details.is_empty(), "what will not help is not asked for again");
    }
    assert_eq!(door.bus.raws().len(), 3);
    assert_eq!(door.admission.used_bytes(), 0);
    door.cancel.cancel();
}

#[tokio::test]
async fn what_passes_may_be_repeated_and_says_when() {
    let door = open(HttpLimits::default()).await;
    door.bus.set_full(true);
    let mut sender = connect(&door).await;
    let key = key();
    let body = framed(0, &logs(&["x"]));
    let done = call(&mut sender, &[("authorization", &key)], body.clone()).await;
    assert_eq!(done.status, "14", "{}", done.message);
    let details = String::from_utf8_lossy(&done.details).into_owned();
    assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details:?}");
    // retry_delay { seconds: 5 }
    assert!(done.details.ends_with(&[0x0a, 2, 8, 5]), "{:?}", done.details);
    door.bus.set_full(false);
    assert_eq!(call(&mut sender, &[("authorization", &key)], body).await.status, "0");
    door.cancel.cancel();
}

#[tokio::test]
async fn a_record_that_is_too_large_is_told_and_its_neighbours_are_taken() {
    let door = open(HttpLimits { record_bytes_max: 100, ..HttpLimits::default() }).await;
    let mut sender = connect(&door).await;
    let key = key();
    let body = framed(0, &logs(&["small", &"x".repeat(200), "small too"]));
    let done = call(&mut sender, &[("authorization", &key)], body).await;
    assert_eq!(done.status, "0");
    // partial_success { rejected_log_records: 1, error_message: "log record 1 …" }
    assert_eq!(done.body[7..9], [8, 1]);
    let text = String::from_utf8_lossy(&done.body);
    assert!(text.contains("log record 1 (from 0)"), "{text}");
    assert_eq!(door.bus.raws(), ["small", "small too"]);
    door.cancel.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_go_on_one_connection_beside_http_1() {
    let door = open(HttpLimits::default()).await;
    let sender = connect(&door).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let mut sender = sender.clone();
        calls.spawn(async move {
            let text = format!("call {number}");
            let done =
                call(&mut sender, &[("authorization", &key())], framed(0, &logs(&[&text]))).await;
            assert_eq!(done.status, "0", "{}", done.message);
        });
    }
    let plain = exchange(door.address, &post(&dijon(), b"{}")).await;
    assert_eq!(plain.status, 200);
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert_eq!(door.bus.raws().len(), 201);

    // The other routes answer over HTTP/2 too; gRPC does not over HTTP/1.
    let mut sender = sender;
    let request = Request::post("http://door/ingest").header("authorization", key());
    let answer = sender.send_request(request.body(Full::new("{}".into())).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let headers = format!("{}Content-Type: application/grpc\r\n", dijon());
    let request = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\n\r\n");
    assert_eq!(exchange(door.address, request.as_bytes()).await.status, 415);
    let request =
        Request::post("http://door/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let answer = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 404, "gRPC's clients read that as unimplemented");
    door.cancel.cancel();
}

#[tokio::test]
async fn connections_that_ask_nothing_are_ended() {
    let limits =
        HttpLimits { header_time_max: Duration::from_millis(400), ..HttpLimits::default() };
    let door = open(limits).await;
    // One that begins like HTTP/2's do, byte by byte, and stops; one that says nothing; one that is
    // HTTP/2 and asks nothing.
    let begun: [&[u8]; 3] =
        [b"PRI * HT", b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"];
    for bytes in begun {
        let began = Instant::now();
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
        let _ = ended.await.expect("the connection ends");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // One that asks stays.
    let mut sender = connect(&door).await;
    for _ in 0..8 {
        let done = call(&mut sender, &[("authorization", &key())], framed(0, &logs(&["x"]))).await;
        assert_eq!(done.status, "0");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // One that closes while a call is under way lets it end.
    *door.bus.delay.lock().unwrap() = Duration::from_millis(300);
    let under_way = tokio::spawn(async move {
        call(&mut sender, &[("authorization", &key())], framed(0, &logs(&["last"]))).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.cancel.cancel();
    assert_eq!(under_way.await.unwrap().status, "0");
    door.served.await.unwrap();
}
