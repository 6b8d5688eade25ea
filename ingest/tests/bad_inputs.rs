//! What senders get wrong, one case a line: each is answered as designed, its neighbours go through,
//! no memory stays behind, and whoever comes next is served.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use collect_support::*;
use ingest::collect::http::HttpLimits;

impl Door {
    async fn ask(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: soc.example\r\n{}{headers}Content-Length: {}\r\n\r\n",
            dijon(),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        exchange(self.address, &request).await
    }
}

/// What is sent where, the status that it must get, and how many records of it are taken.
struct Case {
    what: &'static str,
    path: &'static str,
    headers: &'static str,
    body: Vec<u8>,
    status: u16,
    taken: usize,
}

fn case(
    what: &'static str,
    (path, headers): (&'static str, &'static str),
    body: impl Into<Vec<u8>>,
    status: u16,
    taken: usize,
) -> Case {
    Case { what, path, headers, body: body.into(), status, taken }
}

const PLAIN: (&str, &str) = ("/ingest", "");
const GZIP: (&str, &str) = ("/ingest", "Content-Encoding: gzip\r\n");
const ZSTD: (&str, &str) = ("/ingest", "Content-Encoding: zstd\r\n");
const BULK: (&str, &str) = ("/_bulk", "");
const HEC: (&str, &str) = ("/services/collector", "");
const OTLP_JSON: (&str, &str) = ("/v1/logs", "Content-Type: application/json\r\n");
const OTLP: (&str, &str) = ("/v1/logs", "Content-Type: application/x-protobuf\r\n");

/// Records beside one that is not well-formed: lines before and after it.
fn among(bad: &str) -> Vec<u8> {
    format!("{{\"a\":1}}\n{bad}\n{{\"b\":2}}\n").into_bytes()
}

fn json_cases() -> Vec<Case> {
    let deep = "[".repeat(10_000);
    let closed = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let keys = |count: usize| {
        let keys: String = (0..count).map(|n| format!("\"k{n}\":1,")).collect();
        format!("{{{keys}\"z\":1}}")
    };
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20));
    vec![
        case("nothing", PLAIN, "", 200, 0),
        case("blanks alone", PLAIN, " \r\n\t\n ", 200, 0),
        case("a byte order mark alone", PLAIN, "\u{feff}", 200, 0),
        case("a byte order mark before records", PLAIN, "\u{feff}{\"a\":1}\n{\"b\":2}", 200, 2),
        case("lines that end in CRLF", PLAIN, "{\"a\":1}\r\n{\"b\":2}\r\n", 200, 2),
        case("no JSON at all", PLAIN, "hello", 422, 0),
        case("HTML", PLAIN, "<html><body>no</body></html>", 422, 0),
        case("an object cut short", PLAIN, "{\"a\":", 422, 0),
        case("an object cut short among others", PLAIN, among("{\"a\":"), 200, 2),
        case("a text that does not end", PLAIN, among("{\"a\":\"b}"), 200, 2),
        case("single quotes", PLAIN, among("{'a':1}"), 200, 2),
        case("keys without quotes", PLAIN, among("{a:1}"), 200, 2),
        case("a comma too many", PLAIN, among("{\"a\":1,}"), 200, 2),
        case("a comment", PLAIN, among("{\"a\":1} // no"), 200, 2),
        case("NaN", PLAIN, among("{\"a\":NaN}"), 200, 2),
        case("Infinity", PLAIN, among("{\"a\":-Infinity}"), 200, 2),
        case("a leading zero", PLAIN, among("{\"a\":01}"), 200, 2),
        case("a plus sign", PLAIN, among("{\"a\":+1}"), 200, 2),
        case("a bare point", PLAIN, among("{\"a\":1.}"), 200, 2),
        case("an unknown escape", PLAIN, among("{\"a\":\"\\x41\"}"), 200, 2),
        case("an escape cut short", PLAIN, among("{\"a\":\"\\u12\"}"), 200, 2),
        case("a control character in a text", PLAIN, among("{\"a\":\"\u{1}\"}"), 200, 2),
        case("a NUL in a text", PLAIN, among("{\"a\":\"b\0c\"}"), 200, 2),
        case("a NUL between records", PLAIN, among("\0"), 200, 2),
        case("two values on a line", PLAIN, among("{\"a\":1}{\"b\":2}"), 200, 2),
        case("a number beyond 64 bits", PLAIN, "{\"a\":123456789012345678901234567890}", 200, 1),
        case("an exponent beyond doubles", PLAIN, "{\"a\":1e400}", 200, 1),
        case("duplicate keys", PLAIN, "{\"a\":1,\"a\":2}", 200, 1),
        case("a lone surrogate", PLAIN, "{\"a\":\"\\ud800\"}", 200, 1),
        case("values that are no objects", PLAIN, "1\n\"a\"\nnull\n[2]", 200, 4),
        case("50,000 keys", PLAIN, keys(50_000), 200, 1),
        case("100,000 keys, more than a record may have bytes", PLAIN, keys(100_000), 422, 0),
        case("10,000 levels, closed", PLAIN, closed, 200, 1),
        case("10,000 levels, open", PLAIN, deep, 422, 0),
        case("a line of 10 MiB", PLAIN, long.clone(), 422, 0),
        case("a line of 10 MiB among others", PLAIN, among(&long), 200, 2),
        case("an array that does not end", PLAIN, "[{\"a\":1},{\"b\":2}", 200, 2),
        case("an array with a hole", PLAIN, "[{\"a\":1},,{\"b\":2}]", 200, 2),
        case("an array of something bad", PLAIN, "[{\"a\":1},{\"b\":},{\"c\":3}]", 200, 2),
        case("brackets alone", PLAIN, "]}", 422, 0),
    ]
}

