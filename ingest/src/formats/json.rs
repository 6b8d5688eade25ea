//! JSON text as a tree that borrows from it.
//!
//! A record is parsed once, strings without escapes are slices of it, others can be slices of
//! a [`Space`] that the event takes over ([`Json::parse_in`]), and numbers keep
//! their digits, so that what no 64-bit number holds is not rounded. It takes what real
//! shippers send wrong: raw control characters inside strings, lone surrogates (U+FFFD),
//! duplicate keys (all are kept). Containers deeper than [`DEPTH_MAX`] are kept as text, so
//! recursion is bounded; more than [`VALUES_MAX`] values are refused, so memory is.

mod parser;

use std::borrow::Cow;

use event::Space;

use self::parser::Parser;

/// Levels of nesting that become a tree.
pub(crate) const DEPTH_MAX: usize = 32;

/// Values that a record has at most.
pub(crate) const VALUES_MAX: usize = 1 << 20;

/// An object's pairs in their order.
pub(crate) type Object<'a> = [(Cow<'a, str>, Json<'a>)];

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits as they stand.
    Number(&'a str),
    Str(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// A container below [`DEPTH_MAX`], as text.
    Deep(&'a str),
}

/// Why text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the JSON ends early, inside {inside}; it may have been cut by a length limit")]
    Short { inside: &'static str },
    #[error("byte {at} of the JSON should be {wanted}, not {found:?}")]
    Unexpected { at: usize, wanted: &'static str, found: char },
    #[error("the JSON has more than {VALUES_MAX} values; split it into several records")]
    Values,
}

impl<'a> Json<'a> {
    /// Parses `text`, which is one value with nothing but white space around it. Strings with
    /// escapes are allocated each.
    pub(crate) fn parse(text: &'a str) -> Result<Self, JsonError> {
        Parser::new(text, None).document()
    }

    /// The same with escapes resolved into `space`; the value is the same.
    pub(crate) fn parse_in(text: &'a str, space: &mut Space<'a>) -> Result<Self, JsonError> {
        Parser::new(text, Some(space)).document()
    }

    /// The pairs, where it is an object.
    pub(crate) fn object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The first value of `key`, where it is an object that has one.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.object().and_then(|pairs| find(pairs, key))
    }

    /// The value at the end of `keys`.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text of a scalar as a shipper wrote it; `None` for null and containers.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Number(digits) => Some(digits),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Deep(_) | Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The text of a scalar, unless it says "nothing" (`""`, `-`).
    pub(crate) fn present(&self) -> Option<&str> {
        self.text().filter(|text| super::text::is_present(text))
    }

    /// A whole number, also where it stands as text.
    pub(crate) fn whole(&self) -> Option<i64> {
        self.text()?.trim().parse().ok()
    }
}

/// The first value of `key` among `pairs`.
pub(crate) fn find<'o, 'a>(pairs: &'o Object<'a>, key: &str) -> Option<&'o Json<'a>> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_serde(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(digits) => serde_json::from_str(digits).unwrap(),
            Json::Str(text) => text.as_ref().into(),
            Json::Array(items) => items.iter().map(to_serde).collect(),
            Json::Object(pairs) => serde_json::Value::Object(
                pairs.iter().map(|(k, v)| (k.to_string(), to_serde(v))).collect(),
            ),
            Json::Deep(text) => serde_json::from_str(text).unwrap(),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1.0e9..1.0e9f64).prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// What parsing into a space of `room` bytes gives, and that its strings are the event's.
    fn parse_in(text: &str, room: usize) -> Result<serde_json::Value, JsonError> {
        let mut memory = vec![0; text.len().min(room)];
        let mut space = Space::new(text, &mut memory);
        Json::parse_in(text, &mut space).map(|json| loose(&json))
    }

    fn parse_owned(text: &str) -> Result<serde_json::Value, JsonError> {
        Json::parse(text).map(|json| loose(&json))
    }

    /// A value of its own that keeps everything: order, doubles, digits.
    fn loose(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::Array(items) => items.iter().map(loose).collect(),
            Json::Object(pairs) => {
                pairs.iter().map(|(k, v)| serde_json::json!([k, loose(v)])).collect()
            }
            leaf => format!("{leaf:?}").into(),
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in any_json(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            // Read back rather than compared with `value`: serde_json may round a double.
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(to_serde(&Json::parse(&text).unwrap()), read);
            // Whatever room there is, the value is the same.
            for room in [0, 5, usize::MAX] {
                prop_assert_eq!(parse_in(&text, room), parse_owned(&text));
            }
        }

        /// What [`event::Event::distinct_text`] leaves out repeats the record, but for escapes.
        #[test]
        fn what_is_not_distinct_repeats_the_record(
            parts in prop::collection::vec(
                prop_oneof![
                    "[a-z:é ]{1,6}",
                    r#"\\["\\bfnrt]"#,
                    Just(r"\/".to_owned()),
                    Just(r"\u0061".to_owned()),
                ],
                0..12,
            ),
            times in 1..4_usize,
        ) {
            let raw = format!("[{}]", vec![format!("\"{}\"", parts.concat()); times].join(","));
            let mut memory = vec![0; raw.len()];
            let mut space = Space::new(&raw, &mut memory);
            let Json::Array(values) = Json::parse_in(&raw, &mut space).unwrap() else {
                return Err(TestCaseError::fail("no array"));
            };
            let record = event::Record {
                commune: "dijon".parse().unwrap(),
                feed: "a".parse().unwrap(),
                format: "json".parse().unwrap(),
                received: event::Timestamp::default(),
                raw: raw.clone().into(),
                context: None,
            };
            let mut builder = event::EventBuilder::new(record, event::EventId::from_bytes([7; 16]));
            event::EventBuilder::with_lent(&mut builder, space.finish(), |builder| {
                for value in &values {
                    if let Json::Str(text) = value {
                        builder.push_str(event::fields::MESSAGE, text);
                    }
                }
            });
            let event = builder.build();
            let (before, after) = event.distinct_text();
            let differs = raw.contains("\\/") || raw.contains("\\u");
            // Where something was unescaped, it is left out indeed.
            let left_out = before.len() + after.len() < event.text().len();
            prop_assert_eq!(left_out, raw.contains('\\') && !differs, "{}", raw);
            for value in event.get_all(event::fields::MESSAGE) {
                let text = value.to_text();
                for run in text.split(|c: char| c < ' ' || matches!(c, '"' | '\\')) {
                    prop_assert!(before.contains(run) || after.contains(run), "{run:?} in {raw}");
                }
            }
        }

        #[test]
        fn accepts_all_that_serde_json_accepts_and_never_panics(
            text in r#"[\[\]{},:"\\0-9a-fnrtuD.eE+\- ]{0,40}"#,
        ) {
            let ours = Json::parse(&text);
            prop_assert_eq!(parse_in(&text, usize::MAX), parse_owned(&text));
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(ours.is_ok(), "{:?}", ours);
            }
        }
    }

    #[test]
    fn is_tolerant_where_nothing_is_lost() {
        let json = Json::parse("{\"a\":\"x\0\n\",\"a\":1e400,\"b\":\"\\ud800!\"}").unwrap();
        assert_eq!(
            json.object().unwrap(),
            [
                ("a".into(), Json::Str("x\0\n".into())),
                ("a".into(), Json::Number("1e400")),
                ("b".into(), Json::Str("\u{fffd}!".into())),
            ]
        );
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}\"]\\\"\"{}", "[".repeat(10_000), "]".repeat(10_000));
        let mut value = &Json::parse(&deep).unwrap();
        while let Json::Array(items) = value {
            value = &items[0];
        }
        let Json::Deep(text) = value else { panic!("{value:?}") };
        assert_eq!(text.len(), deep.len() - 2 * DEPTH_MAX);
        assert_eq!(Json::parse(&format!("[{}1]", "1,".repeat(VALUES_MAX))), Err(JsonError::Values));
    }

    #[test]
    fn errors_say_where() {
        for (text, error) in [
            ("", "the JSON ends early, inside a value; it may have been cut by a length limit"),
            (
                "{\"a\":\"",
                "the JSON ends early, inside a string; it may have been cut by a length limit",
            ),
            ("{a:1}", "byte 2 of the JSON should be a key in quotes, not 'a'"),
            ("{} x", "byte 4 of the JSON should be the end, not 'x'"),
            ("[1 2]", "byte 4 of the JSON should be `,` or `]`, not '2'"),
            ("é", "byte 1 of the JSON should be a value, not 'é'"),
        ] {
            assert_eq!(Json::parse(text).unwrap_err().to_string(), error);
        }
    }
}
