//! One incident taken into another.

use event::IncidentId;
use rusqlite::{Connection, params};

use super::{
    super::{
        DbError, Incident,
        change::{self, By},
        grouping, risk,
    },
    clocks,
    incident_rows::update,
    incident_rules, incidents,
};

/// Merges `from` into `into`, with its detections, rules and what it is joined by; the latter as
/// it is then.
pub(super) fn merge(
    db: &Connection,
    from: IncidentId,
    into: IncidentId,
    by: &By<'_>,
) -> Result<Incident, DbError> {
    let mut source = incidents::get(db, by.scope, from)?;
    let mut target = incidents::get(db, by.scope, into)?;
    let before = source.incident.clone();
    let clocks = [&source.incident, &target.incident].map(clocks::Before::of);
    let entries = change::merge(&mut source.incident, &target.incident, by)?;
    let rows = params![target.seq, source.seq];
    db.prepare_cached("UPDATE detection SET incident = ? WHERE incident = ?")?.execute(rows)?;
    db.prepare_cached(
        "INSERT INTO incident_rule (incident, commune, rule, name, level, detections)
         SELECT ?, commune, rule, name, level, detections FROM incident_rule WHERE incident = ?
         ON CONFLICT DO UPDATE SET level = max(level, excluded.level),
             detections = detections + excluded.detections",
    )?
    .execute(rows)?;
    db.prepare_cached("DELETE FROM incident_rule WHERE incident = ?")?.execute([source.seq])?;
    // What would have joined the one joins the other, also by a rule alone.
    db.prepare_cached(
        "INSERT INTO link (commune, kind, name, open, incident)
         SELECT commune, kind, name, 1, ? FROM link WHERE incident = ?
         ON CONFLICT DO NOTHING",
    )?
    .execute(rows)?;
    db.prepare_cached("DELETE FROM link WHERE incident = ?")?.execute([source.seq])?;
    let rules_points = incident_rules::of(db, target.seq)?
        .iter()
        .fold(0_u32, |sum, rule| sum.saturating_add(risk::points(rule.level)));
    grouping::absorb(&mut target.incident, &before, rules_points, by.now);
    clocks::follow(db, source.seq, &mut source.incident, &clocks[0], by.now)?;
    clocks::follow(db, target.seq, &mut target.incident, &clocks[1], by.now)?;
    update(db, source.seq, &source.incident, 0)?;
    update(db, target.seq, &target.incident, rules_points)?;
    for entry in &entries {
        incidents::note(db, source.seq, &source.incident, entry)?;
    }
    let absorbed = change::absorbed(&before, before.detections, by);
    incidents::note(db, target.seq, &target.incident, &absorbed)?;
    Ok(target.incident)
}
