//! Findings of scans; written once by [`super::scans::finish`], read in the API's order.

use std::fmt;
use std::str::FromStr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use serde_json::Map;

use super::schema::{finding_states, findings};
use super::{InvalidCursor, StorageError, cursor};
use crate::domain::{
    Finding, FindingId, FindingState, Fingerprint, ScanId, Severity, SeverityCounts, json,
};

/// The order of lists. The index `findings_by_severity` has the same expression: change both.
pub(super) const RANK: &str = "CASE findings.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 \
                    WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END";

/// Which findings of a scan to list. Empty texts filter nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Exactly this severity; unknown ones match nothing.
    pub severity: Option<String>,
    /// Exactly this type.
    pub scan_type: Option<String>,
    /// With exactly this compliance tag, ASCII case aside.
    pub compliance: Option<String>,
    /// At most so many; none for all.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<FindingCursor>,
}

/// One page of findings: most urgent first, then as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingPage {
    /// The findings, each with the verdict on its v1 fingerprint.
    pub findings: Vec<(Finding, Option<FindingState>)>,
    /// Where the next page starts; none at the end.
    pub next: Option<FindingCursor>,
}

/// A place in a list of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCursor {
    rank: i64,
    rowid: i64,
}

impl fmt::Display for FindingCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&cursor::encode('f', self.rowid, &self.rank.to_string()))
    }
}

impl FromStr for FindingCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (rowid, rank) = cursor::decode('f', text)?;
        let rank = rank.parse().map_err(|_not_a_number| InvalidCursor)?;
        Ok(Self { rank, rowid })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = findings)]
struct Row {
    id: String,
    scan_id: String,
    scanner: String,
    scan_type: String,
    severity: String,
    title: String,
    description: String,
    file_path: Option<String>,
    line_start: Option<i64>,
    line_end: Option<i64>,
    rule_id: Option<String>,
    cwe: Option<String>,
    remediation: Option<String>,
    metadata: Option<String>,
    fingerprint: Option<String>,
    compliance_tags: Option<String>,
    fingerprint_v2: String,
}

/// Reads any row: a finding that is shown with odd parts left out is better than one that is hidden.
impl From<Row> for Finding {
    fn from(row: Row) -> Self {
        Self {
            id: FindingId(row.id),
            scan_id: ScanId::new(row.scan_id),
            scanner: row.scanner,
            scan_type: row.scan_type,
            severity: row.severity.parse().unwrap_or(Severity::Info),
            title: row.title,
            description: row.description,
            file_path: row.file_path,
            line_start: row.line_start,
            line_end: row.line_end,
            rule_id: row.rule_id,
            cwe: row.cwe,
            remediation: row.remediation,
            metadata: read_json::<Map<_, _>>(row.metadata),
            compliance_tags: read_json(row.compliance_tags),
            fingerprint: Fingerprint(row.fingerprint.unwrap_or_default()),
            fingerprint_v2: Fingerprint(row.fingerprint_v2),
        }
    }
}

fn read_json<T: Default + serde::de::DeserializeOwned>(text: Option<String>) -> T {
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = finding_states)]
struct StateRow {
    fingerprint: String,
    status: String,
    note: Option<String>,
    updated_at: String,
    updated_by: Option<String>,
}

impl From<StateRow> for FindingState {
    fn from(row: StateRow) -> Self {
        Self {
            fingerprint: row.fingerprint,
            status: row.status,
            note: row.note,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = findings, treat_none_as_default_value = false)]
struct NewFinding<'a> {
    id: &'a str,
    scan_id: &'a str,
    scanner: &'a str,
    scan_type: &'a str,
    severity: &'a str,
    title: &'a str,
    description: &'a str,
    file_path: Option<&'a str>,
    line_start: Option<i64>,
    line_end: Option<i64>,
    rule_id: Option<&'a str>,
    cwe: Option<&'a str>,
    remediation: Option<&'a str>,
    metadata: String,
    fingerprint: &'a str,
    compliance_tags: String,
    fingerprint_v2: &'a str,
}

/// Stores findings in order, one prepared statement for all: as fast as long `VALUES` lists, and
/// without their limit on variables.
pub(super) fn insert_all(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
    all: &[Finding],
) -> Result<(), StorageError> {
    let encode = |_not_json| StorageError::Refused("metadata is not JSON");
    for finding in all {
        debug_assert_eq!(&finding.scan_id, scan_id, "a finding belongs to its scan");
        diesel::insert_into(findings::table)
            .values(NewFinding {
                id: &finding.id.0,
                scan_id: scan_id.as_str(),
                scanner: &finding.scanner,
                scan_type: &finding.scan_type,
                severity: finding.severity.as_str(),
                title: &finding.title,
                description: &finding.description,
                file_path: finding.file_path.as_deref(),
                line_start: finding.line_start,
                line_end: finding.line_end,
                rule_id: finding.rule_id.as_deref(),
                cwe: finding.cwe.as_deref(),
                remediation: finding.remediation.as_deref(),
                metadata: json::spaced_ascii(&finding.metadata).map_err(encode)?,
                fingerprint: finding.fingerprint.as_str(),
                compliance_tags: json::spaced_ascii(&finding.compliance_tags).map_err(encode)?,
                fingerprint_v2: finding.fingerprint_v2.as_str(),
            })
            .execute(conn)?;
    }
    Ok(())
}

