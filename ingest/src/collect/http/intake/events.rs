//! How the intake's bodies hold events.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::collect::http::{
    split::{Fault, Piece, Pieces, SplitLimits, Unsplittable, lines, offer},
    take::{Found, Split},
};

/// Levels that `path` may go down.
const PATH_LEVELS_MAX: usize = 32;

/// The whole body is one event, without the line break at its end.
#[derive(Clone)]
pub(super) struct One;

/// One event a line.
#[derive(Clone)]
pub(super) struct Lines;

/// A JSON array of events, somewhere in the body.
#[derive(Clone)]
pub(super) struct Listed {
    path: Vec<String>,
}

/// Events with keys beside them.
#[derive(Clone)]
pub(super) enum Keyed {
    /// One event.
    One,
    /// Events under one key.
    Batch,
    /// Events with a key each.
    Array,
}

/// Which records go by which key.
#[derive(Default)]
pub(super) struct Shares {
    /// The keys, each once; `None` for records that name none.
    pub(super) keys: Vec<Option<String>>,
    /// By key: what was turned away.
    pub(super) faults: Vec<[u64; Fault::ALL.len()]>,
    /// By record: the place of its key.
    places: Vec<usize>,
}

impl Shares {
    /// The place of the key of a record.
    pub(super) fn of(&self, record: u64) -> usize {
        usize::try_from(record)
            .ok()
            .and_then(|record| self.places.get(record))
            .copied()
            .unwrap_or(0)
    }
}

impl Split for One {
    type Notes = ();

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<()>, Unsplittable> {
        let mut pieces = Pieces::default();
        let text = body.trim_ascii_end();
        if !text.trim_ascii_start().is_empty() {
            offer(
                &mut pieces,
                Piece { range: 0..text.len(), record: 0, line: 1, context: None },
                limits,
            );
        }
        Ok(Found { pieces, text: None, notes: () })
    }
}

impl Split for Lines {
    type Notes = ();

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<()>, Unsplittable> {
        let mut pieces = Pieces::default();
        for (record, (line, range)) in (0..).zip(lines(body)) {
            if record >= limits.batch_records_max as u64 {
                return Err(Unsplittable::TooManyRecords);
            }
            offer(&mut pieces, Piece { range, record, line, context: None }, limits);
        }
        Ok(Found { pieces, text: None, notes: () })
    }
}

impl Listed {
    /// The array at `path`, `$.a.b`; the body itself where there is none.
    pub(super) fn at(path: Option<&str>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self { path: Vec::new() }) };
        let names: Vec<String> = match path.strip_prefix('$') {
            Some("") => Vec::new(),
            Some(rest) if rest.starts_with('.') => {
                rest[1..].split('.').map(str::to_owned).collect()
            }
            _ => return Err(format!("the path {path:?} does not begin with \"$.\"")),
        };
        let plain = |name: &String| {
            !name.is_empty() && !name.contains(['[', ']', '*', '?', '@', '(', ')', '\''])
        };
        if names.len() > PATH_LEVELS_MAX || !names.iter().all(plain) {
            return Err(format!(
                "the path {path:?} is more than names: write it like $.path.to.events"
            ));
        }
        Ok(Self { path: names })
    }
}

impl Split for Listed {
    type Notes = ();

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<()>, Unsplittable> {
        let mut here: &RawValue = json(body, "JSON")?;
        for name in &self.path {
            let members: HashMap<Cow<'_, str>, &RawValue> =
                json(here.get().as_bytes(), "an object on the path")?;
            here = members.get(name.as_str()).copied().ok_or_else(|| {
                Unsplittable::Shape(format!("there is no {name:?} on the path to the events"))
            })?;
        }
        let events: Vec<&RawValue> = json(here.get().as_bytes(), "an array of events")?;
        let mut written = Written::new(body.len());
        for event in events {
            written.push(event, limits)?;
        }
        Ok(written.found(()))
    }
}

