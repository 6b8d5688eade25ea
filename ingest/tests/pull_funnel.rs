//! Cloud Funnel, from a bucket and a queue of moto.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/support/moto.rs"]
mod moto;

use std::{
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use ingest::{
    outbound::{Access, AwsKey, Client, Limits, Secret},
    pull::{CloudFunnel, Delivered, Outlet, PullError, Puller, Source, StateFile},
};
use moto::Moto;
use serde_json::json;

/// What the tests ask of moto.
trait Asked {
    fn put(&self, key: &str, body: &[u8]);
    fn waiting(&self) -> u32;
    fn puller(&self, secret: &str, kept: &Arc<Kept>, folder: &Path) -> Puller;
}

impl Asked for Moto {
    fn put(&self, key: &str, body: &[u8]) {
        self.script("put", &[key], body);
    }

    fn waiting(&self) -> u32 {
        self.script("count", &[], b"").parse().unwrap()
    }

    fn puller(&self, secret: &str, kept: &Arc<Kept>, folder: &Path) -> Puller {
        let funnel = CloudFunnel {
            queue_url: self.told["queue_url"].as_str().unwrap().parse().unwrap(),
            region: "eu-west-3".to_owned(),
            endpoint: Some(self.url.parse().unwrap()),
            key: AwsKey { id: self.key().to_owned(), secret: Secret::new(secret) },
        };
        let limits = Limits {
            pause: Duration::from_millis(10),
            pause_max: Duration::from_millis(50),
            tries_max: 3,
            ..Limits::default()
        };
        let client = Client::new(Access { limits, ..Access::default() }).unwrap();
        let outlet: Arc<dyn Outlet> = Arc::clone(kept) as _;
        let file = StateFile::new(folder, "funnel");
        Puller::new(Source::CloudFunnel(funnel), client, outlet, file, Duration::ZERO)
    }
}

/// Keeps what it is given, so many batches of it.
struct Kept {
    lines: Mutex<Vec<String>>,
    batches_left: AtomicUsize,
}

impl Kept {
    fn new(batches: usize) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), batches_left: AtomicUsize::new(batches) })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

#[async_trait]
impl Outlet for Kept {
    async fn deliver(&self, records: &[Bytes]) -> Result<Delivered, PullError> {
        let left = self.batches_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(PullError::Outlet("the bus is stopped".to_owned()));
        }
        self.batches_left.store(left - 1, Ordering::SeqCst);
        let mut lines = self.lines.lock().unwrap();
        lines.extend(records.iter().map(|raw| String::from_utf8(raw.to_vec()).unwrap()));
        Ok(Delivered { accepted: records.len() as u64, refused: Vec::new() })
    }
}

fn gzip(lines: &[String]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for line in lines {
        writeln!(encoder, "{line}").unwrap();
    }
    encoder.finish().unwrap()
}

fn lines(of: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| json!({ "event.type": "Process Creation", "of": of, "n": n }).to_string())
        .collect()
}

#[tokio::test]
async fn objects_come_once_and_a_stop_in_the_middle_goes_on() {
    let Some(moto) = Moto::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(usize::MAX);
    // S3 tries the queue when it is set up.
    let mut puller = moto.puller(moto.secret(), &kept, folder.path());
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!((round.accepted, moto.waiting()), (0, 0));

    let (small, large) = (lines("small", 3), lines("large", 9_000));
    moto.put("s1-funnel/2026/11/27/part a+b=1.gz", &gzip(&small));
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!((round.accepted, kept.take(), moto.waiting()), (3, small, 0));

    // The bus stops after two of five batches; the process starts again.
    moto.put("large.gz", &gzip(&large));
    let broken = Kept::new(2);
    let (round, outcome) = moto.puller(moto.secret(), &broken, folder.path()).round().await;
    assert!(outcome.unwrap_err().to_string().contains("the bus is stopped"));
    assert_eq!(round.accepted, 4_000);
    assert_eq!(moto.waiting(), 1, "the message stays");
    let notice = json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": {
        "bucket": { "name": "funnel" }, "object": { "key": "large.gz", "eTag": "told-again" }
    } }] });
    // Its message is kept from others for minutes; another tells of the object under another version,
    // which comes whole, as it is another.
    moto.script("send", &[], notice.to_string().as_bytes());
    let (round, outcome) = moto.puller(moto.secret(), &kept, folder.path()).round().await;
    outcome.unwrap();
    assert_eq!((round.accepted, kept.take()), (9_000, large.clone()));
    // And told of the same version again, nothing comes.
    moto.script("send", &[], notice.to_string().as_bytes());
    let (round, outcome) = moto.puller(moto.secret(), &kept, folder.path()).round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 0);
    assert_eq!(moto.waiting(), 1);
}

#[tokio::test]
async fn what_stopped_in_the_middle_goes_on_where_it_was() {
    let Some(moto) = Moto::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let large = lines("large", 9_000);
    moto.put("large.gz", &gzip(&large));
    // What S3 itself tells is taken away, so that the notices here are the only ones.
    let kept = Kept::new(usize::MAX);
    moto.puller(moto.secret(), &kept, folder.path()).round().await.1.unwrap();
    kept.take();
    let notice = json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": {
        "bucket": { "name": "funnel" }, "object": { "key": "large.gz", "eTag": "another" }
    } }] });
    moto.script("send", &[], notice.to_string().as_bytes());
    let broken = Kept::new(2);
    let (_, outcome) = moto.puller(moto.secret(), &broken, folder.path()).round().await;
    outcome.unwrap_err();
    let first = broken.take();
    moto.script("send", &[], notice.to_string().as_bytes());
    let (round, outcome) = moto.puller(moto.secret(), &kept, folder.path()).round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 5_000);
    assert_eq!([first, kept.take()].concat(), large);
}

#[tokio::test]
async fn a_bad_message_keeps_no_other_from_its_turn_and_a_wrong_key_is_told_without_it() {
    let Some(moto) = Moto::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(usize::MAX);
    let good = lines("good", 10);
    moto.script("send", &[], b"hello");
    let missing = json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": {
        "bucket": { "name": "funnel" }, "object": { "key": "not/there.gz" }
    } }] });
    moto.script("send", &[], missing.to_string().as_bytes());
    let whole = gzip(&lines("cut", 50_000));
    moto.put("cut.gz", &whole[..whole.len() / 2]);
    moto.put("good.gz", &gzip(&good));
    let (_, outcome) = moto.puller(moto.secret(), &kept, folder.path()).round().await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("no notice of S3"), "{error}");
    let came = kept.take();
    assert!(good.iter().all(|line| came.contains(line)));
    let cut = came.iter().filter(|line| line.contains("cut")).count();
    assert!(cut > 1_000 && came.len() == cut + good.len(), "what came before the cut: {cut}");
    assert_eq!(moto.waiting(), 3, "what can't be worked on stays in the queue");

    let (_, outcome) = moto.puller("not-the-secret", &kept, folder.path()).round().await;
    let error = outcome.unwrap_err();
    assert!(error.is_about_proof(), "{error}");
    let error = error.to_string();
    assert!(error.contains("SignatureDoesNotMatch") || error.contains("403"), "{error}");
    assert!(!error.contains("not-the-secret"), "{error}");
}
