//! Files of the reference server, of several ages.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::*;
use crate::storage::findings::FindingFilter;
use crate::storage::scans::{DeleteOutcome, ScanFilter};

/// Compat: contract/config-ops.md 6.
const V0_11: &str = include_str!("reference_v0_11.sql");
/// Before the added columns, and with fewer tables.
const OLDER: &str = include_str!("reference_older.sql");

const TABLES: [&str; 10] = [
    "scans",
    "findings",
    "finding_states",
    "finding_comments",
    "sbom_documents",
    "sbom_components",
    "api_keys",
    "notifications",
    "webhooks",
    "webhook_deliveries",
];

#[derive(QueryableByName)]
struct Raw {
    #[diesel(sql_type = Text)]
    what: String,
}

fn ask(conn: &mut SqliteConnection, query: &str) -> Vec<String> {
    diesel::sql_query(query)
        .load::<Raw>(conn)
        .unwrap()
        .into_iter()
        .map(|raw| raw.what)
        .collect()
}

/// Returns every row of every table, column by column, as far as `columns` names them.
fn dump(conn: &mut SqliteConnection, columns: &[(String, String)]) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let parts: Vec<String> = columns
            .iter()
            .filter(|(of, _)| of == table)
            .map(|(_, column)| format!("'{column}=' || quote(\"{column}\")"))
            .collect();
        if parts.is_empty() {
            continue;
        }
        rows.extend(ask(
            conn,
            &format!(
                "SELECT '{table} ' || rowid || ' ' || {} AS what FROM {table} ORDER BY rowid",
                parts.join(" || ' ' || ")
            ),
        ));
    }
    rows
}

fn columns(conn: &mut SqliteConnection) -> Vec<(String, String)> {
    TABLES
        .into_iter()
        .flat_map(|table| {
            ask(
                conn,
                &format!("SELECT name AS what FROM pragma_table_info('{table}')"),
            )
            .into_iter()
            .map(move |column| (table.to_owned(), column))
        })
        .collect()
}

fn schema_of(conn: &mut SqliteConnection) -> Vec<String> {
    ask(
        conn,
        "SELECT type || name || coalesce(sql, '') AS what FROM sqlite_schema ORDER BY type, name",
    )
}

/// The reference enforces no foreign keys; our build of SQLite does unless told otherwise.
fn connect_as_reference(path: &Path) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    conn.batch_execute("PRAGMA foreign_keys = OFF").unwrap();
    conn
}

fn reference_file(sql: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("securescan.db");
    let mut conn = connect_as_reference(&path);
    conn.batch_execute("PRAGMA journal_mode = WAL").unwrap();
    conn.batch_execute(sql).unwrap();
    (folder, path)
}

fn adopt_and_compare(sql: &str, expected_rows: usize) -> (TempDir, Database) {
    let (folder, path) = reference_file(sql);
    let mut outside = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let known = columns(&mut outside);
    let before = dump(&mut outside, &known);
    assert_eq!(before.len(), expected_rows);
    let database = Database::open(&options(&path)).unwrap();
    assert_eq!(dump(&mut outside, &known), before, "nothing is lost");
    let schema = schema_of(&mut outside);
    let version = ask(
        &mut outside,
        "SELECT CAST(data_version AS TEXT) AS what FROM pragma_data_version",
    );
    drop(Database::open(&options(&path)).unwrap());
    assert_eq!(
        schema_of(&mut outside),
        schema,
        "a second start adds nothing"
    );
    assert_eq!(
        ask(
            &mut outside,
            "SELECT CAST(data_version AS TEXT) AS what FROM pragma_data_version"
        ),
        version,
        "a second start writes nothing"
    );
    (folder, database)
}

