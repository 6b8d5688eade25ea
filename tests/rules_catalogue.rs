//! `docs/rules.md` lists the rules as they are.
//!
//! The page is written from the rules' own files; this test fails where it is stale and writes
//! it anew with `UPDATE_DOCS=1`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const HEAD: &str = "# Our own rules

Chaque règle embarquée, par sujet : son niveau, ce qu'elle voit et la source qu'il lui faut. Ce que
l'analyste doit faire est dans la règle elle-même, après `Triage:`. Les règles de niveau
*informational* n'ouvrent aucun incident : ce sont les événements de base des corrélations.

Every rule that the binary carries, by topic: its level, what it sees, and the feed that it needs.
What an analyst does about it stands in the rule itself, after `Triage:`. Rules of level
*informational* open no incident: they are the base events of correlations.

Written by `UPDATE_DOCS=1 cargo test --test rules_catalogue`; do not edit by hand.
";

/// The topics in the order of the page: folder under `rules/` and heading.
const TOPICS: &[(&str, &str)] = &[
    ("active_directory", "Active Directory"),
    ("windows", "Windows endpoints"),
    ("linux", "Linux servers"),
    ("macos", "Macs"),
    ("sentinelone", "SentinelOne console and Identity"),
    ("mail", "Mail"),
    ("mobile", "Phones"),
    ("firewall", "Firewalls and VPN"),
    ("identity", "Sign-ins, Microsoft 365, Okta"),
    ("operations", "The centre's own feeds"),
    ("correlations", "Correlations"),
];

/// What a log source needs, the first that fits: product, category, service (`*` is any).
const FEEDS: &[(&str, &str, &str, &str)] = &[
    ("windows", "process_creation", "*", "Sysmon 1, Security 4688 or Cloud Funnel"),
    ("windows", "network_connection", "*", "Sysmon 3 or Cloud Funnel"),
    ("windows", "file_event", "*", "Sysmon 11 or Cloud Funnel"),
    ("windows", "registry_set", "*", "Sysmon 13, Security 4657 or Cloud Funnel"),
    ("windows", "process_access", "*", "Sysmon 10 or Cloud Funnel"),
    ("windows", "pipe_created", "*", "Sysmon 17 or Cloud Funnel"),
    ("windows", "dns_query", "*", "Sysmon 22 or Cloud Funnel"),
    ("windows", "wmi_event", "*", "Sysmon 20"),
    ("windows", "ps_script", "*", "PowerShell 4104 or Cloud Funnel"),
    ("windows", "*", "security", "Windows channel Security"),
    ("windows", "*", "system", "Windows channel System"),
    ("windows", "*", "application", "Windows channel Application"),
    ("windows", "*", "windefend", "Windows channel of Defender"),
    ("linux", "process_creation", "*", "Cloud Funnel or Sysmon for Linux"),
    ("linux", "file_event", "*", "Cloud Funnel or Sysmon for Linux"),
    ("linux", "*", "sshd", "OpenSSH's syslog"),
    ("macos", "*", "*", "Cloud Funnel"),
    ("sentinelone", "*", "threats", "SentinelOne threats"),
    ("sentinelone", "*", "activities", "SentinelOne activities"),
    ("sentinelone", "*", "agents", "SentinelOne agents"),
    ("sentinelone", "*", "identity", "SentinelOne Identity alerts"),
    ("vade", "*", "*", "Vade for M365"),
    ("fortigate", "*", "*", "FortiGate"),
    ("stormshield", "*", "*", "Stormshield Network Security"),
    ("azure", "*", "signinlogs", "Entra ID sign-in logs"),
    ("azure", "*", "auditlogs", "Entra ID audit logs"),
    ("azure", "*", "riskdetection", "Entra ID risk detections"),
    ("m365", "*", "*", "Office 365 audit"),
    ("okta", "*", "*", "Okta system log"),
    ("lookout", "*", "*", "Lookout"),
    ("harmony_mobile", "*", "*", "Harmony Mobile"),
    ("jacquemart", "*", "*", "nothing: the centre says it itself"),
    ("*", "firewall", "*", "any firewall"),
    ("*", "mobile_threat", "*", "phone defence, e.g. PRADEO"),
    ("*", "mobile_compliance", "*", "phone defence, e.g. PRADEO"),
];

struct Entry {
    title: String,
    level: String,
    sees: String,
    needs: String,
}

fn rule_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rule_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The value of a top-level key; of an indented one where `key` begins with spaces.
fn value<'a>(document: &'a str, key: &str) -> Option<&'a str> {
    document
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .map(|value| value.trim_matches([' ', '\'', '"']))
}

/// The first sentence of the description.
fn first_sentence(document: &str) -> String {
    let text: Vec<&str> = document
        .lines()
        .skip_while(|line| !line.starts_with("description:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .map(str::trim)
        .collect();
    let text = text.join(" ");
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text[..end].trim_end().to_owned()
}

fn needs(document: &str) -> String {
    if document.lines().any(|line| line == "correlation:") {
        let kind = value(document, "  type: ").unwrap_or_default();
        return format!("`{kind}`");
    }
    let part = |key| value(document, key).unwrap_or_default();
    let source = [part("  product: "), part("  category: "), part("  service: ")];
    FEEDS
        .iter()
        .find(|(product, category, service, _)| {
            [product, category, service]
                .into_iter()
                .zip(source)
                .all(|(asked, is)| *asked == "*" || *asked == is)
        })
        .map_or_else(
            || panic!("FEEDS names no feed for {source:?}"),
            |(.., feed)| (*feed).to_owned(),
        )
}

fn entries(file: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(file).unwrap();
    text.split("\n---\n")
        // Parts of a correlation that have no level of their own open nothing.
        .filter(|document| value(document, "level: ").is_some())
        .map(|document| Entry {
            title: value(document, "title: ").unwrap().to_owned(),
            level: value(document, "level: ").unwrap().to_owned(),
            sees: first_sentence(document),
            needs: needs(document),
        })
        .collect()
}

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut topics: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for file in rule_files(&root) {
        let relative = file.strip_prefix(&root).unwrap();
        let topic = relative.components().next().unwrap().as_os_str().to_string_lossy();
        topics.entry(topic.into_owned()).or_default().extend(entries(&file));
    }
    let mut page = HEAD.to_owned();
    for (folder, heading) in TOPICS {
        let Some(mut rules) = topics.remove(*folder) else { continue };
        rules.sort_by(|a, b| a.title.cmp(&b.title));
        let last = if *folder == "correlations" { "type" } else { "needs" };
        write!(
            page,
            "\n## {heading} ({})\n\n| rule | level | what it sees | {last} |\n|---|---|---|---|\n",
            rules.len()
        )
        .unwrap();
        for rule in rules {
            let cell = |text: &str| text.replace('|', "\\|");
            writeln!(
                page,
                "| {} | {} | {} | {} |",
                cell(&rule.title),
                rule.level,
                cell(&rule.sees),
                rule.needs
            )
            .unwrap();
        }
    }
    assert!(topics.is_empty(), "TOPICS lacks {:?}", topics.keys());
    page
}

#[test]
fn the_catalogue_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let page = page();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{} is stale: run UPDATE_DOCS=1 cargo test --test rules_catalogue",
        path.display()
    );
}
