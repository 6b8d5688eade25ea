//! What a correlation sees of matches, for people: which of its rules matched, in which group each
//! match is, and how near a group comes to the condition.

use std::collections::{BTreeMap, BTreeSet};

use event::{Contribution, EventId, MatchedField, Timestamp};

use super::{
    compile::{Compiled, Correlations, Test, Way},
    link::Target,
};
use crate::fold::fold;

/// Rules of which all subsets are tried.
const SUBSETS_OF_MAX: usize = 16;

/// What a correlation asks, and what it sees of some matches.
#[derive(Clone, Debug)]
pub struct Account {
    /// Sigma's `type`.
    pub kind: &'static str,
    /// The condition, e.g. `gte 5`.
    pub condition: String,
    /// Sigma's `timespan`.
    pub timespan_s: u64,
    /// The fields (or aliases) that it groups by.
    pub group_by: Vec<String>,
    /// The rules and correlations that it refers to: id and title.
    pub members: Vec<(String, String)>,
    /// The matches that feed it, in the order of time.
    pub seen: Vec<Seen>,
    /// Its groups, those with most matches in one window first.
    pub groups: Vec<Group>,
}

/// A match that feeds the correlation.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The event.
    pub event_id: EventId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The id of the rule that matched.
    pub rule: String,
    /// Title of what the correlation refers to: the rule, or a correlation that the match feeds
    /// first.
    pub by: String,
    /// Its values of `group-by`; without one of them it is in no group.
    pub group: Vec<(String, Option<String>)>,
    /// Its values of the fields that the condition looks at.
    pub fields: Vec<(String, Option<String>)>,
}

/// What a group holds at its fullest: the window of one `timespan` with most matches.
#[derive(Clone, Debug)]
pub struct Group {
    /// What its matches have in common.
    pub values: Vec<MatchedField>,
    /// The first match in the window.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// Matches in the window, by what the correlation refers to.
    pub matches: BTreeMap<String, usize>,
    /// How many different values the fields have there that the condition looks at.
    pub distinct_values: Option<usize>,
}

impl Correlations {
    /// What the correlation `id` sees of `contributions`; `None` where there is none of that id.
    /// Matches of correlations that it refers to are not worked out: what feeds those is shown.
    pub fn account(&self, id: &str, contributions: &[Contribution]) -> Option<Account> {
        let place = self.compiled.iter().position(|compiled| compiled.rule.id == id)?;
        let compiled = &self.compiled[place];
        let mut seen: Vec<Seen> = contributions
            .iter()
            .flat_map(|one| {
                let ways = self.ways_into(place, self.ways_of(&one.rule));
                ways.into_iter().map(move |way| compiled.sees(way, one))
            })
            .collect();
        seen.sort_by_key(|one| (one.timestamp, one.event_id));
        Some(Account {
            kind: compiled.document.kind(),
            condition: compiled.condition.to_string(),
            timespan_s: compiled.document.timespan_s,
            group_by: compiled.group_by.iter().map(ToString::to_string).collect(),
            members: compiled
                .members
                .iter()
                .map(|member| (member.id.to_string(), member.title.to_string()))
                .collect(),
            groups: compiled.groups(&seen),
            seen,
        })
    }

    /// Whether the correlation `id` can ever fire where only the rules that `is_fed` says so of,
    /// by their ids, can match.
    pub fn can_fire(&self, id: &str, is_fed: &dyn Fn(&str) -> bool) -> bool {
        let place = self.compiled.iter().position(|compiled| compiled.rule.id == id);
        place.is_some_and(|place| self.can(place, is_fed))
    }

    fn can(&self, place: usize, is_fed: &dyn Fn(&str) -> bool) -> bool {
        let compiled = &self.compiled[place];
        let fed: Vec<bool> = compiled
            .members
            .iter()
            .map(|member| match member.target {
                Target::Rule(_) => is_fed(&member.id),
                Target::Correlation(other) => self.can(other, is_fed),
            })
            .collect();
        let count = fed.iter().filter(|fed| **fed).count();
        match &compiled.test {
            _ if count == 0 => false,
            Test::Compare(compare) if compiled.kind.is_temporal() => (1..=u32::try_from(count)
                .unwrap_or(u32::MAX))
                .any(|count| compare.holds(f64::from(count))),
            Test::Compare(_) => true,
            // With more rules than that nothing is ruled out.
            Test::Words(_) if fed.len() > SUBSETS_OF_MAX => true,
            Test::Words(words) => (1_u32..1 << fed.len()).any(|some| {
                let is_in = |place: usize| some >> place & 1 == 1;
                (0..fed.len()).all(|place| fed[place] || !is_in(place)) && words.holds(&is_in)
            }),
            Test::Ordered(terms) => {
                terms.iter().any(|term| term.chain.iter().all(|member| fed[usize::from(*member)]))
            }
        }
    }

