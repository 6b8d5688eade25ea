//! The plain evaluator: what a rule means, word by word, one value at a time.
//!
//! It is slow and has no cleverness, so that it can be read beside the specification. The
//! engine must agree with it on every rule and event, which the tests see to.

use event::{Event, FieldId, ValueRef, fields};

use crate::{
    expr::{Expr, Item, Target},
    fold::fold,
    rule::Rule,
    test::{Anchor, FieldRef, Test},
};

/// Whether `rule` holds on `event`, whatever the event's log source.
pub fn holds(rule: &Rule, event: &Event) -> bool {
    expr(&rule.expr, event)
}

/// Whether `rule` is offered events like `event` at all.
pub fn is_offered(rule: &Rule, event: &Event) -> bool {
    rule.logsource.route().is_some_and(|asked| crate::route::of(event).has(&asked))
}

pub(crate) fn expr(node: &Expr, event: &Event) -> bool {
    match node {
        Expr::And(parts) => parts.iter().all(|part| expr(part, event)),
        Expr::Or(parts) => parts.iter().any(|part| expr(part, event)),
        Expr::Not(inner) => !expr(inner, event),
        Expr::Item(item) => item_holds(item, event),
    }
}

fn item_holds(item: &Item, event: &Event) -> bool {
    item.tests.iter().any(|test| match &item.target {
        Target::Everything => test_everywhere(test, event),
        Target::Fields { ids, .. } => test_on_fields(test, ids, event),
    })
}

fn test_everywhere(test: &Test, event: &Event) -> bool {
    event.iter().any(|(_, value)| test.matches(value))
        || test.matches(ValueRef::Str(&event.original_text()))
}

pub(crate) fn values<'e>(
    ids: &'e [FieldId],
    event: &'e Event,
) -> impl Iterator<Item = ValueRef<'e>> {
    ids.iter().flat_map(|field| event.get_all(*field))
}

pub(crate) fn test_on_fields(test: &Test, ids: &[FieldId], event: &Event) -> bool {
    match test {
        Test::Null => values(ids, event).all(|value| value == ValueRef::Null),
        Test::Exists(wanted) => values(ids, event).next().is_some() == *wanted,
        Test::FieldRef(reference) => {
            values(ids, event).any(|value| refers(reference, value, event))
        }
        test => values(ids, event).any(|value| test.matches(value)),
    }
}

/// Whether `value` relates to a value of the other field. Null equals nothing.
pub(crate) fn refers(reference: &FieldRef, value: ValueRef<'_>, event: &Event) -> bool {
    if value == ValueRef::Null {
        return false;
    }
    let text = |value: ValueRef<'_>| {
        let text = value.to_text();
        if reference.cased { text.into_owned() } else { fold(&text) }
    };
    let own = text(value);
    values(&reference.fields, event).filter(|other| *other != ValueRef::Null).any(|other| {
        let other = text(other);
        match reference.anchor {
            Anchor::Whole => own == other,
            Anchor::Contains => own.contains(&other),
            Anchor::Starts => own.starts_with(&other),
            Anchor::Ends => own.ends_with(&other),
        }
    })
}

/// Where in the event a keyword is found: a field of it or, failing that, the record.
pub(crate) const KEYWORD_FIELD: FieldId = fields::EVENT_ORIGINAL;
