//! How each source is doing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use event::{IndicatorSourceId, Timestamp};
use ingest::intel::Kept;

/// How a source is doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) indicators: u64,
    pub(super) refused: u64,
    /// The first refusals, word for word.
    pub(super) refusals: Vec<String>,
    pub(super) changed: Option<Timestamp>,
    /// When it was last asked and answered.
    pub(super) succeeded: Option<Timestamp>,
    /// When it was last asked in vain, and why.
    pub(super) failed: Option<(Timestamp, String)>,
}

/// Refusals that are shown.
const SHOWN_MAX: usize = 20;

/// All sources.
#[derive(Default)]
pub(super) struct Board(Mutex<BTreeMap<IndicatorSourceId, Standing>>);

impl Board {
    fn all(&self) -> MutexGuard<'_, BTreeMap<IndicatorSourceId, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is compiled; `unusable` of its indicators are of no use.
    pub(super) fn compiled(&self, source: &IndicatorSourceId, about: &Kept, unusable: u64) {
        let mut all = self.all();
        let standing = all.entry(source.clone()).or_default();
        standing.indicators = about.indicators.saturating_sub(unusable);
        standing.refused = about.refused_total + unusable;
        standing.refusals = about.refused.iter().take(SHOWN_MAX).map(super::import::told).collect();
        standing.changed = about.changed;
    }

    /// It was asked and answered.
    pub(super) fn succeeded(&self, source: &IndicatorSourceId) {
        let mut all = self.all();
        let standing = all.entry(source.clone()).or_default();
        standing.succeeded = Some(Timestamp::now());
        standing.failed = None;
    }

    /// It failed; what it said before stands.
    pub(super) fn failed(&self, source: &IndicatorSourceId, reason: &str) {
        let mut all = self.all();
        let standing = all.entry(source.clone()).or_default();
        standing.failed = Some((Timestamp::now(), reason.to_owned()));
    }

    pub(super) fn of(&self, source: &IndicatorSourceId) -> Standing {
        self.all().get(source).cloned().unwrap_or_default()
    }
}
