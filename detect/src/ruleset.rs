//! Everything that decides what an event sets off, as one value that never changes.
//!
//! A running centre keeps the current [`Ruleset`] behind an atomic pointer and matches each batch
//! whole with the one it took. What changes by itself (rules from files, policies of communes,
//! indicators from feeds) is a part of its own here, shared by the sets before and after, so that
//! exchanging one costs nothing for the others.

use std::sync::Arc;

use event::{Detection, Event, Timestamp};

use crate::{
    Engine, Loaded, Refusal, Rule,
    indicators::{IndicatorSet, in_order},
};

/// What a centre detects with at one moment. Immutable; a clone shares its parts.
#[derive(Clone, Debug)]
pub struct Ruleset {
    engine: Arc<Engine>,
    /// What did not load.
    refused: Arc<[Refusal]>,
    indicators: Arc<IndicatorSet>,
}

/// What matching a batch came to.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the events, then of the rules' ids; an event's indicators after its rules,
    /// by type, value and source.
    pub detections: Vec<Detection>,
}

impl Ruleset {
    /// Compiles what was loaded. Takes as long as compiling all rules does, so it is nothing for
    /// a thread that others wait for.
    pub fn compile(loaded: Loaded) -> Self {
        Self {
            engine: Arc::new(Engine::new(loaded.rules)),
            refused: loaded.refused.into(),
            indicators: Arc::default(),
        }
    }

    /// The same with these indicators.
    #[must_use]
    pub fn with_indicators(&self, indicators: Arc<IndicatorSet>) -> Self {
        Self { indicators, ..self.clone() }
    }

    /// The indicators that events are compared with.
    pub fn indicators(&self) -> &Arc<IndicatorSet> {
        &self.indicators
    }

    /// The compiled detection rules.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The detection rules, sorted by id.
    pub fn rules(&self) -> &[Arc<Rule>] {
        self.engine.rules()
    }

    /// What did not load and why, in the order of files and lines.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Matches a batch on all threads of the current rayon pool. `now` becomes the detections'
    /// `detected`.
    pub fn detect(&self, events: &[Arc<Event>], now: Timestamp) -> Found {
        let of_rules = self.engine.detect(events, now);
        let of_indicators = self.indicators.detect(events, now);
        Found { detections: in_order(events, of_rules, of_indicators) }
    }
}
