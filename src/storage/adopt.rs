//! Brings a file up to date: a new one, one of ours, or one that the reference server wrote.
//!
//! Invariant: all of it happens in one transaction. A crash leaves the file as it was, and two
//! programs that open it at the same time take turns.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StorageError;
use super::pool::immediate;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Columns that versions of the reference before v0.11.12 lack.
///
/// Compat: contract/config-ops.md 6.1, which adds them in this order.
const ADDED_COLUMNS: [(&str, &str, &str); 6] = [
    ("findings", "compliance_tags", "TEXT DEFAULT '[]'"),
    ("findings", "fingerprint", "TEXT DEFAULT ''"),
    ("scans", "target_url", "TEXT"),
    ("scans", "target_host", "TEXT"),
    ("scans", "scanners_run", "TEXT DEFAULT '[]'"),
    ("scans", "scanners_skipped", "TEXT DEFAULT '[]'"),
];

/// Prepares the file behind `conn`; does not write to one that is up to date.
pub(super) fn prepare(
    conn: &mut SqliteConnection,
    path: &Path,
    busy_timeout: Duration,
) -> Result<(), StorageError> {
    recognise(conn, path, busy_timeout)?;
    // Off, or dropping a table in favour of its rebuilt self would empty it row by row.
    conn.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL;")?;
    if !table_exists(conn, "__diesel_schema_migrations")? || pending(conn)? {
        immediate(conn, |conn| {
            adopt(conn)?;
            conn.run_pending_migrations(MIGRATIONS)
                .map(|_applied| ())
                .map_err(StorageError::migrating)
        })?;
    }
    Ok(())
}

fn pending(conn: &mut SqliteConnection) -> Result<bool, StorageError> {
    conn.has_pending_migration(MIGRATIONS)
        .map_err(StorageError::migrating)
}

/// Refuses files that are no database, and databases of other programs: we would fill them with our
/// tables.
fn recognise(
    conn: &mut SqliteConnection,
    path: &Path,
    busy_timeout: Duration,
) -> Result<(), StorageError> {
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {}",
        busy_timeout.as_millis()
    ))?;
    let foreign = |reason: &str| StorageError::Foreign {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let tables: i64 = match count(conn, "SELECT count(*) AS n FROM sqlite_schema") {
        Err(StorageError::Corrupt(reason)) => return Err(foreign(&reason)),
        other => other?,
    };
    let scans = columns(conn, "scans")?;
    let ours = ["id", "target_path", "scan_types", "status"]
        .iter()
        .all(|name| scans.iter().any(|column| column.name == *name));
    if tables > 0 && !ours {
        return Err(foreign("it holds other tables"));
    }
    Ok(())
}

/// Adds what older versions of the reference lack, to tables that exist; the migrations make the
/// others.
fn adopt(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    for (table, column, definition) in ADDED_COLUMNS {
        let present = columns(conn, table)?;
        if !present.is_empty() && !present.iter().any(|other| other.name == column) {
            conn.batch_execute(&format!(
                "ALTER TABLE {table} ADD COLUMN {column} {definition}"
            ))?;
        }
    }
    free_sboms(conn)
}

/// Rebuilds `sbom_documents` without its reference to scans. The reference never enforced it: it
/// stores `unknown` there and keeps documents when it deletes their scan. We enforce.
fn free_sboms(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    let references = count(
        conn,
        "SELECT count(*) AS n FROM pragma_foreign_key_list('sbom_documents') WHERE \"table\" = 'scans'",
    )?;
    if references == 0 {
        return Ok(());
    }
    let columns = columns(conn, "sbom_documents")?;
    let definitions: Vec<String> = columns.iter().map(Column::definition).collect();
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let names = names.join(", ");
    // The order of rows is the order of lists: the row ids move along.
    conn.batch_execute(&format!(
        "CREATE TABLE sbom_documents_rebuilt ({});
         INSERT INTO sbom_documents_rebuilt (rowid, {names}) SELECT rowid, {names} FROM sbom_documents;
         DROP TABLE sbom_documents;
         ALTER TABLE sbom_documents_rebuilt RENAME TO sbom_documents;",
        definitions.join(", ")
    ))?;
    Ok(())
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text, column_name = "type")]
    kind: String,
    #[diesel(sql_type = Integer)]
    notnull: i32,
    #[diesel(sql_type = diesel::sql_types::Nullable<Text>)]
    dflt_value: Option<String>,
    #[diesel(sql_type = Integer)]
    pk: i32,
}

impl Column {
    fn definition(&self) -> String {
        let mut text = format!("{} {}", quoted(&self.name), self.kind);
        if self.pk > 0 {
            text.push_str(" PRIMARY KEY");
        }
        if self.notnull != 0 {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = &self.dflt_value {
            text.push_str(&format!(" DEFAULT ({default})"));
        }
        text
    }
}

fn columns(conn: &mut SqliteConnection, table: &str) -> Result<Vec<Column>, StorageError> {
    Ok(diesel::sql_query(
        "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?) ORDER BY cid",
    )
    .bind::<Text, _>(table)
    .load(conn)?)
}

fn table_exists(conn: &mut SqliteConnection, table: &str) -> Result<bool, StorageError> {
    Ok(!columns(conn, table)?.is_empty())
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn count(conn: &mut SqliteConnection, query: &str) -> Result<i64, StorageError> {
    Ok(diesel::sql_query(query).get_result::<Count>(conn)?.n)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
