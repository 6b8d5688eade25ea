//! The contract of a bus, as tests that run on every backend.
//!
//! A backend implements [`Backend`]; [`run`] then takes it through every case, each on a bus of
//! its own. Nothing here knows the journal: partitions, gaps and idle polls are as the trait
//! docs allow them.

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use ingest::bus::{AppendError, Batch, Bus, BusError, Group, PollLimit, Polled, Reader, Topic};

/// A small bus for the tests.
#[async_trait]
pub(crate) trait Backend: Send {
    /// A new, empty bus that takes payloads of 1 MiB, and not more than a few MiB in all if it
    /// is bounded.
    async fn fresh(&mut self) -> Arc<dyn Bus>;

    /// The bus that `fresh` gave last, opened again. Every handle of it has been dropped.
    async fn reopen(&mut self) -> Arc<dyn Bus>;
}

/// Largest payload that every backend takes.
const LARGE_BYTES: usize = 1 << 20;
const LIMIT: PollLimit = PollLimit { records_max: 1000, bytes_max: 1 << 20 };
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one case may take on a slow machine.
const CASE_MAX: Duration = Duration::from_secs(240);
const SHORT: Duration = Duration::from_millis(50);

/// Runs every case, none for longer than [`CASE_MAX`]: what hangs is named.
pub(crate) async fn run(backend: &mut impl Backend) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {$(
            let case = tokio::time::timeout(CASE_MAX, $case(backend));
            case.await.expect(concat!(stringify!($case), " ends"));
        )*};
    }
    cases![
        order_is_kept,
        a_batch_is_taken_wholly_or_not,
        producers_run_at_once,
        groups_are_independent,
        a_commit_outlives_the_bus,
        a_reader_seeks,
        a_poll_keeps_its_limit,
        a_reader_wakes_when_something_comes,
        a_full_bus_refuses_until_readers_commit,
        large_and_empty_payloads_come_back,
        dropping_calls_loses_nothing,
        topics_are_apart,
        closing_drains,
    ];
}

