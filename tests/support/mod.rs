//! A centre run as a child process, as its users run it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its own part, and ends where it fails"
)]

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The binary under test.
pub(crate) const JACQUEMART: &str = env!("CARGO_BIN_EXE_jacquemart");

/// How long a centre may take to come up, on a busy machine in a debug build.
const READY_MAX: Duration = Duration::from_secs(60);

/// A data folder, its configuration, and the process that serves it.
pub(crate) struct Centre {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) ingest: String,
    pub(crate) api: String,
    child: Option<Child>,
}

/// A port that was free a moment ago, and that none of this process's tests was given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// Where `TEST_KAFKA` names brokers, the same tests run on Kafka: the `bus` key, and a `[kafka]`
/// section with topics that no other centre has. The binary must have the feature `kafka`.
fn bus(dir: &tempfile::TempDir) -> (String, String) {
    let brokers = std::env::var("TEST_KAFKA").unwrap_or_default();
    if brokers.is_empty() {
        return Default::default();
    }
    let name = dir.path().file_name().unwrap().to_string_lossy();
    let prefix = name.trim_start_matches('.');
    (
        format!("bus = \"kafka://{brokers}\""),
        format!("[kafka]\nprefix = \"{prefix}\"\nrecords_partitions = 3\n"),
    )
}

/// Where `TEST_S3` names a server (with `TEST_S3_KEY` and `TEST_S3_SECRET`), the same tests keep their
/// splits there: the `splits` key, and an `[s3]` section.
fn splits(dir: &tempfile::TempDir) -> (String, String) {
    let Ok(endpoint) = std::env::var("TEST_S3") else { return Default::default() };
    let name = dir.path().file_name().unwrap().to_string_lossy();
    let key = std::env::var("TEST_S3_KEY").unwrap();
    (
        format!("splits = \"s3://splits/{}\"", name.trim_start_matches('.')),
        format!(
            "[s3]\nregion = \"eu-west-3\"\nendpoint = {endpoint:?}\naccess_key_id = {key:?}\nsecret_access_key_env = \"TEST_S3_SECRET\"\n"
        ),
    )
}

impl Centre {
    /// A data folder with a configuration on free ports, and `extra` TOML at its end.
    pub(crate) fn new(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ingest, api) = (free_port(), free_port());
        let (bus, kafka) = bus(&dir);
        let (splits, s3) = splits(&dir);
        let config = format!(
            "data_dir = {:?}\n{bus}\n{splits}\n{extra}\n{kafka}\n{s3}\n[ingest.http]\nlisten = \"127.0.0.1:{ingest}\"\n[api]\nlisten = \"127.0.0.1:{api}\"\n",
            dir.path().join("data")
        );
        fs::write(dir.path().join("jacquemart.toml"), config).unwrap();
        let centre = Self {
            dir,
            ingest: format!("http://127.0.0.1:{ingest}"),
            api: format!("http://127.0.0.1:{api}"),
            child: None,
        };
        if !kafka.is_empty() {
            let output = centre.run(&["bus", "init"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        centre
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command on this centre.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(JACQUEMART);
        command.arg("--config").arg(self.path("jacquemart.toml")).args(args);
        for variable in
            ["JACQUEMART_URL", "JACQUEMART_TOKEN", "JACQUEMART_FEED_KEY", "JACQUEMART_LOG"]
        {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, with JSON output.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.command(&["-o", "json"]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Adds a commune with one feed; the feed's key.
    pub(crate) fn onboard(&self, commune: &str, feed: &str, format: &str) -> String {
        self.json(&["commune", "add", commune]);
        self.feed(commune, feed, format)
    }

    pub(crate) fn feed(&self, commune: &str, feed: &str, format: &str) -> String {
        let added = self.json(&["feed", "add", feed, "--commune", commune, "--format", format]);
        added["key"].as_str().unwrap().to_owned()
    }

    /// Starts serving; returns once the API answers.
    pub(crate) fn start(&mut self) {
        let log =
            fs::File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let child = self
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let socket = self.path("data/jacquemart.sock");
        let address = self.api.strip_prefix("http://").unwrap().to_owned();
        let until = Instant::now() + READY_MAX;
        // The socket of an earlier life may still lie there, so the API's port counts as well.
        while !(socket.exists() && std::net::TcpStream::connect(&address).is_ok()) {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("serve ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < until, "serve does not come up:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// SIGKILL: no chance to tidy up.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGHUP: must read the rules anew.
    pub(crate) fn hangup(&self) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// SIGTERM: must drain and end with 0.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(status.success());
        let status = child.wait().unwrap();
        assert!(status.success(), "serve ended with {status}:\n{}", self.log());
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The shared corpora, or `None` after saying aloud that `test` is skipped for their absence.
pub(crate) fn corpora(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {test}: no corpora at {} (set JACQUEMART_CORPORA)", path.display());
    None
}

/// A Sysmon process creation as NXLog writes it, by a user of that host alone.
pub(crate) fn process_event(host: &str, command_line: &str) -> Value {
    serde_json::json!({
        "EventTime": "2026-03-03 08:00:00",
        "UtcTime": now_utc(),
        "Hostname": host,
        "EventID": 1,
        "SourceName": "Microsoft-Windows-Sysmon",
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "ProcessId": "4711",
        "Image": "C:\\Windows\\System32\\cmd.exe",
        "CommandLine": command_line,
        "User": format!("MAIRIE\\agent-{host}"),
        "ParentImage": "C:\\Windows\\explorer.exe",
        "ParentCommandLine": "C:\\Windows\\explorer.exe",
    })
}

/// An event that the built-in rules must raise: LSASS memory dumped through comsvcs.
pub(crate) fn dump_of_lsass(host: &str) -> Value {
    let mut event = process_event(
        host,
        "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 624 C:\\Temp\\l.dmp full",
    );
    event["Image"] = "C:\\Windows\\System32\\rundll32.exe".into();
    event["OriginalFileName"] = "RUNDLL32.EXE".into();
    event
}

/// Posts records to `/ingest` with a feed's key; the status and the answer.
pub(crate) fn post(centre: &Centre, key: &str, body: String) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("{}/ingest", centre.ingest);
        let answer = reqwest::Client::new().post(url).bearer_auth(key).body(body).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// Now, as Sysmon writes it.
pub(crate) fn now_utc() -> String {
    let now = event::Timestamp::from_millis(event::Timestamp::now().as_millis()).to_string();
    now.replace('T', " ").replace('Z', "")
}

/// Makes `certificate.pem`, which is its own authority, and `key.pem`, for server and client alike;
/// false where there is no openssl.
pub(crate) fn make_certificate(dir: &Path) -> bool {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-keyout", "key.pem", "-out", "certificate.pem", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}
