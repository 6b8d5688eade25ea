//! Real shippers against the real doors: what they send is taken, durable and found.
//!
//! Each says aloud where its shipper is not installed, and how to get it; `.ci/run` has them all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use support::Centre;

/// How long a shipper may take until what it sent is found.
const FOUND_MAX: Duration = Duration::from_secs(60);

/// The Python that has the clients: `TEST_PYTHON`, else `python3`.
fn python() -> String {
    std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// The events that a query finds.
fn hunted(centre: &Centre, query: &str) -> Vec<serde_json::Value> {
    let output = centre.run(&["hunt", query, "--limit", "1000", "-o", "json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes a file of as many events of `host`, one a line, whose command lines begin with `by`.
fn write_events(centre: &Centre, file: &str, host: &str, by: &str, count: usize) {
    let lines: String = (0..count)
        .map(|n| format!("{}\n", support::process_event(host, &format!("{by} {n}"))))
        .collect();
    fs::write(centre.path(file), lines).unwrap();
}

/// Waits until the query finds exactly so many events.
#[track_caller]
fn wait_for(centre: &Centre, query: &str, count: usize) {
    let until = Instant::now() + FOUND_MAX;
    loop {
        let len = hunted(centre, query).len();
        if len == count {
            return;
        }
        assert!(len < count, "{query} finds {len} events, more than the {count} that were sent");
        assert!(Instant::now() < until, "{query} finds {len} of {count}\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether Python has a client's module; says how to get it where it has not.
fn python_has(test: &str, module: &str, packages: &str) -> bool {
    let output = Command::new(python()).args(["-c", &format!("import {module}")]).output();
    let has = output.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!(
            "skipped: {test}: {} has no module {module} (python3 -m venv V && V/bin/pip install \
             {packages}, then TEST_PYTHON=V/bin/python)",
            python()
        );
    }
    has
}

#[test]
fn elasticsearchs_python_client_delivers() {
    if !python_has("elasticsearchs_python_client_delivers", "elasticsearch", "elasticsearch") {
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let output = Command::new(python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/elastic_bulk.py"))
        .args([&centre.ingest, &key, "700", "elastic-python"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{}", centre.log());
    wait_for(&centre, "process.command_line:elastic-python", 700);
    centre.stop();
}

#[test]
fn splunks_python_handler_delivers() {
    if !python_has("splunks_python_handler_delivers", "splunk_hec_handler", "splunk-hec-handler") {
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("dijon", "dijon-hec", "json");
    let output = Command::new(python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/splunk_hec.py"))
        .args([&centre.ingest, &key, "20", "hec-python"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{}", centre.log());
    wait_for(&centre, "message:hec-python", 20);
    // What stands beside the event is found too, also once events are read back from the index.
    wait_for(&centre, "host.name:pc-hec and hec.source:a-source and hec.fields.site:mairie", 20);
    centre.stop();
    centre.start();
    let found = hunted(&centre, "hec.fields.site:mairie");
    assert_eq!(found.len(), 20);
    let text = found[0].to_string();
    assert!(text.contains("pc-hec") && text.contains("a-source"), "{text}");
    centre.stop();
}

#[test]
fn opentelemetrys_exporter_delivers() {
    let packages = "opentelemetry-exporter-otlp-proto-http opentelemetry-sdk";
    if !python_has(
        "opentelemetrys_exporter_delivers",
        "opentelemetry.exporter.otlp.proto.http",
        packages,
    ) {
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("dijon", "dijon-otlp", "syslog");
    let output = Command::new(python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/otlp_logs.py"))
        .args([&centre.ingest, &key, "50", "otlp-python"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{}", centre.log());
    wait_for(&centre, "message:otlp-python", 50);
    let query = "host.name:srv-otlp and service.name:portail and otel.attributes.commune:dijon";
    wait_for(&centre, query, 50);
    centre.stop();
}

#[test]
fn opentelemetrys_grpc_exporter_delivers() {
    let name = "opentelemetrys_grpc_exporter_delivers";
    let packages = "opentelemetry-exporter-otlp-proto-grpc opentelemetry-sdk";
    if !python_has(name, "opentelemetry.exporter.otlp.proto.grpc", packages) {
        return;
    }
    let send = |centre: &Centre, address: &str, key: &str, mark: &str, ca: Option<&Path>| {
        let output = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/otlp_grpc.py"))
            .args([address, key, "50", mark])
            .args(ca)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}\n{}", centre.log());
        wait_for(centre, &format!("message:{mark}"), 50);
    };
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("dijon", "dijon-otlp", "syslog");
    send(&centre, &centre.ingest, &key, "grpc-python", None);
    let query = "host.name:srv-grpc and service.name:portail and otel.attributes.commune:dijon";
    wait_for(&centre, query, 50);
    centre.stop();

    // The same door over TLS, where ALPN tells that it is HTTP/2.
    if !support::make_certificate(centre.dir.path()) {
        eprintln!("skipped: {name}, over TLS: no openssl (apt-get install openssl)");
        return;
    }
    let config = fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let files = [centre.path("certificate.pem"), centre.path("key.pem")];
    let tls = format!(
        "\n[ingest.http.tls]\ncertificate_file = {:?}\nkey_file = {:?}\n",
        files[0], files[1]
    );
    fs::write(centre.path("jacquemart.toml"), config + &tls).unwrap();
    centre.start();
    let address = centre.ingest.replace("http://127.0.0.1", "https://localhost");
    send(&centre, &address, &key, "grpc-tls", Some(&files[0]));
    centre.stop();
}

/// A shipper's daemon that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether rsyslog has this module; where not, it is said how to get it.
fn rsyslog_has(test: &str, module: &str, package: &str) -> bool {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let is_there =
        folders.iter().any(|lib| Path::new(lib).join(format!("rsyslog/{module}.so")).exists());
    if !is_there {
        eprintln!("skipped: {test}: no {module} (apt-get install rsyslog {package})");
    }
    is_there
}

impl Daemon {
    fn start(centre: &Centre, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let errors = fs::File::create(centre.path("shipper.err")).unwrap();
        Self(command.stderr(errors).spawn().unwrap())
    }

    /// rsyslog on `config`, in the centre's folder.
    fn rsyslog(centre: &Centre, config: &str) -> Self {
        fs::write(centre.path("rsyslog.conf"), config).unwrap();
        let mut command = Command::new("rsyslogd");
        command.args(["-n", "-f"]).arg(centre.path("rsyslog.conf"));
        Self::start(centre, command.arg("-i").arg(centre.path("rsyslog.pid")))
    }

    /// syslog-ng on `config`, in the centre's folder.
    fn syslog_ng(centre: &Centre, config: &str) -> Self {
        fs::write(centre.path("syslog-ng.conf"), config).unwrap();
        let mut command = Command::new("syslog-ng");
        command.args(["--foreground", "--no-caps", "--stderr"]);
        for (option, file) in [
            ("--cfgfile", "syslog-ng.conf"),
            ("--persist-file", "syslog-ng.persist"),
            ("--pidfile", "syslog-ng.pid"),
            ("--control", "syslog-ng.ctl"),
        ] {
            command.arg(option).arg(centre.path(file));
        }
        Self::start(centre, &mut command)
    }
}

#[test]
fn rsyslogs_omelasticsearch_delivers() {
    let name = "rsyslogs_omelasticsearch_delivers";
    if !rsyslog_has(name, "omelasticsearch", "rsyslog-elasticsearch") {
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let port = centre.ingest.rsplit_once(':').unwrap().1;
    write_events(&centre, "events.log", "PC-7", "by-rsyslog", 50);
    let dir = centre.dir.path().display();
    let config = format!(
        r#"global(workDirectory="{dir}")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="raw" type="string" string="%msg%")
input(type="imfile" file="{dir}/events.log" tag="events:")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" uid="rsyslog" pwd="{key}"
       bulkmode="on" searchIndex="logs" template="raw" errorfile="{dir}/errors.json"
       action.resumeRetryCount="-1")
"#
    );
    let _rsyslog = Daemon::rsyslog(&centre, &config);
    wait_for(&centre, "process.command_line:by-rsyslog", 50);
    let errors = fs::read_to_string(centre.path("errors.json")).unwrap_or_default();
    assert_eq!(errors, "");
}

/// A running centre with a syslog door over TLS that asks for a certificate, its port, and the key
/// of a feed of format `windows`.
fn over_tls(test: &str) -> Option<(Centre, u16, String)> {
    let port = support::free_port();
    // The configuration names files that openssl makes in its folder.
    let mut centre = Centre::new("");
    if !support::make_certificate(centre.dir.path()) {
        eprintln!("skipped: {test}: no openssl (apt-get install openssl)");
        return None;
    }
    let dir = centre.dir.path().display().to_string();
    let config = fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let door = format!(
        "[[ingest.syslog]]\nlisten = \"127.0.0.1:{port}\"\n[ingest.syslog.tls]\n\
         certificate_file = \"{dir}/certificate.pem\"\nkey_file = \"{dir}/key.pem\"\n\
         client_ca_file = \"{dir}/certificate.pem\"\n"
    );
    fs::write(centre.path("jacquemart.toml"), config + &door).unwrap();
    centre.start();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    Some((centre, port, key))
}

#[test]
fn rsyslogs_omfwd_delivers_over_tls() {
    let name = "rsyslogs_omfwd_delivers_over_tls";
    if !rsyslog_has(name, "lmnsd_ossl", "rsyslog-openssl") {
        return;
    }
    let Some((mut centre, port, key)) = over_tls(name) else { return };
    let dir = centre.dir.path().display().to_string();
    write_events(&centre, "events.log", "PC-8", "by-omfwd", 50);
    let config = format!(
        r#"global(workDirectory="{dir}" defaultNetstreamDriver="ossl"
       defaultNetstreamDriverCAFile="{dir}/certificate.pem"
       defaultNetstreamDriverCertFile="{dir}/certificate.pem"
       defaultNetstreamDriverKeyFile="{dir}/key.pem")
module(load="imfile" mode="polling" pollingInterval="1")
template(name="keyed" type="string"
         string="<%pri%>1 %timestamp:::date-rfc3339% %hostname% events - - [jacquemart@32473 key=\"{key}\"] %msg%")
input(type="imfile" file="{dir}/events.log" tag="events:")
action(type="omfwd" target="localhost" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
       StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
       StreamDriverPermittedPeers="localhost" template="keyed" action.resumeRetryCount="-1")
"#
    );
    let _rsyslog = Daemon::rsyslog(&centre, &config);
    wait_for(&centre, "process.command_line:by-omfwd", 50);
    centre.stop();
}

#[test]
fn syslog_ng_delivers_over_tls() {
    let name = "syslog_ng_delivers_over_tls";
    if !Command::new("syslog-ng").arg("--version").output().is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {name}: no syslog-ng (apt-get install syslog-ng-core)");
        return;
    }
    let Some((mut centre, port, key)) = over_tls(name) else { return };
    let dir = centre.dir.path().display().to_string();
    write_events(&centre, "events.log", "PC-9", "by-syslog-ng", 50);
    let config = format!(
        r#"@version: 3.38
source events {{
    file("{dir}/events.log" flags(no-parse) read-old-records(yes) follow-freq(1));
}};
rewrite keyed {{ set("{key}" value(".SDATA.jacquemart@32473.key")); }};
destination soc {{
    syslog("localhost" port({port}) transport("tls") tls(
        ca-file("{dir}/certificate.pem") peer-verify(required-trusted)
        cert-file("{dir}/certificate.pem") key-file("{dir}/key.pem")));
}};
log {{ source(events); rewrite(keyed); destination(soc); }};
"#
    );
    let _syslog_ng = Daemon::syslog_ng(&centre, &config);
    wait_for(&centre, "process.command_line:by-syslog-ng", 50);
    centre.stop();
}

#[test]
fn curl_reaches_the_intakes_paths() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: curl_reaches_the_intakes_paths: no curl (apt-get install curl)");
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    let key = centre.onboard("talant", "talant-phones", "windows");
    write_events(&centre, "events.txt", "PC-1", "by-intake", 3);
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "-X", "POST"])
        .args(["-H", &format!("X-SEKOIAIO-INTAKE-KEY: {key}"), "--data-binary"])
        .arg(format!("@{}", centre.path("events.txt").display()))
        .arg(format!("{}/plain/batch", centre.ingest))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = answer["event_ids"].as_array().unwrap();
    assert_eq!(ids.len(), 3, "{answer}");
    wait_for(&centre, "process.command_line:by-intake", 3);
    // The ids are those under which the events are found.
    let mut told: Vec<_> = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    let mut known: Vec<_> = hunted(&centre, "process.command_line:by-intake")
        .iter()
        .map(|event| event["event"]["id"].as_str().unwrap().to_owned())
        .collect();
    told.sort_unstable();
    known.sort_unstable();
    assert_eq!(told, known);
    centre.stop();
}

/// The snippet that `feed add` prints for what sends `format` to the centre.
fn snippet_of(centre: &Centre, feed: &str, format: &str, shipper: &str) -> String {
    let added = centre.json(&[
        "feed",
        "add",
        feed,
        "--commune",
        "dijon",
        "--format",
        format,
        "--shipper",
        shipper,
        "--send-to",
        &centre.ingest,
    ]);
    added["snippet"].as_str().unwrap().to_owned()
}

#[test]
fn what_feed_add_prints_for_curl_and_pradeo_works_as_it_stands() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!(
            "skipped: what_feed_add_prints_for_curl_and_pradeo_works_as_it_stands: no curl \
             (apt-get install curl)"
        );
        return;
    }
    let mut centre = Centre::new("");
    centre.start();
    centre.json(&["commune", "add", "dijon"]);
    for (shipper, file) in [("curl", "evenements.ndjson"), ("pradeo", "notifications.ndjson")] {
        write_events(&centre, file, "PC-9", &format!("by-{shipper}"), 1);
        let snippet = snippet_of(&centre, &format!("dijon-{shipper}"), "windows", shipper);
        // As someone would who pastes all of it, the lines that are no commands with it.
        let output = Command::new("sh")
            .args(["-ec", &snippet])
            .current_dir(centre.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{snippet}{output:?}");
        wait_for(&centre, &format!("process.command_line:by-{shipper}"), 1);
    }
    centre.stop();
}

#[test]
fn what_feed_add_prints_for_rsyslog_works_as_it_stands() {
    let name = "what_feed_add_prints_for_rsyslog_works_as_it_stands";
    if !rsyslog_has(name, "imfile", "rsyslog") {
        return;
    }
    let port = support::free_port();
    let mut centre = Centre::new(&format!("[[ingest.syslog]]\nlisten = \"127.0.0.1:{port}\"\n"));
    centre.start();
    centre.json(&["commune", "add", "dijon"]);
    write_events(&centre, "events.log", "PC-9", "by-snippet", 20);
    let snippet = snippet_of(&centre, "dijon-relay", "windows", "rsyslog");
    let dir = centre.dir.path().display();
    let config = format!(
        "global(workDirectory=\"{dir}\")\nmodule(load=\"imfile\" mode=\"polling\" pollingInterval=\"1\")\n\
         input(type=\"imfile\" file=\"{dir}/events.log\" tag=\"events:\")\n{snippet}"
    );
    let _rsyslog = Daemon::rsyslog(&centre, &config);
    wait_for(&centre, "process.command_line:by-snippet", 20);
    centre.stop();
}
