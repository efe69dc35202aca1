//! The database: one SQLite file, reached through a pool, one repository per aggregate.
//!
//! Repository functions take a connection and open no transaction of their own, so that they
//! compose: whoever knows the unit of work opens it with [`Database::write`]. Nothing outside this
//! folder contains SQL.
//!
//! Invariant: the file stays one that the reference server v0.11 can open; we only ever add.

mod adopt;
pub mod check;
mod cursor;
mod error;
pub mod findings;
pub mod health;
pub mod keys;
pub mod lock;
pub mod outbox;
mod pool;
pub mod scans;
pub mod schema;

pub use check::assert_consistent;
pub use cursor::InvalidCursor;
pub use error::StorageError;
pub use lock::{LockError, ProcessLock};
pub use pool::{Database, DatabaseOptions};

#[cfg(test)]
mod tests;
