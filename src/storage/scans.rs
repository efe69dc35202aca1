//! Scans and what each scanner did in them.
//!
//! Invariant: a terminal state never changes. Every change of state names the state it starts from
//! in its `WHERE`, and tells whether it happened.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel::sqlite::Sqlite;

use super::schema::{findings, scan_scanners, scans};
use super::{InvalidCursor, StorageError, cursor};
use crate::domain::{
    Coverage, Scan, ScanId, ScanOutcome, ScanStatus, ScanType, ScannerRecord, ScannerSkip,
    ScannerStatus, Timestamp, json,
};

/// Which scans to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFilter {
    /// Only those in this state.
    pub status: Option<ScanStatus>,
    /// Only those of this path, or of anything in that folder.
    pub target: Option<String>,
    /// At most so many rows; none for all.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<ScanCursor>,
}

/// One page of scans: newest start first, those that never started last.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanPage {
    /// The scans.
    pub scans: Vec<Scan>,
    /// Where the next page starts; none at the end.
    pub next: Option<ScanCursor>,
    /// Rows on this page that could not be read and are left out.
    pub unreadable: usize,
}

/// A place in the list of scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor {
    started_at: Option<String>,
    rowid: i64,
}

impl fmt::Display for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.started_at {
            Some(at) => cursor::encode('s', self.rowid, at),
            None => cursor::encode('n', self.rowid, ""),
        };
        f.pad(&text)
    }
}

impl FromStr for ScanCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if let Ok((rowid, at)) = cursor::decode('s', text) {
            return Ok(Self {
                started_at: Some(at),
                rowid,
            });
        }
        match cursor::decode('n', text)? {
            (rowid, rest) if rest.is_empty() => Ok(Self {
                started_at: None,
                rowid,
            }),
            _ => Err(InvalidCursor),
        }
    }
}

/// What became of a wish to delete a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The scan, its findings and its completeness record are gone.
    Deleted,
    /// There is no such scan.
    NotFound,
    /// It has not ended; nothing was changed.
    NotTerminal(ScanStatus),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = scans)]
struct Row {
    id: String,
    target_path: String,
    scan_types: String,
    status: String,
    started_at: Option<String>,
    completed_at: Option<String>,
    findings_count: Option<i64>,
    risk_score: Option<f64>,
    summary: Option<String>,
    error: Option<String>,
    target_url: Option<String>,
    target_host: Option<String>,
    scanners_run: Option<String>,
    scanners_skipped: Option<String>,
}

impl TryFrom<Row> for Scan {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let corrupt = |reason: String| StorageError::CorruptRow {
            table: "scans",
            id: row.id.clone(),
            reason,
        };
        let scan_types: Vec<ScanType> = serde_json::from_str(&row.scan_types)
            .map_err(|error| corrupt(format!("scan_types: {error}")))?;
        let status: ScanStatus = row
            .status
            .parse()
            .map_err(|error| corrupt(format!("status: {error}")))?;
        Ok(Self {
            scan_types,
            status,
            scanners_run: list_or_empty(row.scanners_run.as_deref())
                .map_err(|error| corrupt(format!("scanners_run: {error}")))?,
            scanners_skipped: list_or_empty::<ScannerSkip>(row.scanners_skipped.as_deref())
                .map_err(|error| corrupt(format!("scanners_skipped: {error}")))?,
            id: ScanId::new(row.id),
            target_path: row.target_path,
            started_at: row.started_at.as_deref().and_then(Timestamp::parse),
            completed_at: row.completed_at.as_deref().and_then(Timestamp::parse),
            findings_count: row.findings_count.unwrap_or(0),
            risk_score: row.risk_score,
            summary: row.summary,
            error: row.error,
            target_url: row.target_url,
            target_host: row.target_host,
            scanners: Vec::new(),
        })
    }
}

/// Compat: contract/config-ops.md 6.1; NULL and empty text are an empty list.
fn list_or_empty<T: serde::de::DeserializeOwned>(text: Option<&str>) -> serde_json::Result<Vec<T>> {
    match text {
        None | Some("") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text),
    }
}

