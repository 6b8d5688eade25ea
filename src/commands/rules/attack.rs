//! ATT&CK as rules' tags have it.

use detect::{
    Correlation, Correlations, Rule,
    attack::{TACTICS, is_technique},
};

/// The domain of computers, as the Navigator calls it.
pub(super) const ENTERPRISE: &str = "enterprise-attack";
/// The domain of phones.
pub(super) const MOBILE: &str = "mobile-attack";

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
        } else if is_technique(&name) {
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

/// The same for a correlation: that of phones where all rules that feed it are of phones.
pub(super) fn domain_of(
    correlation: &Correlation,
    correlations: &Correlations,
    rules: &[Rule],
) -> &'static str {
    let mut feeding = correlations.feeding(correlation.id()).peekable();
    let of_phones = |id: &str| {
        rules.iter().find(|rule| rule.id() == id).is_some_and(|rule| domain(rule) == MOBILE)
    };
    if feeding.peek().is_some() && feeding.all(of_phones) { MOBILE } else { ENTERPRISE }
}
