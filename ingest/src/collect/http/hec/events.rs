//! How the collector's bodies hold events.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use event::{Context, Timestamp};
use serde_json::value::RawValue;

use super::Code;
use crate::collect::http::{
    split::{Fault, Piece, Pieces, SplitLimits, Unsplittable, lines, offer, reject},
    take::{Found, Split},
};

/// Objects, one behind the other.
#[derive(Clone)]
pub(super) struct Events;

/// One record a line, all with the same context.
#[derive(Clone)]
pub(super) struct RawLines {
    context: Option<Arc<Context>>,
}

/// An event that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) record: u64,
    pub(super) code: Code,
    pub(super) reason: String,
}

type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

impl Split for Events {
    type Notes = Option<Bad>;

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<Option<Bad>>, Unsplittable> {
        // A byte order mark, which no JSON begins with.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut taker = Taker {
            pieces: Pieces::default(),
            text: Vec::with_capacity(body.len()),
            bad: None,
            next: 0,
            limits,
        };
        for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
            match value {
                Ok(value) => taker.take_all(value)?,
                // Where the next event begins cannot be told any more.
                Err(error) => {
                    let reason = format!("it is not JSON: {error}");
                    taker.turn_away(Fault::Malformed, Code::BAD_DATA, reason)?;
                    break;
                }
            }
        }
        Ok(Found { pieces: taker.pieces, text: Some(taker.text), notes: taker.bad })
    }
}

struct Taker {
    pieces: Pieces,
    /// Invariant: no event takes more bytes here than in the body, as unescaping only shortens.
    text: Vec<u8>,
    bad: Option<Bad>,
    next: u64,
    limits: SplitLimits,
}

impl Taker {
    /// One event, or an array of them, which some senders write.
    fn take_all(&mut self, value: &RawValue) -> Result<(), Unsplittable> {
        if !value.get().starts_with('[') {
            return self.take(value);
        }
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(values) => values.into_iter().try_for_each(|value| self.take(value)),
            Err(error) => self.turn_away(Fault::Malformed, Code::BAD_DATA, error.to_string()),
        }
    }

    fn take(&mut self, value: &RawValue) -> Result<(), Unsplittable> {
        let Ok(mut members) = serde_json::from_str::<Members<'_>>(value.get()) else {
            let reason = "an event is an object like {\"event\": …}".to_owned();
            return self.turn_away(Fault::Malformed, Code::BAD_DATA, reason);
        };
        let Some(event) = members.remove("event").filter(|event| event.get() != "null") else {
            let reason = "it has no \"event\"".to_owned();
            return self.turn_away(Fault::Malformed, Code::NO_EVENT, reason);
        };
        let start = self.text.len();
        match serde_json::from_str::<Cow<'_, str>>(event.get()) {
            Ok(text) => self.text.extend_from_slice(text.as_bytes()),
            Err(_) => self.text.extend_from_slice(event.get().as_bytes()),
        }
        if self.text[start..].trim_ascii().is_empty() {
            self.text.truncate(start);
            let reason = "its \"event\" is blank".to_owned();
            return self.turn_away(Fault::Malformed, Code::BLANK, reason);
        }
        let record = self.count()?;
        let context = context_of(&members);
        let piece = Piece { range: start..self.text.len(), record, line: record + 1, context };
        offer(&mut self.pieces, piece, self.limits);
        Ok(())
    }

    fn count(&mut self) -> Result<u64, Unsplittable> {
        let record = self.next;
        self.next += 1;
        match self.next > self.limits.batch_records_max as u64 {
            true => Err(Unsplittable::TooManyRecords),
            false => Ok(record),
        }
    }

    fn turn_away(&mut self, fault: Fault, code: Code, reason: String) -> Result<(), Unsplittable> {
        let record = self.count()?;
        if self.bad.is_none() {
            self.bad = Some(Bad { record, code, reason: reason.clone() });
        }
        reject(&mut self.pieces, (record, record + 1), (fault, reason), self.limits);
        Ok(())
    }
}

/// What stands beside `event`.
fn context_of(members: &Members<'_>) -> Option<Arc<Context>> {
    let mut context = Context::default();
    let mut names: Vec<&Cow<'_, str>> = members.keys().collect();
    names.sort();
    for name in names {
        let value = members[name];
        match &**name {
            "time" if context.time.is_none() => match time_of(&text_of(value)) {
                Some(time) => context.time = Some(time),
                None => context.fields.push(("hec.time".to_owned(), text_of(value))),
            },
            "host" => context.host = Some(text_of(value)).filter(|host| !host.is_empty()),
            "fields" => match serde_json::from_str::<Members<'_>>(value.get()) {
                Ok(fields) => {
                    let mut names: Vec<&Cow<'_, str>> = fields.keys().collect();
                    names.sort();
                    for name in names {
                        add(&mut context, &format!("hec.fields.{name}"), fields[name]);
                    }
                }
                Err(_) => add(&mut context, "hec.fields", value),
            },
            name => add(&mut context, &format!("hec.{name}"), value),
        }
    }
    (!context.is_empty()).then(|| Arc::new(context))
}

/// A value under a name; each of several, and nothing for null.
fn add(context: &mut Context, name: &str, value: &RawValue) {
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(values) => values.into_iter().for_each(|value| {
            context.fields.push((name.to_owned(), text_of(value)));
        }),
        Err(_) if value.get() == "null" => {}
        Err(_) => context.fields.push((name.to_owned(), text_of(value))),
    }
}

