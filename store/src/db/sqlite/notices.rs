//! Notices: made, sent, given up.

use async_trait::async_trait;
use event::{CommuneId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::{
    super::{
        Clock, ClockName, DbError, Hook, Incident, IncidentStatus, Notice, NoticeKind,
        NoticeOutcome, NoticeState, Notices,
        notice::{Alarm, Rearm, Told, alarms, news},
    },
    Sqlite,
    incident_rows::{COLUMNS, stored},
    incidents,
    sql::{Filter, from_json, level, rank, signed, slug, time, unsigned, word},
};
use crate::Scope;

/// Changes that are looked at in one transaction.
const AT_ONCE: i64 = 500;

const NOTICE: &str = "notice.id, notice.hook, incident.id, notice.commune, incident.number,
     notice.kind, incident.severity, incident.status, notice.made, notice.due, notice.attempts,
     notice.state, notice.error, notice.clock,
     (SELECT clocks FROM incident_clocks WHERE incident_clocks.incident = notice.incident)";

#[async_trait]
impl Notices for Sqlite {
    async fn make_notices(&self, hook: &Hook, now: Timestamp) -> Result<(u64, bool), DbError> {
        let hook = hook.clone();
        self.pool.write(move |tx| make(tx, &hook, now)).await
    }

    async fn due_notices(
        &self,
        hook: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, DbError> {
        let hook = hook.to_owned();
        self.pool.read(move |tx| due(tx, &hook, now, limit)).await
    }

    async fn settle_notice(
        &self,
        id: u64,
        outcome: NoticeOutcome,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.pool.write(move |tx| settle(tx, id, &outcome, now)).await
    }

    async fn notices(
        &self,
        scope: &Scope,
        states: &[NoticeState],
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Notice>, DbError> {
        let (scope, states) = (scope.clone(), states.to_vec());
        self.pool.read(move |tx| list(tx, &scope, &states, before, limit)).await
    }

    async fn retry_notice(
        &self,
        scope: &Scope,
        id: u64,
        now: Timestamp,
    ) -> Result<Notice, DbError> {
        let scope = scope.clone();
        let notice = self.pool.write(move |tx| retry(tx, &scope, id, now)).await?;
        // Whoever sends it looks at once.
        self.changes.send_replace(());
        Ok(notice)
    }
}

/// Makes the notices of what changed since `hook` last looked; how many, and whether there may be
/// more. A hook that never looked begins with what changes from now on.
fn make(db: &Connection, hook: &Hook, now: Timestamp) -> Result<(u64, bool), DbError> {
    let after: Option<i64> = db
        .prepare_cached("SELECT change FROM hook WHERE name = ?")?
        .query_row([&hook.name], |row| row.get(0))
        .optional()?;
    let Some(after) = after else {
        db.prepare_cached("INSERT INTO hook (name, change) VALUES (?, ?)")?
            .execute(params![hook.name, signed(incidents::last_change(db)?)?])?;
        return Ok((0, false));
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, change FROM incident INDEXED BY incident_by_change
         WHERE change > ? AND change > 0 ORDER BY change LIMIT ?"
    ))?;
    let changed = statement
        .query_and_then([after, AT_ONCE], |row| {
            Ok::<_, DbError>((row.get::<_, i64>("change")?, stored(row)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let Some((last, _)) = changed.last() else { return Ok((0, false)) };
    let (last, more) = (*last, changed.len() as u64 >= AT_ONCE.unsigned_abs());
    let mut made = 0;
    for (_, row) in changed {
        let told = told(db, hook, row.seq)?;
        let Some((kinds, after)) = news(hook, &row.incident, told) else { continue };
        for (kind, wait) in kinds {
            made += 1;
            insert(db, hook, row.seq, &row.incident, (kind, None, now.plus(wait)), now)?;
        }
        made += arm(db, hook, row.seq, &row.incident, now)?;
        db.prepare_cached(
            "INSERT INTO told (hook, incident, severity, closed) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET severity = excluded.severity, closed = excluded.closed",
        )?
        .execute(params![hook.name, row.seq, rank(after.severity), after.closed])?;
    }
    db.prepare_cached("UPDATE hook SET change = ? WHERE name = ?")?
        .execute(params![last, hook.name])?;
    Ok((made, more))
}

fn insert(
    db: &Connection,
    hook: &Hook,
    seq: i64,
    incident: &Incident,
    (kind, clock, due): (NoticeKind, Option<ClockName>, Timestamp),
    now: Timestamp,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO notice (hook, incident, commune, kind, clock, made, due)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        hook.name,
        seq,
        incident.commune.as_str(),
        kind.as_str(),
        clock.map(ClockName::as_str),
        now.as_nanos(),
        due.as_nanos(),
    ])?;
    Ok(())
}

/// Makes the notices of the clocks of an incident that run, or moves those there are; how many are
/// new. Those of clocks that stopped are dropped when they are due.
fn arm(
    db: &Connection,
    hook: &Hook,
    seq: i64,
    incident: &Incident,
    now: Timestamp,
) -> Result<u64, DbError> {
    let mut made = 0;
    for (kind, name, at) in alarms(hook, incident, now) {
        let known = db
            .prepare_cached(
                "SELECT id, state, attempts, made, due FROM notice
                 WHERE incident = ? AND hook = ? AND kind = ? AND clock = ?
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_and_then(params![seq, hook.name, kind.as_str(), name.as_str()], |row| {
                let state: String = row.get(1)?;
                let alarm = Alarm {
                    state: word(&NoticeState::ALL, NoticeState::as_str, &state)?,
                    attempts: row.get(2)?,
                    made: time(row.get(3)?),
                    due: time(row.get(4)?),
                };
                Ok::<_, DbError>((row.get::<_, i64>(0)?, alarm))
            })?
            .next()
            .transpose()?;
        let started = incident.clock(name).map_or(now, |clock| clock.started);
        let rearm = known.as_ref().map_or(Rearm::Anew, |(_, alarm)| alarm.rearm(started, at, now));
        match (rearm, known) {
            (Rearm::Move, Some((id, _))) => {
                db.prepare_cached("UPDATE notice SET due = ? WHERE id = ?")?
                    .execute(params![at.as_nanos(), id])?;
            }
            (Rearm::Anew, _) => {
                made += 1;
                insert(db, hook, seq, incident, (kind, Some(name), at), now)?;
            }
            (Rearm::Keep | Rearm::Move, _) => {}
        }
    }
    Ok(made)
}

fn told(db: &Connection, hook: &Hook, seq: i64) -> Result<Option<Told>, DbError> {
    db.prepare_cached("SELECT severity, closed FROM told WHERE hook = ? AND incident = ?")?
        .query_and_then(params![hook.name, seq], |row| {
            Ok(Told { severity: level(row.get(0)?)?, closed: row.get(1)? })
        })?
        .next()
        .transpose()
}

/// The notices of `hook` that are to be sent by `now`, the longest due first.
fn due(db: &Connection, hook: &str, now: Timestamp, limit: usize) -> Result<Vec<Notice>, DbError> {
    db.prepare_cached(&format!(
        "SELECT {NOTICE} FROM notice JOIN incident ON incident.seq = notice.incident
         WHERE notice.hook = ? AND notice.state = 'pending' AND notice.due <= ?
         ORDER BY notice.due, notice.id LIMIT ?"
    ))?
    .query_and_then(params![hook, now.as_nanos(), signed(limit as u64)?], read)?
    .collect()
}

/// Keeps what came of trying to send a notice at `now`.
fn settle(
    db: &Connection,
    id: u64,
    outcome: &NoticeOutcome,
    now: Timestamp,
) -> Result<(), DbError> {
    let (state, due, error) = match outcome {
        NoticeOutcome::Sent => (NoticeState::Sent, now, None),
        NoticeOutcome::Dropped => (NoticeState::Dropped, now, None),
        NoticeOutcome::Again { due, error } => (NoticeState::Pending, *due, Some(error)),
        NoticeOutcome::Dead { error } => (NoticeState::Dead, now, Some(error)),
    };
    let changed = db
        .prepare_cached(
            "UPDATE notice SET state = ?, due = ?, error = ?, attempts = attempts + 1
             WHERE id = ? AND state = 'pending'",
        )?
        .execute(params![state.as_str(), due.as_nanos(), error, signed(id)?])?;
    if changed == 0 {
        return Err(DbError::Missing { what: "notice", id: id.to_string() });
    }
    Ok(())
}

/// The latest notices in scope, in one of `states` where any is given.
fn list(
    db: &Connection,
    scope: &Scope,
    states: &[NoticeState],
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Notice>, DbError> {
    let mut filter = match scope.communes() {
        None => Filter::scoped(scope),
        Some(communes) => {
            let mut filter = Filter::everything();
            filter.and_one_of("notice.commune", communes.iter().map(CommuneId::as_str));
            filter
        }
    };
    if !states.is_empty() {
        filter.and_one_of("notice.state", states.iter().map(|state| state.as_str()));
    }
    if let Some(before) = before {
        filter.and("notice.id < ?", signed(before)?);
    }
    let sql = format!(
        "SELECT {NOTICE} FROM notice JOIN incident ON incident.seq = notice.incident
         WHERE {} ORDER BY notice.id DESC LIMIT ?",
        filter.sql()
    );
    let limit = signed(limit as u64)?;
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[&limit])), read)?
        .collect()
}

/// Sends a notice that was given up once more, from `now` on.
fn retry(db: &Connection, scope: &Scope, id: u64, now: Timestamp) -> Result<Notice, DbError> {
    let missing = || DbError::Missing { what: "notice", id: id.to_string() };
    let at = id.checked_add(1);
    let found = list(db, scope, &[], at, 1)?.pop().filter(|notice| notice.id == id);
    let found = found.ok_or_else(missing)?;
    if found.state != NoticeState::Dead {
        let state = found.state.as_str();
        return Err(DbError::Refused(format!(
            "the notice is {state}; only one that was given up (dead) is sent again"
        )));
    }
    db.prepare_cached(
        "UPDATE notice SET state = 'pending', due = ?, made = ?, attempts = 0 WHERE id = ?",
    )?
    .execute(params![now.as_nanos(), now.as_nanos(), signed(id)?])?;
    list(db, scope, &[], at, 1)?.pop().ok_or_else(missing)
}

fn read(row: &Row<'_>) -> Result<Notice, DbError> {
    let text = |column| row.get::<_, String>(column);
    let clock: Option<String> = row.get(13)?;
    let clock = clock.map(|name| word(&ClockName::ALL, ClockName::as_str, &name)).transpose()?;
    let clocks: Option<String> = row.get(14)?;
    let clocks: Vec<Clock> = from_json("list of clocks", clocks.as_deref().unwrap_or("[]"))?;
    let running =
        clocks.iter().find(|running| Some(running.name) == clock && running.met.is_none());
    Ok(Notice {
        id: unsigned(row.get(0)?)?,
        hook: row.get(1)?,
        incident: event::IncidentId::from_bytes(row.get(2)?),
        commune: slug(&text(3)?)?,
        number: unsigned(row.get(4)?)?,
        kind: word(&NoticeKind::ALL, NoticeKind::as_str, &text(5)?)?,
        clock,
        clock_due: running.map(|clock| clock.due),
        severity: level(row.get(6)?)?,
        status: word(&IncidentStatus::ALL, IncidentStatus::as_str, &text(7)?)?,
        made: time(row.get(8)?),
        due: time(row.get(9)?),
        attempts: row.get(10)?,
        state: word(&NoticeState::ALL, NoticeState::as_str, &text(11)?)?,
        error: row.get(12)?,
    })
}
