//! Splits in a bucket: found after the local copies are gone, and nothing is lost while the bucket does
//! not answer.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

#[path = "support/moto.rs"]
mod moto;
mod support;

use std::{
    fs,
    io::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use moto::Moto;
use support::{Centre, process_event};

/// A server of the test's own, where no other is set for all centres.
fn own_moto() -> Option<Moto> {
    if std::env::var_os("TEST_S3").is_some() {
        eprintln!("skipped: TEST_S3 gives every centre a bucket already; unset it");
        return None;
    }
    Moto::start()
}

fn centre(moto: &Moto, secret: &str) -> Centre {
    let centre = Centre::new(&format!(
        "splits = 's3://splits/metropole/soc'\n[s3]\nregion = 'eu-west-3'\nendpoint = {:?}\naccess_key_id = {:?}\nsecret_access_key_file = 'SECRET'\n[index]\ncheckpoint_events_max = 50\n",
        moto.url,
        moto.key(),
    ));
    let (path, config) = (centre.path("s3.secret"), centre.path("jacquemart.toml"));
    fs::write(&path, format!("{secret}\n")).unwrap();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(config, text.replace("SECRET", path.to_str().unwrap())).unwrap();
    centre
}

/// Sends `count` events that say `mark`, by the socket of the data folder.
fn send(centre: &Centre, feed: &str, mark: &str, count: usize) {
    let mut child = centre
        .command(&["replay", "-", "--feed", feed, "--batch", "20"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 0..count {
        writeln!(stdin, "{}", process_event("pc-1", &format!("{mark}-{n}"))).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

fn found(centre: &Centre, mark: &str) -> usize {
    let query = format!("process.command_line:{mark}*");
    let output = centre.run(&["-o", "json", "hunt", &query, "--limit", "1000"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().count()
}

fn wait_for(what: &str, centre: &Centre, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        // A request that met the outage is waited for half a minute, on both sides.
        assert!(began.elapsed() < Duration::from_secs(240), "no {what}\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn splits_are_in_the_bucket_alone_and_an_outage_loses_nothing() {
    let Some(moto) = own_moto() else { return };
    let mut centre = centre(&moto, moto.secret());
    centre.onboard("dijon", "pc", "windows");
    centre.onboard("talant", "other", "windows");
    centre.start();
    send(&centre, "pc", "first", 100);
    send(&centre, "other", "first", 30);
    wait_for("split", &centre, || moto.script("list", &[], b"").contains("metropole/soc/dijon/"));
    centre.stop();
    let keys = moto.script("list", &[], b"");
    let of = |commune: &str| keys.lines().filter(|key| key.starts_with(commune)).count();
    assert!(of("metropole/soc/dijon/") >= 1 && of("metropole/soc/talant/") >= 1, "{keys}");
    assert!(keys.lines().all(|key| key.ends_with(".split")), "{keys}");
    assert!(!centre.path("data/splits").exists(), "nothing is kept here but the cache");

    // Another machine, as it were: all of it is fetched.
    fs::remove_dir_all(centre.path("data/cache")).unwrap();
    assert_eq!(found(&centre, "first"), 130);
    assert!(centre.path("data/cache/dijon").exists());

    // The bucket does not answer: records are taken, matched and found all the same.
    centre.start();
    moto.signal("STOP");
    send(&centre, "pc", "second", 120);
    wait_for("events", &centre, || found(&centre, "second") == 120);
    wait_for("error", &centre, || centre.log().contains("splits cannot be stored"));
    // Even a crash meanwhile leaves them on the bus.
    centre.kill();
    centre.start();
    wait_for("events after a crash", &centre, || found(&centre, "second") == 120);
    moto.signal("CONT");
    // An object that shows up may be of the process that was killed: what counts is registered.
    wait_for("registered split", &centre, || {
        let verified = centre.run(&["-o", "json", "store", "verify", "--commune", "dijon"]);
        let told: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
        told["events"] == 220 && told["damaged"] == serde_json::json!([])
    });
    centre.stop();
    fs::remove_dir_all(centre.path("data/cache")).unwrap();
    assert_eq!((found(&centre, "first"), found(&centre, "second")), (130, 120));
}

#[test]
fn a_wrong_secret_is_told_without_it() {
    let Some(moto) = own_moto() else { return };
    let mut centre = centre(&moto, "not-the-secret");
    centre.onboard("dijon", "pc", "windows");
    centre.start();
    send(&centre, "pc", "first", 60);
    wait_for("error", &centre, || centre.log().contains("splits cannot be stored"));
    let log = centre.log();
    assert!(log.contains("SignatureDoesNotMatch") || log.contains("403"), "{log}");
    assert!(!log.contains("not-the-secret"), "{log}");
    assert_eq!(found(&centre, "first"), 60);
}
