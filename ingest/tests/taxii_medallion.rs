//! Against medallion, the TAXII 2.1 server of OASIS. `TEST_MEDALLION` names the program,
//! which `pip install medallion` brings; without it `medallion` is looked for in `PATH`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use event::Indicator;
use ingest::{
    intel::{Options, Origin, Refused, Run, SharedSink, Sink, State, fetch},
    outbound::{Access, Auth, Client, Limits, Secret},
};
use serde_json::{Value, json};

/// A server that ends with the test.
struct Medallion {
    child: Child,
    url: String,
}

impl Drop for Medallion {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn object(n: u32) -> Value {
    json!({
        "type": "indicator", "spec_version": "2.1",
        "id": format!("indicator--00000000-0000-4000-8000-{n:012}"),
        "created": format!("2026-01-01T00:00:{n:02}.000Z"),
        "modified": format!("2026-01-01T00:00:{n:02}.000Z"),
        "pattern_type": "stix", "pattern": format!("[domain-name:value = 'n{n}.example']"),
        "valid_from": "2026-01-01T00:00:00Z",
    })
}

/// What medallion serves: a collection of `count` indicators, another that may not be read.
fn data(count: u32) -> Value {
    let manifest = |n: u32| {
        json!({"id": object(n)["id"], "date_added": format!("2026-02-01T00:00:{n:02}.000000Z"),
            "version": object(n)["modified"], "media_type": "application/stix+json;version=2.1"})
    };
    let collection = |id: &str, title: &str, can_read: bool| {
        json!({"id": id, "title": title, "can_read": can_read, "can_write": false,
            "media_types": ["application/stix+json;version=2.1"],
            "objects": (1..=count).map(object).collect::<Vec<_>>(),
            "manifest": (1..=count).map(manifest).collect::<Vec<_>>()})
    };
    json!({
        "/discovery": {"title": "test", "default": "/root1/", "api_roots": ["/root1/"]},
        "root1": {
            "information": {"title": "one", "versions": ["application/taxii+json;version=2.1"],
                "max_content_length": 10_000_000},
            "status": [],
            "collections": [
                collection("91a7b528-80eb-42ed-a74d-c6fbd5a26116", "Indicators", true),
                collection("52892447-4d7e-4f70-b94d-d7f22742ff63", "Not to be read", false),
            ],
        },
    })
}

/// Starts the server; `None` after saying why the test is skipped.
fn start(dir: &Path, count: u32) -> Option<Medallion> {
    let program = std::env::var_os("TEST_MEDALLION").unwrap_or_else(|| "medallion".into());
    let file = dir.join("data.json");
    std::fs::write(&file, data(count).to_string()).unwrap();
    let config = json!({
        "backend": {"module": "medallion.backends.memory_backend",
            "module_class": "MemoryBackend", "filename": file},
        "users": {"soc": "right"},
        "taxii": {"max_page_size": 3},
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(&program)
        .args(["--port", &port.to_string()])
        .arg(dir.join("config.json"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        eprintln!("skipped: no medallion (pip install medallion, or set TEST_MEDALLION)");
        return None;
    };
    let mut server = Medallion { child, url: format!("http://127.0.0.1:{port}/taxii2/") };
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "medallion does not come up");
        assert!(server.child.try_wait().unwrap().is_none(), "medallion ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(server)
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Sink for Heard {
    fn indicator(&mut self, _: Option<&str>, indicator: Indicator) {
        self.0.push(indicator.value);
    }
    fn refused(&mut self, refused: Refused) {
        panic!("{refused:?}");
    }
    fn withdrawn(&mut self, group: &str) {
        panic!("{group} is withdrawn");
    }
}

async fn ask(url: &str, password: &str, collections: &[&str], state: State) -> (Run, Vec<String>) {
    let limits = Limits { pause: Duration::from_millis(10), ..Limits::default() };
    let auth = Auth::Basic("soc".to_owned(), Secret::new(password));
    let client = Client::new(Access { auth, limits, ..Access::default() }).unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let sink: SharedSink = heard.clone();
    let collections = collections.iter().map(|name| (*name).to_owned()).collect();
    let origin = Origin::Taxii { url: url.parse().unwrap(), collections };
    let run = fetch(&origin, &client, &Options::default(), state, &sink).await;
    let values = std::mem::take(&mut heard.lock().unwrap().0);
    (run, values)
}

fn names(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|n| format!("n{n}.example")).collect()
}

#[tokio::test]
async fn medallion_gives_all_pages_and_then_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = start(dir.path(), 7) else { return };
    let (run, _) = ask(&server.url, "wrong", &[], State::default()).await;
    let error = run.error.unwrap().to_string();
    assert!(error.contains("401") && !error.contains("wrong"), "{error}");
    let (run, _) = ask(&server.url, "right", &["Not to be read"], State::default()).await;
    assert!(run.error.unwrap().to_string().contains("no collection"));

    let (run, values) = ask(&server.url, "right", &["Indicators"], State::default()).await;
    assert!(run.error.is_none(), "{:?}", run.error);
    assert_eq!(values, names(1..=7));
    let (run, values) = ask(&server.url, "right", &[], run.state).await;
    assert!(run.error.is_none() && values.is_empty(), "{:?} {values:?}", run.error);
    drop(server);

    let Some(server) = start(dir.path(), 9) else { return };
    // An API root will do as well as the discovery.
    let root = server.url.replace("/taxii2/", "/root1");
    let (run, values) = ask(&root, "right", &[], run.state).await;
    assert!(run.error.is_none(), "{:?}", run.error);
    assert_eq!(values, names(8..=9));
}
