//! Where readers put what they find.

use std::time::Duration;

use event::{Indicator, IndicatorType, Timestamp, Tlp};

/// Something in a document that is no indicator of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where: a line, an id.
    pub place: String,
    /// What is wrong with it: a lowercase fragment.
    pub reason: String,
}

/// Takes what a reader finds, in the document's order.
pub trait Sink {
    /// An indicator. `group` is what it is replaced and withdrawn with: a STIX object's id, a
    /// MISP event's UUID.
    fn indicator(&mut self, group: Option<&str>, indicator: Indicator);
    /// Something that is none of use.
    fn refused(&mut self, refused: Refused);
    /// The source takes back what it said under `group`.
    fn withdrawn(&mut self, group: &str);
    /// What follows is newer: under a group's name it replaces what came before.
    fn page(&mut self) {}
}

/// What holds for all indicators of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only these types are taken; where it is empty all but file names, which good files have
    /// too.
    pub types: Vec<IndicatorType>,
    /// With whom indicators may be shared that do not say so themselves.
    pub tlp: Option<Tlp>,
    /// How sure the source is where an indicator does not say.
    pub confidence: Option<u8>,
    /// How long an indicator holds that does not say so, from its own date; for ever where it is
    /// absent or the indicator has no date.
    pub valid_for: Option<Duration>,
}

impl Options {
    /// Takes indicators of every type.
    pub fn every_type() -> Self {
        Self { types: IndicatorType::ALL.to_vec(), ..Self::default() }
    }

    /// Whether indicators of `kind` are taken.
    pub fn takes(&self, kind: IndicatorType) -> bool {
        match self.types.as_slice() {
            [] => kind != IndicatorType::FileName,
            types => types.contains(&kind),
        }
    }

    /// Gives `indicator`, dated `date`, to `sink`, completed by what holds for all; one of a type
    /// that is not taken is refused.
    pub(super) fn give(
        &self,
        mut indicator: Indicator,
        (group, place): (Option<&str>, &str),
        date: Option<Timestamp>,
        sink: &mut dyn Sink,
    ) {
        let kind = indicator.kind;
        if !self.takes(kind) {
            let reason = format!("this source takes no indicators of type {kind}");
            return sink.refused(Refused { place: place.to_owned(), reason });
        }
        indicator.tlp = indicator.tlp.or(self.tlp);
        indicator.confidence = indicator.confidence.or(self.confidence);
        if let (None, Some(date), Some(span)) = (indicator.valid_until, date, self.valid_for) {
            indicator.valid_until = Some(date.plus(span));
        }
        sink.indicator(group, indicator);
    }
}

/// At most `max` characters of `text`, as messages show it.
pub(super) fn shown(text: &str, max: usize) -> String {
    let mut shown: String =
        text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Collects everything.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) indicators: Vec<(Option<String>, Indicator)>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) withdrawn: Vec<String>,
}

#[cfg(test)]
impl Sink for Collected {
    fn indicator(&mut self, group: Option<&str>, indicator: Indicator) {
        self.indicators.push((group.map(str::to_owned), indicator));
    }

    fn refused(&mut self, refused: Refused) {
        self.refused.push(refused);
    }

    fn withdrawn(&mut self, group: &str) {
        self.withdrawn.push(group.to_owned());
    }
}
