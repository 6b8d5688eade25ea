//! What communes chose about the rules.

use std::collections::BTreeMap;

use async_trait::async_trait;
use event::{CommuneId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        ChoiceKind, DbError, Mark, NewChoice, NewException, RuleChoice, RuleException,
        RulePolicies, RulePolicy,
        policy::{CHOICES_MAX, EXCEPTIONS_MAX, check_choice, check_exception},
    },
    Sqlite,
    sql::{Filter, from_json, is_unique_violation, slug, time, to_json},
};
use crate::Scope;

const CHOICE: &str = "commune, selector, effect, reason, began, began_by, ended, ended_by";
const EXCEPTION: &str =
    "id, commune, title, filter, owner, reason, expires, began, began_by, ended, ended_by";

#[async_trait]
impl RulePolicies for Sqlite {
    async fn choose_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        choice: NewChoice,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleChoice, DbError> {
        let (scope, commune, by) = (scope.clone(), commune.clone(), by.to_owned());
        self.pool.write(move |tx| choose(tx, &scope, &commune, choice, &by, now)).await
    }

    async fn unchoose_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        selector: &str,
        kind: ChoiceKind,
        by: &str,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let (scope, commune) = (scope.clone(), commune.clone());
        let (selector, by) = (selector.to_owned(), by.to_owned());
        self.pool.write(move |tx| unchoose(tx, &scope, &commune, &selector, kind, &by, now)).await
    }

    async fn except_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        exception: NewException,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleException, DbError> {
        let (scope, commune, by) = (scope.clone(), commune.clone(), by.to_owned());
        self.pool.write(move |tx| except(tx, &scope, &commune, exception, &by, now)).await
    }

    async fn unexcept_rules(
        &self,
        scope: &Scope,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleException, DbError> {
        let (scope, id, by) = (scope.clone(), id.to_owned(), by.to_owned());
        self.pool.write(move |tx| unexcept(tx, &scope, &id, &by, now)).await
    }

    async fn rule_policy(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        at: Timestamp,
    ) -> Result<RulePolicy, DbError> {
        let (scope, commune) = (scope.clone(), commune.clone());
        self.pool.read(move |tx| of(tx, &scope, &commune, at)).await
    }

    async fn rule_policies(&self) -> Result<Vec<RulePolicy>, DbError> {
        self.pool.read(all).await
    }
}

fn choose(
    db: &Connection,
    scope: &Scope,
    commune: &CommuneId,
    choice: NewChoice,
    by: &str,
    now: Timestamp,
) -> Result<RuleChoice, DbError> {
    require_commune(db, scope, commune)?;
    check_choice(&choice)?;
    let kind = choice.effect.kind();
    end_choice(db, commune, &choice.selector, kind, by, now)?;
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM rule_choice WHERE commune = ? AND ended IS NULL")?
        .query_row([commune.as_str()], |row| row.get(0))?;
    if count >= CHOICES_MAX as i64 {
        return Err(DbError::Refused(format!(
            "commune {commune} has {CHOICES_MAX} choices about rules already; take some back, or choose by tag, level or folder"
        )));
    }
    db.prepare_cached(
        "INSERT INTO rule_choice (commune, selector, kind, effect, reason, began, began_by)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        commune.as_str(),
        choice.selector,
        kind.as_str(),
        to_json(&choice.effect)?,
        choice.reason,
        now.as_nanos(),
        by
    ])?;
    Ok(RuleChoice {
        commune: commune.clone(),
        selector: choice.selector,
        effect: choice.effect,
        reason: choice.reason,
        began: Mark { at: now, by: by.to_owned() },
        ended: None,
    })
}

fn unchoose(
    db: &Connection,
    scope: &Scope,
    commune: &CommuneId,
    selector: &str,
    kind: ChoiceKind,
    by: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    require_commune(db, scope, commune)?;
    match end_choice(db, commune, selector, kind, by, now)? {
        0 => Err(DbError::Missing { what: "choice", id: selector.to_owned() }),
        _ => Ok(()),
    }
}

fn end_choice(
    db: &Connection,
    commune: &CommuneId,
    selector: &str,
    kind: ChoiceKind,
    by: &str,
    now: Timestamp,
) -> Result<usize, DbError> {
    Ok(db
        .prepare_cached(
            "UPDATE rule_choice SET ended = max(?, began), ended_by = ?
             WHERE commune = ? AND selector = ? AND kind = ? AND ended IS NULL",
        )?
        .execute(params![now.as_nanos(), by, commune.as_str(), selector, kind.as_str()])?)
}

fn except(
    db: &Connection,
    scope: &Scope,
    commune: &CommuneId,
    new: NewException,
    by: &str,
    now: Timestamp,
) -> Result<RuleException, DbError> {
    require_commune(db, scope, commune)?;
    check_exception(&new, now)?;
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM rule_exception WHERE commune = ? AND ended IS NULL")?
        .query_row([commune.as_str()], |row| row.get(0))?;
    if count >= EXCEPTIONS_MAX as i64 {
        return Err(DbError::Refused(format!(
            "commune {commune} has {EXCEPTIONS_MAX} exceptions already; remove those that expired"
        )));
    }
    let exception = RuleException {
        id: exception_id(commune, &new.filter, now),
        commune: commune.clone(),
        title: new.title,
        filter: new.filter,
        owner: new.owner,
        reason: new.reason,
        expires: new.expires,
        began: Mark { at: now, by: by.to_owned() },
        ended: None,
    };
    let added = db
        .prepare_cached(
            "INSERT INTO rule_exception
             (id, commune, title, filter, owner, reason, expires, began, began_by)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            exception.id,
            commune.as_str(),
            exception.title,
            exception.filter,
            exception.owner,
            exception.reason,
            exception.expires.as_nanos(),
            now.as_nanos(),
            by
        ]);
    match added {
        Err(error) if is_unique_violation(&error) => {
            Err(DbError::Exists { what: "exception", id: exception.id })
        }
        added => Ok(added.map(|_| exception)?),
    }
}

