//! Syslog over UDP, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use collect_support::*;
use event::{Feed, FeedId};
use ingest::{
    Feeds,
    collect::{
        Admission,
        syslog::{SyslogDoor, SyslogLimits, serve_datagrams},
    },
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

struct Door {
    address: SocketAddr,
    bus: Arc<MemoryBus>,
    meter: Arc<MemoryMeter>,
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
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve_datagrams(socket, door, cancel.clone()));
    Door { address, bus, meter, cancel, served }
}

impl Door {
    async fn send(&self, datagrams: &[&[u8]]) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for datagram in datagrams {
            socket.send_to(datagram, self.address).await.unwrap();
        }
    }

    async fn wait_for_rejected(&self, reason: &str, count: u64) {
        for _ in 0..2_000 {
            if self.meter.rejected(reason) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{reason}: {} of {count}", self.meter.rejected(reason));
    }
}

fn bound(door: &mut SyslogDoor) {
    door.feed = Some(FeedId::new("dijon-endpoints").unwrap());
}

#[tokio::test]
async fn a_datagram_is_a_message_whatever_is_in_it() {
    let limits = SyslogLimits { frame_bytes_max: 4 << 10, ..SyslogLimits::default() };
    let door = open(limits, bound).await;
    let long = vec![b'x'; 4 << 10];
    let too_long = vec![b'y'; (4 << 10) + 1];
    door.send(&[
        b"<34>Oct 11 22:14:15 fw denied",
        b"<13>1 - h a - - - two\nlines\n",
        b"",
        b"\n\0",
        &too_long,
        &long,
        b"15 <13>no framing",
        b"\xff\xfe\x00middle\0",
    ])
    .await;
    let raws = door.bus.wait_for(5).await;
    assert_eq!(
        raws[..2],
        ["<34>Oct 11 22:14:15 fw denied", "<13>1 - h a - - - two\nlines"],
        "{raws:?}"
    );
    assert_eq!(raws[2].len(), 4 << 10);
    assert_eq!(raws[3], "15 <13>no framing");
    assert_eq!(door.bus.records()[4].raw, &b"\xff\xfe\x00middle"[..]);
    assert_eq!(raws.len(), 5);
    assert_eq!(door.meter.rejected("frame-too-large"), 1);
}

#[tokio::test]
async fn keys_and_networks_say_whose_it_is() {
    let door = open(SyslogLimits::default(), |_| {}).await;
    let of = |key: &str| format!("<13>1 - h a - - [jacquemart@32473 key=\"{key}\"] text");
    let (dijon, talant, wrong) = (of(DIJON_KEY), of(TALANT_KEY), of("wrong"));
    door.send(&[dijon.as_bytes(), b"<13>1 - h a - - - none", wrong.as_bytes(), talant.as_bytes()])
        .await;
    door.bus.wait_for(2).await;
    let communes: Vec<_> =
        door.bus.records().iter().map(|record| record.commune.to_string()).collect();
    assert_eq!(communes, ["dijon", "talant"]);
    assert!(door.bus.raws().iter().all(|raw| raw.ends_with("[jacquemart@32473] text")));
    door.wait_for_rejected("key-wrong", 1).await;
    assert_eq!(door.meter.rejected("key-missing"), 1);

    let closed = open(SyslogLimits::default(), |door| {
        bound(door);
        door.allow_from = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    closed.send(&[b"<13>stranger"]).await;
    closed.wait_for_rejected("peer-not-allowed", 1).await;
    assert!(closed.bus.raws().is_empty());
}

#[tokio::test]
async fn what_the_bus_has_no_room_for_is_bounded_and_counted() {
    let limits = SyslogLimits {
        datagrams_bytes_max: 20_000,
        batch_records_max: 4,
        close_time_max: Duration::from_millis(300),
        ..SyslogLimits::default()
    };
    let door = open(limits, bound).await;
    door.bus.set_full(true);
    let datagram = [b'x'; 1_000];
    let count = 100;
    for _ in 0..count {
        door.send(&[&datagram]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    door.wait_for_rejected("datagram-dropped", 70).await;
    door.bus.set_full(false);
    let dropped = door.meter.rejected("datagram-dropped") as usize;
    let kept = door.bus.wait_for(count - dropped).await.len();
    assert_eq!(kept + dropped, count, "every datagram is kept or counted");
    assert!(kept >= 15, "{kept}");

    // Closing takes what had arrived, and gives up in time where the bus stays full.
    door.send(&[&datagram]).await;
    door.cancel.cancel();
    timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap();
    assert_eq!(door.bus.raws().len(), kept + 1);
    let full = open(
        SyslogLimits { close_time_max: Duration::from_millis(200), ..SyslogLimits::default() },
        bound,
    )
    .await;
    full.bus.set_full(true);
    full.send(&[&datagram]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    full.cancel.cancel();
    timeout(Duration::from_secs(5), full.served).await.unwrap().unwrap();
    assert_eq!(full.meter.rejected("lost-at-close"), 1);
}

#[tokio::test]
async fn util_linux_logger_is_understood() {
    if Command::new("logger").arg("--version").output().is_err() {
        eprintln!("skipped: logger (util-linux) is not installed (apt-get install bsdutils)");
        return;
    }
    let door = open(SyslogLimits::default(), bound).await;
    let port = door.address.port().to_string();
    for rfc in ["--rfc5424", "--rfc3164"] {
        let output = Command::new("logger")
            .args(["-d", "-n", "127.0.0.1", "-P", &port, "-t", "probe", rfc, "by datagram"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let raws = door.bus.wait_for(2).await;
    assert!(raws.iter().all(|raw| raw.ends_with("by datagram")), "{raws:?}");
    assert_eq!(raws.len(), 2);
}

/// Feeds that fail once, as a fault of ours would.
struct FailsOnce(MemoryFeeds, AtomicBool);

impl Feeds for FailsOnce {
    fn by_key(&self, key: &str) -> Option<Arc<Feed>> {
        self.0.by_key(key)
    }

    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>> {
        assert!(!self.1.swap(false, Ordering::SeqCst), "a fault that the test makes");
        self.0.by_id(id)
    }
}

#[tokio::test]
async fn a_datagram_that_we_fail_on_does_not_end_the_listener() {
    let door = open(SyslogLimits::default(), |door| {
        bound(door);
        door.feeds = Arc::new(FailsOnce(MemoryFeeds::default(), AtomicBool::new(true)));
    })
    .await;
    door.send(&[b"<13>1 - h a - - - fails"]).await;
    // The next ones may still be lost with it; those after are not.
    for number in 0..2_000 {
        door.send(&[format!("<13>1 - h a - - - {number}").as_bytes()]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if door.meter.rejected("internal") == 1 && !door.bus.raws().is_empty() {
            break;
        }
    }
    assert_eq!(door.meter.rejected("internal"), 1);
    assert!(!door.bus.raws().is_empty());
    door.cancel.cancel();
    door.served.await.unwrap();
}
