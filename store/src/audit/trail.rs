//! Writing the trail: many who wait, one who writes.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use event::Timestamp;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

use super::{AuditError, Entry, OPENED, PublicKey, Record, SEAL, file, key::SigningKey, line};

/// Entries that wait to be written at most; more wait to be let in.
const WAITING_MAX: usize = 4_096;

/// Entries that become durable together.
const BATCH_MAX: usize = 512;

/// A line at most: going on after a restart reads back so far to find the last one.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How the trail is kept.
#[derive(Clone, Debug)]
pub struct TrailConfig {
    /// The folder of its files.
    pub folder: PathBuf,
    /// The file of the key that seals are signed with.
    pub key: PathBuf,
    /// The most records between two seals.
    pub seal_records: u64,
    /// The longest time that a record waits for a seal.
    pub seal_every: Duration,
    /// Bytes after which another file is begun.
    pub file_bytes_max: u64,
}

impl TrailConfig {
    /// In `folder`, sealed every thousand records or hour, in files of 64 MiB.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            key: folder.join("signing-key.p8"),
            seal_records: 1_000,
            seal_every: Duration::from_hours(1),
            file_bytes_max: 64 << 20,
        }
    }
}

enum Message {
    Append(Box<Entry>, oneshot::Sender<Result<u64, AuditError>>),
    Close,
}

/// The trail, open for writing. One process at a time may have it open.
pub struct Trail {
    folder: PathBuf,
    public_key: PublicKey,
    sender: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Why the last write failed.
    trouble: Arc<StdMutex<Option<String>>>,
}

impl Trail {
    /// Opens the trail, begins one where there is none, and writes that it did. What a crash
    /// left half-written, which nobody was told of, is cut off.
    pub async fn open(config: TrailConfig) -> Result<Self, AuditError> {
        let folder = config.folder.clone();
        let writer = blocking(move || Writer::open(config)).await?;
        let public_key = writer.key.public();
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let trouble = Arc::default();
        let task = tokio::spawn(run(writer, receiver, Arc::clone(&trouble)));
        Ok(Self { folder, public_key, sender, writer: Mutex::new(Some(task)), trouble })
    }

    /// Writes an entry; durable when this returns its number.
    pub async fn append(&self, entry: Entry) -> Result<u64, AuditError> {
        let (reply, written) = oneshot::channel();
        let message = Message::Append(Box::new(entry), reply);
        self.sender.send(message).await.map_err(|_| AuditError::Closed)?;
        written.await.map_err(|_| AuditError::Closed)?
    }

    /// Why the last write failed; `None` where it did not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What its seals are checked with.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Writes what waits and a last seal. What is asked for later fails.
    pub async fn close(&self) {
        // Where it is closed already there is nothing to do.
        let _ = self.sender.send(Message::Close).await;
        if let Some(task) = self.writer.lock().await.take() {
            // A panic in it was told where it happened.
            let _ = task.await;
        }
    }
}

