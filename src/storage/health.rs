//! Is the database there, and does it take writes?

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::StorageError;

/// Reads something.
///
/// # Errors
///
/// When that fails.
pub fn ping(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    diesel::select(diesel::dsl::sql::<BigInt>(
        "(SELECT count(*) FROM sqlite_schema)",
    ))
    .get_result::<i64>(conn)
    .map(|_tables| ())
    .map_err(StorageError::from)
}

/// Takes the write lock and gives it back. The one repository function with a transaction of its
/// own, since that is what it tries: call it outside of any.
///
/// # Errors
///
/// [`StorageError::Busy`] or [`StorageError::ReadOnly`], for example.
pub fn writable(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    conn.immediate_transaction(ping)
}
