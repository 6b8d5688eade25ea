//! What communes chose about the rules.

use event::{Level, Timestamp};

use super::{Fixture, add_communes, at, commune, only};
use crate::{
    Scope,
    db::{
        ChoiceKind, DbError, Mark, NewChoice, NewException, RuleEffect, RulePolicy, SharedDatabase,
    },
};

fn choice(selector: &str, effect: RuleEffect) -> NewChoice {
    NewChoice { selector: selector.to_owned(), effect, reason: "Loud: é".to_owned() }
}

fn exception(title: &str, minutes: i64) -> NewException {
    NewException {
        title: title.to_owned(),
        filter: format!("title: {title}\n"),
        owner: "Parc informatique".to_owned(),
        reason: "The inventory tool does this".to_owned(),
        expires: at(minutes),
    }
}

async fn policy(db: &SharedDatabase, of: &str, moment: Timestamp) -> RulePolicy {
    db.rule_policy(&Scope::all(), &commune(of), moment).await.unwrap()
}

/// A choice replaces the one of its kind, and any moment can be asked for.
pub async fn choices_replace_and_are_remembered<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (all, dijon) = (Scope::all(), commune("dijon"));
    for (selector, effect, minutes) in [
        ("id:a", RuleEffect::Disable, 1),
        ("id:a", RuleEffect::Level(Level::Low), 2),
        ("id:a", RuleEffect::Enable, 3),
        ("tag:x", RuleEffect::Disable, 4),
    ] {
        let new = choice(selector, effect);
        let made = db.choose_rules(&all, &dijon, new, "eve", at(minutes)).await.unwrap();
        assert_eq!(made.began, Mark { at: at(minutes), by: "eve".to_owned() });
    }
    let effects = |policy: &RulePolicy| -> Vec<(String, RuleEffect)> {
        policy.choices.iter().map(|c| (c.selector.clone(), c.effect)).collect()
    };
    let db = fixture.open().await;
    let now = policy(&db, "dijon", at(9)).await;
    let expected = [
        ("id:a".to_owned(), RuleEffect::Level(Level::Low)),
        ("id:a".to_owned(), RuleEffect::Enable),
        ("tag:x".to_owned(), RuleEffect::Disable),
    ];
    assert_eq!(effects(&now), expected);
    assert_eq!(now.choices[0].reason, "Loud: é");
    let then = policy(&db, "dijon", at(1)).await;
    assert_eq!(effects(&then), [("id:a".to_owned(), RuleEffect::Disable)]);
    assert_eq!(then.choices[0].ended.as_ref().map(|mark| mark.at), Some(at(3)));

    db.unchoose_rules(&all, &dijon, "tag:x", ChoiceKind::State, "bob", at(5)).await.unwrap();
    assert_eq!(policy(&db, "dijon", at(9)).await.choices.len(), 2);
    assert_eq!(policy(&db, "dijon", at(4)).await.choices.len(), 3);
    let again = db.unchoose_rules(&all, &dijon, "tag:x", ChoiceKind::State, "bob", at(6)).await;
    assert!(matches!(again, Err(DbError::Missing { what: "choice", .. })), "{again:?}");
    assert_eq!(db.rule_policies().await.unwrap(), [policy(&db, "dijon", at(9)).await]);
    assert_eq!(policy(&db, "talant", at(9)).await.choices, []);
}

/// Exceptions are kept after they expired, until somebody takes them back; then they are
/// remembered.
pub async fn exceptions_expire_and_are_remembered<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let (all, dijon) = (Scope::all(), commune("dijon"));
    let made = db.except_rules(&all, &dijon, exception("one", 5), "eve", at(1)).await.unwrap();
    let other = db.except_rules(&all, &dijon, exception("two", 50), "eve", at(1)).await.unwrap();
    assert_ne!(made.id, other.id);
    let same = db.except_rules(&all, &dijon, exception("one", 5), "eve", at(1)).await;
    assert!(matches!(same, Err(DbError::Exists { what: "exception", .. })), "{same:?}");
    let listed = policy(&db, "dijon", at(9)).await.exceptions;
    assert_eq!(listed, [made.clone(), other.clone()]);

    let removed = db.unexcept_rules(&all, &made.id, "bob", at(10)).await.unwrap();
    assert_eq!(removed.ended, Some(Mark { at: at(10), by: "bob".to_owned() }));
    assert_eq!(policy(&db, "dijon", at(11)).await.exceptions, [other]);
    assert_eq!(policy(&db, "dijon", at(9)).await.exceptions.len(), 2);
    let again = db.unexcept_rules(&all, &made.id, "bob", at(12)).await;
    assert!(matches!(again, Err(DbError::Missing { what: "exception", .. })), "{again:?}");
}

/// What nobody could account for is refused.
pub async fn accounts_are_demanded<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let (all, dijon) = (Scope::all(), commune("dijon"));
    let long = "é".repeat(2_001);
    for reason in ["", "  ", "a\u{1b}[31m", &long] {
        let new = NewChoice { reason: reason.to_owned(), ..choice("id:a", RuleEffect::Disable) };
        let refused = db.choose_rules(&all, &dijon, new, "eve", at(1)).await;
        assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    }
    let good = || exception("one", 5);
    for bad in [
        NewException { owner: " ".to_owned(), ..good() },
        NewException { reason: String::new(), ..good() },
        NewException { title: String::new(), ..good() },
        NewException { filter: "\n".to_owned(), ..good() },
        NewException { filter: "x".repeat(70_000), ..good() },
        NewException { expires: at(1), ..good() },
    ] {
        let refused = db.except_rules(&all, &dijon, bad, "eve", at(1)).await;
        assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    }
    assert_eq!(db.rule_policies().await.unwrap(), []);
}

/// Another commune's choices and exceptions answer as nobody's, and stay as they are.
pub async fn foreign_policies_are_absent<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (all, dijon) = (Scope::all(), commune("dijon"));
    let new = choice("id:a", RuleEffect::Disable);
    db.choose_rules(&all, &dijon, new.clone(), "eve", at(1)).await.unwrap();
    let made = db.except_rules(&all, &dijon, exception("one", 5), "eve", at(1)).await.unwrap();
    let before = db.rule_policies().await.unwrap();
    for scope in [only(&["talant"]), only(&["talant", "longvic"]), only(&[])] {
        let mut answers = Vec::new();
        for (of, id) in [("dijon", made.id.as_str()), ("nowhere", "000000000000")] {
            let of = commune(of);
            let text = |result: String| result.replace(of.as_str(), "OF").replace(id, "ID");
            answers.push([
                text(format!("{:?}", db.rule_policy(&scope, &of, at(2)).await)),
                text(format!(
                    "{:?}",
                    db.choose_rules(&scope, &of, new.clone(), "bob", at(2)).await
                )),
                text(format!(
                    "{:?}",
                    db.unchoose_rules(&scope, &of, "id:a", ChoiceKind::State, "bob", at(2)).await
                )),
                text(format!(
                    "{:?}",
                    db.except_rules(&scope, &of, exception("two", 9), "bob", at(2)).await
                )),
                text(format!("{:?}", db.unexcept_rules(&scope, id, "bob", at(2)).await)),
            ]);
        }
        assert_eq!(answers[0], answers[1]);
        assert!(answers[0].iter().all(|answer| answer.contains("Missing")), "{answers:?}");
    }
    assert_eq!(db.rule_policies().await.unwrap(), before);
    assert_eq!(policy(&db, "dijon", at(2)).await, before[0]);
}
