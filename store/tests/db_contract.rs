//! The database contract on SQLite.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how they fail")]

use store::db::{SharedDatabase, connect, contract::Fixture};
use tempfile::TempDir;

struct SqliteFile(TempDir);

impl Fixture for SqliteFile {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SharedDatabase {
        let url = format!("sqlite://{}", self.0.path().join("with space.db").display());
        connect(&url).await.unwrap()
    }
}

store::db_contract!(SqliteFile);
