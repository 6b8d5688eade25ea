//! Which rules are offered an event: for each vendor an event as its format writes it, and rules
//! of the log sources that it belongs to and of some that it does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use detect::{Engine, Scratch, eval};
use event::{Event, EventBuilder, FieldId};

fn event(fields: &[(&str, &str)]) -> Event {
    let mut b = EventBuilder::new(support::record("any", "{}".into()), support::event_id(1));
    for (name, value) in fields {
        b.push_str(FieldId::intern(name).unwrap(), value);
    }
    b.build()
}

/// Whether a rule of `logsource` with `line` fires on `event`, engine and plain evaluator alike.
#[track_caller]
fn fires(logsource: &str, line: &str, event: &Event) -> bool {
    let text = format!(
        "title: t\nlogsource: {{{logsource}}}\ndetection:\n  s:\n    {line}\n  condition: s\n"
    );
    let loaded = detect::parse(&text, Path::new("t.yml"));
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let rule = &loaded.rules[0];
    let plain = eval::is_offered(rule, event) && eval::holds(rule, event);
    let mut out = Vec::new();
    Engine::new(loaded.rules).matches(event, &mut Scratch::new(), &mut out);
    assert_eq!(!out.is_empty(), plain, "{text}");
    plain
}

#[track_caller]
fn check(event: &[(&str, &str)], yes: &[(&str, &str)], no: &[(&str, &str)]) {
    let event = self::event(event);
    for (logsource, line) in yes {
        assert!(fires(logsource, line, &event), "{logsource} {line} should fire");
    }
    for (logsource, line) in no {
        assert!(!fires(logsource, line, &event), "{logsource} {line} should not fire");
    }
}

#[test]
fn firewalls_and_what_they_inspect() {
    check(
        &[
            ("event.module", "fortinet"),
            ("event.dataset", "fortinet.traffic"),
            ("event.category", "network"),
            ("event.action", "deny"),
            ("source.ip", "192.0.2.1"),
            ("destination.ip", "198.51.100.7"),
            ("destination.port", "445"),
            ("fortinet.fortigate.srccountry", "Reserved"),
        ],
        &[
            ("category: firewall", "dst_port: 445"),
            ("product: fortigate", "srccountry: reserved"),
            ("product: fortios, service: traffic", "srcip|cidr: 192.0.2.0/24"),
            ("category: firewall, product: fortigate", "action: deny"),
        ],
        &[
            ("category: proxy", "dst_ip: 198.51.100.7"),
            ("product: paloalto", "dst_port: 445"),
            ("product: fortigate, service: event", "action: deny"),
            ("product: windows", "dst_port: 445"),
        ],
    );
    check(
        &[
            ("event.module", "stormshield"),
            ("event.dataset", "stormshield.web"),
            ("event.category", "web"),
            ("url.original", "http://a.example/x.hta"),
            ("url.domain", "a.example"),
            ("user_agent.original", "curl/8"),
        ],
        &[
            ("category: proxy", "c-uri|endswith: .hta"),
            ("category: proxy", "cs-host: a.example"),
            ("product: stormshield, category: proxy", "c-useragent|startswith: curl"),
        ],
        &[("category: webserver", "cs-uri|endswith: .hta")],
    );
    check(
        &[
            ("event.module", "suricata"),
            ("event.dataset", "suricata.dns"),
            ("event.category", "network"),
            ("dns.question.name", "x.evil.example"),
        ],
        &[
            ("category: dns", "query|endswith: .evil.example"),
            ("category: network, service: dns", "dns.question.name|endswith: evil.example"),
            ("product: suricata, service: dns", "query|contains: evil"),
        ],
        &[("category: dns_query, product: windows", "QueryName|contains: evil")],
    );
}

