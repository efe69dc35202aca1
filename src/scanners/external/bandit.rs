//! Bandit, the linter for security problems of Python code (contract/scanners.md 2).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::process::{Invocation, Output};
use super::report::{self, Sources};
use super::{Tool, ToolRun};
use crate::domain::{Coverage, RawFinding, ScanType, Severity};
use crate::scanners::{CancelFlag, ScanContext, ScannerError, ScannerInfo, Target};

const INFO: ScannerInfo = ScannerInfo {
    name: "bandit",
    scan_type: ScanType::Code,
    description: "Finds common security problems in Python code.",
    checks: &[
        "Unsafe calls: eval, exec, pickle, shells",
        "Hard-coded passwords and binding to all interfaces",
        "Weak hashes and ciphers",
        "SQL put together from text",
        "Unsafe temporary files",
        "Exceptions swallowed by try/except/pass",
    ],
    install_hint: "pip install bandit",
    installable: true,
};

/// The entry of `metrics` that is no file.
const TOTALS: &str = "_totals";

/// The wrapper.
#[derive(Debug, Default)]
pub struct Bandit;

impl Tool for Bandit {
    fn info(&self) -> ScannerInfo {
        INFO
    }

    fn program(&self) -> &'static str {
        "bandit"
    }

    fn scan(&self, program: &Path, context: &ScanContext) -> Result<ToolRun, ScannerError> {
        if !has_python(&context.target, &context.cancel)? {
            return Ok(ToolRun::default());
        }
        let (folder, argument) = report::ground(&context.target);
        let bandit = Invocation::new(program, folder, &context.settings);
        let version = report::version(bandit.clone().with(["--version"]), &context.cancel)?;
        // A file without -r: the reference never scanned single files (engine-weaknesses 4.6).
        let recursive = context.target.is_directory.then_some("-r");
        let output = bandit
            .with(recursive)
            .with([argument])
            .with(["-f", "json", "--quiet"])
            .run(&context.cancel)?;
        let report = read(&output)?;
        Ok(ToolRun {
            version,
            coverage: coverage(&report, folder),
            findings: findings(report.results, folder),
        })
    }
}

/// Tells whether there is anything for bandit, as it would look itself: links to folders are not
/// followed. Folders that cannot be listed are nothing to it either.
fn has_python(target: &Target, cancel: &CancelFlag) -> Result<bool, ScannerError> {
    let is_python = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".py");
    if !target.is_directory {
        return Ok(target.root.file_name().is_some_and(is_python));
    }
    std::fs::read_dir(&target.root).map_err(|source| ScannerError::Io {
        action: format!("list target {}", target.shown),
        source,
    })?;
    let mut folders = vec![target.root.clone()];
    while let Some(folder) = folders.pop() {
        if cancel.is_cancelled() {
            return Err(ScannerError::Cancelled);
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if is_python(&entry.file_name()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[derive(Debug, Deserialize)]
struct Report {
    results: Vec<Issue>,
    errors: Vec<Problem>,
    metrics: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    test_id: String,
    filename: String,
    line_number: u32,
    test_name: Option<String>,
    issue_text: Option<String>,
    issue_severity: Option<String>,
    issue_confidence: Option<String>,
    issue_cwe: Option<Cwe>,
    more_info: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cwe {
    id: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    filename: String,
    reason: String,
}

/// Judges a run. 0 is "nothing found" and 1 "something found"; but an uncaught exception of Python
/// is 1 too, so 1 needs a whole report with results.
fn read(output: &Output) -> Result<Report, ScannerError> {
    let code = output.status.code();
    if !matches!(code, Some(0 | 1)) {
        return Err(ScannerError::Crashed(output.last_words()));
    }
    let report: Report = report::parse(output)?;
    if code == Some(1) && report.results.is_empty() {
        let words = output.last_words();
        return Err(ScannerError::Crashed(format!("no results, {words}")));
    }
    Ok(report)
}

fn coverage(report: &Report, folder: &Path) -> Coverage {
    let mut coverage = Coverage::default();
    let mut failed = BTreeSet::new();
    for problem in &report.errors {
        failed.insert(problem.filename.as_str());
        coverage.skip(match problem.reason.as_str() {
            "Permission denied" => "permission-denied",
            "No such file or directory" => "vanished",
            _ => "unparsable",
        });
    }
    let seen = report
        .metrics
        .keys()
        .filter(|name| *name != TOTALS && !failed.contains(name.as_str()));
    for name in seen {
        coverage.files_seen += 1;
        coverage.bytes_seen += folder
            .join(report::relative(folder, name))
            .metadata()
            .map_or(0, |file| file.len());
    }
    if coverage.files_seen == 0 && coverage.skipped.is_empty() {
        // There are Python files, but bandit's own or the project's configuration excludes them.
        coverage.skip("excluded");
    }
    coverage
}

fn findings(issues: Vec<Issue>, folder: &Path) -> Vec<RawFinding> {
    let mut sources = Sources::new(folder);
    issues
        .into_iter()
        .map(|issue| finding(issue, folder, &mut sources))
        .collect()
}

fn finding(issue: Issue, folder: &Path, sources: &mut Sources<'_>) -> RawFinding {
    let severity = match issue.issue_severity.as_deref() {
        Some("HIGH") => Severity::High,
        Some("MEDIUM") => Severity::Medium,
        _ => Severity::Low,
    };
    let title = issue.test_name.as_deref().unwrap_or("Unknown issue");
    let file = report::relative(folder, &issue.filename);
    let line = issue.line_number;
    let cwe = issue
        .issue_cwe
        .and_then(|cwe| cwe.id)
        .map(|id| format!("CWE-{id}"));
    let place = report::place(&sources.lines(&file, line, line));
    let description = description(&issue.test_id, issue.issue_text.as_deref());
    let mut finding = RawFinding::new(INFO.name, INFO.scan_type, severity, &issue.test_id, title)
        .described(description)
        .in_file(file)
        .at_line(line)
        .placed(place)
        .with(
            "confidence",
            issue.issue_confidence.as_deref().unwrap_or("UNDEFINED"),
        )
        .with("more_info", issue.more_info.as_deref().unwrap_or_default());
    finding.line_end = Some(line);
    finding.cwe.clone_from(&cwe);
    // Compat: the reference showed bandit's CWE, so it hashed it.
    finding.fingerprint_cwe = cwe;
    finding
}

/// Returns bandit's text, but for the password that the tests for hard-coded ones quote. It is
/// quoted as it is, quotes inside not escaped: everything from the first to the last goes.
fn description(test: &str, text: Option<&str>) -> String {
    let text = text.unwrap_or("No description");
    if !matches!(test, "B105" | "B106" | "B107") {
        return text.to_owned();
    }
    let start = text.split(['\'', '"']).next().unwrap_or_default();
    if start == text {
        return text.split(':').next().unwrap_or_default().to_owned();
    }
    format!("{start}'[redacted]'")
}

#[cfg(test)]
mod tests;
