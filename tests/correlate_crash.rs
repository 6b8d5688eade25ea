//! Correlations lose nothing and repeat nothing, at whatever moment SIGKILL comes.
//!
//! Each host has three attacks, sent in different requests, mostly in different lives of the
//! centre. A correlation that wants three of them fires once for each host whose three arrived,
//! and for no other.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Centre, process_event};

/// SIGKILLs; `CRASH_TEST_KILLS` raises it.
const KILLS: u32 = 20;
/// Hosts whose attacks are interleaved, so that their windows span requests and kills.
const STRIDE: u64 = 90;

const RULES: &str = "
title: Marker
id: 7f3a5a0e-0c7e-4a52-9d0b-0a5f8a3c9d21
name: marker
logsource: {category: process_creation, product: windows}
detection: {s: {CommandLine|contains: correlate-crash-test}, condition: s}
level: high
---
title: Three markers
id: 7f3a5a0e-0c7e-4a52-9d0b-0a5f8a3c9d22
level: high
correlation: {type: event_count, rules: [marker], group-by: [Computer], timespan: 1h, condition: {gte: 3}}
";

/// The host of a record: of each stride's records three go to one host.
fn host(number: u64) -> String {
    format!("pc-{}", number / STRIDE * (STRIDE / 3) + number % (STRIDE / 3))
}

#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<u64>,
    unknown: BTreeSet<u64>,
}

#[test]
fn correlations_survive_sigkill_exactly_once() {
    let kills = std::env::var("CRASH_TEST_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let seed = std::env::var("CRASH_TEST_SEED")
        .map_or_else(|_| event::Timestamp::now().as_nanos().unsigned_abs(), |n| n.parse().unwrap());
    eprintln!("correlate crash test: {kills} kills, CRASH_TEST_SEED={seed}");
    let mut centre = Centre::new(
        "[journal]\nsegment_bytes = \"1 MiB\"\njournal_bytes_max = \"64 MiB\"\n\
         [correlate]\nlateness_ms = 400\nsnapshot_s = 0\n[log]\nfilter = \"warn\"\n",
    );
    std::fs::create_dir(centre.path("rules")).unwrap();
    std::fs::write(centre.path("rules/marker.yml"), RULES).unwrap();
    let config = std::fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let rules = format!("[rules]\nbuiltin = false\npaths = [{:?}]\n", centre.path("rules"));
    std::fs::write(centre.path("jacquemart.toml"), config + &rules).unwrap();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sender = {
        let (ledger, next, done) = (Arc::clone(&ledger), Arc::clone(&next), Arc::clone(&done));
        let (url, key) = (format!("{}/ingest", centre.ingest), key);
        std::thread::spawn(move || send(&url, &key, &ledger, &next, &done))
    };
    let mut random = seed;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(50 + draw(&mut random) % 900));
        centre.kill();
        centre.start();
    }
    // On a slow machine little is sent between two kills: the strides at hand come to their end.
    let (until, enough) =
        (Instant::now() + Duration::from_secs(60), next.load(Ordering::Relaxed) + 2 * STRIDE);
    while next.load(Ordering::Relaxed) < enough && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    done.store(true, Ordering::Relaxed);
    sender.join().unwrap();

    let ledger = ledger.lock().unwrap();
    assert!(ledger.acknowledged.len() > 100, "only {}", ledger.acknowledged.len());
    let expected = expected(&centre, &ledger);
    assert!(expected.len() > 10, "only {} hosts are complete", expected.len());
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let found = incidents(&centre);
        let hosts: BTreeSet<String> = found.keys().cloned().collect();
        if hosts == expected || Instant::now() > until {
            assert_eq!(hosts, expected, "{}", centre.log());
            for (host, counts) in &found {
                assert_eq!(counts, &[1], "{host} has incidents with so many detections");
            }
            break;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    eprintln!(
        "correlate crash test: {} acknowledged, {} without answer, {} correlations, each once",
        ledger.acknowledged.len(),
        ledger.unknown.len(),
        expected.len()
    );
    centre.stop();
}

/// xorshift64*: any sequence will do, as long as the seed gives it again.
fn draw(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
}

fn send(url: &str, key: &str, ledger: &Mutex<Ledger>, next: &AtomicU64, done: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        while !done.load(Ordering::Relaxed) {
            let first = next.fetch_add(5, Ordering::Relaxed);
            let numbers = first..first + 5;
            let body: String = numbers
                .clone()
                .map(|n| {
                    let event = process_event(&host(n), &format!("correlate-crash-test #{n}#"));
                    format!("{event}\n")
                })
                .collect();
            let answer = http.post(url).bearer_auth(key).body(body).send().await;
            let acknowledged = matches!(&answer, Ok(answer) if answer.status() == 200);
            {
                let mut ledger = ledger.lock().unwrap();
                if acknowledged {
                    ledger.acknowledged.extend(numbers);
                } else {
                    ledger.unknown.extend(numbers);
                }
            }
            // While nobody answers, few numbers are spent.
            tokio::time::sleep(Duration::from_millis(if acknowledged { 30 } else { 300 })).await;
        }
    });
}

/// The hosts all three of whose records are there, acknowledged or not.
fn expected(centre: &Centre, ledger: &Ledger) -> BTreeSet<String> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let numbers = numbers(centre);
        if ledger.acknowledged.iter().all(|n| numbers.contains(n)) {
            let mut per_host: BTreeMap<String, u32> = BTreeMap::new();
            for number in numbers {
                *per_host.entry(host(number)).or_default() += 1;
            }
            return per_host.into_iter().filter(|(_, n)| *n == 3).map(|(host, _)| host).collect();
        }
        assert!(Instant::now() < until, "acknowledged but lost\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn numbers(centre: &Centre) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut args = vec!["hunt", "", "--limit", "1000", "--since", "1d", "-o", "json"];
        if let Some(cursor) = &cursor {
            args.extend(["--cursor", cursor]);
        }
        let output = centre.run(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let command_line = event["process"]["command_line"].as_str().unwrap();
            found.insert(command_line.split('#').nth(1).unwrap().parse().unwrap());
        }
        match errors.split("--cursor ").nth(1) {
            Some(next) => cursor = Some(next.trim().to_owned()),
            None => return found,
        }
    }
}

/// Per host the detection counts of its incidents.
fn incidents(centre: &Centre) -> BTreeMap<String, Vec<u64>> {
    let mut hosts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder()
            .unix_socket(centre.path("data/jacquemart.sock"))
            .build()
            .unwrap();
        let mut cursor = String::new();
        loop {
            let url = format!("http://localhost/api/v1/incidents?limit=1000{cursor}");
            let answer: Value = http.get(url).send().await.unwrap().json().await.unwrap();
            for incident in answer["items"].as_array().unwrap() {
                for entity in incident["entities"].as_array().unwrap() {
                    if entity["kind"] == "host" {
                        let name = entity["name"].as_str().unwrap().to_owned();
                        let count = incident["detections"].as_u64().unwrap();
                        hosts.entry(name).or_default().push(count);
                    }
                }
            }
            match answer["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return,
            }
        }
    });
    hosts
}
