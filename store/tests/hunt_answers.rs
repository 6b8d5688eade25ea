//! What analysts type and what it finds, in memory and sealed alike.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use store::hunt::{Hunt as _, HuntError};
use support::{Place, add, all, commune, event, hunter, request};

const RECORDS: &[&str] = &[
    r#"{"@timestamp":"2026-01-01T00:00:01Z","event.kind":"event","event.dataset":"windows.sysmon","event.code":"1","host.name":"PC-Compta-12","process.command_line":"C:\\Tools\\mimikatz64.exe \"sekurlsa::logonpasswords\" -enc","process.executable":"C:\\Tools\\mimikatz64.exe","process.pid":4242,"source.ip":"10.1.2.3"}"#,
    r#"{"@timestamp":"2026-01-01T00:00:02Z","event.kind":"event","event.dataset":"windows.security","event.code":"4688","host.name":"pc-compta-13","process.executable":"C:\\Windows\\System32\\cmd.exe","process.pid":70,"source.ip":"192.168.0.1","winlog.event_data":{"Ticket":"0x10","Empty":"","Nothing":null}}"#,
    r#"{"@timestamp":"2026-01-01T00:00:03Z","event.kind":"alert","message":"Trojan (généric) found on phone","device.id":"p-1","mtd.threat.level":"HIGH","tags":["a b","c"]}"#,
    "not json at all: lsass_dump",
];

/// The query and the offsets that it finds, newest first. The last record has no time of its
/// own, so its receipt counts, which is first of all.
const CASES: &[(&str, &[u64])] = &[
    ("", &[2, 1, 0, 3]),
    ("*", &[2, 1, 0, 3]),
    ("mimikatz64", &[0]),
    ("mimikatz", &[]),
    ("mimikatz*", &[0]),
    ("*IKATZ*", &[0]),
    ("process.command_line:MIMIKATZ64", &[0]),
    ("process.command_line:mimikatz", &[]),
    ("process.command_line:mimi*", &[0]),
    ("process.command_line:*katz*log*", &[0]),
    ("process.command_line:\"sekurlsa::logonpasswords\"", &[0]),
    ("process.command_line:\"logonpasswords sekurlsa\"", &[]),
    ("process.command_line:-enc", &[0]),
    ("process.command_line:\"::\"", &[0]),
    (r"process.executable:C:\Windows\System32\cmd.exe", &[1]),
    (r#"process.executable:"C:\\Windows\\System32\\cmd.exe""#, &[1]),
    (r"process.executable:C:\Windows\*", &[1]),
    (r"process.executable:C:\\*\\cmd.exe", &[1]),
    (r"process.executable:?:\Tools\*.exe", &[0]),
    ("host.name:pc-compta-12", &[0]),
    ("host.name:pc-compta-*", &[1, 0]),
    ("HOST.NAME:pc-compta-1?", &[1, 0]),
    ("pc-compta-12", &[0]),
    ("process.pid:4242", &[0]),
    ("process.pid >= 70 and process.pid < 4242", &[1]),
    ("process.pid:[70 TO 4242]", &[1, 0]),
    ("process.pid:{70 TO *}", &[0]),
    ("source.ip:10.0.0.0/8", &[0]),
    ("source.ip:(10.1.2.3 or 192.168.0.0/16)", &[1, 0]),
    ("not source.ip:*", &[2, 3]),
    ("event.kind:pipeline_error", &[3]),
    ("lsass_dump", &[3]),
    ("event.code:(1 OR 4688) AND NOT host.name:*12", &[1]),
    ("@timestamp:[2026-01-01T00:00:02Z TO *]", &[2, 1]),
    ("@timestamp:2026-01-01", &[2, 1, 0, 3]),
    ("@timestamp > 2026-01-01T00:00:02Z", &[2]),
    ("winlog.event_data.Ticket:0X10", &[1]),
    ("winlog.event_data.Empty:*", &[1]),
    ("winlog.event_data.Empty:\"\"", &[1]),
    ("winlog.event_data.Nothing:*", &[]),
    ("tags:\"a b\"", &[2]),
    ("tags:a", &[]),
    ("GÉNÉRIC", &[2]),
    ("mtd.threat.level:high trojan", &[2]),
    ("mtd.threat.level:high or host.name:pc-compta-12", &[2, 0]),
    ("(a or b) not c", &[]),
];

async fn check(place: &Place, hunter: &store::hunt::Hunter, when: &str) {
    for (query, offsets) in CASES {
        let wanted: Vec<_> =
            offsets.iter().map(|o| event(*o, "dijon", RECORDS[*o as usize]).id()).collect();
        assert_eq!(all(hunter, &place.scope, query).await, wanted, "{when}: {query}");
    }
}

#[tokio::test]
async fn finds_the_same_in_memory_in_a_split_and_after_a_restart() {
    let place = Place::new();
    let index = place.index().await;
    let events = (0..).zip(RECORDS).map(|(offset, raw)| event(offset, "dijon", raw)).collect();
    add(&index, 0, events).await;
    let hunter_now = hunter(&index);
    check(&place, &hunter_now, "in memory").await;
    let positions = index.checkpoint(support::BUS).await.unwrap();
    assert_eq!(positions.len(), 1);
    assert_eq!(positions[0].next, 4);
    check(&place, &hunter_now, "sealed").await;
    drop((hunter_now, index));
    let index = place.index().await;
    let hunter = hunter(&index);
    check(&place, &hunter, "after a restart").await;
    for (offset, raw) in (0..).zip(RECORDS) {
        let wanted = event(offset, "dijon", raw);
        let found = hunter.event(&place.scope, wanted.id()).await.unwrap().unwrap();
        assert_eq!(found.to_json(), wanted.to_json());
        let foreign = place.scope.narrowed(&commune("talant"));
        assert!(hunter.event(&foreign, wanted.id()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn errors_point_at_the_column_and_propose() {
    let place = Place::new();
    let hunter = hunter(&place.index().await);
    for (query, wanted_column, wanted_reason) in [
        ("a b host.nmae:x", 5, "host.name"),
        ("process.comand_line:x", 1, "process.command_line"),
        ("zzzzzzzz:x", 1, "quotes"),
        ("host.name:x and", 16, "missing"),
        ("[1 TO", 1, "x"),
    ] {
        match hunter.hunt(&place.scope, request(query)).await {
            Err(HuntError::Query { column, reason }) => {
                assert_eq!(column, wanted_column, "{query}: {reason}");
                assert!(reason.contains(wanted_reason), "{query}: {reason}");
            }
            Ok(_) if query.starts_with('[') => {}
            other => panic!("{query}: {other:?}"),
        }
    }
    let answer = hunter.hunt(&place.scope, request("winlog.event_data.Nie:x")).await.unwrap();
    assert_eq!(answer.warnings.len(), 1);
    let mut with_cursor = request("");
    with_cursor.cursor = Some("00".into());
    assert!(matches!(hunter.hunt(&place.scope, with_cursor).await, Err(HuntError::Cursor)));
}
