//! A batch that is repeated with its `Idempotency-Key` adds nothing, whatever happened in between.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::time::{Duration, Instant};

use event::{BatchState, FeedId, Timestamp};
use serde_json::{Value, json};
use support::Centre;

fn send(centre: &Centre, key: &str, batch: &str, body: &str) -> (u16, bool, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new()
            .post(format!("{}/ingest", centre.ingest))
            .bearer_auth(key)
            .header("idempotency-key", batch)
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        let is_replayed = response.headers().contains_key("idempotency-replayed");
        (response.status().as_u16(), is_replayed, response.json().await.unwrap())
    })
}

fn found(centre: &Centre) -> usize {
    let found = centre.run(&["-o", "json", "hunt", "message:repeatable"]);
    assert!(found.status.success(), "{found:?}");
    String::from_utf8(found.stdout).unwrap().lines().count()
}

/// What the database would know had the process been killed right after it began with a batch.
fn begin(centre: &Centre, batch: &str, at: Timestamp) {
    let url = format!("sqlite://{}", centre.path("data/jacquemart.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = store::db::connect(&url).await.unwrap();
        let begun = db.begin_batch(&FeedId::new("pc").unwrap(), batch, "00", at).await.unwrap();
        assert_eq!(begun, BatchState::New);
        db.close().await;
    });
}

#[test]
fn a_batch_is_taken_once_over_kills() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    centre.start();
    let body = |n: usize| {
        let line = |m| json!({"message": "repeatable", "n": n, "m": m}).to_string();
        format!("{}\n{}\n", line(1), line(2))
    };
    for n in 0..5 {
        let (status, is_replayed, receipt) = send(&centre, &key, &format!("b{n}"), &body(n));
        assert_eq!((status, is_replayed), (200, false), "{receipt}");
        assert_eq!(receipt["accepted"], 2);
        centre.kill();
        centre.start();
        // All of before, too.
        for n in 0..=n {
            let (status, is_replayed, again) = send(&centre, &key, &format!("b{n}"), &body(n));
            assert_eq!((status, is_replayed, again), (200, true, receipt.clone()));
        }
    }
    let (status, _, problem) = send(&centre, &key, "b0", &body(9));
    assert_eq!(status, 422, "{problem}");

    // Two were begun and are not on the bus: it is told to wait, until it is sure.
    centre.kill();
    let now = Timestamp::now();
    begin(&centre, "old", now.minus(Duration::from_secs(120)));
    begin(&centre, "young", now);
    centre.start();
    let until = Instant::now() + Duration::from_secs(60);
    // Their bodies have another digest than was written down above, so that a wrong answer is
    // a 422, and only one that was forgotten is taken.
    loop {
        let (status, is_replayed, problem) = send(&centre, &key, "old", &body(5));
        if status == 200 {
            assert!(!is_replayed);
            break;
        }
        assert_eq!(status, 422, "{problem}");
        assert!(Instant::now() < until, "a batch that never came is not forgotten");
        std::thread::sleep(Duration::from_millis(300));
    }
    let (status, _, problem) = send(&centre, &key, "young", &body(6));
    assert_eq!(status, 422, "it may still be under way: {problem}");

    let until = Instant::now() + Duration::from_secs(30);
    while found(&centre) < 12 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(found(&centre), 12);
    centre.stop();
}
