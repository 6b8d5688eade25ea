//! `jacquemart store verify` names what is damaged, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Centre, post, process_event};

/// The splits of `commune`, as files.
fn splits(centre: &Centre, commune: &str) -> Vec<PathBuf> {
    let folder = centre.path("data/splits").join(commune);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn verified(centre: &Centre, args: &[&str]) -> (i32, Value) {
    let output = centre.run(&[&["-o", "json", "store", "verify"], args].concat());
    let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), told)
}

#[test]
fn what_is_damaged_is_named_and_nothing_else() {
    let mut centre = Centre::new("");
    let nothing = centre.run(&["store", "verify"]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    let keys =
        ["dijon", "talant"].map(|of| (of, centre.onboard(of, &format!("{of}-pc"), "windows")));
    centre.start();
    for (host, key) in &keys {
        let (status, answer) = post(&centre, key, process_event(host, "whoami").to_string());
        assert_eq!(status, 200, "{answer}");
    }
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let found = centre.run(&["-o", "json", "hunt", "process.command_line:whoami"]);
        if String::from_utf8(found.stdout).unwrap().lines().count() == 2 {
            break;
        }
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(200));
    }
    centre.stop();
    let (code, told) = verified(&centre, &[]);
    let whole = json!([]);
    assert_eq!((code, &told["damaged"], &told["not_registered"]), (0, &whole, &whole), "{told}");
    assert_eq!(told["splits"], splits(&centre, "dijon").len() + splits(&centre, "talant").len());
    // Also while it runs.
    centre.start();
    assert_eq!(verified(&centre, &[]), (0, told));
    centre.stop();

    let file = splits(&centre, "dijon").remove(0);
    let sealed = fs::read(&file).unwrap();
    let mut damaged = sealed.clone();
    damaged[sealed.len() / 3] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let (code, told) = verified(&centre, &[]);
    assert_eq!((code, told["damaged"].as_array().unwrap().len()), (5, 1), "{told}");
    let fault = &told["damaged"][0];
    assert_eq!((&fault["commune"], &fault["events"]), (&json!("dijon"), &json!(1)), "{told}");
    assert!(fault["object"].as_str().unwrap().starts_with("dijon/"), "{told}");
    assert!(fault["reason"].as_str().unwrap().contains("checksum"), "{told}");
    assert_eq!(verified(&centre, &["--commune", "talant"]).0, 0);

    fs::write(&file, &sealed[..sealed.len() - 1]).unwrap();
    let (_, told) = verified(&centre, &["--commune", "dijon"]);
    assert!(told["damaged"][0]["reason"].as_str().unwrap().contains("bytes"), "{told}");
    fs::remove_file(&file).unwrap();
    let (_, told) = verified(&centre, &[]);
    assert!(told["damaged"][0]["reason"].as_str().unwrap().contains("does not exist"), "{told}");
    // Whole again, and a stranger beside it.
    fs::write(&file, &sealed).unwrap();
    let stray = file.with_file_name("01890000-0000-7000-8000-000000000001.split");
    fs::write(&stray, b"x").unwrap();
    let (code, told) = verified(&centre, &[]);
    let name = "dijon/01890000-0000-7000-8000-000000000001.split";
    assert_eq!((code, &told["not_registered"]), (0, &json!([name])), "{told}");
}
