//! Matches in, correlations out.

use std::{hash::Hasher as _, sync::Arc};

use event::{Contribution, Detection, Timestamp};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use smallvec::SmallVec;

use super::{
    compile::{Compiled, Correlations, Way},
    document::Kind,
    fired::Fired,
    groups::{Group, Groups},
    hold::{Held, Hold, Leaves},
    limits::{Limits, Stats},
    origin::{Origin, Origins},
    state::{Entry, Insert, NUMBER_MAX},
};

/// Places that the hand of a correlation moves on with each match: as many as a match can add.
const SWEEP_STEPS: usize = 1;
/// Places that the hands of all correlations move on with each tick.
const TICK_STEPS: usize = 4_096;
/// Matches whose groups are looked up together, ahead of their turn.
const AHEAD: usize = 32;
/// Where a correlation has fewer groups, they are in the processor's cache anyway.
const AHEAD_GROUPS_MIN: usize = 1 << 14;

/// The state of all correlations. Not shared: one owner gives it what comes, in one order.
#[derive(Debug)]
pub struct Correlator {
    pub(super) rules: Arc<Correlations>,
    pub(super) limits: Limits,
    pub(super) hold: Hold,
    pub(super) origins: Origins,
    /// Per correlation.
    pub(super) groups: Vec<Groups>,
    stats: Stats,
    /// Ways still to go for the match at hand, the next one last.
    steps: Vec<Step>,
    /// Matches that leave together, and where their groups are looked for.
    leaving: Vec<Held>,
    ahead: Vec<(usize, [u64; 2])>,
    folded: String,
}

/// A way to go, with the number of who is behind the match, taken once for it.
#[derive(Clone, Copy, Debug)]
struct Step {
    way: u32,
    origin: u32,
}

impl Correlator {
    /// Without state.
    pub fn new(rules: Arc<Correlations>, limits: Limits) -> Self {
        let lateness_ns = i64::try_from(limits.lateness.as_nanos()).unwrap_or(i64::MAX);
        let groups = (0..rules.len()).map(|_| Groups::default()).collect();
        Self {
            rules,
            hold: Hold::new(lateness_ns, limits.held_max),
            limits,
            origins: Origins::default(),
            groups,
            stats: Stats::default(),
            steps: Vec::new(),
            leaving: Vec::with_capacity(AHEAD),
            ahead: Vec::new(),
            folded: String::new(),
        }
    }

    /// The correlations that it runs.
    pub fn rules(&self) -> &Arc<Correlations> {
        &self.rules
    }

    /// Takes a match in. What it lets fire, now that time has moved to its receipt, is added to
    /// `out` in the order of time.
    pub fn push(&mut self, contribution: Arc<Contribution>, out: &mut Vec<Detection>) {
        self.hold.advance(contribution.received.as_nanos());
        self.settle(out);
        if self.rules.ways_of(&contribution.rule).is_empty() {
            return;
        }
        self.stats.matches += 1;
        self.hold.push(contribution);
        self.settle(out);
    }

