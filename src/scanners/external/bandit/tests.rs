//! Reports as bandit 1.9 writes them, and what became of them.

use super::super::testing::Workshop;
use super::*;
use crate::engine::fingerprint::v2_all;
use crate::scanners::registry::{Availability, Kind};
use crate::scanners::standard;

const REPORT: &str = include_str!("../../../../tests/fixtures/bandit.json");

/// Looks like a password to bandit and to our own detector, so it is put together here.
fn password() -> String {
    ["it's \\\"", "au", "SoPPPA", "oFa2Em"].concat()
}

fn report() -> String {
    REPORT.replace("@PASSWORD@", &password())
}

fn project() -> Workshop {
    let workshop = Workshop::new();
    workshop.file("app/main.py", &"import os\n".repeat(40));
    workshop.file("app/config.py", "x = 1\n");
    workshop.file("app/broken.py", "def (\n");
    workshop
}

fn scan(workshop: &Workshop, program: &Path) -> Result<ToolRun, ScannerError> {
    Bandit.scan(program, &workshop.context(""))
}

#[test]
fn findings_are_mapped_as_in_the_contract() {
    let workshop = project();
    let run = scan(&workshop, &workshop.reporter("bandit", &report(), 1)).unwrap();
    let shown: Vec<_> = run
        .findings
        .iter()
        .map(|f| {
            (
                f.rule_id.as_deref().unwrap(),
                f.severity,
                f.file_path.as_deref().unwrap(),
                f.line_start.unwrap(),
                f.cwe.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("B105", Severity::Low, "app/config.py", 8, "CWE-259"),
            ("B403", Severity::Low, "app/main.py", 3, "CWE-502"),
            ("B602", Severity::High, "app/main.py", 15, "CWE-78"),
            ("B307", Severity::Medium, "app/main.py", 20, "CWE-78"),
            ("B104", Severity::Medium, "app/main.py", 46, "CWE-605"),
        ]
    );
    let shell = &run.findings[2];
    assert_eq!(shell.title, "subprocess_popen_with_shell_equals_true");
    assert_eq!(
        shell.description,
        "subprocess call with shell=True identified, security issue."
    );
    assert_eq!(shell.line_end, Some(15));
    assert_eq!(shell.fingerprint_cwe, shell.cwe);
    assert_eq!(shell.remediation, None);
    assert_eq!(
        serde_json::to_string(&shell.metadata).unwrap(),
        r#"{"confidence":"HIGH","more_info":"https://bandit.readthedocs.io/en/1.9.4/plugins/b602_subprocess_popen_with_shell_equals_true.html"}"#
    );
    assert_eq!(run.version.as_deref(), Some("1.2.3"));
}

#[test]
fn a_password_is_never_shown() {
    let workshop = project();
    let run = scan(&workshop, &workshop.reporter("bandit", &report(), 1)).unwrap();
    assert_eq!(
        run.findings[0].description,
        "Possible hardcoded password: '[redacted]'"
    );
    let everything = format!("{run:?}");
    for part in ["au", "it's "].map(|start| format!("{start}{}", "SoPPPA")) {
        assert!(!everything.contains(&part), "{everything}");
    }
    assert!(!everything.contains(&["SoPPPA", "oFa2Em"].concat()));
}

#[test]
fn descriptions_without_quotes_lose_what_follows_the_colon() {
    assert_eq!(description("B106", Some("Password: abc")), "Password");
    assert_eq!(description("B107", Some("no value")), "no value");
    assert_eq!(
        description("B608", Some("a 'quoted' word")),
        "a 'quoted' word"
    );
    assert_eq!(description("B105", None), "No description");
}

#[test]
fn unparsable_files_are_counted_as_passed_over() {
    let workshop = project();
    let run = scan(&workshop, &workshop.reporter("bandit", &report(), 1)).unwrap();
    assert_eq!(run.coverage.files_seen, 2);
    assert_eq!(run.coverage.bytes_seen, 406);
    assert_eq!(run.coverage.skipped, [("unparsable".to_owned(), 1)].into());
}

#[test]
fn a_project_that_excludes_everything_says_so() {
    let workshop = project();
    let report = r#"{"errors": [], "metrics": {"_totals": {}}, "results": []}"#;
    let run = scan(&workshop, &workshop.reporter("bandit", report, 0)).unwrap();
    assert_eq!(run.coverage.skipped, [("excluded".to_owned(), 1)].into());
}

#[test]
fn identity_survives_a_move_of_the_line() {
    let v2 = |prefix: &str, line: u32| {
        let workshop = Workshop::new();
        workshop.file("a.py", &format!("{prefix}eval(x)\n"));
        let report = format!(
            r#"{{"errors": [], "metrics": {{}}, "results": [{{"test_id": "B307", "filename": "./a.py", "line_number": {line}}}]}}"#
        );
        let run = scan(&workshop, &workshop.reporter("bandit", &report, 1)).unwrap();
        assert!(!run.findings[0].subject.place.is_empty());
        v2_all(&run.findings)
    };
    assert_eq!(v2("", 1), v2("\n\n  ", 3));
}

#[test]
fn the_tool_runs_in_the_project_and_sees_no_absolute_path() {
    let workshop = project();
    scan(&workshop, &workshop.reporter("bandit", &report(), 1)).unwrap();
    let project = workshop.path("project").canonicalize().unwrap();
    let seen = workshop.seen();
    assert_eq!(
        seen[..6],
        [
            project.to_str().unwrap(),
            "-r",
            ".",
            "-f",
            "json",
            "--quiet"
        ]
    );
}

#[test]
fn a_single_file_is_scanned_and_keeps_its_name() {
    let workshop = Workshop::new();
    workshop.file("-main.py", "eval(x)\n");
    let report = r#"{"errors": [], "metrics": {"././-main.py": {}, "_totals": {}},
        "results": [{"test_id": "B307", "filename": "././-main.py", "line_number": 1}]}"#;
    let program = workshop.reporter("bandit", report, 1);
    let run = Bandit
        .scan(&program, &workshop.context("-main.py"))
        .unwrap();
    assert_eq!(run.findings[0].file_path.as_deref(), Some("-main.py"));
    assert_eq!(run.coverage.files_seen, 1);
    assert_eq!(
        workshop.seen()[1..5],
        ["./-main.py", "-f", "json", "--quiet"]
    );
}