fn encoding_cases() -> Vec<Case> {
    let good = b"{\"a\":1}\n{\"b\":2}\n";
    let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin = [b"{\"a\":1}\n{\"b\":\"".as_slice(), &[0xe9], b"\"}\n{\"c\":3}\n"].concat();
    let overlong = [b"{\"a\":\"".as_slice(), &[0xc0, 0x80], b"\"}"].concat();
    let packed = gzip(good);
    let bomb = vec![b' '; 60 << 20];
    let twice = gzip(&packed);
    vec![
        case("UTF-16, little end first", PLAIN, utf16, 400, 0),
        case("UTF-16, big end first", PLAIN, utf16be, 400, 0),
        case("Latin-1 in one record", PLAIN, latin, 200, 2),
        case("an overlong NUL", PLAIN, overlong, 422, 0),
        case("gzip that nothing says", PLAIN, packed.clone(), 415, 0),
        case("zstd that nothing says", PLAIN, zstd(good), 415, 0),
        case("gzip that is none", GZIP, good.to_vec(), 400, 0),
        case("zstd that is none", ZSTD, good.to_vec(), 400, 0),
        case("gzip cut short", GZIP, packed[..packed.len() - 4].to_vec(), 400, 0),
        case("gzip with rubbish behind", GZIP, [&packed[..], b"rubbish"].concat(), 400, 0),
        case("gzip twice", GZIP, twice, 422, 0),
        case("an unknown coding", ("/ingest", "Content-Encoding: br\r\n"), good.to_vec(), 415, 0),
        case("two codings", ("/ingest", "Content-Encoding: gzip, zstd\r\n"), packed, 415, 0),
        case("a bomb of gzip, 1,000 to 1", GZIP, gzip(&bomb), 413, 0),
        case("a bomb of zstd", ZSTD, zstd(&bomb), 413, 0),
    ]
}

fn door_cases() -> Vec<Case> {
    let no_path = "/jsons?path=a";
    vec![
        case("bulk: rubbish for an action", BULK, "no\n{\"a\":1}\n", 400, 0),
        case("bulk: an action nobody knows", BULK, "{\"fly\":{}}\n{\"a\":1}\n", 400, 0),
        case("bulk: an action without its record", BULK, "{\"create\":{}}\n", 400, 0),
        case("bulk: a record that is no JSON", BULK, "{\"create\":{}}\nno {\n", 200, 1),
        case("HEC: nothing", HEC, "", 400, 0),
        case("HEC: no JSON", HEC, "hello", 400, 0),
        case("HEC: no event", HEC, "{\"event\":1}{\"host\":\"a\"}{\"event\":2}", 400, 2),
        case("HEC: a blank event", HEC, "{\"event\":\"\"}{\"event\":2}", 400, 1),
        case("HEC: cut short", HEC, "{\"event\":1}{\"event\":", 400, 1),
        case("HEC: an impossible time", HEC, "{\"event\":1,\"time\":\"soon\"}", 200, 1),
        case("OTLP: no JSON", OTLP_JSON, "hello", 400, 0),
        case("OTLP: a list", OTLP_JSON, "[]", 400, 0),
        case("OTLP: no protobuf", OTLP, vec![0xff; 40], 400, 0),
        case("OTLP: a length past the end", OTLP, vec![0x0a, 0xff, 0xff, 0x03], 400, 0),
        case("OTLP: a type nobody speaks", ("/v1/logs", "Content-Type: text/csv\r\n"), "a", 415, 0),
        case("intake: no array", ("/jsons", ""), "{}", 400, 0),
        case("intake: no path", (no_path, ""), "[]", 400, 0),
        case("intake: no record", ("/batch", ""), "{\"jsons\":1}", 400, 0),
        case("an event file that is none", PLAIN, b"ElfFile\0no".to_vec(), 400, 0),
        case(
            "JSON at the door for gRPC",
            ("/v1/logs", "Content-Type: application/grpc\r\n"),
            "{}",
            415,
            0,
        ),
    ]
}

#[tokio::test]
async fn every_mistake_is_answered_as_designed_and_harms_nobody() {
    let door = open_with(HttpLimits::default(), 256 << 20).await;
    let cases: Vec<Case> =
        [json_cases(), encoding_cases(), door_cases()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    for Case { what, path, headers, body, status, taken } in &cases {
        door.bus.payloads.lock().unwrap().clear();
        let answer = door.ask(path, headers, body).await;
        let got = (answer.status, door.bus.raws().len());
        if got != (*status, *taken) {
            wrong.push(format!("{what}: {got:?} instead of {:?}: {answer:?}", (status, taken)));
        }
        // Whatever is refused says why, in words.
        if answer.status >= 400 && answer.body.len() < 20 {
            wrong.push(format!("{what}: says nothing: {answer:?}"));
        }
        door.bus.payloads.lock().unwrap().clear();
        let next = door.ask("/ingest", "", b"{\"next\":1}").await;
        assert_eq!((next.status, door.bus.raws().len()), (200, 1), "after {what}");
        assert_eq!(door.admission.used_bytes(), 0, "memory stays behind after {what}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} mistakes answered as designed", cases.len());
}