    /// Moves time on to `now`, a reading of the collectors' clock.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Detection>) {
        self.hold.advance(now.as_nanos());
        self.settle(out);
        for correlation in 0..self.groups.len() {
            self.sweep(correlation, TICK_STEPS);
        }
    }

    /// Lets everything go that is held: nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<Detection>) {
        self.hold.settle_all();
        self.settle(out);
    }

    /// When a tick is next of use: matches are held until then.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.hold.next_due().map(Timestamp::from_nanos)
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let groups: usize = self.groups.iter().map(Groups::len).sum();
        Stats { groups: groups as u64, held: self.hold.len() as u64, ..self.stats }
    }

    /// Puts `rules` in force. Correlations that mean what they meant keep their groups, the
    /// others begin anew.
    pub fn adopt(&mut self, rules: Arc<Correlations>) -> Adopted {
        let mut adopted = Adopted::default();
        let mut groups: Vec<Groups> = (0..rules.len()).map(|_| Groups::default()).collect();
        for (old, mut had) in self.rules.compiled.iter().zip(std::mem::take(&mut self.groups)) {
            let new = rules.compiled.iter().position(|new| new.rule.id == old.rule.id);
            match new {
                Some(new) if rules.compiled[new].definition == old.definition => {
                    groups[new] = had;
                    adopted.kept += 1;
                    continue;
                }
                Some(_) => adopted.restarted.push(old.rule.id.clone()),
                None => adopted.dropped.push(old.rule.id.clone()),
            }
            had.release(&mut self.origins);
        }
        self.groups = groups;
        self.rules = rules;
        adopted
    }

    fn settle(&mut self, out: &mut Vec<Detection>) {
        loop {
            let mut leaving = std::mem::take(&mut self.leaving);
            while leaving.len() < AHEAD
                && let Some((held, leaves)) = self.hold.next()
            {
                self.stats.forced += u64::from(leaves == Leaves::Forced);
                leaving.push(held);
            }
            if leaving.len() > 1 {
                self.look_ahead(&leaving);
            }
            for held in &leaving {
                self.process(held, out);
            }
            let was_last = leaving.len() < AHEAD;
            leaving.clear();
            self.leaving = leaving;
            if was_last {
                return;
            }
        }
    }

    /// Reads what the groups of these matches have in memory, for nothing but that it is in the
    /// processor's cache when their turn comes. Among millions of groups each read waits for
    /// memory; one after the other for each match they wait in turn, here they wait together.
    fn look_ahead(&mut self, leaving: &[Held]) {
        let rules = Arc::clone(&self.rules);
        let mut ahead = std::mem::take(&mut self.ahead);
        for held in leaving {
            for way in rules.ways_of(&held.contribution.rule) {
                let way = &rules.ways[*way as usize];
                if self.groups[way.correlation].len() < AHEAD_GROUPS_MIN {
                    continue;
                }
                let compiled = &rules.compiled[way.correlation];
                if let Some(key) = self.key(compiled, way, &held.contribution) {
                    ahead.push((way.correlation, key));
                }
            }
        }
        let mut places: SmallVec<[(usize, u32); AHEAD]> = SmallVec::new();
        for (correlation, key) in ahead.drain(..) {
            if let Some(place) = self.groups[correlation].find(key) {
                places.push((correlation, place));
            }
        }
        for (correlation, place) in places {
            std::hint::black_box(self.groups[correlation].newest(place));
        }
        self.ahead = ahead;
    }

    /// One match, through every correlation that it reaches. Each correlation is asked once all
    /// those that it refers to were, and of several rules of its own in their order.
    fn process(&mut self, held: &Held, out: &mut Vec<Detection>) {
        let contribution = &held.contribution;
        let rules = Arc::clone(&self.rules);
        let commune = std::slice::from_ref(&contribution.commune);
        let origin = self.origins.take(commune, &contribution.entities);
        for way in rules.ways_of(&contribution.rule) {
            self.origins.again(origin);
            self.steps.push(Step { way: *way, origin });
        }
        self.origins.give_back(origin);
        self.sort_steps(&rules);
        while let Some(step) = self.steps.pop() {
            let way = &rules.ways[step.way as usize];
            let compiled = &rules.compiled[way.correlation];
            if let Some(fired) = self.enter(compiled, way, held, step.origin) {
                let Origin { communes, entities } = &fired.origin;
                for onward in &way.onward {
                    let origin = self.origins.take(communes, entities);
                    self.steps.push(Step { way: *onward, origin });
                }
                self.sort_steps(&rules);
                if compiled.is_loud {
                    self.stats.detections += 1;
                    let metropole = self.limits.metropole.as_ref();
                    out.push(fired.detection(compiled, way, held, metropole, self.hold.clock));
                }
            }
            self.sweep(way.correlation, SWEEP_STEPS);
        }
    }

    fn sort_steps(&mut self, rules: &Correlations) {
        if self.steps.len() > 1 {
            self.steps.sort_by_key(|step| {
                let way = &rules.ways[step.way as usize];
                std::cmp::Reverse((way.correlation, way.member, step.way))
            });
        }
    }

    /// Adds the match to its group of one correlation; what fired, where it did. The `origin`,
    /// taken once, is the entry's from then on.
    fn enter(&mut self, compiled: &Compiled, way: &Way, held: &Held, origin: u32) -> Option<Fired> {
        if compiled.spans_communes && self.limits.metropole.is_none() {
            self.origins.give_back(origin);
            return None;
        }
        let looked = self
            .key(compiled, way, &held.contribution)
            .and_then(|key| Some((key, self.value(compiled, way, &held.contribution)?)));
        let Some((key, value)) = looked else {
            self.stats.without_field += 1;
            self.origins.give_back(origin);
            return None;
        };
        let place = self.group(way.correlation, key, compiled);
        let entry = Entry {
            at: held.at,
            event: *held.contribution.event_id.as_bytes(),
            value,
            origin,
            member: way.member,
        };
        let group = self.groups[way.correlation].get_mut(place)?;
        let entries_max = self.limits.group_entries_max;
        match group.insert(entry, compiled, entries_max, self.hold.clock, &mut self.origins) {
            Insert::Repeated => {
                self.stats.repeated += 1;
                return None;
            }
            Insert::TooLate => {
                self.stats.too_late += 1;
                return None;
            }
            Insert::Added { late, evicted } => {
                self.stats.late += u64::from(late);
                self.stats.entries_evicted += evicted as u64;
            }
        }
        let newest = group.state.newest();
        if newest < group.quiet_until {
            return None;
        }
        let value = group.state.holds(compiled)?;
        group.quiet_until = newest.saturating_add(compiled.timespan_ns);
        let entries = group.state.contributing(compiled);
        Some(Fired::new(compiled, key, newest, value, &entries, &self.origins))
    }

    /// The group's place; a new one takes the place of an old one where there are too many.
    fn group(&mut self, correlation: usize, key: [u64; 2], compiled: &Compiled) -> u32 {
        if let Some(place) = self.groups[correlation].find(key) {
            return place;
        }
        let groups = &mut self.groups[correlation];
        if groups.len() >= self.limits.rule_groups_max.max(1) {
            self.stats.groups_evicted += u64::from(groups.evict(&mut self.origins));
        } else {
            self.make_room();
        }
        self.groups[correlation].add(Group::new(key, compiled))
    }

    /// Where all correlations together have too many groups, the one with the most gives one up.
    fn make_room(&mut self) {
        let total: usize = self.groups.iter().map(Groups::len).sum();
        if total >= self.limits.groups_max.max(1)
            && let Some(most) = self.groups.iter_mut().max_by_key(|groups| groups.len())
        {
            self.stats.groups_evicted += u64::from(most.evict(&mut self.origins));
        }
    }

    fn sweep(&mut self, correlation: usize, steps: usize) {
        let Some(compiled) = self.rules.compiled.get(correlation) else { return };
        // Twice the lateness, so that no match that is still held finds its group gone.
        let grace = self.limits.grace.max(self.limits.lateness * 2);
        let grace_ns = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
        let keep_ns = compiled.timespan_ns.saturating_add(grace_ns);
        let before = self.hold.clock.saturating_sub(keep_ns);
        self.groups[correlation].sweep(steps, before, &mut self.origins);
    }

    /// Hash of what the group has in common; `None` where a field to group by is missing.
    fn key(
        &mut self,
        compiled: &Compiled,
        way: &Way,
        contribution: &Contribution,
    ) -> Option<[u64; 2]> {
        let mut hasher = SipHasher13::new();
        if !compiled.spans_communes {
            add(&mut hasher, contribution.commune.as_str());
        }
        for name in &way.group {
            let value = find(contribution, name)?;
            add(&mut hasher, fold(value, &mut self.folded));
        }
        let hash = hasher.finish128();
        Some([hash.h1, hash.h2])
    }

    /// What the correlation looks at in the match; `None` where it is not there.
    fn value(
        &mut self,
        compiled: &Compiled,
        way: &Way,
        contribution: &Contribution,
    ) -> Option<u64> {
        if compiled.kind == Kind::ValueCount {
            let mut hasher = SipHasher13::new();
            for name in &way.fields {
                let value = find(contribution, name)?;
                add(&mut hasher, fold(value, &mut self.folded));
            }
            return Some(hasher.finish128().h1);
        }
        if compiled.kind.is_numeric() {
            let number: f64 = find(contribution, way.fields.first()?)?.trim().parse().ok()?;
            // Adding zero makes -0 and 0 one number.
            return (number.abs() <= NUMBER_MAX).then_some((number + 0.0).to_bits());
        }
        Some(0)
    }
}

/// What became of the groups when other correlations came into force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Correlations that kept their groups.
    pub kept: usize,
    /// Ids of those that mean something else now and began anew.
    pub restarted: Vec<String>,
    /// Ids of those that are gone.
    pub dropped: Vec<String>,
}

pub(super) fn find<'c>(contribution: &'c Contribution, name: &str) -> Option<&'c str> {
    let value = contribution.values.iter().find(|value| value.field == name)?;
    Some(value.value.as_str())
}

/// `value` in lower case: two that differ in case alone are one, as everywhere in Sigma.
fn fold<'f>(value: &str, folded: &'f mut String) -> &'f str {
    folded.clear();
    if value.is_ascii() {
        folded.push_str(value);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(value.chars().flat_map(char::to_lowercase));
    }
    folded
}

fn add(hasher: &mut SipHasher13, text: &str) {
    hasher.write_u64(text.len() as u64);
    hasher.write(text.as_bytes());
}
