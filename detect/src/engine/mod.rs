//! All rules at once.
//!
//! An event's route names the programs to run ([`program`]): one for the rules of its
//! categories, one for those of its services, one for those of its product alone. A program
//! searches the event for the witnesses of its rules ([`witness`]); the rules it finds are
//! candidates and are evaluated, each item at most once an event ([`item`]).
//!
//! Invariant: the rules that fire are exactly those that the plain evaluator
//! ([`eval`](crate::eval)) says hold, of those whose log source the event has; the property
//! tests compare the two.

mod frequency;
mod grams;
mod index;
mod item;
mod literal;
mod matcher;
mod memory;
mod needles;
mod network;
mod program;
mod quick;
mod slot;
mod view;
mod witness;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use event::{Detection, DetectionId, Event, FieldId, MatchedField, Timestamp};
use rayon::prelude::*;

use self::{
    item::{Compiled, Place},
    program::Program,
    quick::Quick,
    view::{Columns, Sizes, View},
    witness::Choice,
};
use crate::{
    entities::entities,
    eval,
    expr::{Expr, Item, Target},
    logsource::Route,
    route,
    rule::Rule,
    test::Test,
};

pub use memory::Memory;
pub use view::Scratch;

/// Characters of a matched value that a detection keeps.
const VALUE_CHARS_MAX: usize = 1_024;
/// Matched fields that a detection keeps.
const MATCHED_MAX: usize = 64;
/// Events that one task of a batch takes at least.
pub(crate) const TASK_EVENTS_MIN: usize = 8;

/// A rule that fired on an event.
#[derive(Clone, Debug)]
pub struct Match {
    /// The rule.
    pub rule: Arc<Rule>,
    /// What satisfied it, sorted.
    pub matched: Vec<MatchedField>,
}

/// Rules compiled to be matched all at once. Immutable and shared by any number of threads.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Arc<Rule>>,
    asked: Vec<Option<Route>>,
    exprs: Vec<Node>,
    items: Vec<Compiled>,
    programs: Vec<Program>,
    /// By the event's route: the programs to run.
    plans: Plans,
    columns: Columns,
    sizes: Sizes,
}

/// By route: the programs to run.
type Plans = HashMap<Route, Box<[usize]>, Quick>;

/// An expression over items by their place.
#[derive(Clone, Debug)]
enum Node {
    And(Box<[Self]>),
    Or(Box<[Self]>),
    Not(Box<Self>),
    Item(u32),
}

