//! Correlations as they run: conditions in a form that state can answer, and for each rule the
//! ways that its matches go.

use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use event::{Event, FieldId, MatchedField, RuleRef};
use sha2::{Digest, Sha256};

use super::{
    condition::{Compare, Expr},
    document::{Condition, Correlation, Kind},
    link::{self, Linked, Target},
    order::{self, Term},
};
use crate::{entities, rule::Rule, taxonomy};

/// Characters of a value that correlations read.
const VALUE_CHARS_MAX: usize = 1_024;

/// A rule or correlation that a correlation refers to.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) title: Arc<str>,
    pub(super) target: Target,
}

/// When a correlation holds, by what its state keeps.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Of the value computed, or for `temporal` of how many rules matched.
    Compare(Compare),
    /// Of which rules matched.
    Words(Expr),
    /// One of these alternatives, in order.
    Ordered(Vec<Term>),
}

/// A correlation ready to run.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) rule: Arc<RuleRef>,
    pub(super) document: Arc<Correlation>,
    pub(super) kind: Kind,
    pub(super) members: Vec<Member>,
    pub(super) group_by: Vec<Arc<str>>,
    pub(super) timespan_ns: i64,
    pub(super) test: Test,
    pub(super) condition: Arc<str>,
    pub(super) percentile: f64,
    /// Entries of one group that the condition itself needs.
    pub(super) entries_min: usize,
    pub(super) spans_communes: bool,
    /// Whether it is detected, rather than only feeding other correlations.
    pub(super) is_loud: bool,
    /// Of everything that its state depends on.
    pub(super) definition: [u8; 16],
}

/// One way for a rule's matches to take: into a correlation and, where that fires, on.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) correlation: usize,
    pub(super) member: u16,
    /// The rule's own names of the fields to group by.
    pub(super) group: Box<[Arc<str>]>,
    /// The rule's own names of the fields to look at.
    pub(super) fields: Box<[Arc<str>]>,
    /// Ways that begin where this one ends.
    pub(super) onward: Vec<u32>,
}

/// A value that correlations read of a rule's matches.
#[derive(Clone, Debug)]
struct Read {
    name: Arc<str>,
    fields: Vec<FieldId>,
    is_fed: bool,
    /// The first correlation that reads it.
    reader: usize,
}

/// What a detection rule has to do for correlations.
#[derive(Clone, Debug, Default)]
struct Base {
    ways: Vec<u32>,
    reads: Vec<Read>,
    title: String,
    is_quiet: bool,
}

/// Correlations tied to their rules, ready for a [`Correlator`](super::Correlator). Immutable.
#[derive(Clone, Debug, Default)]
pub struct Correlations {
    pub(super) compiled: Vec<Compiled>,
    pub(super) ways: Vec<Way>,
    bases: HashMap<String, Base, foldhash::fast::FixedState>,
}

impl Correlations {
    /// Ties `correlations` to each other and to the `rules` that are loaded with them; what
    /// refers to something that is not there is refused, its neighbours are not touched.
    pub fn link<R: Borrow<Rule>>(correlations: Vec<Correlation>, rules: &[R]) -> Linked {
        link::link(correlations, rules)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.compiled.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// The correlations, each behind those it refers to.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Correlation>> {
        self.compiled.iter().map(|compiled| &compiled.document)
    }