#[test]
fn a_file_of_v0_11_is_adopted_whole() {
    let (_folder, database) = adopt_and_compare(V0_11, 17);
    let page = database
        .blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!((page.scans.len(), page.unreadable), (3, 1));
    let id = ScanId::new("05796b0b-8a04-413e-b982-28beca8582ff");
    database
        .write_blocking(|conn| {
            let scan = scans::get(conn, &id)?.unwrap();
            assert_eq!(scan.risk_score, Some(49.7));
            assert_eq!(scan.target_host.as_deref(), Some("127.0.0.1"));
            assert_eq!(
                scan.scanners_run,
                ["bandit", "git-hygiene", "secrets", "semgrep"]
            );
            let found = findings::list(conn, &id, &FindingFilter::default())?.findings;
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].0.fingerprint_v2.as_str(), "");
            assert_eq!(found[0].1.as_ref().unwrap().status, "false_positive");
            assert_eq!(keys::load_all(conn)?[0].scopes, ["admin", "read"]);
            // Interrupted in the reference: ours to end.
            let failed = scans::fail_interrupted(conn, &at(5), "server stopped")?;
            assert_eq!(failed.len(), 1);
            assert_eq!(scans::delete(conn, &id)?, DeleteOutcome::Deleted);
            assert_eq!(
                ask(
                    conn,
                    "SELECT scan_id AS what FROM sbom_documents ORDER BY rowid"
                ),
                [id.as_str(), "unknown"],
                "documents outlive their scan"
            );
            Ok(())
        })
        .unwrap();
    store(&database, "ours", &completed(Vec::new()));
}

#[test]
fn an_older_file_gets_what_it_lacks() {
    let (_folder, database) = adopt_and_compare(OLDER, 2);
    let page = database
        .blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!(page.scans.len(), 1);
    assert!(page.scans[0].scanners_skipped.is_empty());
    store(
        &database,
        "ours",
        &completed(vec![finding("ours", 1, Severity::Low)]),
    );
    sound(&database);
}

#[test]
fn the_reference_can_write_to_the_file_afterwards() {
    let (_folder, path) = reference_file(V0_11);
    drop(Database::open(&options(&path)).unwrap());
    let mut reference = connect_as_reference(&path);
    // Its own start, and its own way to save.
    reference.batch_execute(V0_11_START).unwrap();
    reference
        .batch_execute(
            "INSERT OR REPLACE INTO scans (id, target_path, scan_types, status) VALUES ('new', '/t', '[\"code\"]', 'completed');
             INSERT OR REPLACE INTO findings (id, scan_id, scanner, scan_type, severity, title, description) VALUES ('new', 'new', 's', 'code', 'low', 't', 'd');
             INSERT INTO sbom_documents (id, scan_id, target_path, created_at) VALUES ('new', 'gone', '/t', 'now');",
        )
        .unwrap();
    let database = Database::open(&options(&path)).unwrap();
    let found = database
        .blocking(|conn| findings::all(conn, &ScanId::new("new")))
        .unwrap();
    assert_eq!(found.len(), 1);
}

const V0_11_START: &str = "CREATE TABLE IF NOT EXISTS scans (id TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS sbom_documents (id TEXT PRIMARY KEY, scan_id TEXT, FOREIGN KEY (scan_id) REFERENCES scans(id));
    CREATE INDEX IF NOT EXISTS idx_findings_scan_id ON findings(scan_id);";

#[test]
fn two_programs_may_adopt_a_file_at_the_same_time() {
    let (_folder, path) = reference_file(V0_11);
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| Database::open(&options(&path)).map(drop)))
            .collect();
        for thread in opened {
            thread.join().unwrap().unwrap();
        }
    });
}

#[test]
fn an_adoption_that_fails_changes_nothing() {
    let (_folder, path) = reference_file(V0_11);
    let mut outside = connect_as_reference(&path);
    outside
        .batch_execute("CREATE TABLE scan_scanners (in_the_way INTEGER)")
        .unwrap();
    let before = schema_of(&mut outside);
    let failed = Database::open(&options(&path));
    assert!(
        matches!(failed, Err(StorageError::Migration(_))),
        "{failed:?}"
    );
    assert_eq!(schema_of(&mut outside), before);
    outside.batch_execute("DROP TABLE scan_scanners").unwrap();
    Database::open(&options(&path)).unwrap();
}
