//! A connection, as each must be set up.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use memchr::memmem::Finder;
use rusqlite::{Connection, OpenFlags, functions::FunctionFlags};

use super::super::DbError;

/// How long a statement waits for another process that has the file, e.g. a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 64;

/// Pages that the write-ahead log grows to before they move into the file: 32 MiB.
const WAL_PAGES: i64 = 8_192;

/// What the log file is cut to after it had to grow further.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Memory for pages, in KiB; SQLite wants it negative.
const WRITER_CACHE_KIB: i64 = 64 << 10;
const READER_CACHE_KIB: i64 = 8 << 10;

/// The connection that writes. Creates the file where it is missing; it and the log beside it
/// are for their owner alone.
pub(super) fn writer(path: &Path) -> Result<Connection, DbError> {
    create(path).map_err(|source| {
        DbError::Backend(format!("failed to open {}: {source}", path.display()).into())
    })?;
    let connection = connection(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, DbError> {
    let connection = connection(path)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// Copies the database at `path`, as one reader sees it, into the new file `to`.
pub(in super::super) fn snapshot(path: &Path, to: &Path) -> Result<(), DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let failed = |source: io::Error| {
        DbError::Backend(format!("failed to write {}: {source}", to.display()).into())
    };
    // It is for its owner alone from the beginning; SQLite takes an empty file.
    File::options().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let name = to.to_str().ok_or_else(|| {
        DbError::Backend(format!("{} is not UTF-8; choose another folder", to.display()).into())
    })?;
    connection.execute("VACUUM INTO ?", [name])?;
    File::open(to).and_then(|file| file.sync_all()).map_err(failed)
}

fn connection(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    add_functions(&connection)?;
    Ok(connection)
}

/// `contains(text, part)`: as `instr(text, part) > 0`, which compares byte by byte, but several
/// times as fast.
fn add_functions(connection: &Connection) -> Result<(), DbError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("contains", 2, flags, |call| {
        // The part is the same for all rows, so what is made of it is kept between them.
        let part: Arc<Finder<'static>> = call.get_or_create_aux(1, |part| {
            part.as_bytes().map(|part| Finder::new(part).into_owned())
        })?;
        let text = call.get_raw(0).as_bytes().map_err(rusqlite::Error::from)?;
        Ok(part.find(text).is_some())
    })?;
    Ok(())
}

fn create(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            // Only then is the new name itself durable.
            let folder = path.parent().unwrap_or(Path::new("/"));
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(path, Permissions::from_mode(0o600))
        }
        Err(error) => Err(error),
    }
}
