//! Rules that change while the centre runs: reloaded under load, broken, taken back, and what
//! communes make of them.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Centre, process_event};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

fn rule(id: &str, title: &str, word: &str) -> String {
    format!(
        "title: {title}\nid: {id}\nstatus: test\nlevel: high\nlogsource: {{category: process_creation, product: windows}}\ndetection:\n  selection: {{CommandLine|contains: '{word}'}}\n  condition: selection\n"
    )
}

/// Asks until `ready` says yes, at most for 60 s.
fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A client and what runs it.
struct Http(tokio::runtime::Runtime, reqwest::Client);

impl Http {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // No connection is kept, for the centre behind it may be started anew.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self(runtime, client)
    }

    fn ingest(&self, url: &str, key: &str, events: &[Value]) {
        let body: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.0.block_on(async {
            let send = self.1.post(format!("{url}/ingest")).bearer_auth(key).body(body);
            assert_eq!(send.send().await.unwrap().status(), 200);
        });
    }

    fn get(&self, url: &str, token: &str) -> Value {
        self.0.block_on(async {
            let answer = self.1.get(url).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            answer.json().await.unwrap()
        })
    }

    /// Every detection there is, over all pages.
    fn detections(&self, api: &str, token: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let incidents = self.get(&format!("{api}/api/v1/incidents?limit=1000"), token);
        for incident in incidents["items"].as_array().unwrap() {
            let of =
                format!("{api}/api/v1/incidents/{}/detections", incident["id"].as_str().unwrap());
            let mut cursor = String::new();
            loop {
                let page = self.get(&format!("{of}?limit=1000{cursor}"), token);
                all.extend(page["items"].as_array().unwrap().iter().cloned());
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
        }
        all
    }

    fn metric(&self, api: &str, token: &str, line: &str) -> Option<u64> {
        let text = self.0.block_on(async {
            let answer = self.1.get(format!("{api}/metrics")).bearer_auth(token).send().await;
            answer.unwrap().text().await.unwrap()
        });
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }
}

fn token(centre: &Centre) -> String {
    centre.json(&["token", "add", "soc", "--role", "admin"])["secret"].as_str().unwrap().to_owned()
}

/// A centre with rules in `rules/` alone, looked at when it is told to.
fn centre(watch_s: u64) -> Centre {
    centre_with(watch_s, "")
}

fn centre_with(watch_s: u64, config: &str) -> Centre {
    let centre = Centre::new(config);
    let rules = centre.path("rules");
    fs::create_dir(&rules).unwrap();
    let config = centre.path("jacquemart.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text =
        format!("{text}\n[rules]\nbuiltin = false\npaths = [{rules:?}]\nwatch_s = {watch_s}\n");
    fs::write(config, text).unwrap();
    centre
}

/// Replaces a rule file as an editor does: whole, at once.
fn write(centre: &Centre, name: &str, text: &str) {
    let aside = centre.path("aside");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, centre.path("rules").join(name)).unwrap();
}

