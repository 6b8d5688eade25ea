//! HTTPS, against `openssl s_server` with a certificate made for the test.

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
    intel::{Options, Origin, Outcome, Refused, Run, SharedSink, Sink, State, fetch},
    outbound::{Access, Client, Limits},
};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the files of `dir`; `None` where there is no openssl.
fn start(dir: &Path, port: u16) -> Option<Server> {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .stderr(Stdio::null())
        .status();
    let Ok(made) = made else {
        eprintln!("skipped: no openssl command");
        return None;
    };
    assert!(made.success());
    let child = Command::new("openssl")
        .current_dir(dir)
        .args(["s_server", "-accept", &port.to_string(), "-cert", "ca.pem", "-key", "key.pem"])
        .args(["-WWW", "-quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "openssl s_server does not come up");
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
    fn withdrawn(&mut self, _: &str) {}
}

async fn ask(port: u16, ca_pem: Option<Vec<u8>>) -> (Run, Vec<String>) {
    let limits = Limits { tries_max: 1, ..Limits::default() };
    let client = Client::new(Access { ca_pem, limits, ..Access::default() }).unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let sink: SharedSink = heard.clone();
    let url = format!("https://localhost:{port}/list.txt").parse().unwrap();
    let origin = Origin::Http { url, shape: None };
    let run = fetch(&origin, &client, &Options::default(), State::default(), &sink).await;
    let values = std::mem::take(&mut heard.lock().unwrap().0);
    (run, values)
}

#[tokio::test]
async fn a_server_is_trusted_where_its_authority_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.txt"), "evil.example\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_server) = start(dir.path(), port) else { return };
    let ca = std::fs::read(dir.path().join("ca.pem")).unwrap();
    let (run, values) = ask(port, Some(ca)).await;
    assert!(run.error.is_none(), "{:?}", run.error);
    assert_eq!((run.outcome, values), (Outcome::Whole, vec!["evil.example".to_owned()]));

    let (run, values) = ask(port, None).await;
    let error = run.error.unwrap().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!((run.outcome, values.len()), (Outcome::Unchanged, 0));
    assert!(
        Client::new(Access {
            ca_pem: Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec()),
            ..Access::default()
        })
        .is_err()
    );
}
