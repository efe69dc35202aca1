//! What can go wrong with a database, in words that a person on call can act on.

use std::error::Error as StdError;
use std::path::PathBuf;

use diesel::result::{ConnectionError, Error as DieselError};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another program, or another connection, held the write lock for longer than the timeout.
    #[error("database is locked by another program")]
    Busy,
    /// Nothing was stored; what is stored stays readable.
    #[error("disk or database is full")]
    DiskFull,
    /// The file, its folder or its file system does not allow writing.
    #[error("database is read-only")]
    ReadOnly,
    /// The file cannot be opened, or no connection came free in time.
    #[error("open database {path}: {reason}")]
    Unavailable {
        /// The database file.
        path: PathBuf,
        /// Why, for a person.
        reason: String,
    },
    /// The file is something else.
    #[error("{path} is not a SecureScan database: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// The file is damaged.
    #[error("database file is damaged: {0}")]
    Corrupt(String),
    /// One row cannot be understood; the others can.
    #[error("row {id} of table {table} is unreadable: {reason}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// Primary key of the row.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema could not be brought up to date; it is as it was before.
    #[error("bring database up to date")]
    Migration(#[source] Box<dyn StdError + Send + Sync>),
    /// The caller asked for something that the store does not allow.
    #[error("{0}")]
    Refused(&'static str),
    /// The step died or the runtime is going down; its transaction was rolled back.
    #[error("database step was interrupted")]
    Interrupted,
    /// Anything else.
    #[error("run database query")]
    Query(#[source] DieselError),
}

impl StorageError {
    /// Tells whether trying again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::DiskFull | Self::Unavailable { .. } | Self::Interrupted
        )
    }

    /// Reads a failure to connect.
    pub(super) fn connecting(path: &std::path::Path, error: &ConnectionError) -> Self {
        let reason = match error {
            ConnectionError::BadConnection(reason) => reason.clone(),
            ConnectionError::CouldntSetupConfiguration(error) => error.to_string(),
            other => other.to_string(),
        };
        Self::from_message(&reason).unwrap_or_else(|| Self::Unavailable {
            path: path.to_owned(),
            reason,
        })
    }

    /// Reads a failure to migrate, which is often no fault of the migration.
    pub(super) fn migrating(error: Box<dyn StdError + Send + Sync>) -> Self {
        let mut causes: Option<&(dyn StdError + 'static)> = Some(error.as_ref());
        while let Some(cause) = causes {
            if let Some(known) = Self::from_message(&cause.to_string()) {
                return known;
            }
            causes = cause.source();
        }
        Self::Migration(error)
    }

    /// Recognises SQLite's own messages: diesel passes on no result codes.
    pub(super) fn from_message(message: &str) -> Option<Self> {
        let message = message.to_ascii_lowercase();
        let says = |text: &str| message.contains(text);
        if says("is locked") {
            Some(Self::Busy)
        } else if says("disk is full") || says("database is full") {
            Some(Self::DiskFull)
        } else if says("readonly database") || says("read-only database") {
            Some(Self::ReadOnly)
        } else if says("malformed") || says("not a database") || says("not a valid database") {
            Some(Self::Corrupt(message))
        } else {
            None
        }
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        let known = match &error {
            DieselError::DatabaseError(_, information) => Self::from_message(information.message()),
            // The commit is what failed first; the rollback after it only repeats the news.
            DieselError::RollbackErrorOnCommit { commit_error, .. } => {
                match commit_error.as_ref() {
                    DieselError::DatabaseError(_, information) => {
                        Self::from_message(information.message())
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        known.unwrap_or(Self::Query(error))
    }
}
