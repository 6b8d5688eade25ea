//! How risky an incident is: many weak signals about one device weigh as much as a strong one.
//!
//! The score depends only on which rules fired, at which level, and on the ATT&CK tactics among
//! their tags, never on the order or the number of their detections: a storm of one rule weighs
//! as much as one detection of it, and whoever has the rules can add it up again.

use event::{Level, TACTICS};
use serde::{Deserialize, Serialize};

/// What each tactic beyond the first adds: an attack that gets on passes from one to the next.
const POINTS_PER_TACTIC: u32 = 10;

/// A rule that fired in an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRule {
    /// The rule's id.
    pub id: String,
    /// Its name when it last fired.
    pub name: String,
    /// The highest level at which it fired.
    pub level: Level,
    /// How many of the incident's detections are its.
    pub detections: u64,
}

/// How an incident's risk score adds up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRisk {
    /// The sum of what follows.
    pub score: u32,
    /// The severity that the score comes to by itself.
    pub severity: Level,
    /// Each rule that fired and what it adds, those that add most first.
    pub rules: Vec<RulePoints>,
    /// The ATT&CK tactics of its rules, in ATT&CK's order.
    pub tactics: Vec<String>,
    /// What the tactics add: ten for each beyond the first.
    pub tactics_points: u32,
}

/// What one rule adds to a risk score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePoints {
    /// The rule.
    #[serde(flatten)]
    pub rule: IncidentRule,
    /// 5 for a low one, 20 medium, 60 high, 150 critical.
    pub points: u32,
}

/// What a rule of `level` adds.
pub(super) const fn points(level: Level) -> u32 {
    match level {
        Level::Informational => 0,
        Level::Low => 5,
        Level::Medium => 20,
        Level::High => 60,
        Level::Critical => 150,
    }
}

/// What `rules_points` and the tactics among `tags` add up to.
pub(super) fn score(rules_points: u32, tags: &[String]) -> u32 {
    rules_points.saturating_add(tactics_points(tactics(tags).count()))
}

/// The severity that a score comes to: as severe as the rule that alone would weigh as much.
pub(super) fn severity(score: u32) -> Level {
    Level::ALL
        .into_iter()
        .rev()
        .find(|level| points(*level) <= score)
        .unwrap_or(Level::Informational)
}

/// The whole sum.
pub(super) fn explained(rules: Vec<IncidentRule>, tags: &[String]) -> IncidentRisk {
    let mut rules: Vec<_> =
        rules.into_iter().map(|rule| RulePoints { points: points(rule.level), rule }).collect();
    rules.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.rule.id.cmp(&b.rule.id)));
    let sum = rules.iter().fold(0_u32, |sum, rule| sum.saturating_add(rule.points));
    let tactics: Vec<String> = tactics(tags).map(str::to_owned).collect();
    let score = score(sum, tags);
    IncidentRisk {
        score,
        severity: severity(score),
        tactics_points: tactics_points(tactics.len()),
        rules,
        tactics,
    }
}

fn tactics_points(tactics: usize) -> u32 {
    u32::try_from(tactics.saturating_sub(1)).unwrap_or(u32::MAX).saturating_mul(POINTS_PER_TACTIC)
}

/// Older rules write `credential_access`.
fn tactics(tags: &[String]) -> impl Iterator<Item = &'static str> {
    TACTICS.iter().copied().filter(|tactic| {
        tags.iter()
            .filter_map(|tag| tag.strip_prefix("attack."))
            .any(|tag| tag.len() == tactic.len() && tag.replace('_', "-") == *tactic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_alone_comes_to_itself() {
        for level in Level::ALL {
            assert_eq!(severity(score(points(level), &[])), level);
        }
    }

    #[test]
    fn weak_signals_add_up_and_say_how() {
        let rule = |n: u32, level| IncidentRule {
            id: format!("rule-{n}"),
            name: format!("Rule {n}"),
            level,
            detections: 1_000,
        };
        let tags =
            ["attack.credential_access", "attack.execution", "attack.t1059"].map(str::to_owned);
        let risk = explained(vec![rule(1, Level::Low), rule(2, Level::Low)], &tags);
        assert_eq!((risk.score, risk.severity), (5 + 5 + 10, Level::Medium));
        assert_eq!(risk.tactics, ["execution", "credential-access"]);
        let sum: u32 = risk.rules.iter().map(|rule| rule.points).sum();
        assert_eq!(sum + risk.tactics_points, risk.score);
        // What defense evasion became counts as any other.
        assert_eq!(score(0, &["attack.stealth", "attack.impact"].map(str::to_owned)), 10);
        let risk = explained((0..3).map(|n| rule(n, Level::Medium)).collect(), &[]);
        assert_eq!((risk.score, risk.severity), (60, Level::High));
    }
}
