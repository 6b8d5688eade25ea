//! Which rules were in force when.

use event::Level;

use super::{Fixture, at, only};
use crate::{
    Scope,
    db::{Activated, RuleCause, RuleText, SharedDatabase},
};

fn rule(id: &str, version: &str) -> RuleText {
    RuleText {
        id: id.to_owned(),
        version: version.to_owned(),
        title: format!("Title of {id}"),
        level: Level::High,
        text: format!("title: Title of {id}\n# é {version}\n"),
        path: format!("rules/{id}.yml"),
    }
}

async fn activate(
    db: &SharedDatabase,
    rules: &[RuleText],
    cause: RuleCause,
    minutes: i64,
) -> Activated {
    db.activate_rules(rules.to_vec(), cause, "somebody", at(minutes)).await.unwrap()
}

async fn in_force(db: &SharedDatabase, minutes: i64) -> Vec<(String, String)> {
    let rules = db.rules_at(&Scope::all(), at(minutes)).await.unwrap();
    rules.into_iter().map(|rule| (rule.id, rule.version)).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, version)| ((*id).to_owned(), (*version).to_owned())).collect()
}

/// Any moment can be asked for: what was added, changed, removed and came back.
pub async fn any_moment_can_be_asked<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let first = [rule("a", "1"), rule("b", "1")];
    let done = activate(&db, &first, RuleCause::Start, 10).await;
    assert_eq!(done, Activated { began: 2, ended: 0 });
    let changed = [rule("a", "2"), rule("c", "1")];
    let done = activate(&db, &changed, RuleCause::File, 20).await;
    assert_eq!(done, Activated { began: 2, ended: 2 });
    let back = [rule("a", "1"), rule("c", "1")];
    let done = activate(&db, &back, RuleCause::Api, 30).await;
    assert_eq!(done, Activated { began: 1, ended: 1 });

    let db = fixture.open().await;
    assert_eq!(in_force(&db, 9).await, []);
    for minutes in [10, 19] {
        assert_eq!(in_force(&db, minutes).await, pairs(&[("a", "1"), ("b", "1")]));
    }
    assert_eq!(in_force(&db, 20).await, pairs(&[("a", "2"), ("c", "1")]));
    assert_eq!(in_force(&db, 99).await, pairs(&[("a", "1"), ("c", "1")]));

    let versions = db.rule_versions(&only(&["dijon"]), "a").await.unwrap();
    let spans: Vec<_> = versions
        .iter()
        .map(|v| {
            let ended = v.activation.ended.as_ref();
            (v.activation.version.as_str(), v.activation.began.at, ended.map(|ended| ended.at))
        })
        .collect();
    assert_eq!(
        spans,
        [("1", at(30), None), ("2", at(20), Some(at(30))), ("1", at(10), Some(at(20)))]
    );
    assert_eq!(versions[1].text, rule("a", "2").text);
    assert_eq!(versions[1].activation.title, "Title of a");
    assert_eq!(versions[1].activation.level, Level::High);
    let ended = versions[1].activation.ended.clone().unwrap();
    assert_eq!(
        (versions[1].activation.began.cause, ended.cause),
        (RuleCause::File, RuleCause::Api)
    );
    assert_eq!(ended.by, "somebody");
    assert_eq!(db.rule_versions(&Scope::all(), "nobody").await.unwrap(), []);
}

/// Putting in force what is in force already writes nothing, also after a start.
pub async fn the_same_again_changes_nothing<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut rules = [rule("a", "1"), rule("b", "1")];
    activate(&db, &rules, RuleCause::Start, 10).await;
    assert_eq!(db.rules_in_force().await.unwrap(), rules);
    let before = db.rule_versions(&Scope::all(), "a").await.unwrap();
    db.close().await;
    let db = fixture.open().await;
    let done = activate(&db, &rules, RuleCause::Start, 20).await;
    assert_eq!(done, Activated::default());
    assert_eq!(db.rule_versions(&Scope::all(), "a").await.unwrap(), before);
    // Another path is no other rule.
    rules[1].path = "elsewhere/b.yml".to_owned();
    let done = activate(&db, &rules, RuleCause::File, 30).await;
    assert_eq!(done, Activated::default());
    assert_eq!(db.rules_in_force().await.unwrap(), rules);
    activate(&db, &rules[..1], RuleCause::File, 40).await;
    assert_eq!(db.rules_in_force().await.unwrap(), rules[..1]);
}

/// A clock that was set back leaves no span that ends before it began, and none twice in force.
pub async fn clocks_may_go_back<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    activate(&db, &[rule("a", "1")], RuleCause::Start, 10).await;
    activate(&db, &[rule("a", "2")], RuleCause::File, 5).await;
    let versions = db.rule_versions(&Scope::all(), "a").await.unwrap();
    assert_eq!(versions.len(), 2);
    let ended = versions[1].activation.ended.clone().unwrap();
    assert!(ended.at >= versions[1].activation.began.at);
    assert_eq!(versions[0].activation.began.at, ended.at);
    assert_eq!(in_force(&db, 10).await, pairs(&[("a", "2")]));
    let twice = [rule("a", "1"), rule("a", "2")];
    let refused = db.activate_rules(twice.to_vec(), RuleCause::Api, "x", at(20)).await;
    assert!(refused.is_err());
    assert_eq!(in_force(&db, 20).await, pairs(&[("a", "2")]));
}