/// Derived, so that the same made twice at once is one.
fn exception_id(commune: &CommuneId, filter: &str, now: Timestamp) -> String {
    let digest = Sha256::digest(format!("{commune}\0{}\0{filter}", now.as_nanos()));
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unexcept(
    db: &Connection,
    scope: &Scope,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<RuleException, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("id = ?", id.to_owned());
    filter.and_all("ended IS NULL", []);
    let found = db
        .prepare_cached(&format!("SELECT {EXCEPTION} FROM rule_exception WHERE {}", filter.sql()))?
        .query_and_then(params_from_iter(filter.values(&[])), exception)?
        .next()
        .transpose()?;
    let Some(mut found) = found else {
        return Err(DbError::Missing { what: "exception", id: id.to_owned() });
    };
    let at = now.max(found.began.at);
    db.prepare_cached("UPDATE rule_exception SET ended = ?, ended_by = ? WHERE id = ?")?
        .execute(params![at.as_nanos(), by, id])?;
    found.ended = Some(Mark { at, by: by.to_owned() });
    Ok(found)
}

/// What `commune` chose, as it was in force at `at`.
fn of(
    db: &Connection,
    scope: &Scope,
    commune: &CommuneId,
    at: Timestamp,
) -> Result<RulePolicy, DbError> {
    require_commune(db, scope, commune)?;
    let at = at.as_nanos();
    let span = "began <= ? AND (ended IS NULL OR ended > ?)";
    let choices = db
        .prepare_cached(&format!(
            "SELECT {CHOICE} FROM rule_choice WHERE commune = ? AND {span} ORDER BY seq"
        ))?
        .query_and_then(params![commune.as_str(), at, at], choice)?
        .collect::<Result<_, _>>()?;
    let exceptions = db
        .prepare_cached(&format!(
            "SELECT {EXCEPTION} FROM rule_exception WHERE commune = ? AND {span} ORDER BY seq"
        ))?
        .query_and_then(params![commune.as_str(), at, at], exception)?
        .collect::<Result<_, _>>()?;
    Ok(RulePolicy { commune: commune.clone(), choices, exceptions })
}

fn all(db: &Connection) -> Result<Vec<RulePolicy>, DbError> {
    let choices: Vec<RuleChoice> = db
        .prepare_cached(&format!(
            "SELECT {CHOICE} FROM rule_choice WHERE ended IS NULL ORDER BY commune, seq"
        ))?
        .query_and_then([], choice)?
        .collect::<Result<_, _>>()?;
    let exceptions: Vec<RuleException> = db
        .prepare_cached(&format!(
            "SELECT {EXCEPTION} FROM rule_exception WHERE ended IS NULL ORDER BY commune, seq"
        ))?
        .query_and_then([], exception)?
        .collect::<Result<_, _>>()?;
    let mut policies: BTreeMap<CommuneId, RulePolicy> = BTreeMap::new();
    let empty = |commune: &CommuneId| RulePolicy {
        commune: commune.clone(),
        choices: Vec::new(),
        exceptions: Vec::new(),
    };
    for choice in choices {
        let policy = policies.entry(choice.commune.clone());
        policy.or_insert_with_key(empty).choices.push(choice);
    }
    for exception in exceptions {
        let policy = policies.entry(exception.commune.clone());
        policy.or_insert_with_key(empty).exceptions.push(exception);
    }
    Ok(policies.into_values().collect())
}

/// Missing where `commune` is not there or not in `scope`: the two are never told apart.
/// Missing where the commune is not there or not in scope.
pub(super) fn require_commune(
    db: &Connection,
    scope: &Scope,
    commune: &CommuneId,
) -> Result<(), DbError> {
    let known = scope.allows(commune)
        && db
            .prepare_cached("SELECT 1 FROM commune WHERE id = ?")?
            .query_row([commune.as_str()], |_| Ok(()))
            .optional()?
            .is_some();
    if known { Ok(()) } else { Err(DbError::Missing { what: "commune", id: commune.to_string() }) }
}

fn choice(row: &Row<'_>) -> Result<RuleChoice, DbError> {
    Ok(RuleChoice {
        commune: slug(&row.get::<_, String>(0)?)?,
        selector: row.get(1)?,
        effect: from_json("choice", &row.get::<_, String>(2)?)?,
        reason: row.get(3)?,
        began: Mark { at: time(row.get(4)?), by: row.get(5)? },
        ended: mark(row, 6)?,
    })
}

fn exception(row: &Row<'_>) -> Result<RuleException, DbError> {
    Ok(RuleException {
        id: row.get(0)?,
        commune: slug(&row.get::<_, String>(1)?)?,
        title: row.get(2)?,
        filter: row.get(3)?,
        owner: row.get(4)?,
        reason: row.get(5)?,
        expires: time(row.get(6)?),
        began: Mark { at: time(row.get(7)?), by: row.get(8)? },
        ended: mark(row, 9)?,
    })
}

pub(super) fn mark(row: &Row<'_>, column: usize) -> Result<Option<Mark>, DbError> {
    let at: Option<i64> = row.get(column)?;
    match at {
        None => Ok(None),
        Some(at) => Ok(Some(Mark { at: time(at), by: row.get(column + 1)? })),
    }
}
