//! The scanner on whole trees, with and without a repository.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::scanners::{CancelFlag, ScannerReport, ScannerSettings, walk};

pub(super) fn write(root: &Path, relative: &str, content: &str) {
    let path = root.join(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a repository that tracks the given paths.
pub(super) fn repository(root: &Path, tracked: &[&str]) {
    gix::ThreadSafeRepository::init_opts(
        root,
        gix::create::Kind::WithWorktree,
        gix::create::Options {
            destination_must_be_empty: Some(false),
            ..Default::default()
        },
        gix::open::Options::isolated(),
    )
    .unwrap();
    let mut state = gix::index::State::new(gix::hash::Kind::Sha1);
    for path in tracked {
        state.dangerously_push_entry(
            gix::index::entry::Stat::default(),
            gix::ObjectId::empty_blob(gix::hash::Kind::Sha1),
            gix::index::entry::Flags::empty(),
            gix::index::entry::Mode::FILE,
            (*path).into(),
        );
    }
    state.sort_entries();
    let mut index = gix::index::File::from_state(state, root.join(".git/index"));
    index.write(gix::index::write::Options::default()).unwrap();
}

fn scan(root: &Path) -> ScannerReport {
    let root = root.canonicalize().unwrap();
    let context = ScanContext {
        target: Arc::new(Target {
            shown: root.display().to_string(),
            is_directory: root.is_dir(),
            root,
        }),
        cancel: CancelFlag::default(),
        settings: Arc::new(ScannerSettings {
            threads: 2,
            ..Default::default()
        }),
    };
    let report = Mutex::new(None);
    let detector: Arc<dyn Detector> = Arc::new(GitHygiene::default());
    walk::run(&[detector], &context, &|_, done| {
        *report.lock().unwrap() = Some(done)
    });
    let report = report.into_inner().unwrap().unwrap();
    assert!(report.error.is_none(), "{:?}", report.error);
    report
}

/// Ids without their prefix, and files.
fn brief(report: &ScannerReport) -> Vec<(String, String)> {
    let id = |f: &RawFinding| f.rule_id.clone().unwrap().replace("git-hygiene/", "");
    let file = |f: &RawFinding| f.file_path.clone().unwrap();
    report.findings.iter().map(|f| (id(f), file(f))).collect()
}

fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(id, file)| ((*id).to_owned(), (*file).to_owned()))
        .collect()
}

#[test]
fn the_sample_project_gives_what_the_reference_gave() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", "*.log\ncoverage/");
    write(root, ".env", "A=1\n");
    write(root, "certs/id_ed25519", "x");
    write(root, "certs/server.key", "x");
    write(root, "credentials.json", "{}");
    write(root, "deploy/prod.env", "A=1\n");
    let report = scan(root);
    let all: Vec<_> = report
        .findings
        .iter()
        .map(|f| {
            (
                f.file_path.as_deref().unwrap(),
                f.rule_id.as_deref().unwrap(),
                f.title.as_str(),
                f.description.as_str(),
                f.remediation.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            (
                ".env",
                "git-hygiene/sensitive-file--env",
                "Sensitive file in project: .env",
                "Environment file with potential secrets. File found at .env.",
                "Remove '.env' from version control, add it to .gitignore, and rotate any credentials it contains."
            ),
            (
                ".gitignore",
                "git-hygiene/missing-ignore-env",
                "'.env' not in .gitignore but exists in project",
                "'.env' exists in the project but is not listed in .gitignore. This file may contain sensitive data.",
                "Add '.env' to your .gitignore file."
            ),
            (
                "certs/id_ed25519",
                "git-hygiene/sensitive-file-id_ed25519",
                "Sensitive file in project: id_ed25519",
                "SSH private key. File found at certs/id_ed25519.",
                "Remove 'id_ed25519' from version control, add it to .gitignore, and rotate any credentials it contains."
            ),
            (
                "credentials.json",
                "git-hygiene/sensitive-file-credentials-json",
                "Sensitive file in project: credentials.json",
                "Credentials file. File found at credentials.json.",
                "Remove 'credentials.json' from version control, add it to .gitignore, and rotate any credentials it contains."
            ),
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.severity == Severity::Critical
                && f.metadata.is_empty()
                && f.line_start.is_none()
                && f.fingerprint_cwe.is_none())
    );
}

#[test]
fn a_project_without_rules_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let report = scan(dir.path());
    assert_eq!(brief(&report), owned(&[("no-gitignore", "")]));
    assert_eq!(report.findings[0].severity, Severity::Medium);
}

#[test]
fn an_ignored_file_is_reported_only_if_git_tracks_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", ".env\n");
    write(root, ".env", "A=1");
    write(root, "sub/.env", "A=1");
    repository(root, &["sub/.env"]);
    let report = scan(root);
    assert_eq!(
        brief(&report),
        owned(&[("sensitive-file--env", "sub/.env")])
    );
    assert_eq!(report.findings[0].severity, Severity::Critical);
    assert_eq!(report.findings[0].metadata["git_status"], "tracked");
}

#[test]
fn words_and_comments_in_rules_are_no_rules() {
    for rules in ["venv/\n", "# keep .env out\n", "", "environment.env.txt\n"] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".gitignore", rules);
        write(dir.path(), ".env", "A=1");
        let expected = owned(&[
            ("sensitive-file--env", ".env"),
            ("missing-ignore-env", ".gitignore"),
        ]);
        assert_eq!(brief(&scan(dir.path())), expected, "{rules}");
    }
}

#[test]
fn rules_above_the_target_count() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", ".env\n");
    write(root, "sub/.env", "A=1");
    write(root, "sub/.npmrc", "a=b");
    repository(root, &[]);
    assert_eq!(brief(&scan(&root.join("sub"))), []);
    assert_eq!(brief(&scan(&root.join("sub/.env"))), []);
}

#[test]
fn keys_count_and_certificates_do_not() {
    let begin = |label: &str| format!("-----BEGIN {label}-----\nMII\n-----END {label}-----\n");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", "*.log\n");
    write(root, "ca.pem", &begin("CERTIFICATE"));
    write(root, "server.key", &begin(&["PRIVATE", " KEY"].concat()));
    write(root, "venv/store.p12", "x");
    fs::create_dir(root.join("id_rsa")).unwrap();
    assert_eq!(
        brief(&scan(root)),
        owned(&[
            ("missing-ignore-key", ".gitignore"),
            ("sensitive-file-key", "server.key"),
            ("sensitive-file-p12", "venv/store.p12"),
        ])
    );
}

#[test]
fn a_broken_repository_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", "");
    write(root, ".git/HEAD", "nonsense");
    write(root, "id_rsa", "x");
    let report = scan(root);
    assert_eq!(report.findings.len(), 2);
    assert_eq!(report.coverage.skipped["broken-repository"], 1);
}