#[test]
fn clouds_and_identity() {
    check(
        &[
            ("event.module", "azure"),
            ("event.dataset", "azure.signinlogs"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("azure.resultType", "50126"),
            ("azure.properties.authenticationRequirement", "singleFactorAuthentication"),
            ("user.email", "zoe@dijon.example"),
        ],
        &[
            ("product: azure, service: signinlogs", "ResultType: 50126"),
            (
                "product: azure, service: signinlogs",
                "AuthenticationRequirement: singleFactorAuthentication",
            ),
            (
                "product: azure, service: signinlogs",
                "properties.authenticationRequirement: singleFactorAuthentication",
            ),
            ("category: authentication", "Outcome: failure"),
        ],
        &[("product: azure, service: auditlogs", "ResultType: 50126")],
    );
    check(
        &[
            ("event.module", "okta"),
            ("event.dataset", "okta.system"),
            ("event.category", "authentication"),
            ("event.action", "user.mfa.okta_verify.deny_push"),
            ("okta.debugContext.debugData.requestUri", "/idp"),
        ],
        &[
            ("product: okta, service: okta", "eventType|startswith: user.mfa"),
            ("product: okta, service: okta", "eventtype|startswith: user.mfa"),
            ("product: okta, service: okta", "debugContext.debugData.requestUri: /idp"),
            ("product: okta", "event.action|contains: deny_push"),
        ],
        &[("product: azure", "event.action|contains: deny_push")],
    );
    check(
        &[
            ("event.module", "o365"),
            ("event.dataset", "o365.exchange"),
            ("event.action", "New-InboxRule"),
            ("event.provider", "Exchange"),
            ("o365.audit.Parameters.Value", "bad@example.org"),
        ],
        &[
            ("product: m365, service: audit", "Operation: New-InboxRule"),
            ("product: m365, service: exchange", "Workload: exchange"),
        ],
        &[("product: m365, service: threat_management", "eventSource: exchange")],
    );
}

#[test]
fn mail_and_phones() {
    check(
        &[
            ("event.module", "vade"),
            ("event.dataset", "vade.m365"),
            ("event.category", "email"),
            ("event.action", "nothing"),
            ("email.subject", "Facture"),
            ("vade.status", "PHISHING"),
        ],
        &[
            ("product: vade, category: email", "Verdict: phishing"),
            ("category: email", "Subject: facture"),
            ("product: vade, service: m365", "Action: nothing"),
        ],
        &[("product: vade, service: remediation", "Action: nothing")],
    );
    for (module, product) in
        [("pradeo", "pradeo"), ("lookout", "lookout"), ("harmony_mobile", "harmony_mobile")]
    {
        check(
            &[
                ("event.module", module),
                ("observer.type", "mtd"),
                ("host.os.type", "android"),
                ("mtd.threat.level", "red"),
            ],
            &[
                ("category: mobile_threat", "ThreatLevel: red"),
                ("product: android, category: mobile_compliance", "ThreatLevel: red"),
                (&format!("product: {product}"), "ThreatLevel: red"),
            ],
            &[("product: ios, category: mobile_threat", "ThreatLevel: red")],
        );
    }
}

#[test]
fn linux_daemons_and_endpoint_agents() {
    check(
        &[
            ("event.module", "auditd"),
            ("event.dataset", "auditd.log"),
            ("host.os.type", "linux"),
            ("event.category", "process"),
            ("event.type", "start"),
            ("process.executable", "/usr/bin/tcpdump"),
            ("auditd.log.record_type", "EXECVE"),
            ("auditd.data.a0", "tcpdump"),
        ],
        &[
            ("product: linux, service: auditd", "type: EXECVE"),
            ("product: linux, service: auditd", "a0: tcpdump"),
            ("product: linux, category: process_creation", "Image|endswith: /tcpdump"),
        ],
        &[("product: linux, service: sshd", "a0: tcpdump")],
    );
    check(
        &[
            ("event.module", "openssh"),
            ("event.category", "authentication"),
            ("message", "unexpected internal error"),
        ],
        &[
            ("product: linux, service: sshd", "'|all': [unexpected, internal]"),
            ("product: linux", "'|all': [unexpected, internal]"),
            ("product: linux, service: auth", "'|all': [unexpected, internal]"),
        ],
        &[("product: linux, service: auditd", "'|all': [unexpected]")],
    );
    check(
        &[("event.module", "linux"), ("log.syslog.appname", "sudo"), ("user.target.name", "#-1")],
        &[("product: linux, service: sudo", "USER: ['#-1', '#4294967295']")],
        &[("product: linux, service: cron", "USER: '#-1'")],
    );
    for module in ["harfanglab", "m365_defender"] {
        check(
            &[
                ("event.module", module),
                ("host.os.type", "windows"),
                ("event.category", "process"),
                ("event.type", "start"),
                ("process.executable", "C:\\Windows\\System32\\whoami.exe"),
                ("process.command_line", "whoami /all"),
            ],
            &[
                ("product: windows, category: process_creation", "Image|endswith: \\whoami.exe"),
                ("category: process_creation", "CommandLine|contains: /ALL"),
                (&format!("product: {module}"), "CommandLine|contains: /ALL"),
            ],
            &[
                ("product: linux, category: process_creation", "CommandLine|contains: /all"),
                ("product: windows, category: file_event", "CommandLine|contains: /all"),
                ("product: windows, service: security", "CommandLine|contains: /all"),
            ],
        );
    }
}

/// A format that a commune declares needs no table: its module is Sigma's product.
#[test]
fn a_declared_format_is_routed_by_its_module() {
    check(
        &[
            ("event.module", "aws"),
            ("event.dataset", "aws.cloudtrail"),
            ("event.action", "StopLogging"),
            ("aws.cloudtrail.user_identity.type", "Root"),
        ],
        &[
            ("product: aws, service: cloudtrail", "eventName: StopLogging"),
            ("product: aws, service: cloudtrail", "userIdentity.type: root"),
        ],
        &[("product: gcp", "eventName: StopLogging")],
    );
}

/// Raw records of vendors, decoded by the formats for them: each is offered to rules of its
/// product, and those of the kinds that a rule is for to that rule.
#[test]
fn real_records_reach_the_rules_of_their_vendor() {
    let Some(root) = support::corpora() else { return };
    let formats = ingest::formats::Formats::builtin();
    let known = formats.names();
    let mut checked = 0;
    for (folder, format, logsource, least) in [
        ("Fortinet/fortigate", "fortigate", "product: fortigate", 1.0),
        ("Fortinet/fortigate", "fortigate", "product: fortigate, service: traffic", 0.1),
        ("Fortinet/fortigate", "fortigate", "category: firewall", 0.3),
        (
            "Stormshield/stormshield_network_security",
            "stormshield-network-security",
            "product: stormshield",
            1.0,
        ),
        ("Azure/azure-ad", "azure-ad", "product: azure", 1.0),
        ("Azure/azure-ad", "azure-ad", "product: azure, service: signinlogs", 0.1),
        ("Azure/azure-ad", "azure-ad", "product: azure, service: auditlogs", 0.1),
        ("Office 365/o365", "o365", "product: m365, service: audit", 1.0),
        ("Okta/okta-system-logs", "okta-system-logs", "product: okta, service: okta", 1.0),
        ("OpenSSH/openssh", "openssh", "product: linux, service: sshd", 1.0),
        ("VadeSecure/vade_secure_m365", "vade-secure-m365", "category: email", 1.0),
        ("VadeSecure/vade_cloud", "vade-cloud", "product: vade, service: cloud", 1.0),
        ("Pradeo/pradeo-mtd", "pradeo-mtd", "category: mobile_compliance", 1.0),
        ("Palo Alto Networks/paloalto-ngfw", "paloalto-ngfw", "product: paloalto", 1.0),
        ("Cisco/cisco-secure-firewall", "cisco-secure-firewall", "product: cisco", 1.0),
        ("Checkpoint/checkpoint", "checkpoint", "product: checkpoint", 1.0),
        ("Suricata/suricata", "suricata", "product: suricata", 1.0),
        ("HarfangLab/harfanglab", "harfanglab", "product: harfanglab", 1.0),
        (
            "HarfangLab/harfanglab",
            "harfanglab",
            "product: windows, category: process_creation",
            0.02,
        ),
        ("Lookout/lookout-mes", "lookout-mes", "category: mobile_threat", 1.0),
        (
            "Checkpoint/checkpoint_harmony_mobile",
            "checkpoint-harmony-mobile",
            "category: mobile_threat",
            1.0,
        ),
        (
            "Microsoft/microsoft-365-defender",
            "microsoft-365-defender",
            "product: m365_defender",
            1.0,
        ),
        ("Microsoft/microsoft-intune", "microsoft-intune", "product: intune", 1.0),
    ] {
        if !known.contains(&format) {
            println!("no format {format} yet");
            continue;
        }
        checked += 1;
        let (mut offered, mut decoded, mut missed) = (0_u32, 0_u32, Vec::new());
        for path in support::files(&root.join("intakes/tests").join(folder), "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let case: serde_json::Value = serde_json::from_str(&text).unwrap();
            let raw = case["input"]["message"].as_str().unwrap().to_owned();
            let record = support::record(format, raw.into());
            let event = event::Decode::decode(&formats, record, support::event_id(1));
            if event.is_pipeline_error() {
                continue;
            }
            decoded += 1;
            if fires(logsource, "event.module: '*'", &event) {
                offered += 1;
            } else {
                missed.push(format!(
                    "{} {:?}",
                    path.display(),
                    event.get_str(event::fields::EVENT_DATASET)
                ));
            }
        }
        println!("{format}: {offered} of {decoded} to {logsource}");
        assert!(decoded > 0, "{folder}");
        let enough = f64::from(offered) >= least * f64::from(decoded);
        assert!(enough, "{logsource}: {offered} of {decoded}; {missed:#?}");
    }
    assert!(checked > 0);
}
