//! Formats that are declared: mistakes are told with their lines, and folders of one's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use bytes::Bytes;
use event::{
    BusId, CommuneId, Decode as _, Event, EventId, FeedId, FieldId, FormatName, Record, Timestamp,
    fields,
};
use ingest::formats::{Declared, FormatError, Formats};

const HEAD: &str = r#"name = "acme"
describe = "ACME"
namespace = "acme"
[input]
syntax = "kv"
"#;

fn decode(formats: &Formats, format: &str, raw: &str) -> Event {
    let received = Timestamp::from_secs(1_767_225_600);
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-acme").unwrap(),
        format: FormatName::new(format).unwrap(),
        received,
        raw: Bytes::copy_from_slice(raw.as_bytes()),
        context: None,
    };
    formats.decode(record, EventId::of(BusId::from_bytes([1; 16]), 0, 0, received))
}

#[test]
fn mistakes_are_told_with_line_and_what_was_meant() {
    for (text, line, message) in [
        (
            "[map]\n\"source.ipp\" = \"src\"\n",
            7,
            "ECS has no field \"source.ipp\"; did you mean \"source.ip\"?",
        ),
        (
            "[map]\n\"source.ip\" = { from = \"src\", as = \"lowr\" }\n",
            7,
            "there is no converter \"lowr\"; did you mean \"lower\"?",
        ),
        (
            "[map]\n\"source.ip\" = { form = \"src\" }\n",
            7,
            "a mapping has no key \"form\"; did you mean \"from\"?",
        ),
        (
            "[map]\n\"source.ip\" = { from = \"src\", table = \"t\" }\n",
            7,
            "there is no table \"t\"",
        ),
        (
            "[map]\n\"source.ip\" = { from = \"src\", capture = \"(a\" }\n",
            7,
            "the regular expression is bad",
        ),
        (
            "[map]\n\"source.ip\" = { from = \"src\", capture = \"a\" }\n",
            7,
            "capture takes a pattern with one group",
        ),
        ("[map]\n\"source.ip\" = { as = \"lower\" }\n", 7, "neither `from`, `text` nor `sum`"),
        ("[map]\n\"source.ip\" = { text = \"{src\" }\n", 7, "a `{` in the text has no `}`"),
        (
            "[map]\n\"sourc\" = { from = \"src\", as = \"host\" }\n",
            7,
            "no field of ECS lies below \"sourc\"",
        ),
        (
            "[set]\n\"event.category\" = [\"netwrok\"]\n",
            7,
            "ECS does not allow \"netwrok\" in event.category; did you mean \"network\"?",
        ),
        ("[set]\n\"process.pid\" = \"x\"\n", 7, "\"process.pid\" does not take string"),
        ("[mapp]\n", 6, "a format has no key \"mapp\"; did you mean \"map\"?"),
        ("[[case]]\nset = { kind = \"alert\" }\n", 6, "a case has a `when`"),
        (
            "[[case]]\nwhen = { a = { start = \"x\" } }\n",
            7,
            "a condition on one key has no key \"start\"; did you mean \"starts\"?",
        ),
        (
            "[[classify]]\n[classify.rows]\n\"x\" = { kind = \"alert\" }\n",
            6,
            "a classification has `on`",
        ),
        ("[[pattern]]\nlike = \"{a:float}\"\n", 7, "there is no class \"float\""),
        ("[[pattern]]\nregex = \"(\"\n", 6, "the regular expression is bad"),
        ("escapes = [\"x\"]\n", 6, "[input] has no key \"escapes\""),
        ("[map]\n\"a = 1\n", 7, ""),
    ] {
        let problems = Declared::load(&format!("{HEAD}{text}")).err().unwrap();
        let found = problems.iter().any(|p| p.line == line && p.message.contains(message));
        assert!(found, "{text} gives {problems:?}, not {message:?} in line {line}");
    }
    let problems =
        Declared::load("name = \"No Slug\"\n[input]\nsyntax = \"yaml\"\n").err().unwrap();
    assert!(problems.len() >= 3, "{problems:?}");
}

