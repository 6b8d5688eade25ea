//! Versions of the schema. `user_version` holds how many of the [`MIGRATIONS`] were applied.

use rusqlite::{Connection, TransactionBehavior};

use super::super::DbError;

/// Marks the file as ours: "Jacq".
const APPLICATION_ID: i32 = 0x4a61_6371;

/// Each brings the schema from the version before it, its index, to its own.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_rules.sql"),
    include_str!("migrations/0003_correlations.sql"),
    include_str!("migrations/0004_old_keys.sql"),
    include_str!("migrations/0005_quotas.sql"),
    include_str!("migrations/0006_feed_activity.sql"),
    include_str!("migrations/0007_incident_work.sql"),
    include_str!("migrations/0008_notices.sql"),
    include_str!("migrations/0009_feed_counts.sql"),
    include_str!("migrations/0010_batches.sql"),
    include_str!("migrations/0011_keeping.sql"),
    include_str!("migrations/0012_clocks.sql"),
    include_str!("migrations/0013_reports.sql"),
    include_str!("migrations/0014_saved_hunts.sql"),
];

/// Brings the schema up to date, one transaction per version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    apply(connection, MIGRATIONS)
}

fn apply(connection: &mut Connection, migrations: &[&str]) -> Result<(), DbError> {
    check_owner(connection)?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    loop {
        // The version is read inside, so that two processes that start at once do not both
        // apply the same one.
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(DbError::Version { found, known });
        }
        let Some(migration) = migrations.get(found as usize) else {
            return Ok(());
        };
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.commit()?;
        if found > 0 {
            tracing::info!(version = found + 1, "brought the database to a newer schema");
        }
    }
}

fn check_owner(connection: &Connection) -> Result<(), DbError> {
    let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let empty: bool =
        connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if owner == APPLICATION_ID || empty {
        return Ok(());
    }
    Err(DbError::Backend("the file holds another program's database; choose another file".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_version_is_applied_once_and_keeps_what_is_stored() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(&mut db, &MIGRATIONS[..1]).unwrap();
        db.execute("INSERT INTO commune VALUES ('dijon', 'Dijon', 7)", []).unwrap();
        let mut more = MIGRATIONS[..1].to_vec();
        more.push("ALTER TABLE commune ADD COLUMN siren TEXT; UPDATE commune SET siren = 'x';");
        apply(&mut db, &more).unwrap();
        apply(&mut db, &more).unwrap();
        assert_eq!(version(&db), 2);
        let kept: String =
            db.query_row("SELECT name || siren FROM commune", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "Dijonx");
    }

    #[test]
    fn incidents_of_before_keep_their_severity_and_get_their_rules() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(&mut db, &MIGRATIONS[..6]).unwrap();
        db.execute_batch(
            r#"INSERT INTO incident (id, commune, number, severity, status, verdict, detections,
                 first_event, last_event, created, updated, version, title, tags, entities)
               VALUES (zeroblob(16), 'dijon', 7, 3, 'closed', 'undetermined', 3, 1, 2, 3, 4, 5,
                 'Loud', '["attack.execution"]', '[{"kind":"host","name":"PC"}]');
               INSERT INTO detection (id, commune, incident, timestamp, raised, body) VALUES
                 (x'01010101010101010101010101010101', 'dijon', 1, 1, 1,
                  '{"rule":{"id":"a","name":"A","level":"high"}}'),
                 (x'02020202020202020202020202020202', 'dijon', 1, 1, 1,
                  '{"rule":{"id":"a","name":"A","level":"medium"}}'),
                 (x'03030303030303030303030303030303', 'dijon', 1, 1, 1,
                  '{"rule":{"id":"b","name":"B","level":"low"}}'),
                 (x'04040404040404040404040404040404', 'dijon', NULL, 1, 1,
                  '{"rule":{"id":"c","name":"C","level":"informational"}}');"#,
        )
        .unwrap();
        migrate(&mut db).unwrap();
        let row: (i64, i64, i64, i64, String) = db
            .query_row(
                "SELECT severity_detected, risk_score, change, closed, text
                 FROM incident JOIN incident_text ON incident = seq",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .unwrap();
        assert_eq!((row.0, row.1, row.2, row.3), (3, 65, 1, 4));
        assert!(row.4.contains("loud") && row.4.contains("dijon-7"), "{}", row.4);
        let rules: String = db
            .query_row(
                "SELECT group_concat(rule || level || detections, ' ' ORDER BY rule)
                 FROM incident_rule",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(rules, "a32 b11");
    }

    #[test]
    fn a_failing_version_leaves_the_one_before() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken = [MIGRATIONS[0], "CREATE TABLE half (id INTEGER) STRICT; no such statement;"];
        assert!(matches!(apply(&mut db, &broken), Err(DbError::Backend(_))));
        assert_eq!(version(&db), 1);
        assert!(db.prepare("SELECT * FROM half").is_err());
        migrate(&mut db).unwrap();
    }

    #[test]
    fn a_newer_schema_and_a_foreign_file_are_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let known = u32::try_from(MIGRATIONS.len()).unwrap();
        match migrate(&mut db) {
            Err(DbError::Version { found: 99, known: k }) => assert_eq!(k, known),
            other => panic!("{other:?}"),
        }
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        assert!(matches!(migrate(&mut foreign), Err(DbError::Backend(_))));
    }
}