#[test]
fn reloading_under_load_matches_every_event_by_one_set_and_misses_none() {
    const EVENTS: u64 = 3_000;
    const BATCH: u64 = 25;
    let mut centre = centre(0);
    // Two rules that always change together: an event that one of them saw old and the other new
    // was matched by a set that never was.
    let both = |n: u32| {
        format!("{}---\n{}", rule(A, &format!("A {n}"), "mark"), rule(B, &format!("B {n}"), "mark"))
    };
    write(&centre, "both.yml", &both(0));
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let token = token(&centre);
    centre.start();

    let done = Arc::new(AtomicBool::new(false));
    let sender = {
        let (url, key, done) = (centre.ingest.clone(), key, Arc::clone(&done));
        std::thread::spawn(move || {
            let http = Http::new();
            for first in (0..EVENTS).step_by(BATCH as usize) {
                let batch: Vec<Value> = (first..first + BATCH)
                    .map(|n| process_event("pc-1", &format!("cmd.exe /c mark {n}")))
                    .collect();
                http.ingest(&url, &key, &batch);
            }
            done.store(true, Ordering::Relaxed);
        })
    };
    let mut reloads = 0;
    while !done.load(Ordering::Relaxed) || reloads < 3 {
        reloads += 1;
        write(&centre, "both.yml", &both(reloads));
        let answer = centre.json(&["rules", "reload"]);
        assert_eq!(answer["changed"].as_array().unwrap().len(), 2, "{answer}");
        assert_eq!((&answer["added"], &answer["removed"]), (&json!([]), &json!([])), "{answer}");
    }
    sender.join().unwrap();

    let http = Http::new();
    let line = "jacquemart_raised_detections_total ";
    eventually("all detections being raised", || {
        (http.metric(&centre.api, &token, line)? >= 2 * EVENTS).then_some(())
    });
    let mut by_event: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for detection in http.detections(&centre.api, &token) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rule = &detection["rule"];
        let seen = (text(&rule["name"]), text(&rule["version"]));
        by_event.entry(text(&detection["event_id"])).or_default().push(seen);
    }
    assert_eq!(by_event.len() as u64, EVENTS);
    let mut sets = BTreeMap::new();
    for (event, mut seen) in by_event {
        seen.sort();
        let [(a, _), (b, _)] = seen.as_slice() else { panic!("{event}: {seen:?}") };
        let (a, b) = (a.strip_prefix("A ").unwrap(), b.strip_prefix("B ").unwrap());
        assert_eq!(a, b, "{event} was matched by half of two sets");
        *sets.entry(a.to_owned()).or_insert(0) += 1;
    }
    assert!(sets.len() > 1, "no reload fell between events: {sets:?}");
    println!("{reloads} reloads, events by set: {sets:?}");

    // Each version that fired can be looked up with its exact text.
    let versions = centre.json(&["rules", "show", A])["versions"].as_array().unwrap().clone();
    assert_eq!(versions.len() as u32, reloads + 1);
    for version in versions {
        let text = version["text"].as_str().unwrap();
        assert!(text.contains(&format!("title: {}", version["title"].as_str().unwrap())), "{text}");
    }
    centre.stop();
}

