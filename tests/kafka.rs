//! The centre on Apache Kafka: its topics, and brokers that go away while it serves.
#![cfg(feature = "kafka")]
#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

#[path = "../ingest/tests/kafka_support/mod.rs"]
#[expect(dead_code, reason = "tests of the bus use all of it")]
mod kafka_support;
mod support;

use std::time::{Duration, Instant};

use kafka_support::{Cluster, jars};
use support::{Centre, process_event};

const PATIENCE: Duration = Duration::from_secs(90);

fn centre(brokers: &str) -> Centre {
    // A message has as long to arrive as a sender would wait.
    Centre::new(&format!(
        "bus = \"kafka://{brokers}\"\n[kafka]\nprefix = \"faults\"\ndelivery_timeout_s = 4\n\
         records_partitions = 2\n"
    ))
}

/// Posts one event; the status and, where it is a problem, its type.
async fn post(centre: &Centre, key: &str, text: &str) -> (u16, String) {
    let answer = reqwest::Client::new()
        .post(format!("{}/ingest", centre.ingest))
        .bearer_auth(key)
        .body(process_event("pc-1", text).to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    (status, body["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_centre_outlives_its_brokers() {
    let Some(jars) = jars() else { return };
    let mut cluster = Cluster::start(&jars, 1);
    let mut centre = centre(&cluster.addresses());
    let missing = centre.run(&["serve"]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && said.contains("jacquemart bus init"), "{said}");
    assert_eq!(centre.run(&["bus", "check"]).status.code(), Some(5));
    assert!(centre.run(&["bus", "init"]).status.success());
    let checked = centre.run(&["bus", "check"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && told.contains("copies in sync"), "{told}");

    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();
    let mut sent = Vec::new();
    for number in 0..20 {
        let text = format!("cmd.exe /c dir before-{number}");
        assert_eq!(post(&centre, &key, &text).await.0, 200);
        sent.push(text);
    }
    cluster.kill(0);
    let (status, problem) = post(&centre, &key, "cmd.exe /c dir while-away").await;
    assert_eq!((status, problem.as_str()), (503, "urn:jacquemart:problem:bus-unavailable"));
    let ready = reqwest::get(format!("{}/readyz", centre.api)).await.unwrap();
    assert_eq!(ready.status().as_u16(), 503, "{}", ready.text().await.unwrap());

    cluster.restart(0);
    for number in 0..20 {
        let text = format!("cmd.exe /c dir after-{number}");
        let until = Instant::now() + PATIENCE;
        while post(&centre, &key, &text).await.0 != 200 {
            assert!(Instant::now() < until, "the bus does not come back:\n{}", centre.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sent.push(text);
    }
    let until = Instant::now() + PATIENCE;
    let mut missing = sent;
    while !missing.is_empty() {
        assert!(Instant::now() < until, "not found: {missing:?}\n{}", centre.log());
        missing.retain(|text| {
            let query = format!("process.command_line:\"{text}\"");
            let found = centre.run(&["hunt", &query, "--since", "3650d", "-o", "json"]);
            // Tried again after a time-out, it may be there twice; it is never missing.
            !String::from_utf8_lossy(&found.stdout).contains(text.as_str())
        });
    }
    centre.stop();
}