    /// Whether both are of the same texts and mean the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.compiled.iter().zip(&other.compiled).all(|(a, b)| {
                a.rule == b.rule && a.definition == b.definition && a.is_loud == b.is_loud
            })
    }

    /// Whether matches of `rule` feed correlations.
    pub fn reads(&self, rule: &str) -> bool {
        self.bases.contains_key(rule)
    }

    /// Whether matches of `rule` feed correlations and raise nothing of their own: one refers to
    /// it and none of those that do says `generate: true`.
    pub fn is_quiet(&self, rule: &str) -> bool {
        self.bases.get(rule).is_some_and(|base| base.is_quiet)
    }

    /// Whether the correlation `id` raises nothing of its own, for the same reason.
    pub fn is_quiet_correlation(&self, id: &str) -> bool {
        self.compiled.iter().any(|compiled| compiled.rule.id == id && !compiled.is_loud)
    }

    /// The values that correlations read of `event`, on which `rule` matched. Of a field with
    /// several values the first counts; a field that is missing is left out.
    pub fn values(&self, rule: &str, event: &Event) -> Vec<MatchedField> {
        let Some(base) = self.bases.get(rule) else { return Vec::new() };
        let of = |read: &Read| {
            let value = if *read.name == *entities::PERSON {
                entities::person_of(event).map(Cow::Owned)
            } else {
                read.fields.iter().find_map(|field| {
                    event.get_all(*field).map(event::ValueRef::to_text).find(|t| !t.is_empty())
                })
            }?;
            let value = match value.char_indices().nth(VALUE_CHARS_MAX) {
                Some((end, _)) => value[..end].to_owned(),
                None => value.into_owned(),
            };
            Some(MatchedField { field: read.name.as_ref().to_owned(), value })
        };
        base.reads.iter().filter_map(of).collect()
    }

    /// The rules that feed correlations, in no order.
    pub(super) fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.keys().map(String::as_str)
    }

    /// The ways of the matches of `rule`.
    pub(super) fn ways_of(&self, rule: &str) -> &[u32] {
        self.bases.get(rule).map_or(&[], |base| &base.ways)
    }

    /// Reads that no feed fills: the correlation's place, the field, the rule's title.
    pub(super) fn unfed(&self) -> Vec<(usize, String, String)> {
        let mut unfed: Vec<_> = self
            .bases
            .values()
            .flat_map(|base| base.reads.iter().map(move |read| (base, read)))
            .filter(|(_, read)| !read.is_fed)
            .map(|(base, read)| (read.reader, read.name.to_string(), base.title.clone()))
            .collect();
        unfed.sort();
        unfed
    }
}

/// Puts correlations together, in an order in which each stands behind those it refers to.
pub(super) struct Compiler {
    correlations: Correlations,
    /// Per correlation, member and name: the name one level below.
    lowered: Vec<Vec<BTreeMap<String, String>>>,
    generates: Vec<bool>,
    rules: usize,
}

impl Compiler {
    pub(super) fn new(rules: usize) -> Self {
        Self {
            correlations: Correlations::default(),
            lowered: Vec::new(),
            generates: Vec::new(),
            rules,
        }
    }

