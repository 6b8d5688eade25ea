//! The syslog door over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use collect_support::*;
use event::FeedId;
use ingest::collect::{
    Admission,
    syslog::{SyslogDoor, SyslogLimits, serve},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

struct Door {
    address: SocketAddr,
    bus: Arc<MemoryBus>,
    meter: Arc<MemoryMeter>,
    admission: Admission,
    cancel: CancellationToken,
    served: JoinHandle<()>,
}

async fn open(limits: SyslogLimits, change: impl FnOnce(&mut SyslogDoor)) -> Door {
    let (bus, meter) = (Arc::new(MemoryBus::default()), Arc::new(MemoryMeter::default()));
    let mut door = SyslogDoor {
        bus: bus.clone(),
        feeds: Arc::new(MemoryFeeds::default()),
        admission: Admission::new(4 << 20),
        limits,
        metrics: meter.clone(),
        feed: None,
        allow_from: Vec::new(),
        tls: None,
    };
    change(&mut door);
    let admission = door.admission.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve(listener, door, cancel.clone()));
    Door { address, bus, meter, admission, cancel, served }
}

async fn open_bound(limits: SyslogLimits) -> Door {
    open(limits, |door| door.feed = Some(FeedId::new("dijon-endpoints").unwrap())).await
}

impl Door {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` in one connection and ends it.
    async fn send(&self, bytes: &[u8]) {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        // The listener ends the connection once it has taken all.
        let _ = timeout(Duration::from_secs(10), stream.read(&mut [0])).await.unwrap();
    }
}

fn keyed(key: &str, text: &str) -> String {
    format!("<13>1 2026-03-01T03:00:00Z ws-17 app 1 - [jacquemart@32473 key=\"{key}\"] {text}")
}

#[tokio::test]
async fn both_framings_in_one_stream_split_anywhere() {
    let door = open_bound(SyslogLimits::default()).await;
    let stream = "<34>Oct 11 22:14:15 fw su: failed\n\
                  27 <13>1 - h a - - - two\nlines<13>Oct 11 22:14:15 h {\"a\":1}\r\n\
                  <134>2026-03-01T03:00:00+00:00 h nxlog: {\"b\":2}\n14 <1>{\"c\":\"\u{e9}\"}\n<13>last";
    let expected = [
        "<34>Oct 11 22:14:15 fw su: failed",
        "<13>1 - h a - - - two\nlines",
        "{\"a\":1}",
        "{\"b\":2}",
        "{\"c\":\"\u{e9}\"}",
        "<13>last",
    ];
    for at in 0..=stream.len() {
        door.bus.payloads.lock().unwrap().clear();
        let mut sender = door.connect().await;
        sender.set_nodelay(true).unwrap();
        sender.write_all(&stream.as_bytes()[..at]).await.unwrap();
        tokio::task::yield_now().await;
        sender.write_all(&stream.as_bytes()[at..]).await.unwrap();
        drop(sender);
        assert_eq!(door.bus.wait_for(expected.len()).await, expected, "split at {at}");
    }
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn a_key_says_whose_each_message_is_and_is_not_kept() {
    let door = open(SyslogLimits::default(), |_| {}).await;
    let sekoia = format!(
        "<13>1 2026-03-01T03:00:00Z ws-17 app 1 LOG [SEKOIA@53288 intake_key=\"{TALANT_KEY}\"] text"
    );
    let stream = [
        keyed(DIJON_KEY, "{\"EventID\":1}"),
        sekoia,
        "<13>1 - h a - - - no key".to_owned(),
        keyed("wrong", "text"),
        keyed(DIJON_KEY, "plain"),
        format!("<13>1 - h a - - [meta key=\"x\"][y@1 key=\"{TALANT_KEY}\"] {{}}"),
    ]
    .join("\n");
    door.send(stream.as_bytes()).await;
    let mut records = door.bus.records();
    records.sort_by(|a, b| a.feed.cmp(&b.feed));
    let kept: Vec<_> =
        records.iter().map(|r| (r.commune.as_str(), String::from_utf8_lossy(&r.raw))).collect();
    let kept: Vec<_> = kept.iter().map(|(commune, raw)| (*commune, raw.as_ref())).collect();
    assert_eq!(
        kept,
        [
            ("dijon", "{\"EventID\":1}"),
            ("dijon", "<13>1 2026-03-01T03:00:00Z ws-17 app 1 - [jacquemart@32473] plain"),
            ("talant", "<13>1 2026-03-01T03:00:00Z ws-17 app 1 LOG [SEKOIA@53288] text"),
            ("talant", "{}"),
        ]
    );
    assert_eq!((door.meter.rejected("key-missing"), door.meter.rejected("key-wrong")), (1, 1));
    assert_eq!(door.meter.accepted("dijon-endpoints").0, 2);
    assert_eq!(door.meter.accepted("talant-phones").0, 2);
}

#[tokio::test]
async fn wrong_keys_in_a_row_end_the_connection_but_not_its_neighbours() {
    let limits = SyslogLimits { wrong_keys_max: 3, ..SyslogLimits::default() };
    let door = open(limits, |_| {}).await;
    let mut guessing = door.connect().await;
    let mut honest = door.connect().await;
    for _ in 0..3 {
        honest.write_all(format!("{}\n", keyed("wrong", "a")).as_bytes()).await.unwrap();
        honest.write_all(format!("{}\n", keyed(DIJON_KEY, "b")).as_bytes()).await.unwrap();
    }
    for _ in 0..3 {
        guessing.write_all(format!("{}\n", keyed("guess", "a")).as_bytes()).await.unwrap();
    }
    assert_eq!(guessing.read(&mut [0]).await.unwrap_or(0), 0);
    door.bus.wait_for(3).await;
    honest.write_all(format!("{}\n", keyed(DIJON_KEY, "c")).as_bytes()).await.unwrap();
    assert_eq!(door.bus.wait_for(4).await.len(), 4);
    assert_eq!(door.meter.rejected("key-wrong"), 6);
}

#[tokio::test]
async fn what_is_too_large_or_broken_is_counted_and_passed_over() {
    let limits = SyslogLimits { frame_bytes_max: 1000, ..SyslogLimits::default() };
    let door = open_bound(limits).await;
    let large = "x".repeat(200_000);
    let stream = format!(
        "<1>a\n<2>{large}\n<1>b\n{} <3>{large}<1>c\n0 <1>d\n\0\n\u{0}<1>e\n999 <1>cut",
        large.len() + 3
    );
    door.send(stream.as_bytes()).await;
    assert_eq!(door.bus.wait_for(5).await, ["<1>a", "<1>b", "<1>c", "0 <1>d", "<1>e"]);
    assert_eq!(door.meter.rejected("frame-too-large"), 2);
    assert_eq!(door.meter.rejected("frame-truncated"), 1);

    door.bus.payloads.lock().unwrap().clear();
    door.send(b"<1>a\n<1>\xff\xfe not utf-8 \x01\n<13>{\"a\":\"\xff\"}\n9999999999 <1>b\n").await;
    assert_eq!(door.bus.wait_for(3).await.len(), 3);
    assert_eq!(&door.bus.records()[1].raw[..], b"<1>\xff\xfe not utf-8 \x01");
    assert_eq!(&door.bus.records()[2].raw[..], b"<13>{\"a\":\"\xff\"}");
    assert_eq!(door.meter.rejected("frame-lost"), 1);
}

#[tokio::test]
async fn while_the_bus_is_full_nothing_is_read_and_later_all_arrives_once() {
    let door = open_bound(SyslogLimits::default()).await;
    door.bus.set_full(true);
    let count = 60_000;
    let (sent, mut progress) = tokio::sync::watch::channel(0_usize);
    let mut stream = door.connect().await;
    let sender = tokio::spawn(async move {
        for n in 0..count {
            let line = format!("<13>1 - h a - - - {n} {}\n", "x".repeat(400));
            stream.write_all(line.as_bytes()).await.unwrap();
            sent.send_replace(n + 1);
        }
    });
    // The sender comes to a standstill: its kernel buffers are full and nobody reads.
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = *progress.borrow_and_update();
        if now == last {
            break;
        }
        last = now;
    }
    assert!(last < count, "all of {count} messages were read while the bus was full");
    assert_eq!(door.bus.raws().len(), 0);
    assert!(door.admission.used_bytes() < 1 << 20);

    door.bus.set_full(false);
    let raws = door.bus.wait_for(count).await;
    sender.await.unwrap();
    assert_eq!(raws.len(), count);
    for (n, raw) in raws.iter().enumerate() {
        assert!(raw.starts_with(&format!("<13>1 - h a - - - {n} ")), "{n}: {raw}");
    }
    assert_eq!(door.meter.accepted("dijon-endpoints").0, count as u64);
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn connections_that_share_little_memory_all_get_through() {
    let limits = SyslogLimits { batch_bytes_max: 1 << 20, ..SyslogLimits::default() };
    let door = open(limits, |door| {
        door.feed = Some(FeedId::new("dijon-endpoints").unwrap());
        door.admission = Admission::new(4000);
    })
    .await;
    let senders: Vec<_> = (0..20)
        .map(|sender| {
            let address = door.address;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for n in 0..50 {
                    let line = format!("<13>{sender}-{n} {}\n", "x".repeat(700));
                    stream.write_all(line.as_bytes()).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut raws = door.bus.wait_for(1000).await;
    raws.sort_unstable();
    raws.dedup();
    assert_eq!(raws.len(), 1000);
    assert_eq!(door.admission.used_bytes(), 0);
}

#[tokio::test]
async fn closing_appends_what_had_arrived() {
    let door = open_bound(SyslogLimits {
        batch_time_max: Duration::from_secs(60),
        close_time_max: Duration::from_millis(500),
        ..SyslogLimits::default()
    })
    .await;
    let mut stream = door.connect().await;
    stream.write_all(b"<1>a\n<1>b\n<1>part").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(door.bus.raws().len(), 0);
    stream.write_all(b"ial\n<1>cut").await.unwrap();
    door.cancel.cancel();
    timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap();
    assert_eq!(door.bus.raws(), ["<1>a", "<1>b", "<1>partial"]);
    assert_eq!(door.meter.rejected("frame-truncated"), 1);
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn what_a_full_bus_never_takes_is_lost_only_at_close_and_told() {
    let door = open_bound(SyslogLimits {
        close_time_max: Duration::from_millis(300),
        ..SyslogLimits::default()
    })
    .await;
    door.bus.set_full(true);
    let mut stream = door.connect().await;
    stream.write_all(b"<1>a\n<1>b\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(door.meter.rejected("lost-at-close"), 0);
    door.cancel.cancel();
    timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap();
    assert_eq!(door.meter.rejected("lost-at-close"), 2);
}

#[tokio::test]
async fn strangers_idlers_and_crowds_are_kept_out() {
    let limits = SyslogLimits {
        idle_time_max: Duration::from_millis(300),
        connections_max: 1,
        ..SyslogLimits::default()
    };
    let door = open(limits.clone(), |door| {
        door.feed = Some(FeedId::new("dijon-endpoints").unwrap());
        door.allow_from = vec!["10.1.0.0/16".parse().unwrap()];
    })
    .await;
    let mut stranger = door.connect().await;
    let _ = stranger.write_all(b"<1>a\n").await;
    assert_eq!(stranger.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(door.meter.rejected("peer-not-allowed"), 1);
    assert!(door.bus.raws().is_empty());

    let door = open_bound(limits).await;
    let mut idle = door.connect().await;
    idle.write_all(b"<1>first\n<1>unfinished").await.unwrap();
    let started = Instant::now();
    let mut waiting = door.connect().await;
    waiting.write_all(b"<1>second\n").await.unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(door.bus.wait_for(2).await, ["<1>first", "<1>second"]);
    assert_eq!(door.meter.rejected("frame-truncated"), 1);
}

#[tokio::test]
async fn a_message_too_large_for_the_bus_and_a_missing_feed_are_counted() {
    let door = open_bound(SyslogLimits::default()).await;
    door.bus.payload_bytes_max.store(200, Ordering::SeqCst);
    door.send(format!("<1>a\n<1>{}\n<1>b\n", "x".repeat(300)).as_bytes()).await;
    assert_eq!(door.bus.wait_for(2).await, ["<1>a", "<1>b"]);
    assert_eq!(door.meter.rejected("record-too-large"), 1);
    assert_eq!(door.meter.accepted("dijon-endpoints"), (2, 8));

    let unbound =
        open(SyslogLimits::default(), |door| door.feed = Some(FeedId::new("gone").unwrap())).await;
    unbound.send(b"<1>a\n").await;
    assert_eq!(unbound.meter.rejected("feed-unknown"), 1);
}

#[tokio::test]
async fn util_linux_logger_is_understood() {
    if Command::new("logger").arg("--version").output().is_err() {
        eprintln!("skipped: logger (util-linux) is not installed");
        return;
    }
    let door = open(SyslogLimits::default(), |_| {}).await;
    let bound = open_bound(SyslogLimits::default()).await;
    let run = |address: SocketAddr, args: Vec<String>| {
        tokio::task::spawn_blocking(move || {
            let output = Command::new("logger")
                .args(["-T", "-n", "127.0.0.1", "-P", &address.port().to_string(), "-t", "probe"])
                .args(args)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        })
    };
    let texts = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    for framing in [&["--octet-count"][..], &[]] {
        for rfc in ["--rfc5424", "--rfc3164"] {
            let args = [framing, &[rfc, "caf\u{e9} {\"a\":1}"]].concat();
            run(bound.address, texts(&args)).await.unwrap();
            let args = [framing, &[rfc, "{\"a\":1}"]].concat();
            run(bound.address, texts(&args)).await.unwrap();
        }
        let param = format!("key=\"{DIJON_KEY}\"");
        let args = ["--rfc5424", "--sd-id", "jacquemart@32473", "--sd-param", &param, "text"];
        run(door.address, texts(&[framing, &args].concat())).await.unwrap();
    }
    let raws = bound.bus.wait_for(8).await;
    assert_eq!(raws.iter().filter(|raw| *raw == "{\"a\":1}").count(), 4, "{raws:?}");
    assert_eq!(raws.iter().filter(|raw| raw.ends_with("caf\u{e9} {\"a\":1}")).count(), 4);
    let raws = door.bus.wait_for(2).await;
    assert_eq!(raws.len(), 2);
    for raw in raws {
        assert!(raw.contains("[jacquemart@32473] text") && !raw.contains(DIJON_KEY), "{raw}");
    }
}