async fn run(
    mut writer: Writer,
    mut receiver: mpsc::Receiver<Message>,
    trouble: Arc<StdMutex<Option<String>>>,
) {
    let mut open = true;
    while open {
        let first = tokio::select! {
            message = receiver.recv() => message,
            () = tokio::time::sleep(writer.until_seal()) => None,
        };
        let mut entries = Vec::new();
        let mut message = first;
        loop {
            match message {
                Some(Message::Append(entry, reply)) => entries.push((*entry, reply)),
                Some(Message::Close) => open = false,
                None => break,
            }
            if entries.len() == BATCH_MAX || !open {
                break;
            }
            message = receiver.try_recv().ok();
        }
        if receiver.is_closed() && receiver.is_empty() {
            open = false;
        }
        let (written, replies): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let done = tokio::task::spawn_blocking(move || {
            let result = writer.write(written, !open);
            (writer, result)
        })
        .await;
        let Ok((back, result)) = done else {
            let why = "its writer panicked; restart the centre".to_owned();
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            return;
        };
        writer = back;
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            result.as_ref().err().map(ToString::to_string);
        if let Err(error) = &result {
            tracing::error!(%error, "failed to write to the audit trail");
            if replies.is_empty() {
                // A seal that failed is tried again, but not at once.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        for (index, reply) in (0_u64..).zip(replies) {
            // Whoever does not wait any more needs no answer.
            let _ = reply.send(result.clone().map(|first| first + index));
        }
    }
}

/// The end of the trail.
struct Writer {
    config: TrailConfig,
    key: SigningKey,
    path: PathBuf,
    file: File,
    /// Bytes of the file that are durable lines.
    bytes: u64,
    /// The last record's number and hash.
    seq: u64,
    head: [u8; 32],
    /// Records since the last seal, and when the first of them came.
    unsealed: u64,
    unsealed_since: Instant,
}

impl Writer {
    fn open(config: TrailConfig) -> Result<Self, AuditError> {
        let folder = &config.folder;
        std::fs::create_dir_all(folder).map_err(|error| AuditError::io(folder, error))?;
        let key = SigningKey::open(&config.key)?;
        let last = file::list(folder)?.pop();
        let (first, path) = last.unwrap_or_else(|| (1, folder.join(file::name(1))));
        let file = open_file(&path)?;
        let mut writer = Self {
            key,
            path,
            file,
            bytes: 0,
            seq: first.saturating_sub(1),
            head: line::FIRST,
            unsealed: 0,
            unsealed_since: Instant::now(),
            config,
        };
        let torn = writer.find_end()?;
        let mut opened = Entry { action: OPENED.to_owned(), ..Entry::default() };
        if torn > 0 {
            opened.query = Some(format!("cut off {torn} bytes that a crash left half-written"));
        }
        writer.write(vec![opened], false)?;
        Ok(writer)
    }

    /// Reads the last whole record, and cuts off what is behind it; how many bytes that was.
    fn find_end(&mut self) -> Result<u64, AuditError> {
        let io = |error| AuditError::io(&self.path, error);
        let length = self.file.seek(SeekFrom::End(0)).map_err(io)?;
        let from = length.saturating_sub(LINE_BYTES_MAX as u64);
        self.file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut tail = Vec::new();
        (&self.file).take(LINE_BYTES_MAX as u64).read_to_end(&mut tail).map_err(io)?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let torn = (tail.len() - whole) as u64;
        self.bytes = length - torn;
        if torn > 0 {
            self.file.set_len(self.bytes).and_then(|()| self.file.sync_all()).map_err(io)?;
        }
        let lines = tail[..whole].strip_suffix(b"\n").unwrap_or_default();
        let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if !last.is_empty() {
            let (record, hash) = line::read(last).map_err(|reason| {
                AuditError::Damaged(format!("the last line of {}: {reason}", self.path.display()))
            })?;
            (self.seq, self.head) = (record.seq, hash);
            // Whether it is sealed does not matter: a seal more does no harm.
            self.unsealed = 1;
        } else if self.seq > 0 {
            self.head = self.end_of_the_file_before()?;
        }
        Ok(torn)
    }

    /// A crash may have left a new file without a line.
    fn end_of_the_file_before(&self) -> Result<[u8; 32], AuditError> {
        let files = file::list(&self.config.folder)?;
        let before = files.iter().rev().find(|(_, path)| *path != self.path);
        let missing = || {
            AuditError::Damaged(format!(
                "{} begins with record {}, and the file before it is missing",
                self.path.display(),
                self.seq + 1
            ))
        };
        let (_, path) = before.ok_or_else(missing)?;
        let text = std::fs::read(path).map_err(|error| AuditError::io(path, error))?;
        let lines = text.strip_suffix(b"\n").ok_or_else(missing)?;
        let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        match line::read(last) {
            Ok((record, hash)) if record.seq == self.seq => Ok(hash),
            _ => Err(missing()),
        }
    }

    /// How long until the records that wait for a seal must have one.
    fn until_seal(&self) -> Duration {
        if self.unsealed == 0 {
            return Duration::from_hours(1);
        }
        self.config.seal_every.saturating_sub(self.unsealed_since.elapsed())
    }

    /// Writes entries, and a seal where it is time or `closing`; the number of the first. Where
    /// it fails, none is in the trail.
    fn write(&mut self, entries: Vec<Entry>, closing: bool) -> Result<u64, AuditError> {
        if self.bytes >= self.config.file_bytes_max {
            self.begin_file()?;
        }
        let first = self.seq + 1;
        let (mut seq, mut head, mut unsealed) = (self.seq, self.head, self.unsealed);
        let mut text = String::new();
        let mut add = |entry: Entry, signature: Option<String>, head: [u8; 32]| {
            seq += 1;
            let record = Record {
                seq,
                at: Timestamp::now(),
                entry,
                signature,
                prev: line::hex(&head),
                hash: String::new(),
            };
            // Strings, numbers and JSON are always JSON.
            let (mut line, mut hash) = line::write(&record).unwrap_or_default();
            if line.len() > LINE_BYTES_MAX / 2 {
                let entry = Entry {
                    action: record.entry.action,
                    by: record.entry.by,
                    query: Some(format!("a record of {} bytes is not kept whole", line.len())),
                    ..Entry::default()
                };
                (line, hash) = line::write(&Record { entry, ..record }).unwrap_or_default();
            }
            text.push_str(&line);
            hash
        };
        if unsealed == 0 {
            self.unsealed_since = Instant::now();
        }
        for entry in entries {
            head = add(entry, None, head);
            unsealed += 1;
        }
        let is_time = unsealed >= self.config.seal_records
            || self.unsealed_since.elapsed() >= self.config.seal_every
            || closing;
        let sealed = unsealed > 0 && is_time;
        if sealed {
            let seal = Entry { action: SEAL.to_owned(), ..Entry::default() };
            let signature = line::hex(&self.key.sign(&head));
            head = add(seal, Some(signature), head);
            unsealed = 0;
        }
        if text.is_empty() {
            return Ok(first);
        }
        self.append(text.as_bytes())?;
        (self.seq, self.head, self.unsealed) = (seq, head, unsealed);
        if sealed {
            // The server's log goes elsewhere, where it shows a trail that was cut or written anew.
            let head = line::hex(&head);
            tracing::info!(seq, head, "sealed the audit trail");
        }
        Ok(first)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), AuditError> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.bytes))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What nobody is told of must not stay; the next write begins at the same place.
                let _ = self.file.set_len(self.bytes);
                Err(AuditError::io(&self.path, error))
            }
        }
    }

    fn begin_file(&mut self) -> Result<(), AuditError> {
        let path = self.config.folder.join(file::name(self.seq + 1));
        self.file = open_file(&path)?;
        (self.path, self.bytes) = (path, 0);
        Ok(())
    }
}

/// Opens a file for its owner alone, made durable with its name where it is new.
fn open_file(path: &Path) -> Result<File, AuditError> {
    let io = |error| AuditError::io(path, error);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(AuditError::Closed))
}