#[test]
fn a_folder_adds_formats_and_goes_before_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let map = "[map]\n\"source.ip\" = \"src\"\n[set]\n\"event.kind\" = \"event\"\n";
    fs::write(folder.path().join("acme.toml"), format!("{HEAD}{map}")).unwrap();
    let own = format!("{HEAD}{map}").replace("name = \"acme\"", "name = \"cef\"");
    fs::write(folder.path().join("cef.toml"), own).unwrap();
    fs::write(folder.path().join("notes.txt"), "no format").unwrap();
    let formats = Formats::with_folder(folder.path()).unwrap();
    let event = decode(&formats, "acme", "src=10.26.1.20 name=\"b c\"");
    assert_eq!(event.get_str(fields::SOURCE_IP), Some("10.26.1.20"));
    assert_eq!(event.get_str(FieldId::lookup("acme.name").unwrap()), Some("b c"));
    let event = decode(&formats, "cef", "src=10.26.1.21");
    assert_eq!(event.get_str(fields::SOURCE_IP), Some("10.26.1.21"));
    assert!(formats.get("fortigate").is_some());

    fs::write(folder.path().join("acme.toml"), format!("{HEAD}[map]\n\"x\" = \"y\"\n")).unwrap();
    let Err(FormatError::Mistakes { path, problems }) = Formats::with_folder(folder.path()) else {
        panic!("a mistake must be refused")
    };
    assert!(path.ends_with("acme.toml"));
    assert_eq!(problems[0].line, 7);
}

#[test]
fn formats_are_known_by_other_products_names_too() {
    let formats = Formats::builtin();
    for (alias, name) in [
        ("vade_secure_m365", "vade-secure-m365"),
        ("cloud_funnel2.0", "sentinelone-cloud-funnel"),
        ("winlogbeat", "windows"),
        ("okta", "okta-system-logs"),
    ] {
        assert_eq!(formats.get(alias).unwrap().name(), name);
    }
}

#[test]
fn every_value_of_the_original_is_kept() {
    let formats = Formats::builtin();
    let raw = r#"type="traffic" subtype="forward" srcip=10.26.1.20 newkey="new value" x=1"#;
    let event = decode(&formats, "fortigate", raw);
    for (key, value) in
        [("newkey", "new value"), ("srcip", "10.26.1.20"), ("subtype", "forward"), ("x", "1")]
    {
        let field = FieldId::lookup(&format!("fortinet.fortigate.{key}")).unwrap();
        assert_eq!(event.get_str(field), Some(value), "{key}");
    }
    let unread = formats.get("fortigate").unwrap().unread(raw.as_bytes()).unwrap();
    assert_eq!(unread, [("newkey".to_owned(), "new value".to_owned()), ("x".into(), "1".into())]);
}

#[test]
fn conditions_tables_and_texts_do_what_they_say() {
    let text = format!(
        "{HEAD}{}",
        r#"
[tables.words]
a = "one"
"*" = "other"
[[case]]
when = { n = { above = 3 }, any-of = [{ k = "x" }, { k = { starts = "y" } }] }
set = { type = ["denied"] }
[[classify]]
on = ["k", "n"]
[classify.rows]
"x/*" = { action = "ex" }
"x/4" = { action = "ex-four" }
[map]
"event.action" = "k"
"event.code" = { from = "w", table = "words" }
"event.reason" = { text = "{k} and {n}" }
"network.bytes" = { sum = ["n", "m", "none"] }
"@timestamp" = { text = "{d} {t}", zone = "z" }
"user" = { from = "u", as = "account" }
[set]
"event.type" = ["info"]
"#
    );
    let formats = Formats::builtin().with(Declared::load(&text).unwrap());
    let event = decode(
        &formats,
        "acme",
        r#"k=X n=4 m=5 w=A d=2026-03-02 t=08:00:00 z=+0100 u="DIJON\a.martin""#,
    );
    let get = |field| event.get(field).map(|value| value.to_text().into_owned());
    assert_eq!(get(fields::EVENT_TYPE).as_deref(), Some("denied"));
    assert_eq!(get(fields::EVENT_ACTION).as_deref(), Some("ex-four"));
    assert_eq!(get(fields::EVENT_CODE).as_deref(), Some("one"));
    assert_eq!(get(fields::EVENT_REASON).as_deref(), Some("X and 4"));
    assert_eq!(get(FieldId::lookup("network.bytes").unwrap()).as_deref(), Some("9"));
    assert_eq!(event.timestamp().to_string(), "2026-03-02T07:00:00Z");
    assert_eq!(get(fields::USER_NAME).as_deref(), Some("a.martin"));
    assert_eq!(get(fields::USER_DOMAIN).as_deref(), Some("DIJON"));
    let event = decode(&formats, "acme", "k=yes n=3 w=zzz");
    assert_eq!(event.get_str(fields::EVENT_TYPE), Some("info"));
    assert_eq!(event.get_str(fields::EVENT_CODE), Some("other"));
    assert_eq!(event.get_str(fields::EVENT_REASON), Some("yes and 3"));
}
