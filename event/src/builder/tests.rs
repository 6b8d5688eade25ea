use super::*;
use crate::{CommuneId, FormatName, Space};

fn builder(raw: &'static [u8]) -> EventBuilder {
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-pc").unwrap(),
        format: FormatName::new("windows").unwrap(),
        received: Timestamp::from_millis(1_000),
        raw: Bytes::from_static(raw),
        context: None,
    };
    EventBuilder::new(record, EventId::from_bytes([1; 16]))
}

#[test]
fn values_come_back_as_pushed() {
    let mut b = builder(b"raw");
    b.push_str(fields::PROCESS_EXECUTABLE, "C:\\a.exe");
    b.alias(fields::PROCESS_NAME, fields::PROCESS_EXECUTABLE);
    b.push_i64(fields::PROCESS_PID, 4);
    b.push_json(
        "x",
        "y",
        &serde_json::json!({"z": [1, null, {"w": "é"}], "big": 18446744073709551615u64}),
    );
    b.push_json("", "bad\u{1}name", &serde_json::json!("v"));
    let event = b.build();
    assert_eq!(event.get_str(fields::PROCESS_NAME), Some("C:\\a.exe"));
    assert_eq!(event.get(fields::PROCESS_PID), Some(ValueRef::I64(4)));
    let z: Vec<_> = event.get_all(FieldId::lookup("x.y.z").unwrap()).collect();
    assert_eq!(z, [ValueRef::I64(1), ValueRef::Null]);
    assert_eq!(event.get_str(FieldId::lookup("x.y.z.w").unwrap()), Some("é"));
    assert_eq!(event.get(FieldId::lookup("x.y.big").unwrap()), Some(ValueRef::U64(u64::MAX)));
    assert_eq!(event.get_str(fields::UNMAPPED), Some("bad\u{1}name=v"));
    assert_eq!(event.get_str(fields::ORGANIZATION_ID), Some("dijon"));
    assert_eq!(event.get_str(fields::TIMESTAMP), Some("1970-01-01T00:00:01Z"));
    assert_eq!(event.get_str(fields::EVENT_ORIGINAL), Some("raw"));
}

#[test]
fn a_record_cannot_name_its_own_commune() {
    let mut b = builder(b"{}");
    b.push_str(fields::ORGANIZATION_ID, "talant");
    let event = b.build();
    let all: Vec<_> = event.get_all(fields::ORGANIZATION_ID).collect();
    assert_eq!(all, [ValueRef::Str("dijon")]);
}

#[test]
fn deep_nesting_is_kept_as_text() {
    let mut value = serde_json::json!("end");
    for _ in 0..100 {
        value = serde_json::json!({ "n": value });
    }
    let mut b = builder(b"{}");
    b.push_json("deep", "x", &value);
    let event = b.build();
    assert!(event.iter().any(|(_, v)| v.as_str().is_some_and(|t| t.contains("\"end\""))));
}

#[test]
fn lent_text_is_shared_and_the_event_is_the_same() {
    let raw = "say \u{e9}t\u{e9} again";
    let mut memory = vec![0; raw.len()];
    let mut b = builder(raw.as_bytes());
    let held = b.raw().clone();
    let source = std::str::from_utf8(&held).unwrap();
    b.push_str(fields::TAGS, "before");
    let mut space = Space::new(source, &mut memory);
    let escaped = space
        .unescape(|out| {
            out.push_str("a\tb");
            Ok::<_, ()>(Unescaped::Differs)
        })
        .unwrap();
    let before = b.text.len();
    EventBuilder::with_lent(&mut b, space.finish(), |b| {
        b.push_str(fields::MESSAGE, source);
        b.push_str(fields::EVENT_ACTION, &source[4..9]);
        b.push_str(fields::EVENT_CODE, &escaped);
        b.push_str(fields::EVENT_REASON, &escaped[2..]);
        b.push_str(fields::HOST_NAME, "elsewhere");
        b.push_str(fields::USER_NAME, "");
        b.push_part(fields::USER_ID, fields::EVENT_ACTION, 0..2);
        b.push_part(fields::GROUP_ID, fields::EVENT_ACTION, 0..1);
    });
    assert_eq!(b.text.len() - before, raw.len() + 3 + "elsewhere".len(), "copied once");
    let event = b.build();
    for (field, text) in [
        (fields::TAGS, "before"),
        (fields::MESSAGE, raw),
        (fields::EVENT_ACTION, "\u{e9}t\u{e9}"),
        (fields::EVENT_CODE, "a\tb"),
        (fields::EVENT_REASON, "b"),
        (fields::HOST_NAME, "elsewhere"),
        (fields::USER_NAME, ""),
        (fields::USER_ID, "\u{e9}"),
        (fields::EVENT_ORIGINAL, raw),
    ] {
        assert_eq!(event.get_str(field), Some(text), "{field:?}");
    }
    assert_eq!(event.get(fields::GROUP_ID), None, "a range within a character");
    assert_eq!(event.original_text(), raw);
}

#[test]
fn what_is_removed_is_gone_and_can_come_back() {
    let other = FieldId::intern("vendor.removed").unwrap();
    let mut b = builder(b"{}");
    for field in [fields::TAGS, other, fields::MESSAGE, fields::TAGS] {
        b.push_str(field, "x");
    }
    for field in [fields::TAGS, other] {
        assert!(b.has(field));
        b.remove(field);
        assert!(!b.has(field));
        assert_eq!(b.get_str(field), None);
    }
    assert!(b.has(fields::MESSAGE));
    b.push_str(fields::TAGS, "y");
    let names: Vec<_> = b.build().iter().map(|(field, _)| field).collect();
    assert_eq!(names[..2], [fields::MESSAGE, fields::TAGS]);
}

#[test]
fn what_the_shipper_says_fills_what_the_record_does_not() {
    let at = |ms: i64| Timestamp::from_millis(ms);
    let context = Context {
        time: Some(at(1_000)),
        host: Some("relay".to_owned()),
        fields: vec![("hec.source".to_owned(), "a".to_owned())],
        batch: None,
    };
    let with = |fill: &dyn Fn(&mut EventBuilder)| {
        let mut b = builder(b"{}");
        b.record.context = Some(std::sync::Arc::new(context.clone()));
        fill(&mut b);
        b.build()
    };
    let source = FieldId::intern("hec.source").unwrap();
    let event = with(&|_| {});
    assert_eq!(event.timestamp(), at(1_000));
    assert_eq!(event.get_str(fields::HOST_NAME), Some("relay"));
    assert_eq!(event.get_str(source), Some("a"));
    assert_eq!(event.get(fields::EVENT_CREATED), None);
    assert_eq!(event.context().map(|kept| kept.as_ref()), Some(&context));
    // What the record says itself counts, and nothing is lost.
    let event = with(&|b| {
        b.set_timestamp(at(5_000));
        b.push_str(fields::HOST_NAME, "pc-1");
    });
    assert_eq!(event.timestamp(), at(5_000));
    assert_eq!(event.get_str(fields::EVENT_CREATED), Some("1970-01-01T00:00:01Z"));
    assert_eq!(event.get_str(fields::HOST_NAME), Some("pc-1"));
    assert_eq!(event.get_str(fields::SHIPPER_HOST), Some("relay"));
    let event = with(&|b| b.push_str(fields::HOST_NAME, "RELAY"));
    assert_eq!(event.get(fields::SHIPPER_HOST), None, "the same host");
}
