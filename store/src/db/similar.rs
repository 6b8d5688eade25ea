//! How alike two incidents are.

use std::cmp::Ordering;

use super::{Common, Incident, SimilarIncident};

/// Rules say what happened, entities only where.
const RULES_WEIGH: f64 = 3.0;

/// Those of `others`, each with its rules, that have something in common with `this`: the most
/// alike first, the last opened first among equals.
pub(super) fn similar(
    this: &Incident,
    rules: &[String],
    others: Vec<(Incident, Vec<String>)>,
    limit: usize,
) -> Vec<SimilarIncident> {
    let mut found: Vec<SimilarIncident> = others
        .into_iter()
        .map(|(incident, other_rules)| {
            let common = in_common(this, rules, &incident, &other_rules);
            SimilarIncident { incident, common }
        })
        .filter(|similar| similar.common.likeness > 0.0)
        .collect();
    found.sort_by(|a, b| {
        let likeness = b.common.likeness.partial_cmp(&a.common.likeness);
        likeness
            .unwrap_or(Ordering::Equal)
            .then_with(|| b.incident.created.cmp(&a.incident.created))
            .then_with(|| a.incident.id.as_bytes().cmp(b.incident.id.as_bytes()))
    });
    found.truncate(limit);
    found
}

fn in_common(
    this: &Incident,
    rules: &[String],
    other: &Incident,
    other_rules: &[String],
) -> Common {
    let common_rules = both(rules, other_rules);
    // A host of the same name in another commune is another host.
    let entities = if this.commune == other.commune {
        both(&this.entities, &other.entities)
    } else {
        Vec::new()
    };
    let of_rules = share(common_rules.len(), rules.len(), other_rules.len());
    let of_entities = share(entities.len(), this.entities.len(), other.entities.len());
    let likeness = (RULES_WEIGH * of_rules + of_entities) / (RULES_WEIGH + 1.0);
    // Three digits are enough to compare by eye.
    let likeness = (likeness * 1_000.0).round() / 1_000.0;
    Common { rules: common_rules, entities, likeness }
}

fn both<T: PartialEq + Clone>(these: &[T], those: &[T]) -> Vec<T> {
    these.iter().filter(|one| those.contains(one)).cloned().collect()
}

/// Jaccard's index of two sets.
fn share(common: usize, these: usize, those: usize) -> f64 {
    let all = these + those - common;
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}
