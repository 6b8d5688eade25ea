//! One STIX `indicator`.

use event::{Indicator, Timestamp};
use serde_json::Value;

use super::{context::Context, pattern};
use crate::intel::sink::{Options, Refused, Sink, shown};

/// Characters of a name or description that are kept.
const DESCRIPTION_CHARS_MAX: usize = 300;

/// An object of type `indicator`.
#[derive(Clone, Copy)]
pub(super) struct IndicatorObject<'a>(&'a Value);

/// A member that is text.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// The texts of a member that is a list.
pub(super) fn texts<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

impl<'a> IndicatorObject<'a> {
    /// `object`, where it is an indicator.
    pub(super) fn of(object: &'a Value) -> Option<Self> {
        (text(object, "type") == Some("indicator")).then_some(Self(object))
    }

    pub(super) fn id(&self) -> &'a str {
        text(self.0, "id").unwrap_or_default()
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let time = value.as_str().and_then(Timestamp::parse);
                time.map(Some).ok_or_else(|| format!("{name} is no RFC 3339 time"))
            }
        }
    }

    /// When this version of it was made.
    pub(super) fn modified(&self) -> Timestamp {
        let time = |name| self.time(name).ok().flatten();
        time("modified").or_else(|| time("created")).unwrap_or(Timestamp::MIN)
    }

    /// Gives `sink` the indicators of its pattern, or the reason why there are none. One that is
    /// revoked is withdrawn.
    pub(super) fn give(&self, context: &Context, options: &Options, sink: &mut dyn Sink) {
        let id = self.id();
        let place = if id.is_empty() { "an indicator without an id" } else { id };
        if self.0.get("revoked").and_then(Value::as_bool) == Some(true) {
            return sink.withdrawn(id);
        }
        match self.read(context) {
            Ok(indicators) => {
                for (indicator, date) in indicators {
                    let group = Some(id).filter(|id| !id.is_empty());
                    options.give(indicator, (group, place), date, sink);
                }
            }
            Err(reason) => {
                // What an earlier version of it said no longer stands.
                sink.withdrawn(id);
                sink.refused(Refused { place: place.to_owned(), reason });
            }
        }
    }

    fn read(&self, context: &Context) -> Result<Vec<(Indicator, Option<Timestamp>)>, String> {
        match text(self.0, "pattern_type") {
            None | Some("stix") => {}
            Some(other) => {
                return Err(format!("a pattern of type {} is not compared", shown(other, 40)));
            }
        }
        let pattern = text(self.0, "pattern").ok_or("it has no pattern")?;
        let values = pattern::values(pattern)?;
        let (from, until) = (self.time("valid_from")?, self.time("valid_until")?);
        let confidence = match self.0.get("confidence").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .and_then(|n| u8::try_from(n).ok())
                    .filter(|n| *n <= 100)
                    .ok_or("confidence is no number from 0 to 100")?,
            ),
        };
        let description = text(self.0, "name").or_else(|| text(self.0, "description"));
        let described = |(kind, value): (event::IndicatorType, String)| Indicator {
            id: Some(self.id().to_owned()).filter(|id| !id.is_empty()),
            valid_from: from,
            valid_until: until,
            confidence,
            tlp: context.tlp(self.0),
            tags: self.tags(context),
            description: description.map(|text| shown(text, DESCRIPTION_CHARS_MAX)),
            reference: self.reference(),
            ..Indicator::new(kind, value)
        };
        Ok(values.into_iter().map(|value| (described(value), from)).collect())
    }

    /// ATT&CK tactics of its kill chain phases, and techniques that it indicates.
    fn tags(&self, context: &Context) -> Vec<String> {
        let phases = self.0.get("kill_chain_phases").and_then(Value::as_array);
        let tactics = phases.into_iter().flatten().filter_map(|phase| {
            let chain = text(phase, "kill_chain_name")?;
            let name = text(phase, "phase_name")?;
            let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            (chain.starts_with("mitre-") && word)
                .then(|| format!("attack.{}", name.to_ascii_lowercase()))
        });
        let mut tags: Vec<String> = tactics.chain(context.techniques(self.id())).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// The first reference that can be opened.
    fn reference(&self) -> Option<String> {
        let references = self.0.get("external_references")?.as_array()?;
        references.iter().find_map(|reference| text(reference, "url")).map(str::to_owned)
    }
}