/// A body with one key for all.
#[derive(Deserialize)]
struct Labelled<'a> {
    intake_key: Option<String>,
    #[serde(borrow, default)]
    json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    jsons: Option<Vec<&'a RawValue>>,
}

impl Split for Keyed {
    type Notes = Shares;

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<Shares>, Unsplittable> {
        let missing = |what: &str| Unsplittable::Shape(format!("there is no {what:?} in it"));
        let labelled: Vec<Labelled<'_>> = match self {
            Self::One => vec![json(body, "{\"intake_key\": …, \"json\": event}")?],
            Self::Batch => vec![json(body, "{\"intake_key\": …, \"jsons\": [event, …]}")?],
            Self::Array => json(body, "[{\"intake_key\": …, \"json\": event}, …]")?,
        };
        let mut written = Written::new(body.len());
        let mut shares = Shares::default();
        let mut known = HashMap::new();
        for Labelled { intake_key, json, jsons } in labelled {
            let events = match (self, json, jsons) {
                (Self::Batch, _, Some(events)) => events,
                (Self::Batch, _, None) => return Err(missing("jsons")),
                (_, Some(event), _) => vec![event],
                (_, None, _) => return Err(missing("json")),
            };
            let place = *known.entry(intake_key.clone()).or_insert_with(|| {
                shares.keys.push(intake_key);
                shares.faults.push(Default::default());
                shares.keys.len() - 1
            });
            for event in events {
                let before = written.pieces.faults;
                written.push(event, limits)?;
                shares.places.push(place);
                for (fault, (now, before)) in written.pieces.faults.iter().zip(before).enumerate() {
                    shares.faults[place][fault] += now - before;
                }
            }
        }
        Ok(written.found(shares))
    }
}

/// Records written one behind the other.
struct Written {
    pieces: Pieces,
    text: Vec<u8>,
    next: u64,
}

impl Written {
    /// Invariant: no event takes more bytes here than in the body, as unescaping only shortens.
    fn new(body_bytes: usize) -> Self {
        Self { pieces: Pieces::default(), text: Vec::with_capacity(body_bytes), next: 0 }
    }

    /// The content of a text, any other value as it stands. A text that is no Unicode (a lone
    /// half of a surrogate pair) is kept as it was written, quotes and all.
    fn push(&mut self, event: &RawValue, limits: SplitLimits) -> Result<(), Unsplittable> {
        let record = self.next;
        self.next += 1;
        if self.next > limits.batch_records_max as u64 {
            return Err(Unsplittable::TooManyRecords);
        }
        let start = self.text.len();
        match serde_json::from_str::<Cow<'_, str>>(event.get()) {
            Ok(text) => self.text.extend_from_slice(text.as_bytes()),
            Err(_) => self.text.extend_from_slice(event.get().as_bytes()),
        }
        let range = start..self.text.len();
        // There are no lines to speak of: the place among the events says where it is.
        offer(&mut self.pieces, Piece { range, record, line: record + 1, context: None }, limits);
        Ok(())
    }

    fn found<N>(self, notes: N) -> Found<N> {
        Found { pieces: self.pieces, text: Some(self.text), notes }
    }
}

