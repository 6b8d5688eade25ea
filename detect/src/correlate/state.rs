//! What is kept of one group: the matches in its window, or of temporal correlations the last
//! match of each rule and, where order counts, the best chain of them.
//!
//! Invariant: asked at the group's newest match, state answers as a look through all matches in
//! the window that ends there would. The property tests compare the two.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::{
    compile::{Compiled, Test},
    document::Kind,
    order::Term,
    origin::Origins,
};

/// From so many entries on, what is computed of them is kept up to date instead of anew.
const AUX_ENTRIES_MIN: usize = 8;
/// Sums are kept as whole numbers of 2⁻²⁰, so that they are exact whatever order they are made
/// in and as matches leave.
const SUM_SCALE: f64 = 1_048_576.0;
/// Numbers beyond this are no sizes of anything and take no part.
pub(super) const NUMBER_MAX: f64 = 1e18;

/// A match in a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// When it happened, in nanoseconds.
    pub(super) at: i64,
    pub(super) event: [u8; 16],
    /// Hash of the value, or the number's bits, where the correlation looks at a field.
    pub(super) value: u64,
    /// Its number among the origins.
    pub(super) origin: u32,
    /// Which of the correlation's rules matched.
    pub(super) member: u16,
}

impl Entry {
    fn key(&self) -> (i64, [u8; 16], u16) {
        (self.at, self.event, self.member)
    }

    fn is_some(&self) -> bool {
        self.at != i64::MIN
    }
}

/// No match yet.
const NONE: Entry = Entry { at: i64::MIN, event: [0; 16], value: 0, origin: u32::MAX, member: 0 };

/// What became of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insert {
    /// It was added. Whether newer ones were there already, and how many older ones had to go
    /// because the group is full.
    Added { late: bool, evicted: usize },
    /// It was there.
    Repeated,
    /// The group's window has moved past it.
    TooLate,
}

#[derive(Debug)]
pub(super) enum State {
    Window(Window),
    Temporal(Temporal),
}

impl State {
    pub(super) fn new(rule: &Compiled) -> Self {
        if rule.kind.is_temporal() {
            Self::Temporal(Temporal::new(rule))
        } else {
            Self::Window(Window::default())
        }
    }

    /// When the newest match happened.
    pub(super) fn newest(&self) -> i64 {
        match self {
            Self::Window(window) => window.live().last().map_or(i64::MIN, |entry| entry.at),
            Self::Temporal(temporal) => {
                temporal.last().iter().map(|entry| entry.at).max().unwrap_or(i64::MIN)
            }
        }
    }

    /// Adds `entry`, whose origin was taken once; it is given back where it is not added.
    pub(super) fn insert(
        &mut self,
        entry: Entry,
        rule: &Compiled,
        entries_max: usize,
        origins: &mut Origins,
    ) -> Insert {
        let before = self.newest();
        let cutoff = entry.at.max(before).saturating_sub(rule.timespan_ns);
        let outcome = if entry.at <= cutoff {
            Insert::TooLate
        } else {
            match self {
                Self::Window(window) => {
                    window.insert(entry, cutoff, rule.kind, entries_max, origins)
                }
                Self::Temporal(temporal) => temporal.insert(entry, rule, origins),
            }
        };
        match outcome {
            Insert::Added { evicted, .. } => Insert::Added { late: entry.at < before, evicted },
            other => {
                origins.give_back(entry.origin);
                other
            }
        }
    }

    /// Where the condition holds at the newest match: what it was asked of, and the matches
    /// that it rests on, oldest first.
    pub(super) fn holds(&self, rule: &Compiled) -> Option<f64> {
        let cutoff = self.newest().saturating_sub(rule.timespan_ns);
        match self {
            Self::Window(window) => {
                let value = window.value(rule);
                matches!(&rule.test, Test::Compare(compare) if compare.holds(value))
                    .then_some(value)
            }
            Self::Temporal(temporal) => temporal.holds(rule, cutoff),
        }
    }