fn encode(value: &impl serde::Serialize) -> Result<String, StorageError> {
    json::spaced_ascii(value).map_err(|_not_json| StorageError::Refused("value is not JSON"))
}

/// Stores a new scan. `created_at` is UTC.
///
/// # Errors
///
/// When its id is taken.
pub fn insert(
    conn: &mut SqliteConnection,
    scan: &Scan,
    created_at: &Timestamp,
) -> Result<(), StorageError> {
    diesel::insert_into(scans::table)
        .values((
            scans::id.eq(scan.id.as_str()),
            scans::target_path.eq(&scan.target_path),
            scans::scan_types.eq(encode(&scan.scan_types)?),
            scans::status.eq(scan.status.as_str()),
            scans::started_at.eq(scan.started_at.map(|at| at.to_string())),
            scans::completed_at.eq(scan.completed_at.map(|at| at.to_string())),
            scans::findings_count.eq(scan.findings_count),
            scans::risk_score.eq(scan.risk_score),
            scans::summary.eq(&scan.summary),
            scans::error.eq(&scan.error),
            scans::target_url.eq(&scan.target_url),
            scans::target_host.eq(&scan.target_host),
            scans::scanners_run.eq(encode(&scan.scanners_run)?),
            scans::scanners_skipped.eq(encode(&scan.scanners_skipped)?),
            scans::created_at.eq(created_at.to_string()),
        ))
        .execute(conn)?;
    insert_scanners(conn, &scan.id, &scan.scanners)
}

/// Returns a scan with its completeness record.
///
/// # Errors
///
/// [`StorageError::CorruptRow`] when the row holds what no version ever wrote.
pub fn get(conn: &mut SqliteConnection, id: &ScanId) -> Result<Option<Scan>, StorageError> {
    let row: Option<Row> = scans::table
        .filter(scans::id.eq(id.as_str()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let mut scan = Scan::try_from(row)?;
    attach_scanners(conn, std::slice::from_mut(&mut scan))?;
    Ok(Some(scan))
}

/// Returns the state of a scan; none when there is no such scan or its state is unknown.
///
/// # Errors
///
/// When the query fails.
pub fn status(
    conn: &mut SqliteConnection,
    id: &ScanId,
) -> Result<Option<ScanStatus>, StorageError> {
    let status: Option<String> = scans::table
        .filter(scans::id.eq(id.as_str()))
        .select(scans::status)
        .first(conn)
        .optional()?;
    Ok(status.and_then(|status| status.parse().ok()))
}

/// Returns one page of scans. Call it within [`super::Database::read`]: those that started and those
/// that did not are two queries, and one that starts in between would be in neither.
///
/// A scan that starts while its list is being paged moves to the front, where the pages have been
/// already; all others are seen exactly once.
///
/// # Errors
///
/// When a query fails.
pub fn list(conn: &mut SqliteConnection, filter: &ScanFilter) -> Result<ScanPage, StorageError> {
    let limit = filter.limit.map(|limit| usize::try_from(limit.max(1)));
    let limit = limit.map_or(usize::MAX, |limit| limit.unwrap_or(usize::MAX));
    // One row more than asked tells whether there is a next page.
    let mut wanted = limit.saturating_add(1);
    let mut rows: Vec<(Row, i64)> = Vec::new();
    if !matches!(&filter.cursor, Some(cursor) if cursor.started_at.is_none()) {
        rows = started(conn, filter, wanted)?;
        wanted = wanted.saturating_sub(rows.len());
    }
    if wanted > 0 {
        rows.extend(not_started(conn, filter, wanted)?);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(row, rowid)| ScanCursor {
        started_at: row.started_at.clone(),
        rowid: *rowid,
    });
    let read = rows.len();
    let mut scans: Vec<Scan> = rows
        .into_iter()
        .filter_map(|(row, _)| Scan::try_from(row).ok())
        .collect();
    attach_scanners(conn, &mut scans)?;
    Ok(ScanPage {
        unreadable: read - scans.len(),
        scans,
        next,
    })
}

type Query<'a> = scans::BoxedQuery<
    'a,
    Sqlite,
    (
        diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<Row, Sqlite>>,
        BigInt,
    ),
>;

fn filtered(filter: &ScanFilter) -> Query<'_> {
    let mut query = scans::table
        .select((Row::as_select(), sql::<BigInt>("scans.rowid")))
        .into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(scans::status.eq(status.as_str()));
    }
    if let Some(target) = &filter.target {
        let folder = target.trim_end_matches('/');
        // A range instead of LIKE: no wildcards, and the index serves it. `0` follows `/`.
        query = query.filter(
            scans::target_path
                .eq(target.as_str())
                .or(scans::target_path.eq(folder))
                .or(scans::target_path
                    .ge(format!("{folder}/"))
                    .and(scans::target_path.lt(format!("{folder}0")))),
        );
    }
    query
}

