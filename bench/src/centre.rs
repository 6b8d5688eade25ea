//! A centre as a child process in a temporary folder.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// A running `jacquemart serve` with one commune and one feed.
pub(crate) struct Centre {
    folder: tempfile::TempDir,
    binary: PathBuf,
    child: Child,
    pub(crate) ingest: String,
    pub(crate) api: String,
    pub(crate) key: String,
}

/// A centre that is set up and does not run yet.
pub(crate) struct Prepared {
    folder: tempfile::TempDir,
    binary: PathBuf,
    ports: (u16, u16),
    key: String,
}

/// The feed's commune.
const COMMUNE: &str = "bench";

impl Prepared {
    /// Makes the folder, adds commune and feed.
    pub(crate) fn new(
        binary: Option<&Path>,
        format: &str,
        rules: &[PathBuf],
    ) -> anyhow::Result<Self> {
        let binary = match binary {
            // It runs in a folder of its own.
            Some(binary) => std::path::absolute(binary)?,
            None => std::env::current_exe()?.with_file_name("jacquemart"),
        };
        ensure!(
            binary.exists(),
            "{} is not there; build it: cargo build --release",
            binary.display()
        );
        let folder = tempfile::tempdir()?;
        let (ingest, api) = (free_port()?, free_port()?);
        let rules = rules.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let config = format!(
            "data_dir = {:?}\n[ingest.http]\nlisten = \"127.0.0.1:{ingest}\"\n[api]\nlisten = \"127.0.0.1:{api}\"\n[rules]\npaths = {rules:?}\n[log]\nfilter = \"error\"\n",
            folder.path().join("data"),
        );
        fs::write(folder.path().join("jacquemart.toml"), config)?;
        let run = |args: &[&str]| command(&binary, folder.path(), args).output();
        let added = run(&["commune", "add", COMMUNE])?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let added = run(&[
            "-o",
            "json",
            "feed",
            "add",
            "bench-feed",
            "--commune",
            COMMUNE,
            "--format",
            format,
        ])?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let added: Value = serde_json::from_slice(&added.stdout)?;
        let key = added["key"].as_str().context("no key")?.to_owned();
        Ok(Self { folder, binary, ports: (ingest, api), key })
    }

    /// The file of its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("data/jacquemart.db")
    }

    /// Starts serving, waits until it answers.
    pub(crate) fn start(self) -> anyhow::Result<Centre> {
        let Self { folder, binary, ports: (ingest, api), key } = self;
        let child = command(&binary, folder.path(), &["serve"]).stdin(Stdio::null()).spawn()?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut centre = Centre { folder, binary, child, ingest: url(ingest), api: url(api), key };
        let until = Instant::now() + Duration::from_secs(60);
        while !centre.socket().exists() || std::net::TcpStream::connect(("127.0.0.1", api)).is_err()
        {
            if let Some(status) = centre.child.try_wait()? {
                bail!("serve ended with {status}");
            }
            ensure!(Instant::now() < until, "serve does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(centre)
    }
}

impl Centre {
    /// Sets one up and starts it.
    pub(crate) fn start(
        binary: Option<&Path>,
        format: &str,
        rules: &[PathBuf],
    ) -> anyhow::Result<Self> {
        Prepared::new(binary, format, rules)?.start()
    }

    /// The socket on which its API answers as to the operator.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("data/jacquemart.sock")
    }

    /// A line of `/proc/PID/status` in bytes, e.g. `VmHWM`, the most memory ever resident.
    pub(crate) fn memory_bytes(&self, line: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
            .and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .with_context(|| format!("no {line} in /proc"))?;
        Ok(value * 1024)
    }

    /// CPU seconds used so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit(')').next().context("/proc/PID/stat")?;
        let mut fields = after_name.split_whitespace().skip(11);
        let mut ticks =
            || fields.next().and_then(|text| text.parse::<f64>().ok()).context("/proc/PID/stat");
        // Linux counts in hundredths of a second here.
        Ok((ticks()? + ticks()?) / 100.0)
    }

    /// Ends it in order, so that everything is sealed; bytes of its splits then.
    pub(crate) fn stop(mut self) -> anyhow::Result<u64> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(status.success(), "failed to send SIGTERM");
        let status = self.child.wait()?;
        ensure!(status.success(), "{} serve ended with {status}", self.binary.display());
        folder_bytes(&self.folder.path().join("data/splits"))
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        // Only where measuring failed half-way; after `stop` both say that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(binary: &Path, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(folder).args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JACQUEMART_") {
            command.env_remove(name);
        }
    }
    command
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.path().is_dir() {
            folder_bytes(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
