//! Files that should not be in version control, and rules that should keep them out.
//!
//! Compat: ids and titles are the reference's (contract/scanners.md 11). Unlike the reference it
//! asks git's rules whether a file is ignored, and its index whether a file is tracked
//! (contract/engine-weaknesses.md 2.3 and 3): an ignored and untracked `.env` is as it should be.

mod kinds;
mod status;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use self::kinds::Kind;
use self::status::{Judge, Status};
use crate::domain::{RawFinding, ScanType, Severity};
use crate::scanners::{
    Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo, Target,
};

pub const INFO: ScannerInfo = ScannerInfo {
    name: "git-hygiene",
    scan_type: ScanType::Code,
    description: "Finds sensitive files that git tracks or would pick up, and missing .gitignore rules.",
    checks: &[
        "Missing .gitignore",
        "Missing .gitignore entries",
        "Environment files",
        "Private keys and key stores",
        "Stored credentials of tools",
        "Sensitive files that git tracks already",
    ],
    install_hint: "Built in; nothing to install",
    installable: false,
};

/// Patterns that a `.gitignore` should have if the project has such files at its top.
const WANTED_RULES: [&str; 10] = [
    ".env",
    ".env.local",
    ".env.production",
    ".env.staging",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa",
    "id_ed25519",
];

/// The `git-hygiene` scanner.
#[derive(Default)]
pub struct GitHygiene {
    /// Sensitive files, whatever git makes of them.
    candidates: Mutex<Vec<Candidate>>,
}

#[derive(Clone)]
struct Candidate {
    path: PathBuf,
    relative: String,
    name: String,
    kind: Kind,
}

impl GitHygiene {
    fn remember(&self, entry: &Entry<'_>, kind: Kind) {
        let mut candidates = self
            .candidates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        candidates.push(Candidate {
            path: entry.path.to_owned(),
            relative: entry.relative.to_owned(),
            name: entry.name.to_owned(),
            kind,
        });
    }

    /// Returns the candidates in order, each once.
    fn take_candidates(&self) -> Vec<Candidate> {
        let mut candidates = std::mem::take(
            &mut *self
                .candidates
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        candidates.sort_by(|a, b| a.path.cmp(&b.path));
        candidates.dedup_by(|a, b| a.path == b.path);
        candidates
    }
}

fn kind_of(entry: &Entry<'_>) -> Option<Kind> {
    if entry.is_directory {
        return None;
    }
    let folder = entry.relative.rsplit('/').nth(1).unwrap_or_default();
    kinds::of_name(entry.name, folder)
}

impl Detector for GitHygiene {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, entry: &Entry<'_>, _: &mut Vec<RawFinding>) -> Interest {
        match kind_of(entry) {
            _ if entry.is_directory => Interest::None,
            Some(kind) if kind.content.is_some() => Interest::Content,
            Some(kind) => {
                self.remember(entry, kind);
                Interest::Name
            }
            None => Interest::Name,
        }
    }

    fn examine(&self, piece: &Piece<'_>, _: &mut Vec<RawFinding>) {
        if let Some(kind) = kind_of(piece.entry)
            && kind.content.is_some_and(|accepts| accepts(piece.bytes))
        {
            self.remember(piece.entry, kind);
        }
    }

    fn finish(&self, context: &ScanContext) -> Result<Finish, ScannerError> {
        let target = &*context.target;
        let base = if target.is_directory {
            target.root.as_path()
        } else {
            target.root.parent().unwrap_or(&target.root)
        };
        let mut judge = Judge::new(base);
        let mut finish = Finish::default();
        let mut exposed = Vec::new();
        for candidate in self.take_candidates() {
            if context.cancel.is_cancelled() {
                return Err(ScannerError::Cancelled);
            }
            let status = judge.status(&candidate.path);
            if status != Status::Ignored {
                finish.findings.push(sensitive_file(&candidate, status));
                exposed.push((candidate, status));
            }
        }
        if target.is_directory {
            finish
                .findings
                .extend(rules_of_target(target, &mut judge, &exposed));
        }
        for _ in 0..judge.broken() {
            finish.coverage.skip("broken-repository");
        }
        Ok(finish)
    }
}