fn payload(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

async fn append(bus: &Arc<dyn Bus>, texts: &[&str]) -> ingest::bus::Appended {
    let payloads = texts.iter().map(payload).collect();
    bus.append(Topic::Records, "key", payloads).await.unwrap()
}

async fn reader(bus: &Arc<dyn Bus>, group: Group) -> Box<dyn Reader> {
    bus.reader(Topic::Records, group).await.unwrap()
}

/// The next batch, past what else polling says.
async fn next_batch(reader: &mut Box<dyn Reader>, limit: PollLimit) -> Batch {
    let wait = async {
        loop {
            if let Polled::Batch(batch) = reader.poll(limit, SHORT).await.unwrap() {
                return batch;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("a batch within the patience")
}

/// Reads `count` payloads: by partition, in the order they came.
async fn read(reader: &mut Box<dyn Reader>, count: usize) -> BTreeMap<u32, Vec<(u64, Bytes)>> {
    let mut got: BTreeMap<u32, Vec<(u64, Bytes)>> = BTreeMap::new();
    let mut taken = 0;
    while taken < count {
        let batch = next_batch(reader, LIMIT).await;
        assert!(!batch.entries.is_empty());
        let entries = got.entry(batch.partition).or_default();
        for entry in batch.entries {
            let last = entries.last().map_or(-1, |(offset, _)| *offset as i128);
            assert!(i128::from(entry.offset) > last, "offsets grow");
            entries.push((entry.offset, entry.payload));
            taken += 1;
        }
    }
    assert_eq!(taken, count, "nothing but what was appended");
    got
}

async fn read_texts(reader: &mut Box<dyn Reader>, count: usize) -> Vec<String> {
    let got = read(reader, count).await;
    let texts = got.into_values().flatten();
    texts.map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap()).collect()
}

/// Gives a call one turn, then drops it.
fn once<T>(call: impl Future<Output = T>) -> Option<T> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

async fn assert_idle(reader: &mut Box<dyn Reader>) {
    loop {
        match reader.poll(LIMIT, SHORT).await.unwrap() {
            Polled::Idle => return,
            Polled::Batch(batch) => panic!("nothing should be left, but {batch:?}"),
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
}

async fn order_is_kept(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    assert!(bus.partitions(Topic::Records) >= 1);
    let mut expected = Vec::new();
    for batch in 0..200 {
        let texts: Vec<String> = (0..batch % 5 + 1).map(|at| format!("{batch}-{at}")).collect();
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let appended = append(&bus, &refs).await;
        assert_eq!(appended.count, texts.len() as u64);
        expected
            .extend((appended.first..).zip(texts).map(|(offset, text)| (offset, payload(text))));
    }
    let mut reader = reader(&bus, Group::Detect).await;
    let got = read(&mut reader, expected.len()).await;
    assert_eq!(got.into_values().collect::<Vec<_>>(), [expected], "one key, one partition");
    assert_idle(&mut reader).await;
}

async fn a_batch_is_taken_wholly_or_not(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    append(&bus, &["before"]).await;
    let huge = Bytes::from(vec![1; 64 << 20]);
    let payloads = vec![payload("small"), huge, payload("small too")];
    let refused = bus.append(Topic::Records, "key", payloads).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { index: 1, .. })), "{refused:?}");
    let none = bus.append(Topic::Records, "key", Vec::new()).await.unwrap();
    assert_eq!(none.count, 0);
    append(&bus, &["after"]).await;
    let mut reader = reader(&bus, Group::Detect).await;
    assert_eq!(read_texts(&mut reader, 2).await, ["before", "after"]);
    assert_idle(&mut reader).await;
}

async fn producers_run_at_once(backend: &mut impl Backend) {
    const PRODUCERS: usize = 64;
    const BATCHES: usize = 20;
    let bus = backend.fresh().await;
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let bus = Arc::clone(&bus);
        producers.spawn(async move {
            for batch in 0..BATCHES {
                let texts = [0, 1].map(|at| format!("{producer} {}", batch * 2 + at));
                let payloads = texts.iter().map(payload).collect();
                bus.append(Topic::Records, &producer.to_string(), payloads).await.unwrap();
            }
        });
    }
    let mut reader = reader(&bus, Group::Detect).await;
    let got = read(&mut reader, PRODUCERS * BATCHES * 2).await;
    while let Some(done) = producers.join_next().await {
        done.unwrap();
    }
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, payload) in got.into_values().flatten() {
        let text = std::str::from_utf8(&payload).unwrap();
        let (producer, number) = text.split_once(' ').unwrap();
        let next = seen.entry(producer.parse().unwrap()).or_default();
        assert_eq!(number.parse::<usize>().unwrap(), *next, "each producer's order is kept");
        *next += 1;
    }
    assert!(seen.len() == PRODUCERS && seen.values().all(|count| *count == BATCHES * 2));
}

async fn groups_are_independent(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    append(&bus, &["a", "b", "c"]).await;
    let mut detect = reader(&bus, Group::Detect).await;
    let got = read(&mut detect, 3).await;
    for (partition, entries) in got {
        detect.commit(partition, entries.last().unwrap().0 + 1).await.unwrap();
    }
    let mut index = reader(&bus, Group::Index).await;
    assert_eq!(read_texts(&mut index, 3).await, ["a", "b", "c"]);
    let status = bus.status().await;
    let lag = |group| {
        let lags = status.lags.iter().filter(|lag| lag.group == group);
        lags.map(|lag| lag.behind).sum::<u64>()
    };
    // Three payloads of one append, and a bus may count either.
    assert_eq!(lag(Group::Detect), 0);
    assert!((1..=3).contains(&lag(Group::Index)));
    assert!(status.quarantined.is_empty() && status.stopped.is_none());
}

