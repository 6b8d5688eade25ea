//! How our nouns are spelled in SQL, and the scope as a condition.

use std::fmt::Display;

use event::{CommuneId, Level, Timestamp};
use rusqlite::{ToSql, types::Value};
use serde::{Serialize, de::DeserializeOwned};

use super::super::DbError;
use crate::Scope;

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Backend(Box::new(error))
    }
}

/// Conditions that must all hold, and the values for their `?`, in order.
pub(super) struct Filter {
    sql: String,
    values: Vec<Value>,
}

impl Filter {
    /// Rows whose column `commune` is in `scope`. Communes are bound, never written into the
    /// SQL. For several of them the `+` keeps the planner on the index that has the order, so
    /// that a page costs a page rather than a sort of everything.
    pub(super) fn scoped(scope: &Scope) -> Self {
        let Some(communes) = scope.communes() else {
            return Self { sql: "TRUE".to_owned(), values: Vec::new() };
        };
        match communes.first() {
            Some(only) if communes.len() == 1 => {
                let values = vec![Value::from(only.as_str().to_owned())];
                Self { sql: "commune = ?".to_owned(), values }
            }
            _ => {
                let mut filter = Self { sql: "TRUE".to_owned(), values: Vec::new() };
                filter.and_one_of("+commune", communes.iter().map(CommuneId::as_str));
                filter
            }
        }
    }

    /// Every row, for tables that are joined and so name their commune otherwise.
    pub(super) fn everything() -> Self {
        Self { sql: "TRUE".to_owned(), values: Vec::new() }
    }

    /// Adds a condition with one `?`.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.and_all(condition, [value.into()]);
    }

    /// Adds a condition with as many `?` as there are values.
    pub(super) fn and_all(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// Adds that `column` has one of `words`; none of them match nothing.
    pub(super) fn and_one_of<'a>(&mut self, column: &str, words: impl Iterator<Item = &'a str>) {
        let words: Vec<&str> = words.collect();
        let json = serde_json::Value::from(words).to_string();
        self.and(&format!("{column} IN (SELECT value FROM json_each(?))"), json);
    }

    /// The conditions, for after `WHERE`.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The values for [`sql`](Self::sql) and then `more`.
    pub(super) fn values<'a>(
        &'a self,
        more: &'a [&'a dyn ToSql],
    ) -> impl Iterator<Item = &'a dyn ToSql> {
        self.values.iter().map(|value| value as &dyn ToSql).chain(more.iter().copied())
    }
}

/// What is stored does not read as what it should be.
pub(super) fn damaged(what: &str, why: impl Display) -> DbError {
    DbError::Backend(format!("a stored {what} cannot be read: {why}").into())
}

/// A column of slugs.
pub(super) fn slug<T: std::str::FromStr<Err: Display>>(text: &str) -> Result<T, DbError> {
    text.parse().map_err(|error| damaged("id", error))
}

/// A column of JSON.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|error| damaged(what, error))
}

/// For a column of JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Backend(Box::new(error)))
}

/// A column of words, one per value of `all`.
pub(super) fn word<T: Copy>(
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, DbError> {
    all.iter()
        .copied()
        .find(|value| as_str(*value) == text)
        .ok_or_else(|| damaged("word", format_args!("{text:?}")))
}

/// Levels are stored by rank, so that they compare.
pub(super) fn rank(level: Level) -> i64 {
    Level::ALL.iter().take_while(|other| **other < level).count() as i64
}

/// The level of a rank.
pub(super) fn level(rank: i64) -> Result<Level, DbError> {
    usize::try_from(rank)
        .ok()
        .and_then(|rank| Level::ALL.get(rank).copied())
        .ok_or_else(|| damaged("level", rank))
}

/// A time column.
pub(super) fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// SQLite's whole numbers are signed.
pub(super) fn signed(number: u64) -> Result<i64, DbError> {
    i64::try_from(number).map_err(|error| DbError::Backend(Box::new(error)))
}

/// A column of what cannot be negative.
pub(super) fn unsigned(number: i64) -> Result<u64, DbError> {
    u64::try_from(number).map_err(|error| damaged("number", error))
}

/// Whether an insert failed because the row, or another with the same unique value, is there.
pub(super) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    error.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE)
    })
}

/// Whether an insert failed because a row that it refers to is missing.
pub(super) fn is_foreign_key_violation(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}