fn started(
    conn: &mut SqliteConnection,
    filter: &ScanFilter,
    wanted: usize,
) -> Result<Vec<(Row, i64)>, StorageError> {
    let mut query = filtered(filter).filter(scans::started_at.is_not_null());
    if let Some(ScanCursor {
        started_at: Some(at),
        rowid,
    }) = &filter.cursor
    {
        query = query.filter(scans::started_at.le(at)).filter(
            scans::started_at
                .lt(at)
                .or(sql::<Bool>("scans.rowid < ").bind::<BigInt, _>(*rowid)),
        );
    }
    Ok(query
        .order((
            scans::started_at.desc(),
            sql::<BigInt>("scans.rowid").desc(),
        ))
        .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
        .load(conn)?)
}

fn not_started(
    conn: &mut SqliteConnection,
    filter: &ScanFilter,
    wanted: usize,
) -> Result<Vec<(Row, i64)>, StorageError> {
    let mut query = filtered(filter).filter(scans::started_at.is_null());
    if let Some(ScanCursor {
        started_at: None,
        rowid,
    }) = &filter.cursor
    {
        query = query.filter(sql::<Bool>("scans.rowid < ").bind::<BigInt, _>(*rowid));
    }
    Ok(query
        .order(sql::<BigInt>("scans.rowid").desc())
        .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
        .load(conn)?)
}

