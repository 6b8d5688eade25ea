//! Everything that decides what an event sets off, as one value that never changes.
//!
//! A running centre keeps the current [`Ruleset`] behind an atomic pointer and matches each batch
//! whole with the one it took. What changes by itself (rules from files, policies of communes,
//! indicators from feeds) is a part of its own here, shared by the sets before and after, so that
//! exchanging one costs nothing for the others.

use std::{collections::BTreeMap, sync::Arc};

use event::{CommuneId, Contribution, Detection, Event, Level, Timestamp};
use rayon::prelude::*;

use crate::{
    Correlations, Engine, Entry, Judgement, Kept, Loaded, Match, Policies, Refusal, Rule, Scratch,
    engine::{TASK_EVENTS_MIN, detection},
    entities::entities,
    indicators::{IndicatorSet, LeftOut, in_order},
};

/// What a centre detects with at one moment. Immutable; a clone shares its parts.
#[derive(Clone, Debug)]
pub struct Ruleset {
    engine: Arc<Engine>,
    correlations: Arc<Correlations>,
    refused: Arc<[Refusal]>,
    kept: Arc<[Kept]>,
    policies: Arc<Policies>,
    indicators: Arc<IndicatorSet>,
}

/// What matching a batch came to.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the events, then of the rules' ids; an event's indicators after its rules,
    /// by type, value and source.
    pub detections: Vec<Detection>,
    /// Matches for correlations alone, in the same order; those among `detections` that
    /// correlations read carry their values themselves.
    pub contributions: Vec<Contribution>,
    /// Matches that a commune's policy took away, and how many.
    pub suppressed: BTreeMap<Suppression, u64>,
    /// Indicators that were found and set nothing off.
    pub left_out: LeftOut,
}

/// Whose policy took a match of which rule away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suppression {
    /// The commune.
    pub commune: CommuneId,
    /// The rule's id.
    pub rule: String,
    /// The exception that held; `None` where the rule is turned off.
    pub exception: Option<String>,
}

/// What one event came to.
#[derive(Default)]
struct FoundOn {
    detections: Vec<Detection>,
    contributions: Vec<Contribution>,
    suppressed: Vec<Suppression>,
}

impl Ruleset {
    /// Compiles what was loaded, without policies and indicators. Takes as long as compiling all rules does, so
    /// it is nothing for a thread that others wait for.
    pub fn compile(loaded: Loaded) -> Self {
        let linked = Correlations::link(loaded.correlations, &loaded.rules);
        let mut refused = loaded.refused;
        refused.extend(linked.refused);
        refused.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        Self {
            engine: Arc::new(Engine::new(loaded.rules)),
            correlations: Arc::new(linked.correlations),
            refused: refused.into(),
            kept: loaded.kept.into(),
            policies: Arc::default(),
            indicators: Arc::default(),
        }
    }

    /// The same with these policies, which were compiled against its [`rules`](Self::rules).
    #[must_use]
    pub fn with_policies(&self, policies: Policies) -> Self {
        Self { policies: Arc::new(policies), ..self.clone() }
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

    /// The correlations, tied to the rules.
    pub fn correlations(&self) -> &Arc<Correlations> {
        &self.correlations
    }

    /// The compiled detection rules.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The detection rules, sorted by id.
    pub fn rules(&self) -> &[Arc<Rule>] {
        self.engine.rules()
    }

    /// Rules and correlations, sorted by id.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let rules = self.rules().iter().map(|rule| Entry::Rule(rule));
        let correlations = self.correlations.rules().map(|one| Entry::Correlation(one));
        let mut all: Vec<Entry<'_>> = rules.chain(correlations).collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// The rule or correlation of this id.
    pub fn entry(&self, id: &str) -> Option<Entry<'_>> {
        let correlation = || self.correlations.rules().find(|one| one.id() == id);
        let rule = self.rule(id).map(|rule| Entry::Rule(rule));
        rule.or_else(|| correlation().map(|one| Entry::Correlation(one)))
    }

    /// The detection rule of this id.
    pub fn rule(&self, id: &str) -> Option<&Arc<Rule>> {
        let place = self.rules().binary_search_by(|rule| rule.id().cmp(id)).ok()?;
        self.rules().get(place)
    }

    /// What did not load and why, in the order of files and lines.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// What stands as it was read earlier, because its file became bad.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// What communes make of matches.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Matches a batch on all threads of the current rayon pool and judges each match by its
    /// commune's policy. `now` becomes the detections' `detected` and is when exceptions expire.
    pub fn detect(&self, events: &[Arc<Event>], now: Timestamp) -> Found {
        let each: Vec<FoundOn> = events
            .par_iter()
            .with_min_len(TASK_EVENTS_MIN)
            .map_init(Vec::new, |matches, event| {
                Scratch::of_thread(|scratch| self.engine.matches(event, scratch, matches));
                let mut found = FoundOn::default();
                for one in matches.drain(..) {
                    let exception = match self.policies.judge(&one.rule, event, now) {
                        Judgement::Stands(level) => {
                            self.stands(&one, event, level, now, &mut found);
                            continue;
                        }
                        Judgement::Disabled => None,
                        Judgement::Excepted(id) => Some(id),
                    };
                    let (commune, rule) = (event.commune().clone(), one.rule.id().to_owned());
                    found.suppressed.push(Suppression { commune, rule, exception });
                }
                found
            })
            .collect();
        let mut all = Found::default();
        for found in each {
            all.detections.extend(found.detections);
            all.contributions.extend(found.contributions);
            for suppression in found.suppressed {
                *all.suppressed.entry(suppression).or_default() += 1;
            }
        }
        let (of_indicators, left_out) = self.indicators.detect(events, now);
        all.detections = in_order(events, all.detections, of_indicators);
        all.left_out = left_out;
        all
    }

    /// A match that stands: a detection, or what correlations read where it is for them alone.
    fn stands(
        &self,
        one: &Match,
        event: &Event,
        level: Level,
        now: Timestamp,
        found: &mut FoundOn,
    ) {
        let id = one.rule.id();
        let values = self.correlations.values(id, event);
        if self.correlations.is_quiet(id) {
            found.contributions.push(Contribution {
                rule: id.to_owned(),
                commune: event.commune().clone(),
                feed: event.feed().clone(),
                format: event.format().clone(),
                event_id: event.id(),
                timestamp: event.timestamp(),
                received: event.received(),
                entities: entities(event),
                values,
            });
            return;
        }
        let mut detection = detection(one, event, now);
        detection.rule.level = level;
        detection.values = values;
        found.detections.push(detection);
    }
}
