//! What was acknowledged survives SIGKILL, exactly once, at whatever moment it comes.

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
const KILLS: u32 = 50;
const SENDERS: u64 = 3;
/// One record in so many is an attack, on a host of its own.
const ATTACK_EVERY: u64 = 23;

const RULE: &str = "
title: Crash test marker
id: 7f3a5a0e-0c7e-4a52-9d0b-0a5f8a3c9d11
status: test
logsource: {category: process_creation, product: windows}
detection:
    selection: {CommandLine|contains: 'crash-test-attack'}
    condition: selection
level: high
";

/// What the senders know.
#[derive(Default)]
struct Ledger {
    /// Numbers whose batch was acknowledged.
    acknowledged: BTreeSet<u64>,
    /// Numbers whose batch got no answer: they may be there once, or not at all.
    unknown: BTreeSet<u64>,
}

fn is_attack(number: u64) -> bool {
    number.is_multiple_of(ATTACK_EVERY)
}

fn record(number: u64) -> Value {
    if is_attack(number) {
        process_event(&format!("pc-{number}"), &format!("cmd.exe /c crash-test-attack #{number}#"))
    } else {
        process_event(&format!("pc-{}", number % 50), &format!("cmd.exe /c dir #{number}#"))
    }
}

#[test]
fn acknowledged_records_and_incidents_survive_sigkill_exactly_once() {
    let kills = std::env::var("CRASH_TEST_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let seed = std::env::var("CRASH_TEST_SEED")
        .map_or_else(|_| event::Timestamp::now().as_nanos().unsigned_abs(), |n| n.parse().unwrap());
    eprintln!("crash test: {kills} kills, CRASH_TEST_SEED={seed}");
    // Small segments and frequent checkpoints, so that kills hit rolls, seals and retention.
    let mut centre = Centre::new(
        "[journal]\nsegment_bytes = \"1 MiB\"\njournal_bytes_max = \"64 MiB\"\n\
         [index]\nrefresh_ms = 100\ncheckpoint_age_max_s = 1\ncheckpoint_events_max = 400\n\
         [log]\nfilter = \"warn\"\n",
    );
    std::fs::create_dir(centre.path("rules")).unwrap();
    std::fs::write(centre.path("rules/marker.yml"), RULE).unwrap();
    let config = std::fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let rules = format!("[rules]\nbuiltin = false\npaths = [{:?}]\n", centre.path("rules"));
    std::fs::write(centre.path("jacquemart.toml"), config + &rules).unwrap();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (next, done) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (ledger, next, done) = (Arc::clone(&ledger), Arc::clone(&next), Arc::clone(&done));
            let (url, key) = (format!("{}/ingest", centre.ingest), key.clone());
            std::thread::spawn(move || send(&url, &key, &ledger, &next, &done))
        })
        .collect();

    let mut random = seed;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(20 + draw(&mut random) % 600));
        centre.kill();
        centre.start();
    }
    done.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }

    let ledger = ledger.lock().unwrap();
    assert!(ledger.acknowledged.len() > 1_000, "only {} acknowledged", ledger.acknowledged.len());
    let found = wait_for_events(&centre, &ledger);
    let incidents = wait_for_incidents(&centre, &ledger, &found);
    eprintln!(
        "crash test: {} acknowledged, {} without answer, {} found, {} incidents",
        ledger.acknowledged.len(),
        ledger.unknown.len(),
        found.len(),
        incidents
    );

    // What is there must be there again after an orderly end, through sealed splits alone.
    centre.stop();
    let again = numbers(&centre);
    assert_eq!(again, found);
    let quarantine = centre.path("data/journal");
    assert!(!has_quarantine(&quarantine), "a crash must leave no damage behind");
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
            let first = next.fetch_add(20, Ordering::Relaxed);
            let numbers = first..first + 20;
            let body: String = numbers.clone().map(|n| format!("{}\n", record(n))).collect();
            let answer = http.post(url).bearer_auth(key).body(body).send().await;
            let acknowledged = match answer {
                Ok(answer) if answer.status() == 200 => {
                    let text = answer.text().await.unwrap_or_default();
                    serde_json::from_str::<Value>(&text)
                        .is_ok_and(|answer| answer["accepted"] == 20)
                }
                Ok(answer) => {
                    let status = answer.status();
                    assert!(status == 503 || status == 429, "{status}: {:?}", answer.text().await);
                    false
                }
                Err(_) => false,
            };
            {
                let mut ledger = ledger.lock().unwrap();
                if acknowledged {
                    ledger.acknowledged.extend(numbers);
                } else {
                    ledger.unknown.extend(numbers);
                }
            }
            tokio::time::sleep(Duration::from_millis(if acknowledged { 25 } else { 30 })).await;
        }
    });
}

/// How often each number is found; the number stands between `#`s in the command line.
fn numbers(centre: &Centre) -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    let output = centre.run(&["hunt", "", "--all", "--since", "1d", "-o", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let command_line =
            event["process"]["command_line"].as_str().unwrap_or_else(|| panic!("{event}"));
        let number = command_line.split('#').nth(1).unwrap().parse().unwrap();
        *found.entry(number).or_insert(0) += 1;
    }
    found
}

fn wait_for_events(centre: &Centre, ledger: &Ledger) -> BTreeMap<u64, u32> {
    // A fast machine acknowledges more than it indexes meanwhile, and listing it all takes long.
    let until = Instant::now() + Duration::from_secs(240);
    loop {
        let found = numbers(centre);
        let missing = ledger.acknowledged.iter().filter(|n| !found.contains_key(n)).count();
        let late = Instant::now() > until;
        if missing == 0 || late {
            let lost: Vec<_> =
                ledger.acknowledged.iter().filter(|n| !found.contains_key(n)).collect();
            assert!(lost.is_empty(), "acknowledged but lost: {lost:?}\n{}", centre.log());
            let doubled: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
            assert!(doubled.is_empty(), "found more than once: {doubled:?}");
            let strange: Vec<_> = found
                .keys()
                .filter(|n| !ledger.acknowledged.contains(n) && !ledger.unknown.contains(n))
                .collect();
            assert!(strange.is_empty(), "never sent: {strange:?}");
            return found;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Each attack that is there has one incident with one detection; how many there are.
fn wait_for_incidents(centre: &Centre, ledger: &Ledger, found: &BTreeMap<u64, u32>) -> usize {
    let expected: BTreeSet<String> =
        found.keys().filter(|n| is_attack(**n)).map(|n| format!("pc-{n}")).collect();
    assert!(ledger.acknowledged.iter().any(|n| is_attack(*n)));
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let hosts = incident_hosts(centre);
        if hosts.keys().cloned().collect::<BTreeSet<_>>() == expected || Instant::now() > until {
            assert_eq!(
                hosts.keys().cloned().collect::<BTreeSet<_>>(),
                expected,
                "{}",
                centre.log()
            );
            for (host, counts) in &hosts {
                assert_eq!(counts, &[1], "{host} has incidents with so many detections");
            }
            return hosts.len();
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Per host the detection counts of its incidents.
fn incident_hosts(centre: &Centre) -> BTreeMap<String, Vec<u64>> {
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
                        hosts
                            .entry(name)
                            .or_default()
                            .push(incident["detections"].as_u64().unwrap());
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

fn has_quarantine(dir: &std::path::Path) -> bool {
    std::fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        let is_quarantine = path.file_name().is_some_and(|name| name == "quarantine");
        if is_quarantine {
            std::fs::read_dir(&path).is_ok_and(|mut files| files.next().is_some())
        } else {
            path.is_dir() && has_quarantine(&path)
        }
    })
}
