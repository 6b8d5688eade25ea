//! Correlations tied to the rules that they refer to.
//!
//! References are looked up by id and by name among the rules and correlations loaded together.
//! A correlation is refused where one of its references leads nowhere, to a refused one, or back
//! to itself; its neighbours stay. What is left is put into an order in which each correlation
//! stands behind those it refers to.

use std::{borrow::Borrow, collections::HashMap, path::PathBuf, sync::Arc};

use event::Level;

use super::{
    compile::{self, Correlations, Member},
    document::{Correlation, Named},
    order,
};
use crate::{
    error::{Problem, Refusal},
    rule::Rule,
};

/// Levels of correlations of correlations.
const DEPTH_MAX: usize = 8;
/// Ways in which matches may reach one correlation.
const PATHS_MAX: usize = 4_096;

/// What came of linking.
#[derive(Debug, Default)]
pub struct Linked {
    /// What can run.
    pub correlations: Correlations,
    /// What was not linked and why, in the order of files and lines.
    pub refused: Vec<Refusal>,
    /// Flaws of correlations that were linked.
    pub warnings: Vec<Refusal>,
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A rule, by its place.
    Rule(usize),
    /// A correlation, by its place.
    Correlation(usize),
}

/// Ties `correlations` to each other and to `rules`.
pub(super) fn link<R: Borrow<Rule>>(correlations: Vec<Correlation>, rules: &[R]) -> Linked {
    let mut linked = Linked::default();
    let correlations = unique(correlations, rules, &mut linked.refused);
    let mut linker = Linker {
        names: names(&correlations, rules),
        targets: vec![Vec::new(); correlations.len()],
        refused: vec![None; correlations.len()],
        correlations,
        rules: rules.iter().map(Borrow::borrow).collect(),
    };
    linker.resolve();
    linker.spread();
    let order = linker.order();
    linker.spread();
    linker.check(&order);
    linker.spread();
    linker.finish(&order, &mut linked);
    linked.refused.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    linked.warnings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    linked
}

pub(crate) fn about(correlation: &Correlation, problem: Problem) -> Refusal {
    Refusal {
        path: PathBuf::clone(&correlation.source.path),
        line: problem.line,
        rule_id: Some(correlation.id.clone()),
        title: Some(correlation.title.clone()),
        reason: problem.reason,
    }
}

/// Of two with one id the first stands, as among rules.
fn unique<R: Borrow<Rule>>(
    correlations: Vec<Correlation>,
    rules: &[R],
    refused: &mut Vec<Refusal>,
) -> Vec<Correlation> {
    let rule_ids: HashMap<&str, &Rule> =
        rules.iter().map(Borrow::borrow).map(|rule: &Rule| (rule.id(), rule)).collect();
    let mut kept: Vec<Correlation> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for correlation in correlations {
        let first = match known.get(correlation.id()) {
            Some(first) if kept[*first].version() == correlation.version() => continue,
            Some(first) => Some(kept[*first].source()),
            None => rule_ids.get(correlation.id()).map(|rule| rule.source()),
        };
        if let Some(first) = first {
            let reason = format!(
                "id {} is already that of another rule, at {}:{}; give this one its own",
                correlation.id(),
                first.path.display(),
                first.line
            );
            let line = correlation.source.line;
            refused.push(about(&correlation, Problem::new(line, reason)));
            continue;
        }
        known.insert(correlation.id().to_owned(), kept.len());
        kept.push(correlation);
    }
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    kept
}

/// What each id and name leads to; a name that several have leads to all of them.
fn names<R: Borrow<Rule>>(
    correlations: &[Correlation],
    rules: &[R],
) -> HashMap<String, Vec<Target>> {
    let mut names: HashMap<String, Vec<Target>> = HashMap::new();
    let mut add = |name: &str, target| {
        let targets = names.entry(name.to_owned()).or_default();
        if !targets.contains(&target) {
            targets.push(target);
        }
    };
    for (place, rule) in rules.iter().enumerate() {
        let rule: &Rule = rule.borrow();
        add(rule.id(), Target::Rule(place));
        if let Some(name) = &rule.name {
            add(name, Target::Rule(place));
        }
    }
    for (place, correlation) in correlations.iter().enumerate() {
        add(&correlation.id, Target::Correlation(place));
        if let Some(name) = &correlation.name {
            add(name, Target::Correlation(place));
        }
    }
    names
}

struct Linker<'r> {
    names: HashMap<String, Vec<Target>>,
    correlations: Vec<Correlation>,
    rules: Vec<&'r Rule>,
    /// Per correlation, what its references lead to.
    targets: Vec<Vec<Target>>,
    refused: Vec<Option<Problem>>,
}