impl Engine {
    /// Compiles `rules`. Those whose log source no event can have are kept, for
    /// [`rules`](Self::rules), and never fire.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let columns =
            Columns::new(rules.iter().flat_map(|rule| read(&rule.expr)).chain(route::CLUES));
        let mut items = Items { columns: &columns, compiled: Vec::new(), known: HashMap::new() };
        let exprs = rules.iter().map(|rule| items.node(&rule.expr)).collect();
        let items = items.compiled;
        let sizes = Sizes { items: items.len(), rules: rules.len() };
        let asked: Vec<_> = rules.iter().map(|rule| rule.logsource.route()).collect();
        let (programs, plans) = plan(&rules, &asked, &columns);
        let rules = rules.into_iter().map(Arc::new).collect();
        Self { rules, asked, exprs, items, programs, plans, columns, sizes }
    }

    /// The rules, sorted by id.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Appends the rules that fire on `event` to `out`, sorted by id.
    pub fn matches(&self, event: &Event, scratch: &mut Scratch, out: &mut Vec<Match>) {
        let mut view = View::new(event, scratch, &self.columns, self.sizes);
        self.find_candidates(&mut view);
        let mut candidates = std::mem::take(&mut view.scratch.marks.candidates);
        candidates.sort_unstable();
        for place in &candidates {
            let place = *place as usize;
            if self.holds(&self.exprs[place], &mut view) {
                let matched = self.matched(&self.exprs[place], &mut view);
                out.push(Match { rule: Arc::clone(&self.rules[place]), matched });
            }
        }
        view.scratch.marks.candidates = candidates;
        view.finish();
    }

    /// How many rules are evaluated on `event`, and which: their places among
    /// [`rules`](Self::rules). The others cannot hold, as none of their witnesses is there.
    pub fn candidates<'s>(&self, event: &Event, scratch: &'s mut Scratch) -> &'s [u32] {
        let mut view = View::new(event, scratch, &self.columns, self.sizes);
        self.find_candidates(&mut view);
        view.finish();
        &scratch.marks.candidates
    }

    /// Whether any rule is for events like this one.
    pub fn is_of_use(&self, event: &Event) -> bool {
        let route = route::of(event);
        match self.plans.get(&route) {
            Some(programs) => !programs.is_empty(),
            None => self.asked.iter().flatten().any(|asked| route.has(asked)),
        }
    }

    fn find_candidates(&self, view: &mut View<'_, '_>) {
        let route = route::of_with(view.event, &|field| {
            let first = self.columns.of(field).and_then(|column| view.first(column));
            first.map(|index| view.value(index))
        });
        match self.plans.get(&route) {
            Some(programs) => {
                for program in programs {
                    self.programs[*program].candidates(view);
                }
            }
            // A route that was not foreseen costs time, not matches: every rule offered such
            // events is a candidate.
            None => self.offered(&route, &mut view.scratch.marks.candidates),
        }
    }

    /// The detections on a batch, matched on all threads of the current rayon pool: in the
    /// order of the events, then of the rules' ids. `now` becomes their `detected`.
    pub fn detect(&self, events: &[Arc<Event>], now: Timestamp) -> Vec<Detection> {
        let found: Vec<Vec<Detection>> = events
            .par_iter()
            .with_min_len(TASK_EVENTS_MIN)
            .map_init(Vec::new, |matches, event| {
                Scratch::of_thread(|scratch| self.matches(event, scratch, matches));
                matches.drain(..).map(|found| detection(&found, event, now)).collect()
            })
            .collect();
        found.into_iter().flatten().collect()
    }

    fn offered(&self, route: &Route, candidates: &mut Vec<u32>) {
        for (place, asked) in (0..).zip(&self.asked) {
            if asked.is_some_and(|asked| route.has(&asked)) {
                candidates.push(place);
            }
        }
    }

    fn item(&self, item: u32, view: &mut View<'_, '_>) -> bool {
        let place = item as usize;
        if let Some(answer) = view.answer(place) {
            return answer;
        }
        let answer = self.items[place].holds(view);
        view.remember(place, answer);
        answer
    }

    fn holds(&self, node: &Node, view: &mut View<'_, '_>) -> bool {
        match node {
            Node::And(parts) => parts.iter().all(|part| self.holds(part, view)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(part, view)),
            Node::Not(inner) => !self.holds(inner, view),
            Node::Item(item) => self.item(*item, view),
        }
    }

    /// What satisfied `node`, which holds: the values of its items that hold and are not
    /// under a `not`.
    fn matched(&self, node: &Node, view: &mut View<'_, '_>) -> Vec<MatchedField> {
        let mut held = Vec::new();
        self.collect(node, view, &mut held);
        held.sort_unstable();
        held.dedup();
        let mut matched: Vec<MatchedField> =
            held.into_iter().filter_map(|item| self.witnessed(item, view)).collect();
        matched.sort_unstable();
        matched.dedup();
        matched.truncate(MATCHED_MAX);
        matched
    }

    fn collect(&self, node: &Node, view: &mut View<'_, '_>, held: &mut Vec<u32>) {
        match node {
            Node::And(parts) | Node::Or(parts) => {
                for part in parts {
                    if self.holds(part, view) {
                        self.collect(part, view, held);
                    }
                }
            }
            Node::Not(_) => {}
            Node::Item(item) => held.push(*item),
        }
    }

    fn witnessed(&self, item: u32, view: &mut View<'_, '_>) -> Option<MatchedField> {
        let item = &self.items[item as usize];
        let keyword = item.fields().is_empty();
        let (field, text) = match item.find(view)? {
            Place::Absent => return None,
            Place::Original => (eval::KEYWORD_FIELD, view.event.original_text()),
            Place::Value(index) if keyword => (eval::KEYWORD_FIELD, view.value(index).to_text()),
            Place::Value(index) => {
                (self.ecs_name(item.fields(), index, view), view.value(index).to_text())
            }
        };
        let value = text.chars().take(VALUE_CHARS_MAX).collect();
        Some(MatchedField { field: field.name().to_owned(), value })
    }

    /// The ECS field among `fields` that has the same value as the value at `index`, which
    /// may be the vendor's original; else the value's own field.
    fn ecs_name(&self, fields: &[FieldId], index: usize, view: &View<'_, '_>) -> FieldId {
        let value = view.value(index);
        let first = |field| self.columns.of(field).and_then(|column| view.first(column));
        fields
            .iter()
            .copied()
            .filter(|field| !field.name().starts_with("winlog.event_data."))
            .find(|field| first(*field).is_some_and(|other| view.value(other) == value))
            .unwrap_or_else(|| view.field(index))
    }
}

/// The detection that `found` is.
pub(crate) fn detection(found: &Match, event: &Event, now: Timestamp) -> Detection {
    Detection {
        id: DetectionId::of(found.rule.id(), event.id()),
        commune: event.commune().clone(),
        feed: event.feed().clone(),
        format: event.format().clone(),
        rule: found.rule.rule_ref(),
        event_id: event.id(),
        timestamp: event.timestamp(),
        received: event.received(),
        detected: now,
        entities: entities(event),
        matched: found.matched.clone(),
        indicator: None,
        event: event.to_json(),
        values: Vec::new(),
        correlation: None,
    }
}

