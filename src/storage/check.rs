//! What must hold for the whole database; for tests.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::StorageError;

/// Each query returns one line per violation.
const RULES: [(&str, &str); 8] = [
    (
        "a finding without a scan",
        "SELECT id AS what FROM findings WHERE scan_id NOT IN (SELECT id FROM scans)",
    ),
    (
        "a scanner record without a scan",
        "SELECT scan_id AS what FROM scan_scanners WHERE scan_id NOT IN (SELECT id FROM scans)",
    ),
    (
        "a scan in an unknown state",
        "SELECT id || ' ' || status AS what FROM scans
         WHERE status NOT IN ('pending', 'running', 'completed', 'failed', 'cancelled')",
    ),
    (
        "a count that is not the number of findings",
        "SELECT id AS what FROM scans
         WHERE findings_count <> (SELECT count(*) FROM findings WHERE scan_id = scans.id)",
    ),
    (
        "an end without a terminal state, or the other way round",
        "SELECT id AS what FROM scans WHERE created_at IS NOT NULL
         AND (completed_at IS NOT NULL) <> (status IN ('completed', 'failed', 'cancelled'))",
    ),
    (
        "a start that does not fit the state",
        "SELECT id AS what FROM scans WHERE created_at IS NOT NULL AND (
             (status = 'pending' AND started_at IS NOT NULL)
             OR (status IN ('running', 'completed', 'failed') AND started_at IS NULL))",
    ),
    (
        "a score that does not fit the state",
        "SELECT id AS what FROM scans WHERE created_at IS NOT NULL
         AND (risk_score IS NOT NULL) <> (status = 'completed')",
    ),
    (
        "one v2 fingerprint twice in a scan",
        "SELECT scan_id || ' ' || fingerprint_v2 AS what FROM findings WHERE fingerprint_v2 <> ''
         GROUP BY scan_id, fingerprint_v2 HAVING count(*) > 1",
    ),
];

/// As [`RULES`]: every receiver that was there before the scan is owed its terminal event.
const OWED: &str = "SELECT scans.id || ' owes ' || webhooks.id AS what FROM scans, webhooks
     WHERE scans.status IN ('completed', 'failed', 'cancelled') AND scans.created_at IS NOT NULL
     AND webhooks.enabled <> 0 AND webhooks.created_at <= scans.created_at
     AND EXISTS (SELECT 1 FROM json_each(webhooks.event_filter) WHERE value =
         CASE scans.status WHEN 'completed' THEN 'scan.complete' WHEN 'failed' THEN 'scan.failed'
         ELSE 'scan.cancelled' END)
     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS owed WHERE owed.webhook_id = webhooks.id
         AND owed.event LIKE 'scan.%' AND json_extract(owed.payload, '$.scan_id') = scans.id)";

#[derive(QueryableByName)]
struct Violation {
    #[diesel(sql_type = Text)]
    what: String,
}

/// Returns everything that is wrong with the database.
///
/// # Errors
///
/// When a query fails.
pub fn violations(conn: &mut SqliteConnection) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    let deliveries = ("a terminal event that was not owed to a receiver", OWED);
    for (name, query) in RULES.into_iter().chain([deliveries]) {
        let rows: Vec<Violation> = diesel::sql_query(query).load(conn)?;
        found.extend(rows.into_iter().map(|row| format!("{name}: {}", row.what)));
    }
    let damage: Vec<Violation> = diesel::sql_query(
        "SELECT integrity_check AS what FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    )
    .load(conn)?;
    found.extend(damage.into_iter().map(|row| row.what));
    Ok(found)
}

/// Panics unless the database is sound: for the end of tests, not for the server.
///
/// A finding has its scan, counts are right, states and times fit, terminal events are owed to
/// every webhook that was there before the scan, no v2 fingerprint twice in a scan, and SQLite's own
/// check finds nothing. Scans of the reference are held to less. That nothing is `running` while no
/// worker runs is for the caller to say.
///
/// # Errors
///
/// When a query fails.
pub fn assert_consistent(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    let found = violations(conn)?;
    assert!(found.is_empty(), "inconsistent database: {found:#?}");
    Ok(())
}
