//! Queries that somebody keeps.

use async_trait::async_trait;
use event::{CommuneId, Timestamp};
use rusqlite::{Connection, Row, params, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::{
    super::{DbError, NewSavedHunt, SAVED_HUNTS_MAX, SavedHunt, SavedHunts, saved_hunt::check},
    Sqlite,
    policies::require_commune,
    sql::{Filter, slug, time, unsigned},
};
use crate::Scope;

const COLUMNS: &str = "id, name, query, note, commune, shared, owner, created";

#[async_trait]
impl SavedHunts for Sqlite {
    async fn save_hunt(
        &self,
        scope: &Scope,
        hunt: NewSavedHunt,
        owner: &str,
        now: Timestamp,
    ) -> Result<SavedHunt, DbError> {
        check(&hunt, scope)?;
        let (scope, owner) = (scope.clone(), owner.to_owned());
        self.pool.write(move |tx| save(tx, &scope, hunt, owner, now)).await
    }

    async fn saved_hunts(&self, scope: &Scope, owner: &str) -> Result<Vec<SavedHunt>, DbError> {
        let (scope, owner) = (scope.clone(), owner.to_owned());
        self.pool.read(move |tx| list(tx, &scope, &owner, None)).await
    }

    async fn forget_hunt(
        &self,
        scope: &Scope,
        id: &str,
        owner: &str,
    ) -> Result<SavedHunt, DbError> {
        let (scope, id, owner) = (scope.clone(), id.to_owned(), owner.to_owned());
        self.pool.write(move |tx| forget(tx, &scope, &id, &owner)).await
    }
}

fn save(
    db: &Connection,
    scope: &Scope,
    hunt: NewSavedHunt,
    owner: String,
    now: Timestamp,
) -> Result<SavedHunt, DbError> {
    if let Some(commune) = &hunt.commune {
        require_commune(db, scope, commune)?;
    }
    let (kept, same): (i64, i64) = db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE name = ?) FROM saved_hunt WHERE owner = ?",
        )?
        .query_row(params![hunt.name, owner], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if same > 0 {
        let name = hunt.name;
        return Err(DbError::Refused(format!(
            "the name {name:?} is taken: you keep a hunt of that name; remove it first, or take another"
        )));
    }
    if unsigned(kept)? >= SAVED_HUNTS_MAX {
        return Err(DbError::Refused(format!(
            "you keep {kept} hunts, and no more may be; remove one first"
        )));
    }
    let whole = format!("{owner}\n{}\n{}\n{now}", hunt.name, hunt.query);
    let digest = Sha256::digest(whole);
    let id: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    db.prepare_cached(
        "INSERT INTO saved_hunt (id, name, query, note, commune, shared, owner, created)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        hunt.name,
        hunt.query,
        hunt.note,
        hunt.commune.as_ref().map(CommuneId::as_str),
        hunt.shared,
        owner,
        now.as_nanos()
    ])?;
    let NewSavedHunt { name, query, note, commune, shared } = hunt;
    Ok(SavedHunt { id, name, query, note, commune, shared, owner, created: now })
}

/// Those of `owner` and those shared in scope; of these, where it is given, the one with this `id`.
fn list(
    db: &Connection,
    scope: &Scope,
    owner: &str,
    id: Option<&str>,
) -> Result<Vec<SavedHunt>, DbError> {
    // Shared without a commune is with those who see all: no list of communes holds null.
    let mut shared = Filter::scoped(scope);
    shared.and_all("shared = 1", []);
    // One's own in a commune that one no longer sees is out of sight with it.
    let mut own = Filter::scoped(scope);
    own.and("shared = 0 AND owner = ?", owner.to_owned());
    let mut own_of_all = Filter::everything();
    own_of_all.and("shared = 0 AND commune IS NULL AND owner = ?", owner.to_owned());
    if !scope.is_all() {
        own.and_all("commune IS NOT NULL", []);
    } else {
        own_of_all.and_all("FALSE", []);
    }
    let mut found = Vec::new();
    for mut filter in [shared, own, own_of_all] {
        if let Some(id) = id {
            filter.and("id = ?", id.to_owned());
        }
        let sql = format!("SELECT {COLUMNS} FROM saved_hunt WHERE {}", filter.sql());
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_and_then(params_from_iter(filter.values(&[])), read)?;
        for row in rows {
            found.push(row?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

fn forget(db: &Connection, scope: &Scope, id: &str, owner: &str) -> Result<SavedHunt, DbError> {
    let found = list(db, scope, owner, Some(id))?.pop();
    let found = found.ok_or_else(|| DbError::Missing { what: "hunt", id: id.to_owned() })?;
    db.prepare_cached("DELETE FROM saved_hunt WHERE id = ?")?.execute([&found.id])?;
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<SavedHunt, DbError> {
    let commune: Option<String> = row.get(4)?;
    Ok(SavedHunt {
        id: row.get(0)?,
        name: row.get(1)?,
        query: row.get(2)?,
        note: row.get(3)?,
        commune: commune.map(|commune| slug(&commune)).transpose()?,
        shared: row.get(5)?,
        owner: row.get(6)?,
        created: time(row.get(7)?),
    })
}
