//! What the doors do with a commune or feed that sends more than its quota, and that its neighbours
//! do not notice.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod collect_support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use collect_support::{
    DIJON_KEY, MemoryBatches, MemoryBus, MemoryFeeds, MemoryMeter, TALANT_KEY, dijon, exchange,
    post,
};
use event::{CommuneId, Feed, FeedId, Owner, Quota};
use ingest::{
    Feeds,
    collect::{
        Admission,
        http::{HttpDoor, HttpLimits, router, serve as serve_http},
        syslog::{SyslogDoor, SyslogLimits, serve as serve_syslog, serve_datagrams},
    },
    quota::{Load, OverQuota, Quotas},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_util::sync::CancellationToken;

/// Two feeds of two communes, Dijon's with a quota.
struct Bounded(MemoryFeeds, Quotas);

impl Bounded {
    fn new(of: Owner, records_per_s: u64) -> Self {
        let quotas = Quotas::default();
        quotas.set([(of, Quota { records_per_s: Some(records_per_s), bytes_per_s: None })]);
        Self(MemoryFeeds::default(), quotas)
    }

    fn commune(records_per_s: u64) -> Self {
        Self::new(Owner::Commune(CommuneId::new("dijon").unwrap()), records_per_s)
    }
}

impl Feeds for Bounded {
    fn by_key(&self, key: &str) -> Option<Arc<Feed>> {
        self.0.by_key(key)
    }

    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>> {
        self.0.by_id(id)
    }

    fn admit(&self, loads: &[Load<'_>]) -> Result<(), OverQuota> {
        self.1.admit(loads)
    }
}

struct Centre {
    address: std::net::SocketAddr,
    bus: Arc<MemoryBus>,
    meter: Arc<MemoryMeter>,
    cancel: CancellationToken,
}

async fn http(feeds: Bounded) -> Centre {
    let (bus, meter) = (Arc::new(MemoryBus::default()), Arc::new(MemoryMeter::default()));
    let door = HttpDoor {
        bus: bus.clone(),
        batches: Arc::new(MemoryBatches::default()),
        feeds: Arc::new(feeds),
        admission: Admission::new(64 << 20),
        limits: HttpLimits::default(),
        metrics: meter.clone(),
        elastic_version: "9.1.4".parse().unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    tokio::spawn(serve_http(listener, router(door), None, HttpLimits::default(), cancel.clone()));
    Centre { address, bus, meter, cancel }
}

fn syslog(feeds: Bounded, feed: Option<&str>) -> (SyslogDoor, Arc<MemoryBus>, Arc<MemoryMeter>) {
    let (bus, meter) = (Arc::new(MemoryBus::default()), Arc::new(MemoryMeter::default()));
    let door = SyslogDoor {
        bus: bus.clone(),
        feeds: Arc::new(feeds),
        admission: Admission::new(4 << 20),
        limits: SyslogLimits::default(),
        metrics: meter.clone(),
        feed: feed.map(|feed| FeedId::new(feed).unwrap()),
        allow_from: Vec::new(),
        tls: None,
    };
    (door, bus, meter)
}

/// A message that carries a feed's key.
fn message(key: &str, number: usize) -> String {
    format!("<13>1 - host app - - [jacquemart@64512 key=\"{key}\"] message {number}")
}

fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn every_protocol_answers_429_in_its_words() {
    let centre = http(Bounded::commune(2)).await;
    let batch = "{\"n\":1}\n".repeat(100);
    // A batch of any size comes in, then its debt is paid off: 100 records at 2 a second, of which
    // 10 seconds' worth was saved.
    let first = exchange(centre.address, &post(&dijon(), batch.as_bytes())).await;
    assert_eq!(first.status, 200, "{first:?}");

    let basic = format!("Authorization: ApiKey {DIJON_KEY}\r\n");
    let splunk = format!("Authorization: Splunk {DIJON_KEY}\r\n");
    let json = "Content-Type: application/json\r\n";
    let cases = [
        ("/ingest", dijon(), "{}".to_owned(), "urn:jacquemart:problem:over-quota"),
        (
            "/_bulk",
            basic + "Content-Type: application/x-ndjson\r\n",
            "{\"create\":{}}\n{}\n".to_owned(),
            "es_rejected_execution_exception",
        ),
        ("/services/collector/event", splunk, "{\"event\":\"x\"}".to_owned(), "Server is busy"),
        ("/v1/logs", dijon() + json, "{\"resourceLogs\":[]}".to_owned(), "\"code\":8"),
        (
            "/batch",
            json.to_owned(),
            format!("{{\"intake_key\":\"{DIJON_KEY}\",\"jsons\":[\"a\"]}}"),
            "urn:jacquemart:problem:over-quota",
        ),
    ];
    let asked = cases.len() as u64;
    for (path, headers, body, word) in cases {
        let answer = exchange(centre.address, &request(path, &headers, &body)).await;
        assert_eq!(answer.status, 429, "{path}: {answer:?}");
        assert!(answer.body.contains(word), "{path}: {answer:?}");
        assert!(
            answer.body.contains("commune dijon sends more than its quota of 2 records a second")
        );
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((30..=40).contains(&wait), "{path}: {wait}");
    }
    assert_eq!(centre.meter.rejected("over-quota"), asked);
    let counts = centre.meter.rejected.lock().unwrap().clone();
    assert_eq!(counts.len(), 1, "all counted as Dijon's: {counts:?}");
    assert_eq!(centre.bus.records().len(), 100, "nothing of what was refused is there");
    centre.cancel.cancel();
}

#[tokio::test]
async fn keys_of_two_communes_in_one_body_are_taken_together_or_not() {
    let centre = http(Bounded::commune(1)).await;
    let json = "Content-Type: application/json\r\n";
    let both = format!(
        "[{{\"intake_key\":\"{TALANT_KEY}\",\"json\":\"a\"}},\
         {{\"intake_key\":\"{DIJON_KEY}\",\"json\":\"b\"}},\
         {{\"intake_key\":\"{DIJON_KEY}\",\"json\":\"c\"}}]"
    );
    let fill =
        format!("{{\"intake_key\":\"{DIJON_KEY}\",\"jsons\":[{}]}}", vec!["\"x\""; 50].join(","));
    for (path, body, status, records) in
        [("/array", &both, 200, 3), ("/batch", &fill, 200, 53), ("/array", &both, 429, 53)]
    {
        let answer = exchange(centre.address, &request(path, json, body)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(centre.bus.records().len(), records);
    }
    centre.cancel.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_the_quota_slows_nobody_else() {
    let quota = 1_000;
    let centre = http(Bounded::commune(quota)).await;
    let batch = "{\"n\":1}\n".repeat(100);
    let length = Duration::from_secs(4);
    let began = Instant::now();
    // Ten senders of Dijon at 500 records a second each; nothing of its quota is saved yet for
    // longer than the test takes, so 10 s of it come in at once.
    let mut greedy = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (address, batch) = (centre.address, batch.clone());
        greedy.spawn(async move {
            let (mut taken, mut refused) = (0_u64, 0_u64);
            while began.elapsed() < length {
                match exchange(address, &post(&dijon(), batch.as_bytes())).await {
                    answer if answer.status == 200 => taken += 100,
                    answer => {
                        assert_eq!(answer.status, 429, "{answer:?}");
                        refused += 100;
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            (taken, refused)
        });
    }
    // Talant sends all the while, and is never refused nor made to wait.
    let talant = format!("Authorization: Bearer {TALANT_KEY}\r\n");
    let mut sent = 0;
    while began.elapsed() < length {
        let answer = exchange(centre.address, &post(&talant, batch.as_bytes())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        sent += 100;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut taken, mut refused) = (0, 0);
    while let Some(done) = greedy.join_next().await {
        let (more, less) = done.unwrap();
        (taken, refused) = (taken + more, refused + less);
    }
    let elapsed = began.elapsed().as_secs() + 1;
    let allowed = quota * (10 + elapsed) + 100 * 10;
    assert!(taken <= allowed, "{taken} of {allowed}");
    assert!(refused > 0 || taken < allowed, "{refused}");
    assert_eq!(centre.meter.accepted("talant-phones").0, sent);
    assert_eq!(centre.meter.accepted("dijon-endpoints").0, taken);
    centre.cancel.cancel();
}

#[tokio::test]
async fn a_tcp_sender_is_slowed_and_loses_nothing() {
    // 10 seconds' worth is taken at once, the rest at the quota.
    let (door, bus, meter) =
        syslog(Bounded::new(Owner::Feed(FeedId::new("dijon-endpoints").unwrap()), 20), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve_syslog(listener, door, cancel.clone()));
    let began = Instant::now();
    let mut greedy = TcpStream::connect(address).await.unwrap();
    for number in 0..240 {
        greedy.write_all((message(DIJON_KEY, number) + "\n").as_bytes()).await.unwrap();
    }
    let mut other = TcpStream::connect(address).await.unwrap();
    for number in 0..500 {
        other.write_all((message(TALANT_KEY, number) + "\n").as_bytes()).await.unwrap();
    }
    let talant = || {
        let records = bus.records();
        records.iter().filter(|record| record.commune.as_str() == "talant").count()
    };
    while talant() < 500 {
        assert!(began.elapsed() < Duration::from_secs(10), "{} of 500", talant());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = bus.records().len() - 500;
    assert!(before < 240, "Talant did not wait for Dijon");
    bus.wait_for(740).await;
    assert_eq!(bus.records().len(), 740);
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(meter.rejected("over-quota"), 0);
    // Its order is kept.
    let numbers: Vec<usize> = bus
        .records()
        .iter()
        .filter(|record| record.commune.as_str() == "dijon")
        .map(|record| {
            let raw = String::from_utf8_lossy(&record.raw).into_owned();
            raw.rsplit(' ').next().unwrap().trim().parse().unwrap()
        })
        .collect();
    assert_eq!(numbers, (0..240).collect::<Vec<_>>());
    cancel.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn what_was_read_when_the_listener_closes_is_kept_whatever_the_quota() {
    let (door, bus, _) =
        syslog(Bounded::new(Owner::Feed(FeedId::new("dijon-endpoints").unwrap()), 1), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve_syslog(listener, door, cancel.clone()));
    let mut sender = TcpStream::connect(address).await.unwrap();
    for number in 0..100 {
        sender.write_all((message(DIJON_KEY, number) + "\n").as_bytes()).await.unwrap();
    }
    sender.flush().await.unwrap();
    bus.wait_for(10).await;
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap();
    assert_eq!(bus.records().len(), 100);
}

#[tokio::test]
async fn datagrams_over_the_quota_are_dropped_and_counted() {
    let (door, bus, meter) = syslog(Bounded::commune(1), None);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve_datagrams(socket, door, cancel.clone()));
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..100 {
        for key in [DIJON_KEY, TALANT_KEY] {
            sender.send_to(message(key, number).as_bytes(), address).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let count = |commune: &str| {
        bus.records().iter().filter(|record| record.commune.as_str() == commune).count() as u64
    };
    while count("dijon") + count("talant") + meter.rejected("over-quota") < 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", meter.rejected.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count("talant"), 100);
    let dropped = meter.rejected("over-quota");
    assert_eq!(count("dijon") + dropped, 100);
    assert!((80..=90).contains(&dropped), "{dropped}");
    cancel.cancel();
    served.await.unwrap();
}
