//! Why a correlation fires on events, or why it does not.

use std::{collections::HashMap, io, sync::Arc};

use detect::{Account, Correlation, Correlator, Limits, Ruleset};
use event::{Contribution, Detection, Event, EventId, Timestamp};
use serde_json::{Value, json};

use crate::print::safe;

/// Matches and groups that are shown to people at most; JSON has all.
const SHOWN_MAX: usize = 30;

/// What the rules make of events, for any of their correlations.
pub(super) struct Matched<'r> {
    ruleset: &'r Ruleset,
    contributions: Vec<Contribution>,
    fired: Vec<Detection>,
    /// By event: its number in the file.
    numbers: HashMap<EventId, u64>,
}

/// What one correlation makes of them.
pub(super) struct Told<'m> {
    pub(super) fires: bool,
    correlation: &'m Correlation,
    is_quiet: bool,
    account: Account,
    fired: Vec<&'m Detection>,
    numbers: &'m HashMap<EventId, u64>,
}

impl<'r> Matched<'r> {
    /// Matches `events`, in the order of the file, with all of `ruleset`.
    pub(super) fn new(ruleset: &'r Ruleset, events: &[Arc<Event>]) -> Self {
        let found = ruleset.detect(events, Timestamp::now());
        let mut contributions = found.contributions;
        let correlations = ruleset.correlations();
        contributions.extend(
            found
                .detections
                .iter()
                .filter(|detection| correlations.reads(&detection.rule.id))
                .map(Contribution::from),
        );
        let limits = Limits {
            held_max: contributions.len() + 1,
            metropole: Some(super::super::offline::commune()),
            ..Limits::default()
        };
        let mut correlator = Correlator::new(Arc::clone(correlations), limits);
        let mut fired = Vec::new();
        for contribution in &contributions {
            correlator.push(Arc::new(contribution.clone()), &mut fired);
        }
        correlator.finish(&mut fired);
        let numbers = events.iter().map(|event| event.id()).zip(1..).collect();
        Self { ruleset, contributions, fired, numbers }
    }

    /// What `correlation`, one of the ruleset's, makes of the events.
    pub(super) fn tell<'m>(&'m self, correlation: &'m Correlation) -> Option<Told<'m>> {
        let id = correlation.id();
        let fired: Vec<&Detection> =
            self.fired.iter().filter(|detection| detection.rule.id == id).collect();
        Some(Told {
            fires: !fired.is_empty(),
            correlation,
            is_quiet: self.ruleset.correlations().is_quiet_correlation(id),
            account: self.ruleset.correlations().account(id, &self.contributions)?,
            fired,
            numbers: &self.numbers,
        })
    }
}

fn pairs(values: &[(String, Option<String>)]) -> String {
    let pairs: Vec<String> = values
        .iter()
        .map(|(field, value)| match value {
            Some(value) => format!("{field} = {}", safe(value)),
            None => format!("{field} is absent"),
        })
        .collect();
    if pairs.is_empty() { "the one group".to_owned() } else { pairs.join(", ") }
}

impl Told<'_> {
    fn number(&self, event: EventId) -> u64 {
        self.numbers.get(&event).copied().unwrap_or_default()
    }

    pub(super) fn print(&self, out: &mut impl io::Write) -> io::Result<()> {
        let (correlation, account) = (self.correlation, &self.account);
        let verdict = match (self.fires, self.is_quiet) {
            (true, _) => "fires",
            (false, true) => "raises nothing of its own: it only feeds other correlations",
            (false, false) => "does not fire",
        };
        writeln!(out, "{} ({}) {verdict}", safe(correlation.title()), correlation.id())?;
        let group_by = match account.group_by.is_empty() {
            true => "over all".to_owned(),
            false => format!("by {}", account.group_by.join(", ")),
        };
        writeln!(
            out,
            "asks {} {} within {} s, {group_by}, of:",
            account.kind,
            safe(&account.condition),
            account.timespan_s
        )?;
        for (id, title) in &account.members {
            writeln!(out, "  {} ({id})", safe(title))?;
        }
        if account.seen.is_empty() {
            writeln!(out, "no event matches a rule that feeds it")?;
        }
        for seen in account.seen.iter().take(SHOWN_MAX) {
            let lost = match seen.group.iter().any(|(_, value)| value.is_none()) {
                true => "; in no group",
                false => "",
            };
            let looked_at = match seen.fields.is_empty() {
                true => String::new(),
                false => format!("; {}", pairs(&seen.fields)),
            };
            writeln!(
                out,
                "event {} at {}: {}: {}{looked_at}{lost}",
                self.number(seen.event_id),
                seen.timestamp,
                safe(&seen.by),
                pairs(&seen.group)
            )?;
        }
        rest(out, account.seen.len(), "matches")?;
        for group in account.groups.iter().take(SHOWN_MAX) {
            let matches: Vec<String> = group
                .matches
                .iter()
                .map(|(title, count)| format!("{count} of {}", safe(title)))
                .collect();
            let values: Vec<(String, Option<String>)> = group
                .values
                .iter()
                .map(|value| (value.field.clone(), Some(value.value.clone())))
                .collect();
            let distinct = group
                .distinct_values
                .map_or_else(String::new, |count| format!("; {count} different values"));
            writeln!(
                out,
                "at most at once in {}: {}{distinct} ({} to {})",
                pairs(&values),
                matches.join(", "),
                group.from,
                group.to
            )?;
        }
        rest(out, account.groups.len(), "groups")?;
        for detection in &self.fired {
            let condition = detection.correlation.as_ref().map_or_else(String::new, |seen| {
                format!(" ({} for {})", seen.value, safe(&seen.condition))
            });
            writeln!(
                out,
                "fires at event {}, {}{condition}",
                self.number(detection.event_id),
                detection.timestamp
            )?;
        }
        writeln!(out)
    }

    pub(super) fn as_json(&self) -> Value {
        let (correlation, account) = (self.correlation, &self.account);
        let object = |values: &[(String, Option<String>)]| -> Value {
            values.iter().map(|(field, value)| (field.clone(), json!(value))).collect()
        };
        json!({
            "rule": {
                "id": correlation.id(), "name": correlation.title(),
                "version": correlation.version(), "level": correlation.level(),
            },
            "fires": self.fires,
            "only_feeds_others": self.is_quiet,
            "asks": {
                "type": account.kind,
                "condition": account.condition,
                "timespan_s": account.timespan_s,
                "group_by": account.group_by,
                "rules": account.members.iter()
                    .map(|(id, title)| json!({"id": id, "name": title}))
                    .collect::<Vec<_>>(),
            },
            "matches": account.seen.iter().map(|seen| json!({
                "event": self.number(seen.event_id),
                "@timestamp": seen.timestamp,
                "rule": seen.rule,
                "group": object(&seen.group),
                "values": object(&seen.fields),
            })).collect::<Vec<_>>(),
            "groups": account.groups.iter().map(|group| json!({
                "group": group.values,
                "from": group.from,
                "to": group.to,
                "matches": group.matches,
                "distinct_values": group.distinct_values,
            })).collect::<Vec<_>>(),
            "fired": self.fired.iter().map(|detection| json!({
                "event": self.number(detection.event_id),
                "@timestamp": detection.timestamp,
                "correlation": detection.correlation,
            })).collect::<Vec<_>>(),
        })
    }
}

fn rest(out: &mut impl io::Write, count: usize, what: &str) -> io::Result<()> {
    if count > SHOWN_MAX {
        writeln!(out, "and {} more {what}; -o json has all", count - SHOWN_MAX)?;
    }
    Ok(())
}