    /// The rules whose matches feed the correlation, itself or through others.
    pub fn feeding<'c>(&'c self, id: &str) -> impl Iterator<Item = &'c str> {
        let place = self.compiled.iter().position(|compiled| compiled.rule.id == id);
        self.bases().filter(move |rule| {
            place.is_some_and(|place| !self.ways_into(place, self.ways_of(rule)).is_empty())
        })
    }

    /// Those of `ways` and of the ways onward from them that end in the correlation.
    fn ways_into<'c>(&'c self, correlation: usize, ways: &'c [u32]) -> Vec<&'c Way> {
        let mut found = Vec::new();
        for way in ways.iter().filter_map(|way| self.ways.get(*way as usize)) {
            if way.correlation == correlation {
                found.push(way);
            }
            found.extend(self.ways_into(correlation, &way.onward));
        }
        found
    }
}

impl Compiled {
    fn sees(&self, way: &Way, one: &Contribution) -> Seen {
        let value = |name: &str| {
            one.values.iter().find(|value| value.field == name).map(|value| value.value.clone())
        };
        let group = self.group_by.iter().zip(&way.group);
        let fields = self.document.fields.iter().zip(&way.fields);
        Seen {
            event_id: one.event_id,
            timestamp: one.timestamp,
            rule: one.rule.clone(),
            by: self
                .members
                .get(usize::from(way.member))
                .map_or_else(String::new, |member| member.title.to_string()),
            group: group.map(|(name, own)| (name.to_string(), value(own))).collect(),
            fields: fields.map(|(name, own)| (name.clone(), value(own))).collect(),
        }
    }

    fn groups(&self, seen: &[Seen]) -> Vec<Group> {
        let mut by_group: BTreeMap<Vec<String>, Vec<&Seen>> = BTreeMap::new();
        for one in seen {
            let key: Option<Vec<String>> =
                one.group.iter().map(|(_, value)| value.as_deref().map(fold)).collect();
            if let Some(key) = key {
                by_group.entry(key).or_default().push(one);
            }
        }
        let mut groups: Vec<Group> =
            by_group.values().filter_map(|seen| self.fullest(seen)).collect();
        let count = |group: &Group| group.matches.values().sum::<usize>();
        groups.sort_by_key(|group| std::cmp::Reverse(count(group)));
        groups
    }

    /// The window with most matches, of which there is at least one.
    fn fullest(&self, seen: &[&Seen]) -> Option<Group> {
        let ns = |time: Timestamp| time.as_nanos();
        let mut begin = 0;
        let mut best = 0..0;
        for (end, one) in (1..).zip(seen) {
            // Matches at the very begin of the window are not in it.
            while ns(seen[begin].timestamp) <= ns(one.timestamp).saturating_sub(self.timespan_ns) {
                begin += 1;
            }
            if end - begin > best.len() {
                best = begin..end;
            }
        }
        let window = seen.get(best)?;
        let (first, last) = (window.first()?, window.last()?);
        let mut matches = BTreeMap::new();
        for one in window {
            *matches.entry(one.by.clone()).or_default() += 1;
        }
        let values: BTreeSet<Vec<Option<String>>> = window
            .iter()
            .map(|one| one.fields.iter().map(|(_, value)| value.as_deref().map(fold)).collect())
            .collect();
        Some(Group {
            values: last
                .group
                .iter()
                .filter_map(|(field, value)| {
                    Some(MatchedField { field: field.clone(), value: value.clone()? })
                })
                .collect(),
            from: first.timestamp,
            to: last.timestamp,
            matches,
            distinct_values: (!self.document.fields.is_empty()).then_some(values.len()),
        })
    }
}