/// All event fields that an expression reads.
fn read(expr: &Expr) -> Vec<FieldId> {
    fn walk(expr: &Expr, found: &mut Vec<FieldId>) {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| walk(part, found)),
            Expr::Not(inner) => walk(inner, found),
            Expr::Item(Item { target, tests }) => {
                if let Target::Fields { ids, .. } = target {
                    found.extend(ids);
                }
                for test in tests {
                    if let Test::FieldRef(reference) = test {
                        found.extend(&reference.fields);
                    }
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(expr, &mut found);
    found
}

/// Items of all rules, the same ones once.
struct Items<'c> {
    columns: &'c Columns,
    compiled: Vec<Compiled>,
    /// By the debug form, in which equal items are equal.
    known: HashMap<String, u32>,
}

impl Items<'_> {
    fn node(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::And(parts) => Node::And(self.nodes(parts)),
            Expr::Or(parts) => Node::Or(self.nodes(parts)),
            Expr::Not(inner) => Node::Not(Box::new(self.node(inner))),
            Expr::Item(item) => {
                // The debug form spells every part of an item out, so equal ones are equal.
                let key = format!("{:?}", (item.target_key(), &item.tests));
                let next = u32::try_from(self.compiled.len()).unwrap_or(u32::MAX);
                let place = *self.known.entry(key).or_insert(next);
                if place == next {
                    self.compiled.push(Compiled::new(item, self.columns));
                }
                Node::Item(place)
            }
        }
    }
}

impl Items<'_> {
    /// The parts of an `and` or an `or`, the cheapest first. Invariant: both ask whether all or
    /// any of their parts hold, whatever their order.
    fn nodes(&mut self, parts: &[Arc<Expr>]) -> Box<[Node]> {
        let mut parts: Vec<&Expr> = parts.iter().map(|part| &**part).collect();
        parts.sort_by_key(|part| effort(part));
        parts.into_iter().map(|part| self.node(part)).collect()
    }
}

/// Roughly, how much it takes to see whether an expression holds.
fn effort(expr: &Expr) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(|part| effort(part)).sum(),
        Expr::Not(inner) => effort(inner),
        Expr::Item(item) => {
            let one = |test: &Test| match test {
                Test::Regex(_) => 50,
                Test::Text(_) => 2,
                _ => 1,
            };
            let values = match &item.target {
                // Every value of the event.
                Target::Everything => 100,
                Target::Fields { .. } => 1,
            };
            values * item.tests.iter().map(one).sum::<usize>()
        }
    }
}

/// The programs, and which of them each route runs.
///
/// Invariant: the rules in the programs of a route are exactly those that the route has all
/// parts of, each in one program. Programs are told apart by the set of log sources in them,
/// in four groups (with a category; with a service only; with neither; whose witnesses may be
/// anywhere, so that the whole text is searched once), so that routes that differ in one group
/// share the programs of the others.
fn plan(rules: &[Rule], asked: &[Option<Route>], columns: &Columns) -> (Vec<Program>, Plans) {
    let choices: Vec<Option<Choice>> =
        rules.par_iter().map(|rule| witness::choose(&rule.expr)).collect();
    let mut sources: BTreeMap<(usize, Route), Vec<u32>> = BTreeMap::new();
    for ((place, asked), choice) in (0..).zip(asked).zip(&choices) {
        if let Some(asked) = asked {
            let group = match asked {
                _ if choice.as_ref().is_some_and(Choice::is_anywhere) => 3,
                asked if asked.categories != 0 => 0,
                asked if asked.services != 0 => 1,
                _ => 2,
            };
            sources.entry((group, *asked)).or_default().push(place);
        }
    }
    let mut keys: Vec<Vec<(usize, Route)>> = Vec::new();
    let mut known: HashMap<Vec<(usize, Route)>, usize> = HashMap::new();
    let mut plans = Plans::default();
    for route in route::all() {
        let mut groups: [Vec<(usize, Route)>; 4] = Default::default();
        for source in sources.keys().filter(|(_, asked)| route.has(asked)) {
            groups[source.0].push(*source);
        }
        let programs = groups.into_iter().filter(|key| !key.is_empty()).map(|key| {
            *known.entry(key).or_insert_with_key(|key| {
                keys.push(key.clone());
                keys.len() - 1
            })
        });
        plans.insert(*route, programs.collect());
    }
    let programs = keys
        .par_iter()
        .map(|key| {
            let places = key.iter().flat_map(|source| &sources[source]);
            let chosen = places.map(|place| (*place, choices[*place as usize].as_ref()));
            Program::new(chosen, columns)
        })
        .collect();
    (programs, plans)
}
