//! A bus, feeds and counters in memory, and clients that speak raw bytes, for the doors' tests.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use event::{BatchMark, BatchState, BusId, CommuneId, Feed, FeedId, FormatName, Record, Timestamp};
use ingest::{
    Batches, BatchesError, Feeds,
    bus::{AppendError, Appended, Bus, BusError, BusStatus, Group, Reader, Topic},
    collect::{
        Admission, Meter,
        http::{HttpDoor, HttpLimits, router, serve},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Batches that outlive a door.
#[derive(Default)]
pub(crate) struct MemoryBatches(Mutex<HashMap<(FeedId, String), Known>>);

/// The digest of a batch and, once it was taken, its receipt.
type Known = (String, Option<String>);

#[async_trait]
impl Batches for MemoryBatches {
    async fn begin(
        &self,
        feed: &FeedId,
        key: &str,
        digest: &str,
    ) -> Result<BatchState, BatchesError> {
        let mut known = self.0.lock().unwrap();
        let at = (feed.clone(), key.to_owned());
        Ok(match known.get(&at).cloned() {
            None => {
                known.insert(at, (digest.to_owned(), None));
                BatchState::New
            }
            Some((digest, None)) => BatchState::Pending { digest },
            Some((digest, Some(receipt))) => BatchState::Taken { digest, receipt },
        })
    }

    async fn settle(&self, feed: &FeedId, mark: BatchMark) -> Result<(), BatchesError> {
        let at = (feed.clone(), mark.key);
        self.0.lock().unwrap().insert(at, (mark.digest, Some(mark.receipt)));
        Ok(())
    }

    async fn forget(&self, feed: &FeedId, key: &str) -> Result<(), BatchesError> {
        self.0.lock().unwrap().remove(&(feed.clone(), key.to_owned()));
        Ok(())
    }
}

/// An HTTP door that is served on a port of its own.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) meter: Arc<MemoryMeter>,
    pub(crate) admission: Admission,
    pub(crate) cancel: CancellationToken,
    pub(crate) served: JoinHandle<()>,
}

/// With memory for what most tests send.
pub(crate) async fn open(limits: HttpLimits) -> Door {
    open_with(limits, 64 << 20).await
}

pub(crate) async fn open_with(limits: HttpLimits, in_flight_bytes_max: usize) -> Door {
    let (bus, batches) = (Arc::default(), Arc::<MemoryBatches>::default());
    open_on(bus, batches, limits, in_flight_bytes_max).await
}

/// A door that begins with what another one left.
pub(crate) async fn open_on(
    bus: Arc<MemoryBus>,
    batches: Arc<dyn Batches>,
    limits: HttpLimits,
    in_flight_bytes_max: usize,
) -> Door {
    let meter = Arc::new(MemoryMeter::default());
    let admission = Admission::new(in_flight_bytes_max);
    let door = HttpDoor {
        bus: bus.clone(),
        batches,
        feeds: Arc::new(MemoryFeeds::default()),
        admission: admission.clone(),
        limits: limits.clone(),
        metrics: meter.clone(),
        elastic_version: "9.1.4".parse().unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve(listener, router(door), None, limits, cancel.clone()));
    Door { address, bus, meter, admission, cancel, served }
}

/// The key of feed `dijon-endpoints` and of feed `talant-phones`.
pub(crate) const DIJON_KEY: &str = "jqk_dijon-0123456789abcdef0123456789";
pub(crate) const TALANT_KEY: &str = "jqk_talant-fedcba9876543210fedcba98";

/// A bus that keeps everything and can be told to misbehave.
#[derive(Default)]
pub(crate) struct MemoryBus {
    pub(crate) payloads: Mutex<Vec<Bytes>>,
    pub(crate) appends: AtomicUsize,
    pub(crate) full: AtomicBool,
    pub(crate) stopped: AtomicBool,
    /// Appends after this many find the bus full; 0 means never.
    pub(crate) full_after_appends: AtomicUsize,
    pub(crate) payload_bytes_max: AtomicUsize,
    pub(crate) delay: Mutex<Duration>,
}

impl MemoryBus {
    pub(crate) fn records(&self) -> Vec<Record> {
        let payloads = self.payloads.lock().unwrap();
        payloads.iter().map(|bytes| Record::decode(bytes.clone()).unwrap()).collect()
    }

    /// The raw records as text.
    pub(crate) fn raws(&self) -> Vec<String> {
        self.records().iter().map(|r| String::from_utf8_lossy(&r.raw).into_owned()).collect()
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Waits until so many records are there.
    pub(crate) async fn wait_for(&self, records: usize) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.payloads.lock().unwrap().len() < records && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.raws()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn id(&self) -> BusId {
        BusId::from_bytes([1; 16])
    }

    fn partitions(&self, _: Topic) -> u32 {
        1
    }

    async fn append(
        &self,
        topic: Topic,
        key: &str,
        payloads: Vec<Bytes>,
    ) -> Result<Appended, AppendError> {
        assert_eq!(topic, Topic::Records);
        assert!(!payloads.is_empty());
        for payload in &payloads {
            assert_eq!(Record::decode(payload.clone()).unwrap().feed.as_str(), key);
        }
        let after = self.full_after_appends.load(Ordering::SeqCst);
        let count = self.appends.fetch_add(1, Ordering::SeqCst) + 1;
        if self.full.load(Ordering::SeqCst) || (after > 0 && count > after) {
            return Err(AppendError::Full { used_bytes: 100, max_bytes: 100 });
        }
        if self.stopped.load(Ordering::SeqCst) {
            return Err(AppendError::Stopped("fsync failed".to_owned()));
        }
        let max_bytes = match self.payload_bytes_max.load(Ordering::SeqCst) {
            0 => usize::MAX,
            max => max,
        };
        if let Some(index) = payloads.iter().position(|payload| payload.len() > max_bytes) {
            return Err(AppendError::TooLarge { index, bytes: payloads[index].len(), max_bytes });
        }
        let delay = *self.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        let mut all = self.payloads.lock().unwrap();
        let first = all.len() as u64;
        let count = payloads.len() as u64;
        all.extend(payloads);
        Ok(Appended { partition: 0, first, count })
    }

    fn has_room(&self, _: usize) -> bool {
        !self.full.load(Ordering::SeqCst) && !self.stopped.load(Ordering::SeqCst)
    }

    async fn reader(&self, _: Topic, _: Group) -> Result<Box<dyn Reader>, BusError> {
        Err(BusError::Stopped)
    }

    async fn status(&self) -> BusStatus {
        BusStatus {
            used_bytes: 100,
            max_bytes: 100,
            stopped: self.stopped.load(Ordering::SeqCst).then(|| "fsync failed".to_owned()),
            ..BusStatus::default()
        }
    }

    async fn close(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// Two feeds of two communes.
pub(crate) struct MemoryFeeds(HashMap<&'static str, Arc<Feed>>);

impl Default for MemoryFeeds {
    fn default() -> Self {
        let feed = |commune: &str, id: &str, format: &str| {
            Arc::new(Feed {
                id: FeedId::new(id).unwrap(),
                commune: CommuneId::new(commune).unwrap(),
                format: FormatName::new(format).unwrap(),
                name: id.to_owned(),
                created: Timestamp::from_secs(0),
            })
        };
        Self(HashMap::from([
            (DIJON_KEY, feed("dijon", "dijon-endpoints", "windows")),
            (TALANT_KEY, feed("talant", "talant-phones", "pradeo-mtd")),
        ]))
    }
}

impl Feeds for MemoryFeeds {
    fn by_key(&self, key: &str) -> Option<Arc<Feed>> {
        self.0.get(key).cloned()
    }

    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>> {
        self.0.values().find(|feed| feed.id == *id).cloned()
    }
}

/// Counts by feed and reason.
#[derive(Default)]
pub(crate) struct MemoryMeter {
    pub(crate) accepted: Mutex<BTreeMap<String, (u64, u64)>>,
    pub(crate) rejected: Mutex<BTreeMap<(Option<String>, &'static str), u64>>,
}

impl MemoryMeter {
    /// Rejections for `reason`, of all feeds.
    pub(crate) fn rejected(&self, reason: &str) -> u64 {
        let counts = self.rejected.lock().unwrap();
        counts.iter().filter(|((_, known), _)| *known == reason).map(|(_, n)| n).sum()
    }

    /// Records and bytes of `feed`.
    pub(crate) fn accepted(&self, feed: &str) -> (u64, u64) {
        self.accepted.lock().unwrap().get(feed).copied().unwrap_or_default()
    }
}

impl Meter for MemoryMeter {
    fn accepted(&self, feed: &Feed, records: u64, bytes: u64) {
        let mut counts = self.accepted.lock().unwrap();
        let count = counts.entry(feed.id.to_string()).or_default();
        *count = (count.0 + records, count.1 + bytes);
    }

    fn rejected(&self, feed: Option<&Feed>, reason: &'static str, n: u64) {
        let key = (feed.map(|feed| feed.id.to_string()), reason);
        *self.rejected.lock().unwrap().entry(key).or_default() += n;
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// `POST /ingest` with `headers` (each ending in CRLF) and a length.
pub(crate) fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /ingest HTTP/1.1\r\nHost: jacquemart.example\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// The header that opens Dijon's feed.
pub(crate) fn dijon() -> String {
    format!("Authorization: Bearer {DIJON_KEY}\r\n")
}

/// Reads one answer; `None` where the connection ended before one.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        // Byte by byte, as what follows may be the next answer.
        bytes.push(stream.read_u8().await.ok()?);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    if status == 100 {
        return Some(Answer { status, headers, body: String::new() });
    }
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    Some(Answer { status, headers, body: String::from_utf8(body).unwrap() })
}

/// Sends `request` and reads its answer.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    // The answer may come before all is written.
    let write = async {
        let _ = writer.write_all(request).await;
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while !is_whole(&answer) {
            match reader.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&chunk[..n]),
            }
        }
    };
    tokio::select! { () = write => {}, () = read => {} }
    parse(&answer).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&answer)))
}

fn is_whole(answer: &[u8]) -> bool {
    parse(answer).is_some()
}

fn parse(answer: &[u8]) -> Option<Answer> {
    // A body may be binary; then its text shows what it can.
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&answer[..at]).ok()?, &answer[at + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let len: usize = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let body = body.get(..len)?;
    Some(Answer { status, headers, body: String::from_utf8_lossy(body).into_owned() })
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}