/// `text` as `T`; what it should have been if it is not.
fn json<'a, T: Deserialize<'a>>(text: &'a [u8], expected: &str) -> Result<T, Unsplittable> {
    serde_json::from_slice(text)
        .map_err(|error| Unsplittable::Shape(format!("expected {expected}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SplitLimits =
        SplitLimits { record_bytes_max: 40, batch_records_max: 4, rejections_max: 4 };

    fn records<S: Split>(split: &S, body: &str) -> Result<Vec<String>, Unsplittable> {
        let found = split.split(body.as_bytes(), LIMITS)?;
        let text = found.text.unwrap_or_else(|| body.as_bytes().to_vec());
        assert!(text.len() <= body.len(), "{body}");
        let texts = found.pieces.good.iter().map(|piece| &text[piece.range.clone()]);
        Ok(texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect())
    }

    #[test]
    fn texts_and_values_are_taken_as_they_are() {
        assert_eq!(records(&One, " a line \r\n").unwrap(), [" a line"]);
        assert_eq!(records(&One, " \n").unwrap(), Vec::<String>::new());
        assert_eq!(records(&Lines, "a\n\nb {\r\n").unwrap(), ["a", "b {"]);
        let list = Listed::at(None).unwrap();
        let body = r#"["a \"b\" \u00e9\n", {"c": [1, "d\u0041"]}, 7, "\ud800"]"#;
        assert_eq!(
            records(&list, body).unwrap(),
            ["a \"b\" é\n", r#"{"c": [1, "d\u0041"]}"#, "7", r#""\ud800""#]
        );
        let nested = Listed::at(Some("$.path.to")).unwrap();
        assert_eq!(records(&nested, r#"{"x": 1, "path": {"to": ["a"]}}"#).unwrap(), ["a"]);
        assert_eq!(records(&Listed::at(Some("$")).unwrap(), "[1]").unwrap(), ["1"]);
    }

    #[test]
    fn keys_stand_beside_their_events() {
        let body = r#"[{"intake_key":"k1","json":"a"},{"json":{"b":1},"timestamp":"x"},{"intake_key":"k1","json":"c"}]"#;
        assert_eq!(records(&Keyed::Array, body).unwrap(), ["a", "{\"b\":1}", "c"]);
        let shares = Keyed::Array.split(body.as_bytes(), LIMITS).unwrap().notes;
        assert_eq!(shares.keys, [Some("k1".to_owned()), None]);
        assert_eq!([shares.of(0), shares.of(1), shares.of(2)], [0, 1, 0]);
        let body = r#"{"intake_key":"k1","jsons":["a","b"]}"#;
        assert_eq!(records(&Keyed::Batch, body).unwrap(), ["a", "b"]);
        assert_eq!(records(&Keyed::One, r#"{"intake_key":"k1","json":"a"}"#).unwrap(), ["a"]);
    }

    #[test]
    fn what_is_too_large_is_counted_under_its_key() {
        let large = "x".repeat(41);
        let body =
            format!(r#"[{{"intake_key":"k1","json":"a"}},{{"intake_key":"k2","json":"{large}"}}]"#);
        let found = Keyed::Array.split(body.as_bytes(), LIMITS).unwrap();
        assert_eq!(found.notes.faults.iter().map(|f| f.iter().sum()).collect::<Vec<u64>>(), [0, 1]);
        assert_eq!(found.pieces.rejected[0].record, 1);
    }

    #[test]
    fn other_shapes_are_refused_with_what_was_expected() {
        let list = Listed::at(Some("$.a")).unwrap();
        for (body, part) in [
            ("", "expected JSON"),
            ("{", "expected JSON"),
            ("[]", "an object on the path"),
            ("{\"b\":[]}", "no \"a\""),
            ("{\"a\":1}", "an array of events"),
        ] {
            let Err(Unsplittable::Shape(reason)) = records(&list, body) else { panic!("{body}") };
            assert!(reason.contains(part), "{body}: {reason}");
        }
        for (kind, body) in [
            (Keyed::One, "{}"),
            (Keyed::Batch, "{\"json\":1}"),
            (Keyed::Array, "[{}]"),
            (Keyed::Array, "{}"),
        ] {
            assert!(matches!(records(&kind, body), Err(Unsplittable::Shape(_))), "{body}");
        }
        assert_eq!(records(&Lines, "1\n2\n3\n4\n5"), Err(Unsplittable::TooManyRecords));
        for bad in ["a.b", "$a", "$.", "$..a", "$.a[0]", "$.*"] {
            assert!(Listed::at(Some(bad)).is_err(), "{bad}");
        }
    }
}