#[test]
fn a_broken_file_keeps_its_rule_alive_and_the_past_can_be_asked() {
    let mut centre = centre(1);
    write(&centre, "a.yml", &rule(A, "First", "one"));
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let token = token(&centre);
    centre.start();
    let http = Http::new();
    let first = centre.json(&["rules", "list"])["items"][0].clone();
    assert_eq!((&first["title"], &first["kept"]), (&json!("First"), &Value::Null));
    let before = event::Timestamp::now().to_string();

    // Broken, and seen without being told.
    write(
        &centre,
        "a.yml",
        &rule(A, "Second", "two").replace("condition: selection", "condition: x"),
    );
    let kept = eventually("the broken file being seen", || {
        let rule = centre.json(&["rules", "list"])["items"][0].clone();
        rule["kept"].as_str().map(str::to_owned)
    });
    assert!(kept.contains("no selection"), "{kept}");
    let status = centre.run(&["rules", "status", "-o", "json"]);
    assert_eq!(status.status.code(), Some(5));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["loaded"], &status["kept"][0]["id"]), (&json!(1), &json!(A)), "{status}");
    assert!(status["refused"][0]["path"].as_str().unwrap().ends_with("a.yml"), "{status}");
    assert!(status["refused"][0]["line"].as_u64().unwrap() > 1, "{status}");
    assert!(centre.log().contains("what it was before stays in force"), "{}", centre.log());
    let metric = |line: &str| http.metric(&centre.api, &token, line);
    assert_eq!(metric("jacquemart_rules_kept "), Some(1));
    assert_eq!(metric("jacquemart_rules_refused "), Some(1));
    let reloads = "jacquemart_rules_reloads_total{cause=\"file\",outcome=\"changed\"} ";
    assert_eq!(metric(reloads), Some(1));

    // It still fires, also after a restart with the file as broken as before.
    let fires = |centre: &Centre, word: &str, count: usize| {
        http.ingest(&centre.ingest, &key, &[process_event("pc-1", word)]);
        eventually("the kept rule firing", || {
            let found = http.detections(&centre.api, &token);
            (found.len() == count).then(|| found[count - 1]["rule"]["version"].clone())
        })
    };
    assert_eq!(fires(&centre, "one 1", 1), first["version"]);
    centre.stop();
    centre.start();
    assert_eq!(fires(&centre, "one 2", 2), first["version"]);
    assert_eq!(centre.json(&["rules", "list"])["items"][0]["kept"], json!(kept));

    // Mended; the second reload has nothing to do.
    write(&centre, "a.yml", &rule(A, "Third", "three"));
    // Whoever looks first, the watch or we.
    centre.json(&["rules", "reload"]);
    let again = centre.json(&["rules", "reload"]);
    for nothing in ["added", "changed", "removed", "refused", "kept"] {
        assert_eq!(again[nothing], json!([]), "{again}");
    }
    let third = centre.json(&["rules", "list"])["items"][0]["version"].clone();
    assert_eq!(fires(&centre, "three 3", 3), third);

    // The past: then, now, and the texts.
    let then = centre.json(&["rules", "list", "--at", &before])["items"].clone();
    assert_eq!((&then[0]["title"], &then[0]["version"]), (&json!("First"), &first["version"]));
    let shown = centre.json(&["rules", "show", A]);
    let versions = shown["versions"].as_array().unwrap();
    let titles: Vec<_> = versions.iter().map(|v| v["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Third", "First"]);
    assert!(versions[1]["text"].as_str().unwrap().contains("contains: 'one'"));
    assert_eq!(versions[1]["ended"]["at"], versions[0]["began"]["at"]);

    // Gone with its file, and asked for on SIGHUP.
    fs::remove_file(centre.path("rules/a.yml")).unwrap();
    centre.hangup();
    eventually("the rule going with its file", || {
        (centre.json(&["rules", "list"])["items"] == json!([])).then_some(())
    });
    assert_eq!(centre.json(&["rules", "list", "--at", &before])["items"], then_end(&then, &centre));
    centre.stop();
}

/// What was in force then, as it is told once it has ended.
fn then_end(then: &Value, centre: &Centre) -> Value {
    let mut then = then.clone();
    let shown = centre.json(&["rules", "show", A]);
    then[0]["ended"] = shown["versions"][1]["ended"].clone();
    then
}

