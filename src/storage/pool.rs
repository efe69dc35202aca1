//! Opens the database and hands out its connections.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};
use tokio::sync::Semaphore;

use super::{StorageError, adopt};

/// How long a step waits for a connection that is being opened.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Page cache per connection; the file system's own cache does the rest.
const CACHE_KIB: u32 = 512;

/// Where the database is and how it is shared.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The file; made, with its folders, when missing.
    pub path: PathBuf,
    /// Most connections open at a time, and most blocking threads used; at least 1.
    pub max_connections: u32,
    /// How long a writer waits for another one.
    pub busy_timeout: Duration,
}

impl DatabaseOptions {
    /// Describes a database at `path` with 4 connections and 5 seconds of patience.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_connections: 4,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// The open database; clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    pool: Pool<ConnectionManager<SqliteConnection>>,
    permits: Arc<Semaphore>,
    /// Fewer than connections: writers that wait for another program's lock leave room for readers,
    /// who need not wait.
    write_permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the file, makes it if it is missing, and brings its schema up to date. Blocks.
    ///
    /// # Errors
    ///
    /// When the file cannot be made, is locked, or is something else than our database or the
    /// reference's.
    pub fn open(options: &DatabaseOptions) -> Result<Self, StorageError> {
        let unavailable = |reason: String| StorageError::Unavailable {
            path: options.path.clone(),
            reason,
        };
        let path =
            std::path::absolute(&options.path).map_err(|error| unavailable(error.to_string()))?;
        let url = path
            .to_str()
            .ok_or_else(|| unavailable("path is not UTF-8".to_owned()))?;
        create_file(&path).map_err(|error| unavailable(error.to_string()))?;
        {
            let mut conn = SqliteConnection::establish(url)
                .map_err(|error| StorageError::connecting(&path, &error))?;
            adopt::prepare(&mut conn, &path, options.busy_timeout)?;
        }
        let max = options.max_connections.max(1);
        let pool = Pool::builder()
            .max_size(max)
            .min_idle(Some(1))
            // A local file does not go away like a server does.
            .test_on_check_out(false)
            .connection_timeout(CONNECTION_TIMEOUT)
            .connection_customizer(Box::new(Pragmas {
                busy_timeout: options.busy_timeout,
            }))
            .build(ConnectionManager::new(url))
            .map_err(|error| unavailable(error.to_string()))?;
        let permits = Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(1)));
        let writers = usize::try_from(max / 2).unwrap_or(1).max(1);
        let write_permits = Arc::new(Semaphore::new(writers));
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                pool,
                permits,
                write_permits,
            }),
        })
    }

    /// Returns the absolute path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs a step in no transaction, on a thread that may block: for a single query. Several queries
    /// may see different states of the database; see [`Self::read`] for those.
    ///
    /// The step runs to its end even when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the step, [`StorageError::Unavailable`] when no connection comes free, and
    /// [`StorageError::Interrupted`] when the step panics.
    pub async fn run<T, F>(&self, step: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StorageError> + Send + 'static,
    {
        // One permit per connection: more steps would only sit on blocking threads and wait.
        let permit = Arc::clone(&self.inner.permits)
            .acquire_owned()
            .await
            .map_err(|_closed| StorageError::Interrupted)?;
        let database = self.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            database.blocking(step)
        })
        .await
        .map_err(|_panicked| StorageError::Interrupted)?
    }

    /// Runs a step that only reads; all its queries see the same state of the database.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn read<T, F>(&self, step: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StorageError> + Send + 'static,
    {
        // Deferred: a reader in WAL mode waits for nobody and keeps nobody waiting.
        self.run(|conn| conn.transaction(step)).await
    }

    /// Runs a step that writes, in one immediate transaction, on a thread that may block. An error
    /// rolls everything back.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and [`StorageError::Busy`] or [`StorageError::DiskFull`].
    pub async fn write<T, F>(&self, step: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StorageError> + Send + 'static,
    {
        // Not deferred: a transaction that reads first cannot become a writer while another writes,
        // and SQLite refuses at once instead of waiting.
        let permit = Arc::clone(&self.inner.write_permits)
            .acquire_owned()
            .await
            .map_err(|_closed| StorageError::Interrupted)?;
        self.run(move |conn| {
            let _permit = permit;
            immediate(conn, step)
        })
        .await
    }

    /// Runs a step on this thread; for the command line and tests.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn blocking<T>(
        &self,
        step: impl FnOnce(&mut SqliteConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut conn = self
            .inner
            .pool
            .get()
            .map_err(|error| StorageError::Unavailable {
                path: self.inner.path.clone(),
                reason: error.to_string(),
            })?;
        step(&mut conn)
    }

    /// Runs a step that only reads on this thread, as [`Self::read`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_blocking<T>(
        &self,
        step: impl FnOnce(&mut SqliteConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.blocking(|conn| conn.transaction(step))
    }

    /// Runs a step in one immediate transaction on this thread; for the command line and tests.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn write_blocking<T>(
        &self,
        step: impl FnOnce(&mut SqliteConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.blocking(|conn| immediate(conn, step))
    }
}

/// Runs a step in one immediate transaction and returns the step's own error.
///
/// SQLite may roll back by itself, for example when the disk is full. diesel's rollback then fails
/// too and it returns that failure instead of the first; the pool discards the connection.
pub(super) fn immediate<T>(
    conn: &mut SqliteConnection,
    step: impl FnOnce(&mut SqliteConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let mut first = None;
    let result = conn.immediate_transaction(|conn| {
        step(conn).map_err(|error| {
            first = Some(error);
            diesel::result::Error::RollbackTransaction
        })
    });
    result.map_err(|error| first.unwrap_or_else(|| error.into()))
}

/// Makes the folder of a file, for its owner only, when it is missing.
pub(super) fn create_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)
        }
        _ => Ok(()),
    }
}

/// Makes the file before SQLite does, for its mode; `-wal` and `-shm` take theirs from it.
fn create_file(path: &Path) -> std::io::Result<()> {
    create_folder(path)?;
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_new) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // A read-only folder may still hold a database.
        Err(error) if path.exists() => {
            log::debug!("not creating {}: {error}", path.display());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
struct Pragmas {
    busy_timeout: Duration,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Pragmas {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        // The timeout first: what follows may have to wait already.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {};
             PRAGMA synchronous = NORMAL;
             PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -{CACHE_KIB};",
            self.busy_timeout.as_millis()
        ))
        .map_err(diesel::r2d2::Error::QueryError)
    }
}