async fn a_commit_outlives_the_bus(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let id = bus.id();
    append(&bus, &["a", "b", "c", "d"]).await;
    let mut detect = reader(&bus, Group::Detect).await;
    let batch = next_batch(&mut detect, PollLimit { records_max: 2, ..LIMIT }).await;
    detect.commit(batch.partition, batch.next()).await.unwrap();
    // Going back is no error and changes nothing.
    detect.commit(batch.partition, 0).await.unwrap();
    drop(detect);
    let mut again = reader(&bus, Group::Detect).await;
    assert_eq!(read_texts(&mut again, 2).await, ["c", "d"]);
    drop(again);
    bus.close().await;
    drop(bus);

    let bus = backend.reopen().await;
    assert_eq!(bus.id(), id);
    append(&bus, &["e"]).await;
    let mut detect = reader(&bus, Group::Detect).await;
    assert_eq!(read_texts(&mut detect, 3).await, ["c", "d", "e"]);
    let mut index = reader(&bus, Group::Index).await;
    assert_eq!(read_texts(&mut index, 5).await, ["a", "b", "c", "d", "e"]);
}

async fn a_reader_seeks(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let texts: Vec<String> = (0..100).map(|at| at.to_string()).collect();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (early, late) = refs.split_at(50);
    let first = append(&bus, early).await;
    let second = append(&bus, late).await;
    let mut reader = reader(&bus, Group::Detect).await;
    read(&mut reader, 100).await;
    for from in [0_usize, 1, 49, 50, 99] {
        let offset = match from.checked_sub(early.len()) {
            Some(from) => second.first + from as u64,
            None => first.first + from as u64,
        };
        reader.seek(first.partition, offset).await.unwrap();
        assert_eq!(read_texts(&mut reader, 100 - from).await, refs[from..]);
    }
    reader.seek(first.partition, u64::MAX).await.unwrap();
    assert_idle(&mut reader).await;
    append(&bus, &["new"]).await;
    assert_eq!(read_texts(&mut reader, 1).await, ["new"]);
}

async fn a_poll_keeps_its_limit(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    append(&bus, &["12345", "12345", "12345", "12345"]).await;
    let mut reader = reader(&bus, Group::Detect).await;
    let sizes = [(2, 100, 2), (10, 9, 1), (10, 1, 1)];
    for (records_max, bytes_max, expected) in sizes {
        let batch = next_batch(&mut reader, PollLimit { records_max, bytes_max }).await;
        assert_eq!(batch.entries.len(), expected);
    }
    assert_idle(&mut reader).await;
}

async fn a_reader_wakes_when_something_comes(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let mut reader = reader(&bus, Group::Detect).await;
    assert_idle(&mut reader).await;
    let waiting = tokio::spawn(async move {
        loop {
            match reader.poll(LIMIT, PATIENCE).await.unwrap() {
                // Partitions may come later than an idle poll.
                Polled::Assigned(_) => {}
                polled => return polled,
            }
        }
    });
    tokio::time::sleep(SHORT).await;
    append(&bus, &["woken"]).await;
    let polled = tokio::time::timeout(PATIENCE / 2, waiting).await.unwrap().unwrap();
    assert!(matches!(polled, Polled::Batch(_)), "{polled:?}");
}

