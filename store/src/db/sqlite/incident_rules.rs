//! The rules that fired in an incident, and the incidents that resemble it by them.

use std::collections::BTreeSet;

use event::{IncidentId, RuleRef};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::{
    super::{
        DbError, IncidentRisk, IncidentRule, SimilarIncident, grouping, risk, similar::similar,
    },
    incidents,
    sql::{Filter, level, rank, unsigned},
};
use crate::Scope;

/// The newest incidents of each rule and entity that are compared. A rule that fired in more
/// says little about likeness.
const CANDIDATES_EACH: i64 = 200;

/// The rules and the entities by which others are looked for.
const LOOKED_FOR_MAX: usize = 32;

/// Counts a detection of `rule` in incident `seq`, and returns by how much the points of its
/// rules grow.
pub(super) fn fired(
    db: &Connection,
    seq: i64,
    commune: &str,
    rule: &RuleRef,
) -> Result<u32, DbError> {
    let before: Option<i64> = db
        .prepare_cached("SELECT level FROM incident_rule WHERE incident = ? AND rule = ?")?
        .query_row(params![seq, rule.id], |row| row.get(0))
        .optional()?;
    db.prepare_cached(
        "INSERT INTO incident_rule (incident, commune, rule, name, level, detections)
         VALUES (?, ?, ?, ?, ?, 1)
         ON CONFLICT DO UPDATE SET name = excluded.name, level = max(level, excluded.level),
             detections = detections + 1",
    )?
    .execute(params![seq, commune, rule.id, rule.name, rank(rule.level)])?;
    let before = before.map(level).transpose()?.map_or(0, risk::points);
    Ok(risk::points(rule.level).saturating_sub(before))
}

/// How an incident's risk adds up.
pub(super) fn risk(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
) -> Result<IncidentRisk, DbError> {
    let stored = incidents::get(db, scope, id)?;
    Ok(risk::explained(of(db, stored.seq)?, &stored.incident.tags))
}

/// The rules that fired in incident `seq`.
pub(super) fn of(db: &Connection, seq: i64) -> Result<Vec<IncidentRule>, DbError> {
    db.prepare_cached(
        "SELECT rule, name, level, detections FROM incident_rule WHERE incident = ? ORDER BY rule",
    )?
    .query_and_then([seq], |row| {
        Ok(IncidentRule {
            id: row.get(0)?,
            name: row.get(1)?,
            level: level(row.get(2)?)?,
            detections: unsigned(row.get(3)?)?,
        })
    })?
    .collect()
}

/// The incidents in scope that resemble one.
pub(super) fn resembling(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
    limit: usize,
) -> Result<Vec<SimilarIncident>, DbError> {
    let this = incidents::get(db, scope, id)?;
    let rules: Vec<String> = of(db, this.seq)?.into_iter().map(|rule| rule.id).collect();
    let mut candidates = BTreeSet::new();
    for rule in rules.iter().take(LOOKED_FOR_MAX) {
        let mut filter = Filter::scoped(scope);
        filter.and("rule = ?", rule.clone());
        let sql = format!(
            "SELECT incident FROM incident_rule INDEXED BY incident_rule_by_rule
             WHERE {} ORDER BY incident DESC LIMIT {CANDIDATES_EACH}",
            filter.sql()
        );
        let mut statement = db.prepare_cached(&sql)?;
        let found = statement
            .query_map(params_from_iter(filter.values(&[])), |row| row.get::<_, i64>(0))?;
        candidates.extend(found.collect::<Result<Vec<_>, _>>()?);
    }
    // Entities are joined within a commune only: the same name is another machine elsewhere.
    let mut statement = db.prepare_cached(
        "SELECT incident FROM link WHERE commune = ? AND kind = ? AND name = ?
         ORDER BY incident DESC LIMIT ?",
    )?;
    let commune = this.incident.commune.as_str();
    for link in grouping::links_of(&this.incident.entities).into_iter().take(LOOKED_FOR_MAX) {
        let found = statement
            .query_map(params![commune, link.kind, link.name, CANDIDATES_EACH], |row| row.get(0))?;
        candidates.extend(found.collect::<Result<Vec<i64>, _>>()?);
    }
    candidates.remove(&this.seq);
    let mut others = Vec::with_capacity(candidates.len());
    for seq in candidates {
        let other = incidents::by_seq(db, seq)?.incident;
        // The index says so already; a read never relies on one wall alone.
        if scope.allows(&other.commune) {
            let rules = of(db, seq)?.into_iter().map(|rule| rule.id).collect();
            others.push((other, rules));
        }
    }
    Ok(similar(&this.incident, &rules, others, limit))
}
