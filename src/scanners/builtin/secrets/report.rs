//! Turns hits into findings, with everything but the secret.

use super::NAME;
use super::redact::Secret;
use super::rules::{Confidence, Rule};
use super::scan::Hit;
use super::validity::Verdict;
use crate::domain::{RawFinding, ScanType, Severity};
use crate::scanners::Entry;

/// Weakness that every finding shows.
const CWE: &str = "CWE-798";

/// Counts lines up to places that only grow.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    position: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    /// Starts at the first byte, which is in line `first`.
    pub(super) const fn new(bytes: &'a [u8], first: u32) -> Self {
        Self {
            bytes,
            position: 0,
            line: first,
        }
    }

    /// Returns the line of a place; places come in ascending order, or counting starts over.
    pub(super) fn of(&mut self, place: usize) -> u32 {
        if place < self.position {
            // Never far: a key's header stands just before its body.
            let back = self.bytes.get(place..self.position).unwrap_or_default();
            return self.line
                - u32::try_from(memchr::memchr_iter(b'\n', back).count()).unwrap_or(0);
        }
        let ahead = self.bytes.get(self.position..place).unwrap_or_default();
        self.line = self
            .line
            .saturating_add(u32::try_from(memchr::memchr_iter(b'\n', ahead).count()).unwrap_or(0));
        self.position = place;
        self.line
    }
}

/// Makes the finding of a hit in a file of the tree.
pub(super) fn in_file(
    rule: &Rule,
    hit: &Hit,
    secret: Secret<'_>,
    key: Option<&[u8]>,
    entry: &Entry<'_>,
    line: u32,
) -> RawFinding {
    let title = match key {
        Some(key) => format!("Secret in env file: {}", String::from_utf8_lossy(key)),
        None => format!("Potential {} detected", rule.name),
    };
    finding(rule, hit, secret, format!("secrets/{}", rule.id), title)
        .described(format!(
            "Found potential {} in {} at line {line}. Review and rotate if this is a real credential.",
            rule.name, entry.name
        ))
        .in_file(entry.relative)
        .at_line(line)
}

/// Where in the history a secret was found.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) commit: String,
    pub(super) path: String,
    /// RFC 3339.
    pub(super) date: String,
    pub(super) line: u32,
}

/// Makes the finding of a hit in the git history.
pub(super) fn in_history(
    rule: &Rule,
    hit: &Hit,
    secret: Secret<'_>,
    origin: &Origin,
) -> RawFinding {
    let short = origin.commit.get(..12).unwrap_or(&origin.commit);
    finding(rule, hit, secret, format!("secrets/git-history-{}", rule.id), format!("{} found in git history", rule.name))
        .described(format!(
            "Found potential {} in the git history: commit {short}, {} at line {}. Deleting the file does not remove it; rotate if this is a real credential.",
            rule.name, origin.path, origin.line
        ))
        .in_file(origin.path.clone())
        .at_line(origin.line)
        .with("commit", origin.commit.clone())
        .with("path", origin.path.clone())
        .with("author_date", origin.date.clone())
}

fn finding(
    rule: &Rule,
    hit: &Hit,
    secret: Secret<'_>,
    rule_id: String,
    title: String,
) -> RawFinding {
    let (severity, validity) = match hit.verdict {
        // Shaped like a token, yet not one that the provider issued: worth a look, not an alarm.
        Verdict::Mismatch => (lowered(rule.severity), Some("checksum-mismatch")),
        Verdict::Valid(why) => (rule.severity, Some(why)),
        Verdict::Account(_) => (rule.severity, Some("well-formed")),
        Verdict::Unchecked | Verdict::Refused => (rule.severity, None),
    };
    let severity = if hit.confidence == Confidence::Low && hit.verdict == Verdict::Unchecked {
        severity.min(Severity::High)
    } else {
        severity
    };
    let name = rule.name.to_lowercase();
    let mut remediation = format!(
        "Remove the hardcoded {name} and use environment variables or a secrets manager instead. If this is a real credential, rotate it immediately."
    );
    if !rule.revoke.is_empty() {
        remediation.push_str(" Revoke or rotate it at: ");
        remediation.push_str(&rule.revoke);
        remediation.push('.');
    }
    let mut finding = RawFinding::new(NAME, ScanType::Code, severity, rule_id, title)
        .remedied_by(remediation)
        .shown_cwe(CWE)
        .placed(secret.place())
        .with("confidence", hit.confidence.to_string())
        .with("preview", secret.preview(rule.public_prefix(secret.0)));
    if let Some(validity) = validity {
        finding = finding.with("validity", validity);
    }
    if let Verdict::Account(account) = hit.verdict {
        finding = finding.with("aws_account", format!("{account:012}"));
    }
    finding
}

const fn lowered(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium | Severity::Low => Severity::Low,
        Severity::Info => Severity::Info,
    }
}