#[test]
fn a_commune_turns_rules_off_and_its_exceptions_expire() {
    let mut centre = centre(0);
    write(&centre, "a.yml", &rule(A, "Marked", "mark"));
    let keys: Vec<String> = ["dijon", "talant"]
        .iter()
        .map(|of| centre.onboard(of, &format!("{of}-pc"), "windows"))
        .collect();
    let token = token(&centre);
    centre.start();
    let http = Http::new();
    let mut sent = 0;
    // Sends one marked event to each commune; how many detections each has then, with levels.
    let mut round = |what: &str, word: &str| -> BTreeMap<String, Vec<String>> {
        for key in &keys {
            sent += 1;
            http.ingest(&centre.ingest, key, &[process_event("pc-1", &format!("mark {word}"))]);
        }
        eventually(what, || {
            (http.metric(&centre.api, &token, "jacquemart_matched_events_total ")? == sent)
                .then_some(())
        });
        // What was matched is raised soon after; a fence of time would be a guess, so ask until
        // the bus is read.
        eventually(what, || {
            let lag =
                "jacquemart_lag_records{group=\"raise\",partition=\"0\",topic=\"detections\"} ";
            (http.metric(&centre.api, &token, lag).unwrap_or(0) == 0).then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for detection in http.detections(&centre.api, &token) {
            let commune = detection["commune"].as_str().unwrap().to_owned();
            all.entry(commune)
                .or_default()
                .push(detection["rule"]["level"].as_str().unwrap().to_owned());
        }
        all
    };
    let counts = |all: &BTreeMap<String, Vec<String>>| {
        let of = |commune: &str| all.get(commune).map_or(0, Vec::len);
        (of("dijon"), of("talant"))
    };
    assert_eq!(counts(&round("the first events", "1")), (1, 1));

    centre.json(&["rules", "disable", A, "--commune", "dijon", "--reason", "the backup tool"]);
    assert_eq!(counts(&round("events of a disabled rule", "2")), (1, 2));
    let line = format!(
        "jacquemart_suppressed_matches_total{{commune=\"dijon\",reason=\"disabled\",rule=\"{A}\"}} "
    );
    assert_eq!(http.metric(&centre.api, &token, &line), Some(1));
    let shown = centre.json(&["rules", "show", A]);
    assert_eq!(shown["rule"]["communes"][0]["commune"], "dijon", "{shown}");

    centre.json(&["rules", "reset", A, "--commune", "dijon"]);
    centre.json(&["rules", "level", A, "critical", "--commune", "dijon", "--reason", "town hall"]);
    let all = round("events at another level", "3");
    assert_eq!(counts(&all), (2, 3));
    assert!(all["dijon"].contains(&"critical".to_owned()), "{all:?}");
    assert!(!all["talant"].contains(&"critical".to_owned()), "{all:?}");

    // An exception for a few seconds.
    let filter = centre.path("filter.yml");
    let text = format!(
        "title: Backups\nlogsource: {{category: process_creation, product: windows}}\nfilter:\n  rules: [{A}]\n  tool: {{CommandLine|endswith: ' backup'}}\n  condition: not tool\n"
    );
    fs::write(&filter, text.replace("not tool", "not spoon")).unwrap();
    let add = |expires: &str| {
        let args = [
            "rules",
            "exception",
            "add",
            filter.to_str().unwrap(),
            "--commune",
            "talant",
            "--owner",
            "Parc",
            "--reason",
            "nightly",
            "--expires",
            expires,
            "-o",
            "json",
        ];
        centre.run(&args)
    };
    let refused = add("2100-01-01T00:00:00Z");
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("line 6") && told.contains("spoon"), "{told}");
    fs::write(&filter, text).unwrap();
    let lifetime = Duration::from_secs(20);
    let expires = event::Timestamp::now().plus(lifetime);
    let added = Instant::now();
    let output = add(&expires.to_string());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exception: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(exception["rules"], json!([A]), "{exception}");
    let held = counts(&round("an excepted event", "backup"));
    assert!(added.elapsed() < lifetime, "the machine is too slow for this test's exception");
    assert_eq!(held, (3, 3));
    assert_eq!(counts(&round("another one", "backup no")), (4, 4));
    std::thread::sleep(lifetime.saturating_sub(added.elapsed()) + Duration::from_secs(1));
    assert_eq!(counts(&round("an event after it expired", "backup")), (5, 5));
    let policy = centre.json(&["rules", "policy", "--commune", "talant"]);
    assert_eq!(policy["exceptions"][0]["expired"], json!(true), "{policy}");
    assert_eq!(policy["exceptions"][0]["began"]["by"], "operator", "{policy}");
    let id = exception["id"].as_str().unwrap();
    centre.json(&["rules", "exception", "remove", id]);
    let list = centre.json(&["rules", "exception", "list", "--commune", "talant"]);
    assert_eq!(list["items"], json!([]), "{list}");
    centre.stop();
}

#[test]
fn correlations_change_while_the_centre_runs_and_communes_turn_them_off() {
    let mut centre = centre_with(0, "[correlate]\nlateness_ms = 200\n");
    write(&centre, "a.yml", &rule(A, "Marked", "mark"));
    let communes = ["dijon", "talant"];
    let keys: Vec<String> =
        communes.iter().map(|of| centre.onboard(of, &format!("{of}-pc"), "windows")).collect();
    let token = token(&centre);
    centre.start();
    let http = Http::new();
    let correlation = |least: u32| {
        format!(
            "title: Marked on and on\nid: {B}\nlevel: high\ncorrelation: {{type: event_count, rules: [{A}], group-by: [Computer], timespan: 10m, condition: {{gte: {least}}}}}\n"
        )
    };
    // Sends so many marked events of one host to each commune; the detections on that host must
    // become these (commune, rule, level), and stay so.
    let round = |host: &str, count: usize, meant: &[(&str, &str, &str)]| {
        let events = vec![process_event(host, "mark"); count];
        for key in &keys {
            http.ingest(&centre.ingest, key, &events);
        }
        let found = || -> Vec<(String, String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let mut found: Vec<_> = http
                .detections(&centre.api, &token)
                .iter()
                .filter(|one| one["entities"].to_string().contains(host))
                .map(|one| {
                    (text(&one["commune"]), text(&one["rule"]["id"]), text(&one["rule"]["level"]))
                })
                .collect();
            found.sort();
            found
        };
        let mut meant: Vec<_> = meant
            .iter()
            .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()))
            .collect();
        meant.sort();
        eventually(&format!("{host}: {meant:?}, but {:?}", found()), || {
            (found() == meant).then_some(())
        });
        // Later than anything that was held back for the sake of order.
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(found(), meant, "{host}");
    };
    let both = |rule: &'static str| [("dijon", rule, "high"), ("talant", rule, "high")];
    round("pc-alone", 1, &both(A));

    // With the correlation, the rule raises nothing of its own.
    write(&centre, "b.yml", &correlation(2));
    let answer = centre.json(&["rules", "reload"]);
    assert_eq!(answer["added"].as_array().unwrap().len(), 1, "{answer}");
    round("pc-two", 2, &both(B));
    // Another threshold is another correlation: two are no longer enough.
    write(&centre, "b.yml", &correlation(3));
    let answer = centre.json(&["rules", "reload"]);
    assert_eq!(answer["changed"].as_array().unwrap().len(), 1, "{answer}");
    round("pc-few", 2, &[]);
    round("pc-three", 3, &both(B));
    // Broken, it stays as it was.
    write(&centre, "b.yml", &correlation(3).replace("event_count", "count"));
    let answer = centre.run(&["rules", "reload", "-o", "json"]);
    assert_eq!(answer.status.code(), Some(5), "something is refused");
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["kept"].as_array().unwrap().len(), 1, "{answer}");
    round("pc-kept", 3, &both(B));

    // Communes turn it off, and give it another level.
    centre.json(&["rules", "disable", B, "--commune", "dijon", "--reason", "a test"]);
    centre.json(&["rules", "level", B, "critical", "--commune", "talant", "--reason", "a test"]);
    round("pc-off", 3, &[("talant", B, "critical")]);
    // A rule that is off in a commune feeds no correlation there.
    centre.json(&["rules", "reset", B, "--commune", "dijon"]);
    centre.json(&["rules", "disable", A, "--commune", "dijon", "--reason", "a test"]);
    round("pc-deaf", 3, &[("talant", B, "critical")]);
    centre.json(&["rules", "reset", A, "--commune", "dijon"]);

    // Gone with its file: the rule speaks for itself again.
    fs::remove_file(centre.path("rules/b.yml")).unwrap();
    let answer = centre.json(&["rules", "reload"]);
    assert_eq!(answer["removed"].as_array().unwrap().len(), 1, "{answer}");
    round("pc-free", 1, &both(A));
    centre.stop();
}