    /// The matches that the condition rests on, oldest first.
    pub(super) fn contributing(&self, rule: &Compiled) -> Vec<Entry> {
        let cutoff = self.newest().saturating_sub(rule.timespan_ns);
        match self {
            Self::Window(window) => window.live().to_vec(),
            Self::Temporal(temporal) => temporal.contributing(rule, cutoff),
        }
    }

    /// Gives all origins back before the state is dropped.
    pub(super) fn release(&mut self, origins: &mut Origins) {
        self.entries().for_each(|entry| origins.give_back(entry.origin));
    }

    /// Every entry that holds an origin.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = &Entry> + '_> {
        match self {
            Self::Window(window) => Box::new(window.live().iter()),
            Self::Temporal(temporal) => {
                Box::new(temporal.all().iter().filter(|entry| entry.is_some()))
            }
        }
    }
}

/// The matches in a sliding window, in order.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: SmallVec<[Entry; 1]>,
    /// Entries before it have left; they are cut off once they are half of all.
    start: u32,
    aux: Option<Box<Aux>>,
}

/// What is computed of a window, kept up to date.
#[derive(Debug)]
enum Aux {
    Distinct(HashMap<u64, u32>),
    Sum(i128),
    Sorted(Vec<f64>),
}

impl Window {
    pub(super) fn live(&self) -> &[Entry] {
        &self.entries[self.start as usize..]
    }

    /// A window of `entries`, which are in order.
    pub(super) fn restore(entries: Vec<Entry>, kind: Kind) -> Self {
        let mut window = Self { entries: entries.into(), start: 0, aux: None };
        window.keep_up(kind);
        window
    }

    fn insert(
        &mut self,
        entry: Entry,
        cutoff: i64,
        kind: Kind,
        entries_max: usize,
        origins: &mut Origins,
    ) -> Insert {
        while self.live().first().is_some_and(|first| first.at <= cutoff) {
            self.drop_first(origins);
        }
        let place = match self.live().last() {
            Some(last) if last.key() >= entry.key() => {
                match self.live().binary_search_by_key(&entry.key(), Entry::key) {
                    Ok(_) => return Insert::Repeated,
                    Err(place) => place,
                }
            }
            _ => self.live().len(),
        };
        self.entries.insert(self.start as usize + place, entry);
        if let Some(aux) = &mut self.aux {
            aux.add(entry.value);
        }
        let mut evicted = 0;
        while self.live().len() > entries_max.max(1) {
            self.drop_first(origins);
            evicted += 1;
        }
        self.keep_up(kind);
        Insert::Added { late: false, evicted }
    }

    fn drop_first(&mut self, origins: &mut Origins) {
        let first = self.entries[self.start as usize];
        origins.give_back(first.origin);
        if let Some(aux) = &mut self.aux {
            aux.remove(first.value);
        }
        self.start += 1;
        if self.start as usize * 2 >= self.entries.len() {
            self.entries.drain(..self.start as usize);
            self.start = 0;
        }
    }

    fn keep_up(&mut self, kind: Kind) {
        if self.aux.is_some() || self.live().len() < AUX_ENTRIES_MIN {
            return;
        }
        self.aux = Aux::of(self.live(), kind).map(Box::new);
    }

    fn value(&self, rule: &Compiled) -> f64 {
        let count = self.live().len();
        #[expect(clippy::cast_precision_loss, reason = "a group has at most a million entries")]
        let as_f64 = |n: usize| n as f64;
        let anew;
        let aux = match &self.aux {
            Some(aux) => Some(&**aux),
            None => {
                anew = Aux::of(self.live(), rule.kind);
                anew.as_ref()
            }
        };
        match aux {
            None => as_f64(count),
            Some(Aux::Distinct(values)) => as_f64(values.len()),
            Some(Aux::Sum(sum)) => {
                #[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
                let sum = *sum as f64 / SUM_SCALE;
                if rule.kind == Kind::ValueAvg { sum / as_f64(count.max(1)) } else { sum }
            }
            Some(Aux::Sorted(sorted)) => order_statistic(sorted, rule.kind, rule.percentile),
        }
    }
}