/// Returns one page of a scan's findings; empty for an unknown scan.
///
/// # Errors
///
/// When the query fails.
pub fn list(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
    filter: &FindingFilter,
) -> Result<FindingPage, StorageError> {
    let limit = filter.limit.map(|limit| usize::try_from(limit.max(1)));
    let limit = limit.map_or(usize::MAX, |limit| limit.unwrap_or(usize::MAX));
    let mut query = findings::table
        .left_join(
            finding_states::table.on(findings::fingerprint
                .eq(finding_states::fingerprint.nullable())
                .and(finding_states::fingerprint.ne(""))),
        )
        .filter(findings::scan_id.eq(scan_id.as_str()))
        .select((
            Row::as_select(),
            Option::<StateRow>::as_select(),
            sql::<BigInt>(RANK),
            sql::<BigInt>("findings.rowid"),
        ))
        .into_boxed();
    let given = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(severity) = given(&filter.severity) {
        query = query.filter(findings::severity.eq(severity));
    }
    if let Some(scan_type) = given(&filter.scan_type) {
        query = query.filter(findings::scan_type.eq(scan_type));
    }
    if let Some(tag) = given(&filter.compliance) {
        query = query.filter(
            sql::<Bool>(
                "EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(findings.compliance_tags) \
                 THEN findings.compliance_tags ELSE '[]' END) AS tag \
                 WHERE tag.type = 'text' AND tag.value = ",
            )
            .bind::<Text, _>(tag)
            .sql(" COLLATE NOCASE)"),
        );
    }
    if let Some(FindingCursor { rank, rowid }) = filter.cursor {
        query = query.filter(
            sql::<Bool>("(")
                .sql(RANK)
                .sql(", findings.rowid) > (")
                .bind::<BigInt, _>(rank)
                .sql(", ")
                .bind::<BigInt, _>(rowid)
                .sql(")"),
        );
    }
    let mut rows: Vec<(Row, Option<StateRow>, i64, i64)> = query
        .order((sql::<BigInt>(RANK), sql::<BigInt>("findings.rowid")))
        .limit(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
        .load(conn)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|(_, _, rank, rowid)| FindingCursor {
            rank: *rank,
            rowid: *rowid,
        });
    let findings = rows
        .into_iter()
        .map(|(row, state, _, _)| (row.into(), state.map(FindingState::from)))
        .collect();
    Ok(FindingPage { findings, next })
}

/// Returns all findings of a scan in the order of lists.
///
/// # Errors
///
/// When the query fails.
pub fn all(conn: &mut SqliteConnection, scan_id: &ScanId) -> Result<Vec<Finding>, StorageError> {
    let rows: Vec<Row> = findings::table
        .filter(findings::scan_id.eq(scan_id.as_str()))
        .select(Row::as_select())
        .order((sql::<BigInt>(RANK), sql::<BigInt>("findings.rowid")))
        .load(conn)?;
    Ok(rows.into_iter().map(Finding::from).collect())
}

/// Counts the stored findings of a scan by severity; unknown severities count as `info`.
///
/// # Errors
///
/// When the query fails.
pub fn counts(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
) -> Result<SeverityCounts, StorageError> {
    let rows: Vec<(String, i64)> = findings::table
        .filter(findings::scan_id.eq(scan_id.as_str()))
        .group_by(findings::severity)
        .select((findings::severity, diesel::dsl::count_star()))
        .load(conn)?;
    let mut counts = SeverityCounts::default();
    for (severity, count) in rows {
        counts.add(
            severity.parse().unwrap_or(Severity::Info),
            u64::try_from(count).unwrap_or(0),
        );
    }
    Ok(counts)
}

/// Returns the names of the scanners that found something, in the order of their first finding as
/// stored.
///
/// # Errors
///
/// When the query fails.
pub fn scanners_with_findings(
    conn: &mut SqliteConnection,
    scan_id: &ScanId,
) -> Result<Vec<String>, StorageError> {
    Ok(findings::table
        .filter(findings::scan_id.eq(scan_id.as_str()))
        .group_by(findings::scanner)
        .select(findings::scanner)
        .order(sql::<BigInt>("min(findings.rowid)"))
        .load(conn)?)
}
