//! What every backend of the [`Database`](super::Database) seam must do, as tests.
//!
//! A backend's test file says how to make an empty database and calls
//! [`db_contract!`](crate::db_contract), which makes one test of every check here.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how they fail")]

use std::future::Future;

use event::{
    BusId, Commune, CommuneId, Detection, DetectionId, Entity, EntityKind, EventId, Feed, FeedId,
    FormatName, IncidentId, Level, RuleRef, Timestamp,
};
use serde_json::json;

use super::{Position, SharedDatabase};
use crate::{
    Scope,
    auth::{Role, Secret, TokenInfo},
};

pub mod catalog;
pub mod clocks;
pub mod concurrency;
pub mod correlations;
pub mod incidents;
pub mod keeping;
pub mod likeness;
pub mod notices;
pub mod pages;
pub mod policies;
pub mod raise;
pub mod registers;
pub mod reports;
pub mod rules;
pub mod saved_hunts;
pub mod tenancy;
pub mod tokens;
pub mod work;

/// One database of the backend under test.
pub trait Fixture: Send + Sync + Sized + 'static {
    /// A place for a database of its own, still empty.
    fn fresh() -> impl Future<Output = Self> + Send;
    /// Opens the database in that place, whether for the first time or again.
    fn open(&self) -> impl Future<Output = SharedDatabase> + Send;
}

/// Makes one `#[tokio::test]` of each check in the contract, on the given [`Fixture`].
#[macro_export]
macro_rules! db_contract {
    ($fixture:ident) => {
        $crate::db_contract!(@each $fixture;
            catalog: [publishes, cursors_never_move_back, replays_do_not_resurrect,
                merges_need_their_sources, splits_are_pruned],
            clocks: [targets_hold_for_what_opens_next, clocks_follow_the_work,
                nis2_runs_from_awareness, reports_outlive_severity_and_merging, lists_go_by_what_is_due, clocks_are_told],
            concurrency: [many_raise_and_read, raising_at_once_raises_once],
            correlations: [the_last_state_is_kept, states_never_move_back],
            incidents: [changes_are_kept_and_told, closing_demands_a_verdict,
                useless_changes_are_refused, versions_guard_changes, closed_incidents_are_not_joined,
                comments_are_bounded],
            keeping: [retention_is_set_and_scoped, holds_stand_until_released,
                purges_count_what_is_gone, removed_splits_are_remembered],
            likeness: [weak_signals_add_up, similar_incidents_are_found, changes_can_be_followed,
                merging_moves_all_of_it],
            notices: [each_happening_is_told_once, hooks_choose, what_is_sent_is_settled],
            pages: [lists_are_complete_under_inserts, filters_hold, orders_hold, detections_come_oldest_first,
                cursors_of_others_are_refused, big_detections_make_short_pages],
            policies: [choices_replace_and_are_remembered, exceptions_expire_and_are_remembered,
                accounts_are_demanded, foreign_policies_are_absent],
            raise: [opens_and_joins, known_detections_change_nothing, informational_is_kept_silently,
                windows_bound_incidents, shared_accounts_join_nothing, without_entities_by_rule,
                storms_fold, entities_are_bounded, the_worst_names_it, outlives_a_drop,
                batches_do_not_matter, other_communes_do_not_matter],
            registers: [communes_are_kept, feeds_are_kept, keys_rotate, quotas_are_kept, activity_is_merged, devices_are_kept, batches_are_known, names_are_checked,
                closes_for_good],
            reports: [periods_add_up, coverage_is_of_a_moment, reports_are_kept],
            rules: [any_moment_can_be_asked, the_same_again_changes_nothing, clocks_may_go_back],
            saved_hunts: [hunts_are_for_whom_they_are, hunts_are_checked],
            tenancy: [foreign_and_absent_are_alike, lists_hold_the_scope,
                communes_never_share_incidents],
            tokens: [tokens_open_their_scope, tokens_end, tokens_are_checked],
            work: [assignees_and_labels_are_kept, severities_are_overridden_with_a_reason,
                times_of_work_are_kept, comments_are_for_whom_they_are,
                the_centre_comments_on_a_feed],
        );
    };
    (@each $fixture:ident; $($group:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                $crate::db::contract::$group::$check::<super::$fixture>().await;
            })*
        })*
    };
}

const BUS: BusId = BusId::from_bytes([7; 16]);

fn commune(id: &str) -> CommuneId {
    CommuneId::new(id).unwrap()
}

fn only(ids: &[&str]) -> Scope {
    Scope::only(ids.iter().map(|id| commune(id)))
}

/// Minutes after an arbitrary beginning.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_secs(1_780_000_000 + 60 * minutes)
}

fn position(next: u64) -> Position {
    Position { bus: BUS, partition: 0, next }
}

fn host(name: &str) -> Entity {
    Entity { kind: EntityKind::Host, name: name.to_owned() }
}

fn user(name: &str) -> Entity {
    Entity { kind: EntityKind::User, name: name.to_owned() }
}

/// A detection of rule `rule-1`, level medium, at minute 0; `n` makes it another.
fn detection(commune_id: &str, n: u64, entities: &[Entity]) -> Detection {
    let event_id = EventId::of(BUS, 0, n, at(0));
    let rule = RuleRef {
        id: "rule-1".to_owned(),
        name: "Rule one".to_owned(),
        level: Level::Medium,
        version: "0123456789ab".to_owned(),
        tags: vec!["attack.execution".to_owned()],
    };
    Detection {
        id: DetectionId::of(&rule.id, event_id),
        commune: commune(commune_id),
        feed: FeedId::new(&format!("{commune_id}-pc")).unwrap(),
        format: FormatName::new("windows").unwrap(),
        rule,
        event_id,
        timestamp: at(0),
        received: at(0),
        detected: at(0),
        entities: entities.to_vec(),
        matched: Vec::new(),
        values: Vec::new(),
        correlation: None,
        indicator: None,
        event: json!({"event": {"original": format!("é\u{0}\"{n}"), "id": event_id}}),
    }
}

fn ruled(mut detection: Detection, rule: &str, level: Level, tags: &[&str]) -> Detection {
    detection.rule.id = rule.to_owned();
    detection.rule.name = format!("Name of {rule}");
    detection.rule.level = level;
    detection.rule.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    detection.id = DetectionId::of(rule, detection.event_id);
    detection
}

fn timed(mut detection: Detection, minutes: i64) -> Detection {
    detection.timestamp = at(minutes);
    detection
}

/// Opens one incident and returns its id.
async fn opened(db: &SharedDatabase, detection: Detection) -> IncidentId {
    let raised = db.raise(&[detection], position(1), at(0)).await.unwrap();
    raised[0].incident.unwrap()
}

/// Adds communes of these ids.
async fn add_communes(db: &SharedDatabase, ids: &[&str]) {
    for id in ids {
        let added = Commune { id: commune(id), name: format!("Commune {id}"), created: at(0) };
        db.add_commune(added).await.unwrap();
    }
}

fn feed(id: &str, of: &str) -> Feed {
    Feed {
        id: FeedId::new(id).unwrap(),
        commune: commune(of),
        format: FormatName::new("windows").unwrap(),
        name: format!("Feed {id}"),
        created: at(0),
    }
}

fn token(name: &str, role: Role, communes: Option<&[&str]>) -> (TokenInfo, Secret) {
    let communes = communes.map(|ids| ids.iter().map(|id| commune(id)).collect());
    let info = TokenInfo { name: name.to_owned(), role, communes, created: at(0), expires: None };
    (info, Secret::generate("jqt").unwrap())
}
