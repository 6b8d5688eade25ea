use event::IndicatorType;

use super::*;
use crate::intel::sink::{Refused, Sink as _};

fn one(value: &str) -> Indicator {
    Indicator::new(IndicatorType::Domain, value)
}

fn source() -> IndicatorSourceId {
    IndicatorSourceId::new("cert").unwrap()
}

fn values(keeper: &Keeper) -> Vec<String> {
    let mut values = Vec::new();
    keeper.read(&source(), &mut |indicator| values.push(indicator.value)).unwrap();
    values
}

fn commit(
    keeper: &Keeper,
    outcome: Outcome,
    fill: impl FnOnce(&mut Draft),
) -> Result<Kept, KeepError> {
    let mut draft = keeper.draft().unwrap();
    fill(&mut draft);
    let now = Timestamp::from_secs(1_800_000_000);
    keeper.commit(&source(), &mut draft, outcome, Kept::default(), now)
}

#[test]
fn changes_replace_their_groups_and_leave_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path().join("indicators"), 100).unwrap();
    assert_eq!(keeper.read(&source(), &mut |_| ()).unwrap(), None);
    let kept = commit(&keeper, Outcome::Whole, |draft| {
        draft.indicator(Some("a"), one("a1.example"));
        draft.indicator(Some("a"), one("a2.example"));
        draft.indicator(Some("b"), one("b1.example"));
        draft.indicator(None, one("c.example"));
        draft.refused(Refused { place: "line 9".to_owned(), reason: "no".to_owned() });
    });
    let kept = kept.unwrap();
    assert_eq!((kept.indicators, kept.refused_total, kept.refused.len()), (4, 1, 1));
    commit(&keeper, Outcome::Changes, |draft| {
        draft.indicator(Some("a"), one("old-page.example"));
        draft.page();
        draft.indicator(Some("a"), one("a3.example"));
        draft.withdrawn("b");
        draft.indicator(Some("d"), one("d.example"));
        draft.page();
        draft.withdrawn("d");
    })
    .unwrap();
    assert_eq!(values(&keeper), ["c.example", "a3.example"]);
    commit(&keeper, Outcome::Unchanged, |draft| draft.indicator(None, one("x.example"))).unwrap();
    assert_eq!(values(&keeper), ["c.example", "a3.example"]);
    assert_eq!(keeper.sources().unwrap().len(), 1);
    assert!(keeper.remove(&source()).unwrap() && !keeper.remove(&source()).unwrap());
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path().to_owned(), 100).unwrap();
    commit(&keeper, Outcome::Whole, |draft| {
        let until = |seconds| Some(Timestamp::from_secs(seconds));
        draft.indicator(
            None,
            Indicator { valid_until: until(1_700_000_000), ..one("gone.example") },
        );
        draft.indicator(
            None,
            Indicator { valid_until: until(1_799_000_000), ..one("late.example") },
        );
    })
    .unwrap();
    assert_eq!(values(&keeper), ["late.example"]);
}

#[test]
fn too_many_keep_what_was_known() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path().to_owned(), 2).unwrap();
    commit(&keeper, Outcome::Whole, |draft| draft.indicator(None, one("a.example"))).unwrap();
    let refused = commit(&keeper, Outcome::Whole, |draft| {
        for n in 0..3 {
            draft.indicator(None, one(&format!("{n}.example")));
        }
    });
    assert!(refused.unwrap_err().to_string().contains("more than 2"));
    assert_eq!(values(&keeper), ["a.example"]);
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_refused_wherever_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path().to_owned(), 100).unwrap();
    commit(&keeper, Outcome::Whole, |draft| draft.indicator(None, one("a.example"))).unwrap();
    let path = keeper.path(&source());
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(keeper.read(&source(), &mut |_| ()).is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(keeper.about(&source()).is_err(), "cut at {at}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(values(&keeper), ["a.example"]);
}
