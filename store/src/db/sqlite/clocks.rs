//! Targets, regimes, and what they make of incidents.

use async_trait::async_trait;
use event::{CommuneId, Level, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::{
    super::{
        Clock, Clocks, DbError, Incident, OwnTargets, Regime, SetTargets, Targets,
        clock::{check, tend},
    },
    Sqlite,
    policies::require_commune,
    sql::{Filter, level, rank, slug, to_json, word},
};
use crate::Scope;

/// How the database calls all communes.
const ALL: &str = "";

#[async_trait]
impl Clocks for Sqlite {
    async fn set_targets(&self, set: SetTargets) -> Result<(), DbError> {
        check(&set)?;
        self.pool.write(move |tx| set_targets(tx, &set)).await
    }

    async fn targets(&self, scope: &Scope) -> Result<Vec<SetTargets>, DbError> {
        let filter = Filter::scoped(scope);
        self.pool.read(move |tx| targets(tx, &filter)).await
    }

    async fn set_regime(&self, commune: &CommuneId, regime: Option<Regime>) -> Result<(), DbError> {
        let commune = commune.clone();
        self.pool.write(move |tx| set_regime(tx, &commune, regime)).await
    }

    async fn regimes(&self, scope: &Scope) -> Result<Vec<(CommuneId, Regime)>, DbError> {
        let filter = Filter::scoped(scope);
        self.pool.read(move |tx| regimes(tx, &filter)).await
    }
}

fn set_targets(db: &Connection, set: &SetTargets) -> Result<(), DbError> {
    if let Some(commune) = &set.commune {
        require_commune(db, &Scope::all(), commune)?;
    }
    let key = set.commune.as_ref().map_or(ALL, CommuneId::as_str);
    let own = set.own;
    if own == OwnTargets::default() {
        db.prepare_cached("DELETE FROM sla WHERE commune = ? AND severity = ?")?
            .execute(params![key, rank(set.severity)])?;
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO sla (commune, severity, acknowledge_min, contain_min, resolve_min)
         VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET acknowledge_min = excluded.acknowledge_min,
             contain_min = excluded.contain_min, resolve_min = excluded.resolve_min",
    )?
    .execute(params![
        key,
        rank(set.severity),
        own.acknowledge_min,
        own.contain_min,
        own.resolve_min
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<SetTargets, DbError> {
    let commune: String = row.get(0)?;
    Ok(SetTargets {
        commune: if commune == ALL { None } else { Some(slug(&commune)?) },
        severity: level(row.get(1)?)?,
        own: OwnTargets {
            acknowledge_min: row.get(2)?,
            contain_min: row.get(3)?,
            resolve_min: row.get(4)?,
        },
    })
}

fn targets(db: &Connection, filter: &Filter) -> Result<Vec<SetTargets>, DbError> {
    db.prepare_cached(&format!(
        "SELECT commune, severity, acknowledge_min, contain_min, resolve_min FROM sla
         WHERE commune = '' OR ({}) ORDER BY commune, severity",
        filter.sql()
    ))?
    .query_and_then(params_from_iter(filter.values(&[])), read)?
    .collect()
}

/// The targets of incidents of `severity` of `commune`.
pub(super) fn in_force(
    db: &Connection,
    commune: &CommuneId,
    severity: Level,
) -> Result<Targets, DbError> {
    let set = db
        .prepare_cached(
            "SELECT commune, severity, acknowledge_min, contain_min, resolve_min FROM sla
             WHERE commune IN ('', ?) AND severity = ?",
        )?
        .query_and_then(params![commune.as_str(), rank(severity)], read)?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Targets::of(&set, Some(commune), severity))
}

/// What an incident was, as far as its clocks go.
pub(super) struct Before {
    severity: Level,
    resolved: bool,
    clocks: Vec<Clock>,
}

impl Before {
    pub(super) fn of(incident: &Incident) -> Self {
        let resolved = incident.resolved.is_some();
        Self { severity: incident.severity, resolved, clocks: incident.clocks.clone() }
    }
}

/// Brings the clocks of the incident in row `seq` to what it has become, and keeps them where they are
/// others than they were.
pub(super) fn follow(
    db: &Connection,
    seq: i64,
    incident: &mut Incident,
    before: &Before,
    now: Timestamp,
) -> Result<(), DbError> {
    let reopened = before.resolved && incident.resolved.is_none();
    let targets = if reopened || before.severity != incident.severity {
        Some(in_force(db, &incident.commune, incident.severity)?)
    } else {
        None
    };
    tend(incident, targets.as_ref(), reopened, now);
    if incident.clocks == before.clocks {
        return Ok(());
    }
    put(db, seq, incident)?;
    // Not with the rest of the row: whoever sets it writes its index.
    db.prepare_cached("UPDATE incident SET due = ? WHERE seq = ?")?
        .execute(params![incident.due.map(Timestamp::as_nanos), seq])?;
    Ok(())
}

/// The same where a detection joined, which changes clocks by the severity alone.
pub(super) fn follow_joined(
    db: &Connection,
    seq: i64,
    incident: &mut Incident,
    severity_before: Level,
    now: Timestamp,
) -> Result<(), DbError> {
    if incident.severity == severity_before {
        return Ok(());
    }
    let before = Before { severity: severity_before, ..Before::of(incident) };
    follow(db, seq, incident, &before, now)
}

/// Keeps the clocks of the incident in row `seq`; of none nothing is kept.
pub(super) fn put(db: &Connection, seq: i64, incident: &Incident) -> Result<(), DbError> {
    if incident.clocks.is_empty() {
        db.prepare_cached("DELETE FROM incident_clocks WHERE incident = ?")?.execute([seq])?;
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO incident_clocks (incident, clocks) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET clocks = excluded.clocks",
    )?
    .execute(params![seq, to_json(&incident.clocks)?])?;
    Ok(())
}

fn set_regime(db: &Connection, commune: &CommuneId, regime: Option<Regime>) -> Result<(), DbError> {
    require_commune(db, &Scope::all(), commune)?;
    match regime {
        None => db
            .prepare_cached("DELETE FROM regime WHERE commune = ?")?
            .execute([commune.as_str()])?,
        Some(regime) => db
            .prepare_cached(
                "INSERT INTO regime (commune, nis2) VALUES (?, ?)
                 ON CONFLICT DO UPDATE SET nis2 = excluded.nis2",
            )?
            .execute([commune.as_str(), regime.as_str()])?,
    };
    Ok(())
}

fn regimes(db: &Connection, filter: &Filter) -> Result<Vec<(CommuneId, Regime)>, DbError> {
    let sql = format!("SELECT commune, nis2 FROM regime WHERE {} ORDER BY commune", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row| {
            let (commune, nis2): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((slug(&commune)?, word(&Regime::ALL, Regime::as_str, &nis2)?))
        })?
        .collect()
}

/// Refuses to say that an incident of `commune` is to be reported where no law asks for it.
pub(super) fn require_regime(db: &Connection, commune: &CommuneId) -> Result<(), DbError> {
    let found: Option<String> = db
        .prepare_cached("SELECT nis2 FROM regime WHERE commune = ?")?
        .query_row([commune.as_str()], |row| row.get(0))
        .optional()?;
    match found {
        Some(_) => Ok(()),
        None => Err(DbError::Refused(format!(
            "commune {commune} is not set to be under NIS 2; set it first \
             (PUT /api/v1/communes/{commune}/nis2) where it is"
        ))),
    }
}