impl Linker<'_> {
    fn refuse(&mut self, place: usize, line: u32, reason: String) {
        if self.refused[place].is_none() {
            self.refused[place] = Some(Problem::new(line, reason));
        }
    }

    fn look_up(&self, name: &str) -> Result<Target, String> {
        let lower = name.to_ascii_lowercase();
        let targets = self.names.get(name).or_else(|| self.names.get(&lower));
        match targets.map(Vec::as_slice) {
            None | Some([]) => Err(format!(
                "no loaded rule has the id or name {name:?}; load it together with this correlation"
            )),
            Some([target]) => Ok(*target),
            Some(several) => Err(format!(
                "{} loaded rules have the name {name:?}; refer to one by its id",
                several.len()
            )),
        }
    }

    fn resolve(&mut self) {
        for place in 0..self.correlations.len() {
            let mut targets = Vec::new();
            let mut problem = None;
            for Named { text, line } in &self.correlations[place].rules {
                match self.look_up(text) {
                    Ok(target) if targets.contains(&target) => {
                        problem = Some((*line, format!("rules names the rule {text:?} twice")));
                    }
                    Ok(target) => targets.push(target),
                    Err(reason) => problem = Some((*line, reason)),
                }
                if problem.is_some() {
                    break;
                }
            }
            self.targets[place] = targets;
            if let Some((line, reason)) = problem {
                self.refuse(place, line, reason);
            }
        }
    }

    /// Refuses whatever refers to what is refused.
    fn spread(&mut self) {
        loop {
            let mut found = None;
            for place in 0..self.correlations.len() {
                if self.refused[place].is_some() {
                    continue;
                }
                let bad = self.targets[place].iter().position(|target| match target {
                    Target::Correlation(other) => self.refused[*other].is_some(),
                    Target::Rule(_) => false,
                });
                if let Some(bad) = bad {
                    found = Some((place, self.correlations[place].rules[bad].clone()));
                    break;
                }
            }
            let Some((place, named)) = found else { return };
            let reason = format!(
                "refers to the correlation {:?}, which is refused for a reason of its own",
                named.text
            );
            self.refuse(place, named.line, reason);
        }
    }

    /// The correlations, each behind those it refers to; those in a circle are refused.
    fn order(&mut self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut state = vec![0_u8; self.correlations.len()];
        for place in 0..self.correlations.len() {
            self.visit(place, &mut state, &mut Vec::new(), &mut order);
        }
        order
    }

    fn visit(
        &mut self,
        place: usize,
        state: &mut [u8],
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) {
        const ON_PATH: u8 = 1;
        const DONE: u8 = 2;
        if self.refused[place].is_some() || state[place] == DONE {
            return;
        }
        if state[place] == ON_PATH {
            let from = path.iter().position(|other| *other == place).unwrap_or(0);
            let circle = path[from..].to_vec();
            let mut titles: Vec<&str> =
                circle.iter().map(|place| self.correlations[*place].title()).collect();
            titles.push(self.correlations[place].title());
            let reason = format!("refers to itself: {}", titles.join(" → "));
            for member in circle {
                let line = self.correlations[member].rules.first().map_or(0, |rule| rule.line);
                self.refuse(member, line, reason.clone());
            }
            return;
        }
        if path.len() > 2 * DEPTH_MAX {
            // Far too deep whatever follows; `check` says so of those it would make too deep.
            let line = self.correlations[place].source.line;
            self.refuse(place, line, format!("correlations nest deeper than {DEPTH_MAX} levels"));
            return;
        }
        state[place] = ON_PATH;
        path.push(place);
        for target in self.targets[place].clone() {
            if let Target::Correlation(other) = target {
                self.visit(other, state, path, order);
            }
        }
        path.pop();
        state[place] = DONE;
        order.push(place);
    }

    /// Checks what needs the references: depth, scope, aliases.
    fn check(&mut self, order: &[usize]) {
        let mut depth = vec![1_usize; self.correlations.len()];
        let mut paths = vec![0_usize; self.correlations.len()];
        for place in order.iter().copied() {
            let line = self.correlations[place].source.line;
            for (target, named) in
                self.targets[place].clone().iter().zip(self.correlations[place].rules.clone())
            {
                let Target::Correlation(other) = *target else {
                    paths[place] += 1;
                    continue;
                };
                paths[place] = paths[place].saturating_add(paths[other]);
                depth[place] = depth[place].max(depth[other] + 1);
                let (inner, outer) = (&self.correlations[other], &self.correlations[place]);
                if inner.spans_communes && !outer.spans_communes {
                    // What one commune may see would then tell of the events of others.
                    let reason = format!(
                        "refers to {:?}, which spans communes, without spanning them itself; give it jacquemart: {{scope: metropole}}",
                        named.text
                    );
                    self.refuse(place, named.line, reason);
                }
            }
            if depth[place] > DEPTH_MAX {
                self.refuse(
                    place,
                    line,
                    format!("correlations nest deeper than {DEPTH_MAX} levels"),
                );
            }
            if paths[place] > PATHS_MAX {
                self.refuse(
                    place,
                    line,
                    format!("rules reach the correlation by more than {PATHS_MAX} ways"),
                );
            }
            if let Err(problem) = self.aliases(place) {
                self.refuse(place, problem.line, problem.reason);
            }
            if let Err(problem) = order::condition(&self.correlations[place]) {
                self.refuse(place, problem.line, problem.reason);
            }
        }
    }

    /// Every alias in use gives a field for every rule, and names no rule besides.
    fn aliases(&self, place: usize) -> Result<(), Problem> {
        let correlation = &self.correlations[place];
        for alias in &correlation.aliases {
            let mut given = vec![false; correlation.rules.len()];
            for (named, _) in &alias.fields {
                let member = self.look_up(&named.text).ok().and_then(|target| {
                    self.targets[place].iter().position(|other| *other == target)
                });
                let Some(member) = member else {
                    return Err(Problem::new(
                        named.line,
                        format!(
                            "alias {:?} gives a field of {:?}, which is not among the correlation's rules",
                            alias.name, named.text
                        ),
                    ));
                };
                given[member] = true;
            }
            let used = correlation.group_by.iter().any(|field| field.text == alias.name)
                || correlation.fields.contains(&alias.name);
            if let Some(missing) = given.iter().position(|given| !given).filter(|_| used) {
                return Err(Problem::new(
                    alias.line,
                    format!(
                        "alias {:?} gives no field of the rule {:?}",
                        alias.name, correlation.rules[missing].text
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The field that alias `name` of `place` means in events of its member, or `name` itself.
    fn aliased<'n>(&'n self, place: usize, member: usize, name: &'n str) -> &'n str {
        let alias = self.correlations[place].aliases.iter().find(|alias| alias.name == name);
        alias
            .and_then(|alias| {
                alias.fields.iter().find(|(named, _)| {
                    self.look_up(&named.text).ok() == self.targets[place].get(member).copied()
                })
            })
            .map_or(name, |(_, field)| field.as_str())
    }

    fn finish(mut self, order: &[usize], linked: &mut Linked) {
        let kept: Vec<usize> =
            order.iter().copied().filter(|place| self.refused[*place].is_none()).collect();
        self.levels(&kept);
        let mut compiler = compile::Compiler::new(self.rules.len());
        let mut placed = HashMap::new();
        for (at, place) in kept.iter().copied().enumerate() {
            placed.insert(place, at);
            let correlation = &self.correlations[place];
            let members = self.targets[place].iter().map(|target| self.member(*target, &placed));
            compiler.add(correlation, members.collect(), &|member, name| {
                self.aliased(place, member, name).to_owned()
            });
            for alias in &correlation.aliases {
                let used = correlation.group_by.iter().any(|field| field.text == alias.name)
                    || correlation.fields.contains(&alias.name);
                if !used {
                    let reason = format!("nothing uses the alias {:?}", alias.name);
                    linked.warnings.push(about(correlation, Problem::new(alias.line, reason)));
                }
            }
        }
        linked.correlations = compiler.finish(&self.rules);
        for (at, field, rule) in linked.correlations.unfed() {
            let correlation = &self.correlations[kept[at]];
            let reason =
                format!("no feed of this installation fills {field:?} for the rule {rule:?}");
            let line = correlation.source.line;
            linked.warnings.push(about(correlation, Problem::new(line, reason)));
        }
        for (correlation, problem) in self.correlations.iter().zip(self.refused.drain(..)) {
            linked.refused.extend(problem.map(|problem| about(correlation, problem)));
        }
    }

    /// A correlation without level takes the highest of its rules.
    fn levels(&mut self, kept: &[usize]) {
        for place in kept.iter().copied() {
            if self.correlations[place].level.is_none() {
                let levels = self.targets[place].iter().map(|target| match target {
                    Target::Rule(rule) => self.rules[*rule].level(),
                    Target::Correlation(other) => self.correlations[*other].level(),
                });
                let level = levels.max().unwrap_or(Level::Informational);
                self.correlations[place].level = Some(level);
            }
        }
    }

    fn member(&self, target: Target, placed: &HashMap<usize, usize>) -> Member {
        match target {
            Target::Rule(rule) => Member {
                id: Arc::from(self.rules[rule].id()),
                title: Arc::from(self.rules[rule].title()),
                target,
            },
            Target::Correlation(other) => Member {
                id: Arc::from(self.correlations[other].id()),
                title: Arc::from(self.correlations[other].title()),
                target: Target::Correlation(placed.get(&other).copied().unwrap_or_default()),
            },
        }
    }
}
