//! What is particular to the SQLite backend: its file, its urls, its versions.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use event::{Commune, CommuneId, Timestamp};
use store::db::{DbError, SharedDatabase, connect};

async fn open(path: &Path) -> Result<SharedDatabase, DbError> {
    connect(&format!("sqlite://{}", path.display())).await
}

async fn refusal(result: Result<SharedDatabase, DbError>) -> String {
    match result {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn urls_that_cannot_be_opened_say_why() {
    for (url, part) in [
        ("postgres://user:hunter2@db/jacquemart", "later version"),
        ("postgresql://user:hunter2@db/jacquemart", "later version"),
        ("mysql://user:hunter2@db/x", "no known database"),
        ("sqlite://relative.db", "relative path"),
        ("/var/lib/jacquemart.db", "no scheme"),
        ("sqlite:///nowhere/at/all/x.db", "/nowhere/at/all/x.db"),
        ("", "no scheme"),
    ] {
        let error = refusal(connect(url).await).await;
        assert!(error.contains(part), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    // One that somebody had made readable is closed again.
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let db = open(&path).await.unwrap();
    let commune = CommuneId::new("dijon").unwrap();
    let commune = Commune { id: commune, name: "Dijon".to_owned(), created: Timestamp::now() };
    db.add_commune(commune).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the log's index");
    db.close().await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "closing leaves one file");
}

#[tokio::test]
async fn newer_foreign_and_broken_files_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("newer.db");
    open(&path).await.unwrap().close().await;
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    match open(&path).await {
        Err(DbError::Version { found: 99, known }) => assert!((1..99).contains(&known)),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }

    let path = dir.path().join("bookmarks.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1").unwrap();
    drop(raw);
    let error = refusal(open(&path).await).await;
    assert!(error.contains("another program"), "{error}");

    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "not a database ".repeat(1_000)).unwrap();
    let error = refusal(open(&path).await).await;
    assert!(error.contains("not a database"), "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("not a database not"));
}

#[tokio::test]
async fn it_can_be_opened_from_a_runtime_with_one_thread() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("x.db")).await.unwrap();
    db.ping().await.unwrap();
    assert!(db.feed_keys().await.unwrap().is_empty());
}