    /// Adds one; `aliased` gives the name that a member's events have for one of its names.
    pub(super) fn add(
        &mut self,
        correlation: &Correlation,
        members: Vec<Member>,
        aliased: &dyn Fn(usize, &str) -> String,
    ) {
        let lowered: Vec<BTreeMap<String, String>> = (0..members.len())
            .map(|member| {
                let names = correlation.aliases.iter().map(|alias| &alias.name);
                names.map(|name| (name.clone(), aliased(member, name))).collect()
            })
            .collect();
        let test = order::condition(correlation).unwrap_or(Test::Ordered(Vec::new()));
        let entries_min = match (&test, correlation.kind) {
            (Test::Compare(compare), Kind::EventCount | Kind::ValueCount) => {
                let bounds = compare.0.iter().map(|(_, bound)| bound.max(0.0));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "loading allows counts to a million"
                )]
                let most = bounds.fold(0.0, f64::max) as usize;
                most + 1
            }
            _ => 1,
        };
        let compiled = Compiled {
            definition: definition(correlation, &members, &lowered),
            rule: correlation.rule_ref(),
            document: Arc::new(correlation.clone()),
            kind: correlation.kind,
            members,
            group_by: correlation
                .group_by
                .iter()
                .map(|name| Arc::from(name.text.as_str()))
                .collect(),
            timespan_ns: i64::try_from(correlation.timespan_s.saturating_mul(1_000_000_000))
                .unwrap_or(i64::MAX),
            test,
            condition: match &correlation.condition {
                Condition::Compare(compare) => compare.to_string().into(),
                Condition::Words(_, text) => text.as_str().into(),
            },
            percentile: correlation.percentile,
            entries_min,
            spans_communes: correlation.spans_communes,
            is_loud: true,
        };
        self.lowered.push(lowered);
        self.generates.push(correlation.generate);
        self.correlations.compiled.push(compiled);
    }

    pub(super) fn finish(mut self, rules: &[&Rule]) -> Correlations {
        let mut quiet_rules = vec![None; self.rules];
        let mut quiet = vec![None; self.correlations.compiled.len()];
        for (compiled, generates) in self.correlations.compiled.iter().zip(&self.generates) {
            for member in &compiled.members {
                let slot = match member.target {
                    Target::Rule(rule) => &mut quiet_rules[rule],
                    Target::Correlation(other) => &mut quiet[other],
                };
                // One that wants the rule for itself is enough.
                *slot = Some(slot.unwrap_or(true) && !generates);
            }
        }
        for (compiled, quiet) in self.correlations.compiled.iter_mut().zip(&quiet) {
            compiled.is_loud = !quiet.unwrap_or(false);
        }
        for (place, is_quiet) in quiet_rules.into_iter().enumerate() {
            if let Some(is_quiet) = is_quiet {
                self.base(place, rules[place], is_quiet);
            }
        }
        self.correlations
    }

    fn base(&mut self, place: usize, rule: &Rule, is_quiet: bool) {
        let mut base = Base { title: rule.title().to_owned(), is_quiet, ..Base::default() };
        base.ways = self.ways(Target::Rule(place), &mut Vec::new(), rule, &mut base.reads);
        self.correlations.bases.insert(rule.id().to_owned(), base);
    }

    /// The ways that begin at `from`, reached by `path`, in the order of their correlations.
    fn ways(
        &mut self,
        from: Target,
        path: &mut Vec<(usize, usize)>,
        rule: &Rule,
        reads: &mut Vec<Read>,
    ) -> Vec<u32> {
        let mut ways = Vec::new();
        for correlation in 0..self.correlations.compiled.len() {
            let members = &self.correlations.compiled[correlation].members;
            let Some(member) = members.iter().position(|member| member.target == from) else {
                continue;
            };
            path.push((correlation, member));
            let document = Arc::clone(&self.correlations.compiled[correlation].document);
            let mut lower = |name: &str| self.lower(path, name, rule, correlation, reads);
            let group = document.group_by.iter().map(|name| lower(&name.text)).collect();
            let fields = document.fields.iter().map(|name| lower(name)).collect();
            let onward = self.ways(Target::Correlation(correlation), path, rule, reads);
            path.pop();
            let way = u32::try_from(self.correlations.ways.len()).unwrap_or(u32::MAX);
            let member = u16::try_from(member).unwrap_or(u16::MAX);
            self.correlations.ways.push(Way { correlation, member, group, fields, onward });
            ways.push(way);
        }
        ways
    }

    /// The rule's own name for what the last correlation of `path` calls `name`.
    fn lower(
        &self,
        path: &[(usize, usize)],
        name: &str,
        rule: &Rule,
        reader: usize,
        reads: &mut Vec<Read>,
    ) -> Arc<str> {
        let mut name = name;
        for (correlation, member) in path.iter().rev() {
            name = self.lowered[*correlation][*member].get(name).map_or(name, String::as_str);
        }
        if let Some(read) = reads.iter().find(|read| *read.name == *name) {
            return Arc::clone(&read.name);
        }
        let meaning = taxonomy::resolve(&rule.logsource, name);
        let name: Arc<str> = Arc::from(name);
        reads.push(Read {
            name: Arc::clone(&name),
            fields: meaning.fields,
            is_fed: meaning.is_fed,
            reader,
        });
        name
    }
}

/// A hash of everything that the meaning of the kept state depends on.
fn definition(
    correlation: &Correlation,
    members: &[Member],
    lowered: &[BTreeMap<String, String>],
) -> [u8; 16] {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(correlation.kind.word());
    add(&format!("{:?}", correlation.condition));
    add(&format!("{} {}", correlation.timespan_s, correlation.percentile));
    add(if correlation.spans_communes { "metropole" } else { "commune" });
    for (member, names) in members.iter().zip(lowered) {
        add(&member.id);
        add(&format!("{names:?}"));
    }
    for name in &correlation.group_by {
        add(&name.text);
    }
    add("");
    for name in &correlation.fields {
        add(name);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize()[..16]);
    out
}
