//! Conditions in the form that state answers; above all what "in order" means.
//!
//! The condition of an ordered correlation becomes alternatives: each a chain of rules that match
//! in their order, and rules that do not match at all. A correlation of two or three rules has
//! one, "at least two of three" has three.

use super::{
    compile::Test,
    condition::{Compare, Expr, Op},
    document::{Condition, Correlation, Kind},
};
use crate::error::Problem;

/// Alternatives that the condition of an ordered correlation may come to.
const TERMS_MAX: usize = 64;
/// One alternative of an ordered correlation: these in this order, and none of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) chain: Vec<u16>,
    pub(super) absent: Vec<u16>,
}

/// The condition in the form that state answers.
pub(super) fn condition(correlation: &Correlation) -> Result<Test, Problem> {
    let ordered = correlation.kind == Kind::TemporalOrdered;
    match &correlation.condition {
        Condition::Compare(compare) if ordered => {
            ordered_count(compare, correlation.rules.len()).map(Test::Ordered)
        }
        Condition::Compare(compare) => Ok(Test::Compare(compare.clone())),
        Condition::Words(expr, _) if ordered => {
            terms(expr).map(|terms| Test::Ordered(prune(terms)))
        }
        Condition::Words(expr, _) => Ok(Test::Words(expr.clone())),
    }
    .map_err(|reason: String| Problem::new(correlation.condition_line, reason))
}

/// At least so many of the rules, in their order: each choice of so many is an alternative.
fn ordered_count(compare: &Compare, rules: usize) -> Result<Vec<Term>, String> {
    #[expect(clippy::cast_precision_loss, reason = "at most 64")]
    let all = rules as f64;
    let least = match (compare.at_least(), compare.0.as_slice()) {
        (Some(least), _) => least,
        // No more than all can match, so these ask for all.
        (None, [(Op::Eq, bound)]) if *bound >= all => *bound,
        _ => {
            return Err(format!(
                "temporal_ordered can ask for at least so many of its rules, with gte or gt; \"{compare}\" it can not"
            ));
        }
    };
    if least > all {
        return Err(format!("condition asks for {least} rules in order, and there are {rules}"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 64")]
    let least = least.max(1.0) as usize;
    let mut terms = Vec::new();
    choose(least, 0, rules, &mut Vec::new(), &mut terms)?;
    Ok(terms)
}

fn choose(
    left: usize,
    from: usize,
    rules: usize,
    chosen: &mut Vec<u16>,
    terms: &mut Vec<Term>,
) -> Result<(), String> {
    if left == 0 {
        terms.push(Term { chain: chosen.clone(), absent: Vec::new() });
        return if terms.len() > TERMS_MAX { Err(too_many()) } else { Ok(()) };
    }
    for next in from..=(rules - left) {
        chosen.push(u16::try_from(next).unwrap_or(u16::MAX));
        choose(left - 1, next + 1, rules, chosen, terms)?;
        chosen.pop();
    }
    Ok(())
}

fn too_many() -> String {
    format!("the condition comes to more than {TERMS_MAX} orders of rules; split the correlation")
}

/// The expression as alternatives of rules that are there and rules that are not.
fn terms(expr: &Expr) -> Result<Vec<Term>, String> {
    let terms = literals(expr, true)?;
    if terms.iter().any(|term| term.chain.is_empty()) {
        return Err(
            "the condition of temporal_ordered holds where only absent rules are asked for; name one that must match"
                .to_owned(),
        );
    }
    Ok(terms)
}

fn literals(expr: &Expr, positive: bool) -> Result<Vec<Term>, String> {
    match expr {
        Expr::Rule(place) => {
            let place = vec![u16::try_from(*place).unwrap_or(u16::MAX)];
            Ok(vec![if positive {
                Term { chain: place, absent: Vec::new() }
            } else {
                Term { chain: Vec::new(), absent: place }
            }])
        }
        Expr::Not(inner) => literals(inner, !positive),
        Expr::And(parts) | Expr::Or(parts) => {
            let joined = matches!(expr, Expr::And(_)) == positive;
            let mut all: Vec<Term> = Vec::new();
            for (place, part) in parts.iter().enumerate() {
                let more = literals(part, positive)?;
                all = if place == 0 || !joined {
                    all.extend(more);
                    all
                } else {
                    all.iter().flat_map(|a| more.iter().filter_map(|b| both(a, b))).collect()
                };
                if all.len() > TERMS_MAX {
                    return Err(too_many());
                }
            }
            Ok(all)
        }
    }
}

/// `a` and `b` together; `None` where a rule would have to match and not match.
fn both(a: &Term, b: &Term) -> Option<Term> {
    let join = |a: &[u16], b: &[u16]| {
        let mut all: Vec<u16> = a.iter().chain(b).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let term = Term { chain: join(&a.chain, &b.chain), absent: join(&a.absent, &b.absent) };
    (!term.chain.iter().any(|rule| term.absent.contains(rule))).then_some(term)
}

fn prune(mut terms: Vec<Term>) -> Vec<Term> {
    terms.sort_by(|a, b| (&a.chain, &a.absent).cmp(&(&b.chain, &b.absent)));
    terms.dedup();
    terms
}
