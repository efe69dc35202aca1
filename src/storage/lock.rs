//! One server per database: an exclusive lock beside the file, held as long as the process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::domain::Timestamp;

/// Longest description of a holder that is read back.
const HOLDER_BYTES: u64 = 200;

/// Most symbolic links followed, as in Linux.
const LINKS: usize = 40;

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process serves this database.
    #[error("{path} is held by {holder}")]
    Held {
        /// Who, e.g. `process 4711, started 2026-11-23T12:44:35`.
        holder: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be made or locked.
    #[error("lock {path}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The lock; dropping it, or dying in any way, releases it.
#[derive(Debug)]
pub struct ProcessLock {
    path: PathBuf,
    // Closed on drop, which is what releases the lock. The file itself stays: removing it would let
    // two processes hold locks on two files of the same name.
    _file: File,
}

impl ProcessLock {
    /// Takes the lock of the database at `database`, whatever name it is reached by.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] when another process (or another lock of this one) has it.
    pub fn acquire(database: &Path, started: &Timestamp) -> Result<Self, LockError> {
        super::pool::create_folder(database).map_err(|source| LockError::Io {
            path: database.to_owned(),
            source,
        })?;
        let path = lock_path(database);
        let fail = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    holder: read_holder(&file),
                    path,
                });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        file.set_len(0).map_err(fail)?;
        file.rewind().map_err(fail)?;
        write!(file, "process {}, started {started}", std::process::id()).map_err(fail)?;
        Ok(Self { path, _file: file })
    }

    /// Returns the path of the lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Follows symbolic links, also those to a file that is not there yet, so that all names of one
/// database share one lock.
fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = path.read_link() else { break };
        path = folder_of(&path).join(target);
    }
    let folder = folder_of(&path);
    let folder = folder
        .canonicalize()
        .unwrap_or_else(|_missing| folder.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    folder.join(name)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn read_holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_BYTES).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        // It locked a moment ago and has not written yet, or wrote something odd.
        _ => "another process".to_owned(),
    }
}