impl Aux {
    fn of(entries: &[Entry], kind: Kind) -> Option<Self> {
        let mut aux = match kind {
            Kind::ValueCount => Self::Distinct(HashMap::new()),
            Kind::ValueSum | Kind::ValueAvg => Self::Sum(0),
            Kind::ValueMin | Kind::ValueMax | Kind::ValueMedian | Kind::ValuePercentile => {
                Self::Sorted(Vec::new())
            }
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => return None,
        };
        entries.iter().for_each(|entry| aux.add(entry.value));
        Some(aux)
    }

    fn add(&mut self, value: u64) {
        match self {
            Self::Distinct(values) => *values.entry(value).or_default() += 1,
            Self::Sum(sum) => *sum += scaled(value),
            Self::Sorted(sorted) => {
                let value = f64::from_bits(value);
                let place = sorted.partition_point(|other| other.total_cmp(&value).is_lt());
                sorted.insert(place, value);
            }
        }
    }

    fn remove(&mut self, value: u64) {
        match self {
            Self::Distinct(values) => {
                if let Some(count) = values.get_mut(&value) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&value);
                    }
                }
            }
            Self::Sum(sum) => *sum -= scaled(value),
            Self::Sorted(sorted) => {
                let value = f64::from_bits(value);
                let place = sorted.partition_point(|other| other.total_cmp(&value).is_lt());
                if place < sorted.len() {
                    sorted.remove(place);
                }
            }
        }
    }
}

fn scaled(bits: u64) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "numbers beyond 1e18 take no part")]
    let scaled = (f64::from_bits(bits) * SUM_SCALE).round() as i128;
    scaled
}

/// Of numbers in order: the least, the greatest, the median (the mean of the middle two), or the
/// percentile as pySigma takes it, the number at that part of the list.
fn order_statistic(sorted: &[f64], kind: Kind, percentile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    match kind {
        Kind::ValueMin => sorted[0],
        Kind::ValueMax => sorted[last],
        Kind::ValueMedian => f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]),
        _ => {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a group has at most a million entries, a percentile is from 0 to 100"
            )]
            let place = (sorted.len() as f64 * percentile / 100.0) as usize;
            sorted[place.min(last)]
        }
    }
}

/// The last match of each rule and, of an ordered correlation, for each term and each place in
/// its chain the chain that ends there: of all such chains the one that begins latest, for it
/// stays in the window longest.
///
/// All in one piece: first a place for each rule, then for each term its chains of one, of two,
/// … matches, one behind the other. A place without match, or a chain that nothing makes yet,
/// holds [`NONE`].
#[derive(Debug)]
pub(super) struct Temporal {
    entries: Box<[Entry]>,
    rules: u16,
}

/// Places that the chains of a term take.
const fn chains_len(rules: usize) -> usize {
    rules * (rules + 1) / 2
}

impl Temporal {
    fn new(rule: &Compiled) -> Self {
        let chains: usize = match &rule.test {
            Test::Ordered(terms) => terms.iter().map(|term| chains_len(term.chain.len())).sum(),
            _ => 0,
        };
        Self {
            entries: vec![NONE; rule.members.len() + chains].into(),
            rules: u16::try_from(rule.members.len()).unwrap_or(u16::MAX),
        }
    }

    /// One with these entries, where they are as many as `rule` needs.
    pub(super) fn restore(entries: Vec<Entry>, rule: &Compiled) -> Option<Self> {
        let new = Self::new(rule);
        (entries.len() == new.entries.len()).then(|| Self { entries: entries.into(), ..new })
    }

    pub(super) fn all(&self) -> &[Entry] {
        &self.entries
    }