fn sensitive_file(candidate: &Candidate, status: Status) -> RawFinding {
    let Candidate {
        name,
        kind,
        relative,
        ..
    } = candidate;
    let id = kind
        .id
        .map_or_else(|| name.replace('.', "-"), str::to_owned);
    let finding = RawFinding::new(
        INFO.name,
        INFO.scan_type,
        kind.severity,
        format!("git-hygiene/sensitive-file-{id}"),
        format!("Sensitive file in project: {name}"),
    )
    .described(format!("{}. File found at {relative}.", kind.what))
    .remedied_by(format!(
        "Remove '{name}' from version control, add it to .gitignore, and rotate any credentials it contains."
    ))
    .in_file(relative)
    .shown_cwe("CWE-538");
    match status {
        Status::Tracked { .. } => finding.with("git_status", "tracked"),
        Status::Untracked => finding.with("git_status", "untracked"),
        // Compat: the reference, which never asks git, has no metadata.
        Status::Ignored | Status::NoRepository => finding,
    }
}

/// Judges the target's `.gitignore` by the sensitive files at its top that are not ignored.
fn rules_of_target(
    target: &Target,
    judge: &mut Judge,
    exposed: &[(Candidate, Status)],
) -> Vec<RawFinding> {
    if !has_rules(&target.root) {
        let top = judge.top(&target.root);
        let is_covered = top.is_some_and(|top| {
            let above = target.root.ancestors().skip(1);
            above
                .take_while(|folder| folder.starts_with(&top))
                .any(has_rules)
        });
        return if is_covered {
            Vec::new()
        } else {
            vec![no_rules()]
        };
    }
    let is_at_top = |(candidate, status): &&(Candidate, Status)| {
        let has_rule = *status == Status::Tracked { is_ruled_out: true };
        !has_rule && !candidate.relative.contains('/')
    };
    let names: Vec<&str> = exposed
        .iter()
        .filter(is_at_top)
        .map(|(candidate, _)| candidate.name.as_str())
        .collect();
    let is_needed = |pattern: &&&str| match pattern.strip_prefix('*') {
        Some(ending) => names.iter().any(|name| name.ends_with(ending)),
        None => names.contains(*pattern),
    };
    WANTED_RULES
        .iter()
        .filter(is_needed)
        .map(|pattern| missing_rule(pattern))
        .collect()
}

fn has_rules(folder: &Path) -> bool {
    folder.join(".gitignore").symlink_metadata().is_ok()
}

fn no_rules() -> RawFinding {
    RawFinding::new(
        INFO.name,
        INFO.scan_type,
        Severity::Medium,
        "git-hygiene/no-gitignore",
        "No .gitignore file found",
    )
    .described(
        "Project has no .gitignore file. Sensitive files, build artifacts, and dependencies may be committed to version control.",
    )
    .remedied_by(
        "Create a .gitignore file. Use gitignore.io or GitHub's templates for your project type.",
    )
    .in_file("")
}

fn missing_rule(pattern: &str) -> RawFinding {
    let clean = pattern.trim_start_matches(['*', '.']);
    RawFinding::new(
        INFO.name,
        INFO.scan_type,
        Severity::Critical,
        format!("git-hygiene/missing-ignore-{clean}"),
        format!("'{pattern}' not in .gitignore but exists in project"),
    )
    .described(format!(
        "'{pattern}' exists in the project but is not listed in .gitignore. This file may contain sensitive data."
    ))
    .remedied_by(format!("Add '{pattern}' to your .gitignore file."))
    .in_file(".gitignore")
    .shown_cwe("CWE-538")
    .placed(pattern)
}

#[cfg(test)]
mod tests;