fn text_of(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Seconds since 1970 with a fraction, as a number or as text; some senders write milliseconds or
/// finer, which are told by their size: seconds have ten digits until the year 2286.
fn time_of(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !is_digits(whole) || !is_digits(fraction) {
        return Timestamp::parse(text);
    }
    let whole: i64 = whole.parse().ok()?;
    let unit: i64 = match whole {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit / 10;
    for digit in fraction.bytes().map(|byte| i64::from(byte - b'0')) {
        nanos = nanos.checked_add(digit * place)?;
        place /= 10;
    }
    Some(Timestamp::from_nanos(nanos))
}

impl RawLines {
    /// With what the query says of all lines.
    pub(super) fn of(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let mut context = Context {
            time: parameter("time").as_deref().and_then(time_of),
            host: parameter("host").filter(|host| !host.is_empty()),
            ..Context::default()
        };
        for name in ["index", "source", "sourcetype"] {
            if let Some(value) = parameter(name) {
                context.fields.push((format!("hec.{name}"), value));
            }
        }
        Self { context: (!context.is_empty()).then(|| Arc::new(context)) }
    }
}

impl Split for RawLines {
    type Notes = Option<Bad>;

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<Option<Bad>>, Unsplittable> {
        let mut pieces = Pieces::default();
        for (record, (line, range)) in (0..).zip(lines(body)) {
            if record >= limits.batch_records_max as u64 {
                return Err(Unsplittable::TooManyRecords);
            }
            let context = self.context.clone();
            offer(&mut pieces, Piece { range, record, line, context }, limits);
        }
        Ok(Found { pieces, text: None, notes: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SplitLimits =
        SplitLimits { record_bytes_max: 40, batch_records_max: 6, rejections_max: 4 };

    type Taken = (String, Option<Context>);

    fn taken(body: &str) -> (Vec<Taken>, Option<Bad>) {
        let found = Events.split(body.as_bytes(), LIMITS).unwrap();
        let text = found.text.unwrap();
        assert!(text.len() <= body.len(), "{body}");
        let pieces = found.pieces.good.iter().map(|piece| {
            let text = String::from_utf8(text[piece.range.clone()].to_vec()).unwrap();
            (text, piece.context.as_deref().cloned())
        });
        (pieces.collect(), found.notes)
    }

    #[test]
    fn objects_need_no_separator_and_keep_what_is_beside_the_event() {
        let body = r#"{"event":"a \"b\"","host":"pc-1"}{"time":"1433188255.500","event":{"c": [1]},"fields":{"d":["x","y"],"e":2},"sourcetype":"st","other":null}
            [{"event": 7}]"#;
        let (taken, bad) = taken(body);
        assert_eq!(bad, None);
        let texts: Vec<&str> = taken.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["a \"b\"", "{\"c\": [1]}", "7"]);
        assert_eq!(taken[0].1.as_ref().unwrap().host.as_deref(), Some("pc-1"));
        let second = taken[1].1.as_ref().unwrap();
        assert_eq!(second.time, Timestamp::parse("2015-06-01T19:50:55.5Z"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            second.fields,
            [
                pair("hec.fields.d", "x"),
                pair("hec.fields.d", "y"),
                pair("hec.fields.e", "2"),
                pair("hec.sourcetype", "st")
            ]
        );
        assert_eq!(taken[2].1, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_its_neighbours_are_taken() {
        for (body, count, record, code) in [
            (r#"{"event":"a"}{"host":"x"}{"event":"b"}"#, 2, 1, 12),
            (r#"{"event":null}{"event":"b"}"#, 1, 0, 12),
            (r#"{"event":"a"}{"event":" "}{"event":"b"}"#, 2, 1, 13),
            (r#"{"event":"a"} "text" {"event":"b"}"#, 2, 1, 6),
            (r#"{"event":"a"}{"event":"b","#, 1, 1, 6),
            (r#"{"event":"a"}nonsense"#, 1, 1, 6),
        ] {
            let (taken, bad) = taken(body);
            let bad = bad.unwrap();
            assert_eq!((taken.len(), bad.record, bad.code.code), (count, record, code), "{body}");
        }
        let large = format!(r#"{{"event":"{}"}}{{"event":"b"}}"#, "x".repeat(41));
        let found = Events.split(large.as_bytes(), LIMITS).unwrap();
        assert_eq!((found.pieces.good.len(), found.pieces.rejected[0].record), (1, 0));
        let many = r#"{"event":"a"}"#.repeat(7);
        assert!(matches!(Events.split(many.as_bytes(), LIMITS), Err(Unsplittable::TooManyRecords)));
    }

    #[test]
    fn times_are_read_in_every_unit() {
        let time = |text: &str| time_of(text).map(|time| time.to_string());
        for text in
            ["1433188255", "1433188255.000", " 1433188255.0 ", "1433188255000", "1433188255000000"]
        {
            assert_eq!(time(text).as_deref(), Some("2015-06-01T19:50:55Z"), "{text}");
        }
        assert_eq!(time("1433188255.253000001").as_deref(), Some("2015-06-01T19:50:55.253000001Z"));
        assert_eq!(time("1433188255253.5").as_deref(), Some("2015-06-01T19:50:55.2535Z"));
        assert_eq!(time("2015-06-01T19:50:55Z").as_deref(), Some("2015-06-01T19:50:55Z"));
        for text in ["", "yesterday", "-5", "1e9", "99999999999999999999", "1.2.3"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
