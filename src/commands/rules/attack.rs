//! ATT&CK as rules' tags have it.

use detect::Rule;

/// The domain of computers, as the Navigator calls it.
pub(super) const ENTERPRISE: &str = "enterprise-attack";
/// The domain of phones.
pub(super) const MOBILE: &str = "mobile-attack";

/// Tactics in the order of the matrix. Defense evasion became stealth and defense impairment;
/// rules have either.
const TACTICS: &[&str] = &[
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-impairment",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// What the tags of a rule name.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// With their places in the matrix.
    pub(super) tactics: Vec<(usize, String)>,
    /// E.g. `t1059.001`.
    pub(super) techniques: Vec<String>,
}

/// The tactics and techniques that the tags `of` a rule name, each once.
pub(super) fn tags(of: &[String]) -> Tags {
    let mut tags = Tags::default();
    for tag in of {
        let Some(name) = tag.strip_prefix("attack.") else { continue };
        let name = name.to_ascii_lowercase();
        if let Some(order) = TACTICS.iter().position(|tactic| *tactic == name.replace('_', "-")) {
            tags.tactics.push((order, TACTICS[order].to_owned()));
        } else if name
            .strip_prefix('t')
            .is_some_and(|id| id.starts_with(|c: char| c.is_ascii_digit()))
        {
            tags.techniques.push(name);
        }
    }
    tags.tactics.sort();
    tags.tactics.dedup();
    tags.techniques.sort();
    tags.techniques.dedup();
    tags
}

/// The matrix that a rule's techniques are of: those of phones have one of their own.
pub(super) fn domain(rule: &Rule) -> &'static str {
    let logsource = rule.logsource();
    let is_mobile = logsource.category.as_deref().is_some_and(|c| c.starts_with("mobile_"))
        || matches!(logsource.product.as_deref(), Some("android" | "ios" | "pradeo" | "lookout"))
        || logsource.service.as_deref() == Some("mtd");
    if is_mobile { MOBILE } else { ENTERPRISE }
}
