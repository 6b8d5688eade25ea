//! API tokens.

use event::{CommuneId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::{
    super::DbError,
    sql::{from_json, is_unique_violation, time, to_json, word},
};
use crate::auth::{Caller, Role, SecretHash, TokenInfo};

const COLUMNS: &str = "name, role, communes, created, expires";

/// The lookup compares hashes of 256 random bits, so its timing tells nothing of a secret.
pub(super) fn authenticate(
    db: &Connection,
    hash: SecretHash,
    now: Timestamp,
) -> Result<Option<Caller>, DbError> {
    let found = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM token WHERE hash = ?"))?
        .query_and_then([hash.0], token)?
        .next()
        .transpose()?;
    let valid = found.filter(|token| token.expires.is_none_or(|expires| now < expires));
    Ok(valid.map(|token| Caller::from_token(&token)))
}

pub(super) fn add(db: &Connection, token: &TokenInfo, hash: SecretHash) -> Result<(), DbError> {
    for commune in token.communes.iter().flatten() {
        check_commune(db, commune)?;
    }
    let communes = token.communes.as_ref().map(to_json).transpose()?;
    let added = db
        .prepare_cached(
            "INSERT INTO token (name, hash, role, communes, created, expires)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            token.name,
            hash.0,
            token.role.as_str(),
            communes,
            token.created.as_nanos(),
            token.expires.map(Timestamp::as_nanos)
        ]);
    match added {
        Err(error) if is_unique_violation(&error) => {
            Err(DbError::Exists { what: "token", id: token.name.clone() })
        }
        added => Ok(added.map(drop)?),
    }
}

fn check_commune(db: &Connection, commune: &CommuneId) -> Result<(), DbError> {
    let known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM commune WHERE id = ?)")?
        .query_row([commune.as_str()], |row| row.get(0))?;
    if known { Ok(()) } else { Err(DbError::Missing { what: "commune", id: commune.to_string() }) }
}

pub(super) fn list(db: &Connection) -> Result<Vec<TokenInfo>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM token ORDER BY name"))?
        .query_and_then([], token)?
        .collect()
}

pub(super) fn revoke(db: &Connection, name: &str) -> Result<(), DbError> {
    match db.prepare_cached("DELETE FROM token WHERE name = ?")?.execute([name])? {
        0 => Err(DbError::Missing { what: "token", id: name.to_owned() }),
        _ => Ok(()),
    }
}

fn token(row: &Row<'_>) -> Result<TokenInfo, DbError> {
    let role: String = row.get(1)?;
    let communes: Option<String> = row.get(2)?;
    let expires: Option<i64> = row.get(4)?;
    Ok(TokenInfo {
        name: row.get(0)?,
        role: word(&Role::ALL, Role::as_str, &role)?,
        communes: communes.map(|json| from_json("token", &json)).transpose()?,
        created: time(row.get(3)?),
        expires: expires.map(time),
    })
}