/// `pending` → `running`; returns whether it happened. `started_at` is local time.
///
/// # Errors
///
/// When the query fails.
pub fn begin(
    conn: &mut SqliteConnection,
    id: &ScanId,
    started_at: &Timestamp,
) -> Result<bool, StorageError> {
    let changed = diesel::update(in_state(id, ScanStatus::Pending))
        .set((
            scans::status.eq(ScanStatus::Running.as_str()),
            scans::started_at.eq(started_at.to_string()),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// `running` → the outcome's state, with its findings and its completeness record; returns whether
/// it happened. Writes nothing when the scan was not running. Call it within [`super::Database::write`].
///
/// # Errors
///
/// [`StorageError::Refused`] when the outcome is no terminal state; else those of the queries.
pub fn finish(
    conn: &mut SqliteConnection,
    id: &ScanId,
    outcome: &ScanOutcome,
) -> Result<bool, StorageError> {
    if !outcome.status.is_terminal() {
        return Err(StorageError::Refused("a scan ends in a terminal state"));
    }
    let (run, skipped) = summary_lists(outcome);
    let count = i64::try_from(outcome.findings.len()).unwrap_or(i64::MAX);
    let changed = diesel::update(in_state(id, ScanStatus::Running))
        .set((
            scans::status.eq(outcome.status.as_str()),
            scans::completed_at.eq(outcome.completed_at.to_string()),
            scans::error.eq(&outcome.error),
            scans::risk_score.eq(outcome.risk_score),
            scans::findings_count.eq(count),
            scans::scanners_run.eq(encode(&run)?),
            scans::scanners_skipped.eq(encode(&skipped)?),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(false);
    }
    super::findings::insert_all(conn, id, &outcome.findings)?;
    insert_scanners(conn, id, &outcome.scanners)?;
    Ok(true)
}

/// Compat: contract/scan-orchestration.md 3.1; a cancelled scan shows neither list.
fn summary_lists(outcome: &ScanOutcome) -> (Vec<&str>, Vec<ScannerSkip>) {
    if outcome.status == ScanStatus::Cancelled {
        return (Vec::new(), Vec::new());
    }
    let of = |status: ScannerStatus| {
        outcome
            .scanners
            .iter()
            .filter(move |record| record.status == status)
    };
    let mut run: Vec<&str> = of(ScannerStatus::Completed)
        .map(|record| record.scanner.as_str())
        .collect();
    run.sort_unstable();
    let mut skipped: Vec<ScannerSkip> = of(ScannerStatus::Skipped)
        .map(|record| ScannerSkip {
            name: record.scanner.clone(),
            reason: record.reason.clone().unwrap_or_default(),
            install_hint: record.install_hint.clone(),
        })
        .collect();
    skipped.sort_by(|a, b| a.name.cmp(&b.name));
    (run, skipped)
}

/// `pending` → `cancelled`; returns whether it happened. `at` is local time.
///
/// # Errors
///
/// When the query fails.
pub fn cancel_pending(
    conn: &mut SqliteConnection,
    id: &ScanId,
    at: &Timestamp,
    error: &str,
) -> Result<bool, StorageError> {
    let changed = diesel::update(in_state(id, ScanStatus::Pending))
        .set((
            scans::status.eq(ScanStatus::Cancelled.as_str()),
            scans::completed_at.eq(at.to_string()),
            scans::error.eq(error),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// Every `running` → `failed`, for the start of a server: whoever ran them is dead. Returns them in
/// the order in which they were stored. `at` is local time.
///
/// # Errors
///
/// When a query fails.
pub fn fail_interrupted(
    conn: &mut SqliteConnection,
    at: &Timestamp,
    reason: &str,
) -> Result<Vec<ScanId>, StorageError> {
    let interrupted = in_order(conn, ScanStatus::Running)?;
    diesel::update(scans::table.filter(scans::status.eq(ScanStatus::Running.as_str())))
        .set((
            scans::status.eq(ScanStatus::Failed.as_str()),
            scans::completed_at.eq(at.to_string()),
            scans::error.eq(reason),
        ))
        .execute(conn)?;
    Ok(interrupted)
}

/// Returns the scans that wait, first come first.
///
/// # Errors
///
/// When the query fails.
pub fn pending_in_order(conn: &mut SqliteConnection) -> Result<Vec<ScanId>, StorageError> {
    in_order(conn, ScanStatus::Pending)
}

/// Deletes a scan that has ended, with its findings and its completeness record. Verdicts, comments,
/// notifications, bills of materials and deliveries stay. Call it within [`super::Database::write`].
///
/// # Errors
///
/// When a query fails.
pub fn delete(conn: &mut SqliteConnection, id: &ScanId) -> Result<DeleteOutcome, StorageError> {
    let status: Option<String> = scans::table
        .filter(scans::id.eq(id.as_str()))
        .select(scans::status)
        .first(conn)
        .optional()?;
    let Some(status) = status else {
        return Ok(DeleteOutcome::NotFound);
    };
    // A state that no version knows: nobody runs it, so it may go.
    if let Ok(status) = status.parse::<ScanStatus>()
        && !status.is_terminal()
    {
        return Ok(DeleteOutcome::NotTerminal(status));
    }
    diesel::delete(findings::table.filter(findings::scan_id.eq(id.as_str()))).execute(conn)?;
    diesel::delete(scan_scanners::table.filter(scan_scanners::scan_id.eq(id.as_str())))
        .execute(conn)?;
    diesel::delete(scans::table.filter(scans::id.eq(id.as_str()))).execute(conn)?;
    Ok(DeleteOutcome::Deleted)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn in_state<'a>(id: &'a ScanId, status: ScanStatus) -> _ {
    let id: &'a str = id.as_str();
    let status: &'static str = status.as_str();
    scans::table
        .filter(scans::id.eq(id))
        .filter(scans::status.eq(status))
}

fn in_order(conn: &mut SqliteConnection, status: ScanStatus) -> Result<Vec<ScanId>, StorageError> {
    let ids: Vec<String> = scans::table
        .filter(scans::status.eq(status.as_str()))
        .select(scans::id)
        .order(sql::<BigInt>("scans.rowid"))
        .load(conn)?;
    Ok(ids.into_iter().map(ScanId::new).collect())
}

#[derive(Insertable)]
#[diesel(table_name = scan_scanners, treat_none_as_default_value = false)]
struct NewScanner<'a> {
    scan_id: &'a str,
    position: i64,
    scanner: &'a str,
    status: &'a str,
    reason: Option<&'a str>,
    install_hint: Option<&'a str>,
    version: Option<&'a str>,
    findings_count: i64,
    duration_ms: i64,
    files_seen: i64,
    bytes_seen: i64,
    skipped: String,
}

fn insert_scanners(
    conn: &mut SqliteConnection,
    id: &ScanId,
    records: &[ScannerRecord],
) -> Result<(), StorageError> {
    for (position, record) in (0i64..).zip(records) {
        diesel::insert_into(scan_scanners::table)
            .values(NewScanner {
                scan_id: id.as_str(),
                position,
                scanner: &record.scanner,
                status: record.status.as_str(),
                reason: record.reason.as_deref(),
                install_hint: record.install_hint.as_deref(),
                version: record.version.as_deref(),
                findings_count: stored(record.findings_count),
                duration_ms: stored(record.duration_ms),
                files_seen: stored(record.coverage.files_seen),
                bytes_seen: stored(record.coverage.bytes_seen),
                skipped: encode(&record.coverage.skipped)?,
            })
            .execute(conn)?;
    }
    Ok(())
}

fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = scan_scanners)]
struct ScannerRow {
    scan_id: String,
    scanner: String,
    status: String,
    reason: Option<String>,
    install_hint: Option<String>,
    version: Option<String>,
    findings_count: i64,
    duration_ms: i64,
    files_seen: i64,
    bytes_seen: i64,
    skipped: String,
}

impl From<ScannerRow> for ScannerRecord {
    fn from(row: ScannerRow) -> Self {
        let read = |count: i64| u64::try_from(count).unwrap_or(0);
        Self {
            scanner: row.scanner,
            // The table's CHECK allows nothing else.
            status: match row.status.as_str() {
                "completed" => ScannerStatus::Completed,
                "skipped" => ScannerStatus::Skipped,
                _ => ScannerStatus::Failed,
            },
            reason: row.reason,
            install_hint: row.install_hint,
            version: row.version,
            findings_count: read(row.findings_count),
            duration_ms: read(row.duration_ms),
            coverage: Coverage {
                files_seen: read(row.files_seen),
                bytes_seen: read(row.bytes_seen),
                skipped: serde_json::from_str(&row.skipped).unwrap_or_default(),
            },
        }
    }
}

fn attach_scanners(conn: &mut SqliteConnection, scans: &mut [Scan]) -> Result<(), StorageError> {
    let ids: Vec<&str> = scans.iter().map(|scan| scan.id.as_str()).collect();
    // One JSON text instead of a variable per id: there may be more scans than variables.
    let ids = encode(&ids)?;
    let rows: Vec<ScannerRow> = scan_scanners::table
        .filter(
            sql::<Bool>("scan_scanners.scan_id IN (SELECT value FROM json_each(")
                .bind::<diesel::sql_types::Text, _>(ids)
                .sql("))"),
        )
        .order((scan_scanners::scan_id, scan_scanners::position))
        .select(ScannerRow::as_select())
        .load(conn)?;
    let mut by_scan: HashMap<String, Vec<ScannerRecord>> = HashMap::new();
    for row in rows {
        by_scan
            .entry(row.scan_id.clone())
            .or_default()
            .push(row.into());
    }
    for scan in scans {
        scan.scanners = by_scan.remove(scan.id.as_str()).unwrap_or_default();
    }
    Ok(())
}
