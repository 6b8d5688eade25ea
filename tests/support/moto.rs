//! Moto, which plays S3 and SQS and checks signatures and rights. `TEST_PYTHON` names a Python that has
//! `moto[server,s3,sqs]`; without it tests say that they are skipped.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A server that ends with the test, and what a client needs to ask it.
pub(crate) struct Moto {
    child: Child,
    python: String,
    pub(crate) url: String,
    /// `queue_url`, `key` and `secret`.
    pub(crate) told: Value,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// Starts it; `None` after saying why the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let python = std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let has = Command::new(&python).args(["-c", "import moto.server, boto3"]).output();
        if !has.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "skipped: no moto (pip install 'moto[server,s3,sqs]==5.2.5', and set TEST_PYTHON)"
            );
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut moto = Self { child, python, url, told: Value::Null };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "moto does not come up");
            assert!(moto.child.try_wait().unwrap().is_none(), "moto ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto.told = serde_json::from_str(&moto.script("setup", &[], b"")).unwrap();
        Some(moto)
    }

    /// Runs `tests/clients/aws.py`; what it prints.
    pub(crate) fn script(&self, action: &str, rest: &[&str], stdin: &[u8]) -> String {
        // Of the root package, or of one beside it.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = [here, &here.join("..")]
            .map(|root| root.join("tests/clients/aws.py"))
            .into_iter()
            .find(|script| script.exists())
            .unwrap();
        let mut command = Command::new(&self.python);
        command.arg(script).args([&self.url, action]);
        if !self.told.is_null() {
            command.args([self.key(), self.secret()]);
        }
        let mut child = command
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{action}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn key(&self) -> &str {
        self.told["key"].as_str().unwrap()
    }

    pub(crate) fn secret(&self) -> &str {
        self.told["secret"].as_str().unwrap()
    }

    /// Stops it for a while, or has it go on: `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        assert!(status.success());
    }
}
