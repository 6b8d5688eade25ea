//! The connections, and how they are borrowed without blocking a tokio worker.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{super::DbError, migrate, open};

/// Connections that read. SQLite reads from memory mostly, so more of them than cores and
/// disks can serve would only hold caches.
const READERS: u32 = 4;

/// One writing connection and a few reading ones. A caller that goes away leaves a statement
/// that is under way to finish; its connection comes back all the same.
pub(super) struct Pool {
    writer: Arc<tokio::sync::Mutex<Option<Connection>>>,
    readers: Arc<Readers>,
}

struct Readers {
    /// As many as there are idle connections; closed with the pool.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// A reading connection that goes back when dropped, also by a panic.
struct Borrowed {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // The permit is a field and so is given back after the connection.
        if let Some(connection) = self.connection.take() {
            self.readers.idle().push(connection);
        }
    }
}

impl Readers {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(super) async fn open(path: &Path) -> Result<Self, DbError> {
        let path = path.to_owned();
        blocking(move || {
            let mut writer = open::writer(&path)?;
            migrate::migrate(&mut writer)?;
            let readers =
                (0..READERS).map(|_| open::reader(&path)).collect::<Result<Vec<_>, _>>()?;
            Ok(Self {
                writer: Arc::new(tokio::sync::Mutex::new(Some(writer))),
                readers: Arc::new(Readers {
                    permits: Arc::new(Semaphore::new(READERS as usize)),
                    idle: Mutex::new(readers),
                }),
            })
        })
        .await
    }

    /// Runs `work` in a transaction of the writer, which is durable when this returns `Ok` and
    /// left nothing behind otherwise. Writers take turns in the order they came.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || {
            let writer = writer.as_mut().ok_or_else(closed)?;
            // It begins as a writer, for a reader that turns into one could be refused.
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        })
        .await
    }

    /// Runs `work` on one snapshot, which holds everything written before.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let permit =
            Arc::clone(&self.readers.permits).acquire_owned().await.map_err(|_| closed())?;
        let connection = self.readers.idle().pop();
        let mut borrowed =
            Borrowed { connection, readers: Arc::clone(&self.readers), _permit: permit };
        blocking(move || {
            let connection = borrowed.connection.as_mut().ok_or_else(closed)?;
            work(&*connection.transaction()?)
        })
        .await
    }

    /// Waits for what is under way, then closes every connection; the last one moves the log
    /// into the file. Whatever is asked for later fails.
    pub(super) async fn close(&self) {
        let writer = self.writer.lock().await.take();
        // Waits until every reader is back; an error says that somebody closed it before.
        if let Ok(all) = self.readers.permits.acquire_many(READERS).await {
            self.readers.permits.close();
            all.forget();
        }
        let readers = std::mem::take(&mut *self.readers.idle());
        let result = blocking(move || {
            drop(readers);
            match writer {
                Some(writer) => writer.close().map_err(|(_, error)| error.into()),
                None => Ok(()),
            }
        })
        .await;
        if let Err(error) = result {
            tracing::warn!(%error, "failed to close the database; nothing is lost");
        }
    }
}

fn closed() -> DbError {
    DbError::Backend("it is closed".into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, DbError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(DbError::Backend(Box::new(error))),
    }
}
