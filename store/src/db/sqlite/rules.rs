//! Which rules were in force when.

use std::collections::HashMap;

use async_trait::async_trait;
use event::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{
    super::{
        Activated, DbError, RuleActivation, RuleCause, RuleChange, RuleHistory, RuleText,
        RuleVersion,
    },
    Sqlite,
    sql::{level, rank, time, word},
};
use crate::Scope;

/// Activations of one rule that are listed, the latest.
const VERSIONS_MAX: i64 = 1_000;

const COLUMNS: &str = "a.id, a.version, t.title, t.level, a.began, a.began_cause, a.began_by,
    a.ended, a.ended_cause, a.ended_by";

#[async_trait]
impl RuleHistory for Sqlite {
    async fn activate_rules(
        &self,
        rules: Vec<RuleText>,
        cause: RuleCause,
        by: &str,
        now: Timestamp,
    ) -> Result<Activated, DbError> {
        let by = by.to_owned();
        self.pool.write(move |tx| activate(tx, &rules, cause, &by, now)).await
    }

    async fn rules_at(&self, _: &Scope, at: Timestamp) -> Result<Vec<RuleActivation>, DbError> {
        self.pool.read(move |tx| in_force_at(tx, at)).await
    }

    async fn rules_in_force(&self) -> Result<Vec<RuleText>, DbError> {
        self.pool.read(in_force).await
    }

    async fn rule_versions(&self, _: &Scope, id: &str) -> Result<Vec<RuleVersion>, DbError> {
        let id = id.to_owned();
        self.pool.read(move |tx| versions(tx, &id)).await
    }
}

fn activate(
    db: &Connection,
    rules: &[RuleText],
    cause: RuleCause,
    by: &str,
    now: Timestamp,
) -> Result<Activated, DbError> {
    let mut wanted: HashMap<&str, &RuleText> = HashMap::with_capacity(rules.len());
    for rule in rules {
        if wanted.insert(&rule.id, rule).is_some() {
            return Err(DbError::Refused(format!("two rules have the id {}", rule.id)));
        }
    }
    let in_force: Vec<(String, String, String)> = db
        .prepare_cached("SELECT id, version, path FROM rule_activation WHERE ended IS NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let now = not_before_the_last(db, now)?;
    let mut done = Activated::default();
    let mut end = db.prepare_cached(
        "UPDATE rule_activation SET ended = ?, ended_cause = ?, ended_by = ?
         WHERE id = ? AND ended IS NULL",
    )?;
    let mut moved =
        db.prepare_cached("UPDATE rule_activation SET path = ? WHERE id = ? AND ended IS NULL")?;
    for (id, version, path) in &in_force {
        if let Some(same) = wanted.get(id.as_str()).filter(|rule| rule.version == *version) {
            if same.path != *path {
                moved.execute([&same.path, id])?;
            }
            wanted.remove(id.as_str());
            continue;
        }
        done.ended += end.execute(params![now, cause.as_str(), by, id])?;
    }
    let mut keep = db.prepare_cached(
        "INSERT INTO rule_text (id, version, title, level, text) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )?;
    let mut begin = db.prepare_cached(
        "INSERT INTO rule_activation (id, version, path, began, began_cause, began_by)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    for rule in rules.iter().filter(|rule| wanted.contains_key(rule.id.as_str())) {
        keep.execute(params![rule.id, rule.version, rule.title, rank(rule.level), rule.text])?;
        done.began +=
            begin.execute(params![rule.id, rule.version, rule.path, now, cause.as_str(), by])?;
    }
    Ok(done)
}

/// A clock that was set back must not make spans end before they began.
fn not_before_the_last(db: &Connection, now: Timestamp) -> Result<i64, DbError> {
    let last: Option<i64> = db
        .prepare_cached("SELECT max(max(began), coalesce(max(ended), 0)) FROM rule_activation")?
        .query_row([], |row| row.get(0))?;
    Ok(now.as_nanos().max(last.unwrap_or(i64::MIN)))
}

fn in_force_at(db: &Connection, at: Timestamp) -> Result<Vec<RuleActivation>, DbError> {
    let at = at.as_nanos();
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM rule_activation a JOIN rule_text t USING (id, version)
         WHERE a.began <= ? AND (a.ended IS NULL OR a.ended > ?) ORDER BY a.id"
    ))?
    .query_and_then([at, at], activation)?
    .collect()
}

fn in_force(db: &Connection) -> Result<Vec<RuleText>, DbError> {
    db.prepare_cached(
        "SELECT a.id, a.version, t.title, t.level, t.text, a.path
         FROM rule_activation a JOIN rule_text t USING (id, version)
         WHERE a.ended IS NULL ORDER BY a.id",
    )?
    .query_and_then([], |row| {
        Ok(RuleText {
            id: row.get(0)?,
            version: row.get(1)?,
            title: row.get(2)?,
            level: level(row.get(3)?)?,
            text: row.get(4)?,
            path: row.get(5)?,
        })
    })?
    .collect()
}

fn versions(db: &Connection, id: &str) -> Result<Vec<RuleVersion>, DbError> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS}, t.text FROM rule_activation a JOIN rule_text t USING (id, version)
         WHERE a.id = ? ORDER BY a.seq DESC LIMIT ?"
    ))?
    .query_and_then(params![id, VERSIONS_MAX], |row| {
        Ok(RuleVersion { activation: activation(row)?, text: row.get(10)? })
    })?
    .collect()
}

fn activation(row: &Row<'_>) -> Result<RuleActivation, DbError> {
    let ended: Option<i64> = row.get(7)?;
    Ok(RuleActivation {
        id: row.get(0)?,
        version: row.get(1)?,
        title: row.get(2)?,
        level: level(row.get(3)?)?,
        began: RuleChange {
            at: time(row.get(4)?),
            cause: cause(&row.get::<_, String>(5)?)?,
            by: row.get(6)?,
        },
        ended: match ended {
            None => None,
            Some(at) => Some(RuleChange {
                at: time(at),
                cause: cause(&row.get::<_, String>(8)?)?,
                by: row.get(9)?,
            }),
        },
    })
}

fn cause(text: &str) -> Result<RuleCause, DbError> {
    word(&RuleCause::ALL, RuleCause::as_str, text)
}