#[test]
fn without_python_nothing_runs() {
    let workshop = Workshop::new();
    workshop.file("main.go", "package main\n");
    workshop.file("py/readme.md", "x\n");
    let program = workshop.reporter("bandit", "", 2);
    let run = scan(&workshop, &program).unwrap();
    assert!(run.findings.is_empty() && run.coverage == Coverage::default());
    Bandit.scan(&program, &workshop.context("main.go")).unwrap();
    assert!(!workshop.path("seen").exists());
}

#[test]
fn whatever_is_no_whole_report_is_an_error_with_the_reason() {
    let whole = report();
    let (broken_off, _) = whole.split_at(whole.len() / 2);
    for (text, code, expected) in [
        ("", 0, "crashed: no output, exit code 0: last words"),
        ("", 1, "crashed: no output, exit code 1: last words"),
        (" \n", 1, "crashed: no output, exit code 1: last words"),
        (whole.as_str(), 2, "crashed: exit code 2: last words"),
        (
            broken_off,
            1,
            "unreadable output: JSON that breaks off (line ",
        ),
        (
            "Traceback",
            1,
            "unreadable output: not JSON (line 1, column 1), exit code 1: last words",
        ),
        (
            "[]",
            0,
            "unreadable output: JSON of an unknown shape (line 1, column ",
        ),
        (
            "{}",
            0,
            "unreadable output: JSON of an unknown shape (line 1, column 2), exit code 0: last words",
        ),
        (
            r#"{"errors": [], "metrics": {}, "results": [{"test_id": 1}]}"#,
            1,
            "unreadable output: JSON of an unknown shape",
        ),
        (
            r#"{"errors": [], "metrics": {}, "results": []}"#,
            1,
            "crashed: no results, exit code 1: last words",
        ),
    ] {
        let workshop = project();
        let error = scan(&workshop, &workshop.reporter("bandit", text, code)).unwrap_err();
        assert!(
            error.to_string().starts_with(expected),
            "{error} instead of {expected}"
        );
    }
}

#[test]
fn a_cancelled_scan_says_so() {
    let workshop = project();
    let context = workshop.context("");
    context.cancel.cancel();
    let error = Bandit.scan(&workshop.reporter("bandit", "", 0), &context);
    assert!(matches!(error, Err(ScannerError::Cancelled)));
}

#[test]
fn the_shipped_registry_finds_and_runs_it() {
    let workshop = project();
    workshop.reporter("bandit", &report(), 1);
    let registry = standard::registry(vec![workshop.path("bin")]);
    let selected = registry.selected(&[ScanType::Code]);
    let bandit = selected.iter().find(|s| s.info.name == "bandit").unwrap();
    let Availability::Found(program) = registry.availability(bandit) else {
        panic!("not found")
    };
    let Kind::Wrapped(tool) = &bandit.kind else {
        panic!("not wrapped")
    };
    let run = tool.scan(&program, &workshop.context("")).unwrap();
    assert_eq!(run.findings.len(), 5);
}

/// The real one, when it is there.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test looks for the real tool"
)]
fn the_real_bandit_agrees() {
    let path = std::env::var("PATH").unwrap_or_default();
    let Some(program) = path
        .split(':')
        .map(|folder| Path::new(folder).join("bandit"))
        .find(|program| program.is_file())
    else {
        eprintln!("SKIPPED: the_real_bandit_agrees: bandit is not on PATH");
        return;
    };
    let mut workshop = Workshop::new();
    workshop.settings.tool_environment =
        super::super::ToolEnvironment::of([("PATH", path.as_str())]);
    let literal = ["hun", "ter", "2"].concat();
    workshop.file(
        "src/app.py",
        &format!("import subprocess\nsubprocess.call(cmd, shell=True)\npassword = '{literal}'\n"),
    );
    workshop.file("src/broken.py", "def (:\n");
    let run = Bandit.scan(&program, &workshop.context("")).unwrap();
    let rules: Vec<_> = run
        .findings
        .iter()
        .map(|f| (f.rule_id.as_deref().unwrap(), f.line_start.unwrap()))
        .collect();
    assert_eq!(rules, [("B404", 1), ("B602", 2), ("B105", 3)]);
    assert!(
        run.findings
            .iter()
            .all(|f| f.file_path.as_deref() == Some("src/app.py"))
    );
    assert!(!format!("{run:?}").contains(&literal));
    assert!(run.version.is_some());
    assert_eq!(run.coverage.files_seen, 1);
    assert_eq!(run.coverage.skipped, [("unparsable".to_owned(), 1)].into());

    let file = Bandit
        .scan(&program, &workshop.context("src/app.py"))
        .unwrap();
    assert_eq!(file.findings.len(), 3);
    assert_eq!(file.findings[0].file_path.as_deref(), Some("app.py"));
}