    fn last(&self) -> &[Entry] {
        &self.entries[..usize::from(self.rules)]
    }

    fn insert(&mut self, entry: Entry, rule: &Compiled, origins: &mut Origins) -> Insert {
        let (last, mut chains) = self.entries.split_at_mut(usize::from(self.rules));
        let Some(own) = last.get_mut(usize::from(entry.member)) else {
            return Insert::TooLate;
        };
        if own.key() == entry.key() {
            return Insert::Repeated;
        }
        if entry.key() > own.key() {
            origins.again(entry.origin);
            origins.give_back(own.origin);
            *own = entry;
        }
        if let Test::Ordered(terms) = &rule.test {
            for term in terms {
                let (of_term, rest) = chains.split_at_mut(chains_len(term.chain.len()));
                if let Some(place) = term.chain.iter().position(|rule| *rule == entry.member) {
                    follow(of_term, term, place, entry, last, origins);
                }
                chains = rest;
            }
        }
        origins.give_back(entry.origin);
        Insert::Added { late: false, evicted: 0 }
    }

    fn holds(&self, rule: &Compiled, cutoff: i64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let as_f64 = |n: usize| n as f64;
        let present = |member: usize| self.last()[member].at > cutoff;
        let count = || as_f64(self.last().iter().filter(|entry| entry.at > cutoff).count());
        match &rule.test {
            Test::Compare(compare) => Some(count()).filter(|count| compare.holds(*count)),
            Test::Words(expr) => expr.holds(&present).then(count),
            Test::Ordered(terms) => self.chain(terms, cutoff).map(|chain| as_f64(chain.len())),
        }
    }

    /// The chain of the first alternative that holds.
    fn chain(&self, terms: &[Term], cutoff: i64) -> Option<&[Entry]> {
        let mut end = usize::from(self.rules);
        terms.iter().find_map(|term| {
            end += chains_len(term.chain.len());
            let chain = self.entries.get(end.checked_sub(term.chain.len())?..end)?;
            let within = chain.first().is_some_and(|entry| entry.at > cutoff);
            let clear = term.absent.iter().all(|rule| self.last()[usize::from(*rule)].at <= cutoff);
            (within && clear).then_some(chain)
        })
    }

    fn contributing(&self, rule: &Compiled, cutoff: i64) -> Vec<Entry> {
        if let Test::Ordered(terms) = &rule.test {
            return self.chain(terms, cutoff).unwrap_or_default().to_vec();
        }
        let mut entries: Vec<Entry> =
            self.last().iter().filter(|entry| entry.at > cutoff).copied().collect();
        entries.sort_unstable_by_key(Entry::key);
        entries
    }
}

/// Works `entry`, a match of the rule at `place` of `term`, into the term's chains. Entries of
/// one moment may stand in either order.
fn follow(
    chains: &mut [Entry],
    term: &Term,
    place: usize,
    entry: Entry,
    last: &[Entry],
    origins: &mut Origins,
) {
    let mut next = entry;
    for place in place..term.chain.len() {
        // The chain that ends here has a match more than the one before it.
        let (before, from) = chains.split_at_mut(chains_len(place));
        let before = &before[before.len() - place..];
        if before.last().is_some_and(|last| !last.is_some() || last.at > next.at) {
            // Nothing that could stand before it.
            return;
        }
        let begins = before.first().unwrap_or(&next).at;
        let chain = &mut from[..=place];
        if chain[0].at >= begins {
            return;
        }
        for (kept, new) in chain.iter_mut().zip(before.iter().chain([&next])) {
            origins.again(new.origin);
            origins.give_back(kept.origin);
            *kept = *new;
        }
        // The next rule may have matched already: at the same moment, or before `entry` came
        // late.
        let Some(rule) = term.chain.get(place + 1) else { return };
        next = last[usize::from(*rule)];
        if !next.is_some() {
            return;
        }
    }
}
