//! What an event owes to the world: webhook deliveries and notifications, stored in the transaction
//! of the event itself.

use diesel::prelude::*;

use super::StorageError;
use super::schema::{notifications, webhook_deliveries, webhooks};
use crate::domain::{ScanEvent, ScanId, Timestamp, json};

/// Longest error text of a failed scan in a notification, in characters.
const SCAN_ERROR_CHARS: usize = 200;
/// Longest error text of a failed scanner in a notification, in characters.
const SCANNER_ERROR_CHARS: usize = 100;

/// Stores everything that an event owes: a notification when people should know, and a delivery for
/// every webhook that wants it. Call it in the transaction that makes the event true.
///
/// # Errors
///
/// When a query fails.
pub fn record(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
    event: &ScanEvent,
    now: &Timestamp,
) -> Result<(), StorageError> {
    let notice = match event {
        ScanEvent::Complete {
            target,
            findings_count,
            ..
        } => Notice::ScanComplete {
            findings_count: *findings_count as u64,
            target: Some(target),
        },
        ScanEvent::Failed { error } => Notice::ScanFailed { error },
        ScanEvent::ScannerFailed { scanner, error, .. } => Notice::ScannerFailed { scanner, error },
        // Nobody is told of the others but those who listen.
        ScanEvent::Start { .. }
        | ScanEvent::ScannerSkipped { .. }
        | ScanEvent::ScannerStart { .. }
        | ScanEvent::ScannerComplete { .. }
        | ScanEvent::Cancelled => return Ok(()),
    };
    notify(conn, scan_id, notice, now)?;
    let mut payload = serde_json::Map::new();
    payload.insert("scan_id".to_owned(), scan_id.as_str().into());
    payload.extend(event.payload());
    let payload = json::spaced_ascii(&payload)
        .map_err(|_not_json| StorageError::Refused("event payload is not JSON"))?;
    owe(conn, scan_id, event.name(), &payload, now)?;
    Ok(())
}

/// Returns deliveries that a former process left under way to the queue; returns how many.
///
/// # Errors
///
/// When the query fails.
pub fn reset_stale(conn: &mut SqliteConnection, now: &Timestamp) -> Result<usize, StorageError> {
    Ok(diesel::update(
        webhook_deliveries::table.filter(webhook_deliveries::status.eq("delivering")),
    )
    .set((
        webhook_deliveries::status.eq("pending"),
        webhook_deliveries::updated_at.eq(now.to_string()),
    ))
    .execute(conn)?)
}

/// Counts the deliveries that are still owed.
///
/// # Errors
///
/// When the query fails.
pub fn owed(conn: &mut SqliteConnection) -> Result<u64, StorageError> {
    let count: i64 = webhook_deliveries::table
        .filter(webhook_deliveries::status.eq_any(["pending", "delivering"]))
        .count()
        .get_result(conn)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Stores one pending delivery per enabled webhook that wants `event`; returns how many.
///
/// `payload` is the `data` of the event with `scan_id` first, as spaced ASCII JSON
/// (contract/events-webhooks-notifications.md 4.8).
///
/// # Errors
///
/// When a query fails.
pub fn owe(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
    event: &str,
    payload: &str,
    now: &Timestamp,
) -> Result<usize, StorageError> {
    debug_assert!(
        payload.contains(scan_id.as_str()),
        "a payload names its scan"
    );
    let receivers: Vec<(String, String)> = webhooks::table
        .filter(webhooks::enabled.ne(0))
        .select((webhooks::id, webhooks::event_filter))
        .order(diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "webhooks.rowid",
        ))
        .load(conn)?;
    let now = now.to_string();
    let mut owed = 0;
    for (webhook_id, filter) in receivers {
        // A filter that nobody can read wants nothing.
        let wanted: Vec<String> = serde_json::from_str(&filter).unwrap_or_default();
        if !wanted.iter().any(|name| name == event) {
            continue;
        }
        owed += diesel::insert_into(webhook_deliveries::table)
            .values((
                webhook_deliveries::id.eq(uuid::Uuid::new_v4().to_string()),
                webhook_deliveries::webhook_id.eq(webhook_id),
                webhook_deliveries::event.eq(event),
                webhook_deliveries::payload.eq(payload),
                webhook_deliveries::status.eq("pending"),
                webhook_deliveries::attempt.eq(0),
                webhook_deliveries::next_attempt_at.eq(&now),
                webhook_deliveries::created_at.eq(&now),
                webhook_deliveries::updated_at.eq(&now),
            ))
            .execute(conn)?;
    }
    Ok(owed)
}

/// An event that people are told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A scan has ended well; tells nobody when it found nothing.
    ScanComplete {
        /// After deduplication.
        findings_count: u64,
        /// What was scanned.
        target: Option<&'a str>,
    },
    /// A scan has failed.
    ScanFailed {
        /// Why.
        error: &'a str,
    },
    /// One scanner of a scan has failed.
    ScannerFailed {
        /// Its name.
        scanner: &'a str,
        /// Why; may be empty.
        error: &'a str,
    },
}

/// Stores a notification; returns whether there was anything to tell.
///
/// Compat: contract/events-webhooks-notifications.md 5, texts included.
///
/// # Errors
///
/// When the query fails.
pub fn notify(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
    notice: Notice<'_>,
    now: &Timestamp,
) -> Result<bool, StorageError> {
    let (kind, title, body, severity) = match notice {
        Notice::ScanComplete {
            findings_count: 0, ..
        } => return Ok(false),
        Notice::ScanComplete {
            findings_count,
            target,
        } => {
            let body = match target.filter(|target| !target.is_empty()) {
                Some(target) => format!("{findings_count} findings on {target}"),
                None => format!("{findings_count} findings"),
            };
            ("scan.complete", "Scan complete", Some(body), "warning")
        }
        Notice::ScanFailed { error } => {
            let body = (!error.is_empty()).then(|| first_chars(error, SCAN_ERROR_CHARS));
            ("scan.failed", "Scan failed", body, "error")
        }
        Notice::ScannerFailed { scanner, error } => {
            let error = first_chars(error, SCANNER_ERROR_CHARS);
            let body = format!("{scanner} failed: {error}");
            ("scanner.failed", "Scanner failed", Some(body), "warning")
        }
    };
    diesel::insert_into(notifications::table)
        .values((
            notifications::id.eq(uuid::Uuid::new_v4().to_string()),
            notifications::type_.eq(kind),
            notifications::title.eq(title),
            notifications::body.eq(body),
            notifications::link.eq(format!("/scan/{scan_id}")),
            notifications::severity.eq(severity),
            notifications::created_at.eq(now.to_string()),
        ))
        .execute(conn)?;
    Ok(true)
}

fn first_chars(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}
