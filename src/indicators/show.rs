//! The indicators as the API shows them.

use api::{IndicatorAnswer, IndicatorSource};
use detect::indicators::{IndicatorSet, Source, level_of};
use event::{IndicatorRef, IndicatorSourceId, Timestamp};
use store::Scope;

use super::{Indicators, import::ImportSettings};

/// Whether whoever has `scope` may know of `source`: it is for all, or for one of theirs.
fn may_see(scope: &Scope, source: &Source) -> bool {
    let communes = source.communes.as_ref();
    communes.is_none_or(|communes| communes.iter().any(|commune| scope.allows(commune)))
}

fn answer(set: &IndicatorSet, found: IndicatorRef, allowed: bool) -> IndicatorAnswer {
    let of_source = set.sources().find(|(source, _)| source.name == found.source);
    let level = of_source.and_then(|(source, _)| source.level);
    IndicatorAnswer {
        level: level.unwrap_or_else(|| level_of(found.indicator.confidence)),
        valid: found.indicator.holds_at(Timestamp::now()),
        allowed,
        indicator: found,
    }
}

/// The names of the sources that `scope` may not know of.
fn hidden(scope: &Scope, set: &IndicatorSet) -> Vec<IndicatorSourceId> {
    let sources = set.sources().filter(|(source, _)| !may_see(scope, source));
    sources.map(|(source, _)| source.name.clone()).collect()
}

impl api::Indicators for Indicators {
    fn look_up(&self, scope: &Scope, value: &str) -> Result<Vec<IndicatorAnswer>, String> {
        let set = self.set().map_err(|error| format!("{error:#}"))?;
        let hidden = hidden(scope, &set);
        let found = set.look_up(value).into_iter();
        let seen = found.filter(|(found, _)| !hidden.contains(&found.source));
        Ok(seen.map(|(found, allowed)| answer(&set, found, allowed)).collect())
    }

    fn list(
        &self,
        scope: &Scope,
        source: Option<&str>,
        from: usize,
        limit: usize,
    ) -> Result<(Vec<IndicatorAnswer>, Option<usize>), String> {
        let set = self.set().map_err(|error| format!("{error:#}"))?;
        let hidden = hidden(scope, &set);
        let mut items = Vec::new();
        let mut seen =
            set.list(source, from).filter(|(_, found)| !hidden.contains(&found.source)).peekable();
        while let Some((next, found)) = seen.next() {
            items.push(answer(&set, found, false));
            // A value's sources are never parted, as a page begins with a value.
            let same = seen.peek().is_some_and(|(other, _)| *other == next);
            if items.len() >= limit && !same {
                return Ok((items, seen.peek().is_some().then_some(next)));
            }
        }
        Ok((items, None))
    }

    fn sources(&self, scope: &Scope) -> Result<Vec<IndicatorSource>, String> {
        self.set().map_err(|error| format!("{error:#}"))?;
        let mut shown = Vec::new();
        for (name, _) in self.keeper.sources().map_err(|error| error.to_string())? {
            if self.sources.iter().any(|source| source.name == name) {
                continue;
            }
            let import = self.keeper.about(&name).ok().flatten().and_then(|about| about.import);
            if let Some(import) = import {
                shown.push(("import", ImportSettings::of(&import).matching(&name)));
            }
        }
        shown.extend(self.sources.iter().map(|source| (source.kind, source.matching.clone())));
        shown.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let seen = shown.into_iter().filter(|(_, source)| may_see(scope, source));
        Ok(seen.map(|(kind, source)| self.described(kind, source)).collect())
    }
}

impl Indicators {
    fn described(&self, kind: &'static str, source: Source) -> IndicatorSource {
        let standing = self.board.of(&source.name);
        IndicatorSource {
            name: source.name.to_string(),
            kind,
            indicators: standing.indicators,
            refused: standing.refused,
            refusals: standing.refusals,
            communes: source.communes,
            level: source.level,
            changed: standing.changed,
            succeeded: standing.succeeded,
            failed: standing.failed.as_ref().map(|(at, _)| *at),
            error: standing.failed.map(|(_, reason)| reason),
        }
    }
}
