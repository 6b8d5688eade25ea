//! The bus contract on real Apache Kafka, and what only it has: members that share partitions,
//! brokers that go away.
#![cfg(feature = "kafka")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod kafka_support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use contract::Backend;
use ingest::bus::{
    AppendError, Bus, Group, PollLimit, Polled, Reader, Topic,
    kafka::{Kafka, KafkaConfig, SetupError, TopicPlan, check, init},
};
use kafka_support::{Cluster, jars};

const LIMIT: PollLimit = PollLimit { records_max: 100, bytes_max: 1 << 20 };
const PATIENCE: Duration = Duration::from_secs(60);

/// A prefix that no other test has.
fn config(cluster: &Cluster) -> KafkaConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut config = KafkaConfig::new(cluster.addresses());
    config.prefix = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
    config
}

fn plan(partitions: u32) -> TopicPlan {
    TopicPlan { records_partitions: partitions, ..TopicPlan::default() }
}

struct Topics<'a> {
    cluster: &'a Cluster,
    partitions: u32,
    config: KafkaConfig,
}

#[async_trait]
impl Backend for Topics<'_> {
    async fn fresh(&mut self) -> Arc<dyn Bus> {
        self.config = config(self.cluster);
        init(&self.config, &plan(self.partitions)).await.unwrap();
        Kafka::open(self.config.clone()).await.unwrap()
    }

    async fn reopen(&mut self) -> Arc<dyn Bus> {
        Kafka::open(self.config.clone()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_keeps_the_contract() {
    let Some(jars) = jars() else { return };
    let cluster = Cluster::start(&jars, 1);
    for partitions in [1, 4] {
        contract::run(&mut Topics { cluster: &cluster, partitions, config: config(&cluster) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_created_once_and_checked() {
    let Some(jars) = jars() else { return };
    let cluster = Cluster::start(&jars, 1);
    let config = config(&cluster);
    let missing = Kafka::open(config.clone()).await.err().unwrap();
    assert!(matches!(missing, SetupError::TopicMissing(_)), "{missing}");
    assert!(missing.to_string().contains("jacquemart bus init"), "{missing}");
    let found = check(&config, &plan(3)).await.unwrap();
    assert!(found.iter().any(|finding| !finding.ok), "{found:?}");

    let done = init(&config, &plan(3)).await.unwrap();
    assert_eq!(done.len(), 4, "three topics and the id: {done:?}");
    let bus = Kafka::open(config.clone()).await.unwrap();
    assert_eq!((bus.partitions(Topic::Records), bus.partitions(Topic::Detections)), (3, 1));
    assert_eq!(init(&config, &plan(3)).await.unwrap(), Vec::<String>::new(), "nothing to do");
    let again = Kafka::open(config.clone()).await.unwrap();
    assert_eq!(again.id(), bus.id());
    let found = check(&config, &plan(3)).await.unwrap();
    assert!(found.iter().all(|finding| finding.ok), "{found:?}");

    // More partitions, and a longer retention, are asked for than there are.
    let wish = TopicPlan { retention: Duration::from_secs(365 * 86_400), ..plan(9) };
    let wrong: Vec<String> = check(&config, &wish)
        .await
        .unwrap()
        .into_iter()
        .filter(|finding| !finding.ok)
        .map(|finding| finding.what)
        .collect();
    assert!(wrong.iter().any(|what| what.ends_with("partitions")), "{wrong:?}");
    assert!(wrong.iter().any(|what| what.ends_with("retention.ms")), "{wrong:?}");

    // A bus that would write messages that the topics refuse is not opened.
    let larger = KafkaConfig { message_bytes_max: 64 << 20, ..config.clone() };
    let refused = Kafka::open(larger).await.err().unwrap();
    assert!(refused.to_string().contains("max.message.bytes"), "{refused}");
    let nowhere = KafkaConfig { brokers: "127.0.0.1:9".to_owned(), ..config };
    let unreachable = Kafka::open(nowhere).await.err().unwrap();
    assert!(matches!(unreachable, SetupError::Unreachable { .. }), "{unreachable}");
}

/// Reads what comes until `seen` has everything of `expected`, committing as it goes.
async fn read_until(
    reader: &mut Box<dyn Reader>,
    seen: &std::sync::Mutex<BTreeSet<String>>,
    expected: usize,
) -> u64 {
    let mut read = 0;
    let reading = async {
        while seen.lock().unwrap().len() < expected {
            if let Polled::Batch(batch) =
                reader.poll(LIMIT, Duration::from_millis(100)).await.unwrap()
            {
                for entry in &batch.entries {
                    let text = String::from_utf8(entry.payload.to_vec()).unwrap();
                    seen.lock().unwrap().insert(text);
                    read += 1;
                }
                reader.commit(batch.partition, batch.next()).await.unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("everything within the patience");
    read
}

/// Appends until the bus takes it, as a sender does; what it says is kept is kept.
async fn send(bus: &Arc<dyn Bus>, key: &str, text: &str) {
    let sending = async {
        loop {
            let payload = Bytes::copy_from_slice(text.as_bytes());
            match bus.append(Topic::Records, key, vec![payload]).await {
                Ok(_) => return,
                Err(error) => {
                    assert!(error.is_passing(), "{error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.expect("taken within the patience");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_share_the_partitions_and_take_over() {
    let Some(jars) = jars() else { return };
    let cluster = Cluster::start(&jars, 1);
    let config = config(&cluster);
    init(&config, &plan(6)).await.unwrap();
    let bus: Arc<dyn Bus> = Kafka::open(config).await.unwrap();
    let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let mut first = bus.reader(Topic::Records, Group::Detect).await.unwrap();
    for number in 0..60 {
        send(&bus, &number.to_string(), &number.to_string()).await;
    }
    assert_eq!(read_until(&mut first, &seen, 60).await, 60);

    // A second member gets partitions of its own; both read until everything is seen.
    let (other_bus, other_seen) = (Arc::clone(&bus), Arc::clone(&seen));
    let second = tokio::spawn(async move {
        let mut second = other_bus.reader(Topic::Records, Group::Detect).await.unwrap();
        let mut assigned = Vec::new();
        while assigned.is_empty() {
            if let Polled::Assigned(partitions) =
                second.poll(LIMIT, Duration::from_millis(100)).await.unwrap()
            {
                assigned = partitions;
            }
        }
        let read = read_until(&mut second, &other_seen, 160).await;
        (assigned.len(), read)
    });
    let (sending, key) = (Arc::clone(&bus), |number: u32| number.to_string());
    let sender = tokio::spawn(async move {
        for number in 60..160 {
            send(&sending, &key(number), &key(number)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    read_until(&mut first, &seen, 160).await;
    sender.await.unwrap();
    let (assigned, read) = second.await.unwrap();
    assert!((1..6).contains(&assigned), "the second got {assigned} of 6");
    assert!(read > 0, "the second read something");

    // It is gone now; the first goes on with all of it.
    for number in 160..200 {
        send(&bus, &number.to_string(), &number.to_string()).await;
    }
    read_until(&mut first, &seen, 200).await;
    let status = bus.status().await;
    assert_eq!(status.stopped, None);
    let behind: u64 =
        status.lags.iter().filter(|lag| lag.group == Group::Detect).map(|lag| lag.behind).sum();
    assert_eq!(behind, 0, "{:?}", status.lags);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_is_handed_on_as_it_is() {
    use rdkafka::{
        ClientConfig,
        producer::{FutureProducer, FutureRecord},
    };
    let Some(jars) = jars() else { return };
    let cluster = Cluster::start(&jars, 1);
    let config = config(&cluster);
    init(&config, &plan(1)).await.unwrap();
    let bus: Arc<dyn Bus> = Kafka::open(config.clone()).await.unwrap();
    send(&bus, "key", "ours").await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &config.brokers).create().unwrap();
    let topic = format!("{}.records", config.prefix);
    let record = FutureRecord::to(&topic).key("key").payload("not ours");
    producer.send(record, PATIENCE).await.unwrap();
    send(&bus, "key", "ours again").await;
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let mut reader = bus.reader(Topic::Records, Group::Detect).await.unwrap();
    assert_eq!(read_until(&mut reader, &seen, 3).await, 3);
    assert!(seen.lock().unwrap().contains("not ours"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_may_die_pause_and_come_back() {
    let Some(jars) = jars() else { return };
    let mut cluster = Cluster::start(&jars, 3);
    let mut config = config(&cluster);
    config.delivery_timeout = Duration::from_secs(5);
    let plan = TopicPlan { replication: 3, min_insync_replicas: 2, ..plan(3) };
    // A broker that listens may still be unknown to the controller.
    for try_number in 0.. {
        match init(&config, &plan).await {
            Ok(_) => break,
            Err(error) if try_number < 50 => {
                eprintln!("the cluster is not whole yet: {error}");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let bus: Arc<dyn Bus> = Kafka::open(config).await.unwrap();
    let mut reader = bus.reader(Topic::Records, Group::Detect).await.unwrap();
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let mut sent = 0;
    for fault in 0..4 {
        match fault {
            1 => cluster.kill(0),
            2 => {
                cluster.restart(0);
                cluster.signal(1, "STOP");
            }
            3 => cluster.signal(1, "CONT"),
            _ => {}
        }
        for _ in 0..20 {
            send(&bus, &sent.to_string(), &sent.to_string()).await;
            sent += 1;
        }
        read_until(&mut reader, &seen, sent).await;
    }

    // With two of three gone nothing is acknowledged, and nothing that was is lost.
    cluster.kill(0);
    cluster.kill(2);
    let payload = vec![Bytes::from_static(b"refused")];
    let refused = bus.append(Topic::Records, "key", payload).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    cluster.restart(0);
    cluster.restart(2);
    send(&bus, "last", "last").await;
    read_until(&mut reader, &seen, sent + 1).await;
    bus.close().await;
}