async fn a_full_bus_refuses_until_readers_commit(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    if bus.status().await.max_bytes == 0 {
        eprintln!("not for this bus: it has no bound of its own");
        return;
    }
    let payload = Bytes::from(vec![7; 100_000]);
    let mut appended = 0;
    let refused = loop {
        match bus.append(Topic::Records, "key", vec![payload.clone()]).await {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        assert!(appended < 1000, "a bounded bus fills up");
    };
    let AppendError::Full { used_bytes, max_bytes } = refused else {
        panic!("full, not {refused}");
    };
    assert!(used_bytes <= max_bytes && used_bytes >= appended * 100_000);
    assert!(!bus.has_room(payload.len()));
    for group in [Group::Detect, Group::Index] {
        assert!(!bus.has_room(payload.len()), "the slowest group counts");
        let mut reader = reader(&bus, group).await;
        for (partition, entries) in read(&mut reader, appended as usize).await {
            reader.commit(partition, entries.last().unwrap().0 + 1).await.unwrap();
        }
    }
    assert!(bus.has_room(payload.len()));
    bus.append(Topic::Records, "key", vec![payload]).await.unwrap();
}

async fn large_and_empty_payloads_come_back(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let large: Vec<u8> = (0..LARGE_BYTES).map(|at| (at % 251) as u8).collect();
    let payloads = vec![Bytes::new(), Bytes::from(large), Bytes::new(), payload("end")];
    bus.append(Topic::Records, "key", payloads.clone()).await.unwrap();
    let mut reader = reader(&bus, Group::Detect).await;
    let got = read(&mut reader, payloads.len()).await;
    let got: Vec<Bytes> = got.into_values().flatten().map(|(_, payload)| payload).collect();
    assert_eq!(got, payloads);
}

async fn dropping_calls_loses_nothing(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let mut acknowledged = HashSet::new();
    for number in 0..200_u64 {
        let text = number.to_string();
        let call = bus.append(Topic::Records, "key", vec![payload(&text)]);
        let wait = Duration::from_micros(number * 20);
        if tokio::time::timeout(wait, call).await.is_ok_and(|result| result.is_ok()) {
            acknowledged.insert(text);
        }
    }
    append(&bus, &["last"]).await;
    let mut reader = reader(&bus, Group::Detect).await;
    let mut seen = HashSet::new();
    // First no poll is given more than a moment; what one began the next must carry on.
    let began = Instant::now();
    let first = loop {
        assert!(began.elapsed() < PATIENCE, "polls that are dropped at once get somewhere");
        let limit = PollLimit { records_max: 3, ..LIMIT };
        match once(reader.poll(limit, PATIENCE)) {
            Some(Ok(Polled::Batch(batch))) => break batch,
            Some(polled) => drop(polled.unwrap()),
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    for entry in first.entries {
        seen.insert(String::from_utf8(entry.payload.to_vec()).unwrap());
    }
    for round in 0_u64.. {
        assert!(began.elapsed() < 3 * PATIENCE, "polls that are dropped early get somewhere");
        // Most of these polls are dropped before they end.
        let wait = Duration::from_micros(round % 50 * 20);
        let limit = PollLimit { records_max: 3, ..LIMIT };
        let Ok(polled) = tokio::time::timeout(wait, reader.poll(limit, PATIENCE)).await else {
            continue;
        };
        if let Polled::Batch(batch) = polled.unwrap() {
            for entry in batch.entries {
                let text = String::from_utf8(entry.payload.to_vec()).unwrap();
                assert!(seen.insert(text), "read once");
            }
        }
        if seen.contains("last") {
            break;
        }
    }
    assert!(acknowledged.is_subset(&seen));
}

async fn topics_are_apart(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    append(&bus, &["record"]).await;
    bus.append(Topic::Detections, "key", vec![payload("detection")]).await.unwrap();
    let mut raise = bus.reader(Topic::Detections, Group::Raise).await.unwrap();
    assert_eq!(read_texts(&mut raise, 1).await, ["detection"]);
    assert_idle(&mut raise).await;
    let mut detect = reader(&bus, Group::Detect).await;
    assert_eq!(read_texts(&mut detect, 1).await, ["record"]);
    assert_idle(&mut detect).await;
}

async fn closing_drains(backend: &mut impl Backend) {
    let bus = backend.fresh().await;
    let mut reader = reader(&bus, Group::Detect).await;
    append(&bus, &["a", "b"]).await;
    bus.close().await;
    bus.close().await;
    let refused = bus.append(Topic::Records, "key", vec![payload("late")]).await;
    assert!(matches!(refused, Err(AppendError::Stopped(_))), "{refused:?}");
    assert!(!bus.has_room(1));
    let mut last = 0;
    let mut texts = Vec::new();
    let end = loop {
        match reader.poll(LIMIT, PATIENCE).await {
            Ok(Polled::Batch(batch)) => {
                last = batch.next();
                reader.commit(batch.partition, last).await.unwrap();
                texts.extend(batch.entries.into_iter().map(|entry| entry.payload));
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, BusError::Stopped), "{end}");
    assert_eq!(texts, ["a", "b"]);
    drop(reader);
    drop(bus);
    let bus = backend.reopen().await;
    let committed = bus.status().await.lags.iter().map(|lag| lag.committed).max();
    // A bus may count on from the batch's end to where the next begins.
    assert!(committed >= Some(last), "what was committed after closing is durable");
}
