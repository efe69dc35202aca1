//! Reports as semgrep 1.182 writes them, and what became of them.

use super::super::testing::Workshop;
use super::*;

const REPORT: &str = include_str!("../../../../tests/fixtures/semgrep.json");

fn project() -> Workshop {
    let mut workshop = Workshop::new();
    workshop.file("app/main.py", &"eval(x)\n".repeat(30));
    workshop.file("rules/local.yml", "rules: []\n");
    workshop.settings.semgrep_rules = vec![workshop.path("project/rules/local.yml")];
    workshop
}

fn scan(workshop: &Workshop, program: &Path) -> Result<ToolRun, ScannerError> {
    Semgrep::default().scan(program, &workshop.context(""))
}

fn only(result: &str) -> RawFinding {
    let workshop = project();
    let report = format!(r#"{{"results": [{result}], "errors": [], "paths": {{"scanned": []}}}}"#);
    let mut run = scan(&workshop, &workshop.reporter("semgrep", &report, 0)).unwrap();
    assert_eq!(run.findings.len(), 1);
    run.findings.remove(0)
}

#[test]
fn findings_are_mapped_as_in_the_contract() {
    let workshop = project();
    let run = scan(&workshop, &workshop.reporter("semgrep", REPORT, 0)).unwrap();
    let shown: Vec<_> = run
        .findings
        .iter()
        .map(|f| {
            (
                f.rule_id.as_deref().unwrap(),
                f.severity,
                f.file_path.as_deref().unwrap(),
                (f.line_start.unwrap(), f.line_end.unwrap()),
                f.cwe.as_deref(),
            )
        })
        .collect();
    let injection = "CWE-95: Improper Neutralization of Directives in Dynamically Evaluated Code";
    assert_eq!(
        shown,
        [
            (
                "rules.local-shell-true",
                Severity::Medium,
                "app/main.py",
                (15, 15),
                Some("CWE-78")
            ),
            (
                "rules.local-python-eval",
                Severity::High,
                "app/main.py",
                (20, 20),
                Some(injection)
            ),
            (
                "rules.local-inner-html",
                Severity::Low,
                "static/app.js",
                (2, 2),
                None
            ),
        ]
    );
    let first = &run.findings[0];
    assert_eq!(first.title, "rules.local-shell-true");
    assert_eq!(first.description, "subprocess called through a shell.");
    assert_eq!(
        first.remediation.as_deref(),
        Some("subprocess.run(args, shell=False)")
    );
    assert_eq!(first.fingerprint_cwe, first.cwe);
    assert_eq!(
        serde_json::to_string(&first.metadata).unwrap(),
        r#"{"cwe":"CWE-78"}"#
    );
    assert!(run.findings[2].metadata.is_empty());
    assert_eq!(run.version.as_deref(), Some("1.182.0"));
    assert_eq!(run.coverage.files_seen, 5);
    assert_eq!(run.coverage.bytes_seen, 240);
    assert_eq!(run.coverage.skipped, [("unparsable".to_owned(), 1)].into());
}

#[test]
fn newer_severities_keep_their_meaning() {
    for (name, expected) in [
        ("CRITICAL", Severity::Critical),
        ("HIGH", Severity::High),
        ("error", Severity::High),
        ("MEDIUM", Severity::Medium),
        ("Warning", Severity::Medium),
        ("LOW", Severity::Low),
        ("INFO", Severity::Low),
        ("EXPERIMENT", Severity::Low),
    ] {
        assert_eq!(severity(Some(name)), expected, "{name}");
    }
    assert_eq!(severity(None), Severity::Low);
}

#[test]
fn the_tool_runs_in_the_project_with_its_rules_and_without_usage_data() {
    let workshop = project();
    scan(&workshop, &workshop.reporter("semgrep", REPORT, 0)).unwrap();
    let project = workshop.path("project").canonicalize().unwrap();
    let seen = workshop.seen();
    let expected = [
        project.to_str().unwrap(),
        "scan",
        "--json",
        "--metrics=off",
        "--disable-version-check",
        "--config",
        "./rules/local.yml",
        ".",
    ];
    assert_eq!(seen[..expected.len()], expected);
    assert!(seen.contains(&"SEMGREP_ENABLE_VERSION_CHECK=0".to_owned()));
}

#[test]
fn a_missing_rule_file_is_named_before_anything_runs() {
    let mut workshop = project();
    workshop
        .settings
        .semgrep_rules
        .push(workshop.path("nowhere.yml"));
    let program = workshop.reporter("semgrep", REPORT, 0);
    let error = scan(&workshop, &program).unwrap_err().to_string();
    assert!(error.contains("nowhere.yml not found"), "{error}");
    assert!(!workshop.path("seen").exists());
}

#[test]
fn without_network_and_rules_it_fails_at_once() {
    let mut workshop = project();
    workshop.settings.semgrep_rules.clear();
    // A port that nobody listens on: it was ours a moment ago.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let semgrep = Semgrep {
        registry: ("127.0.0.1", port),
    };
    let started = Instant::now();
    let error = semgrep
        .scan(
            &workshop.reporter("semgrep", REPORT, 0),
            &workshop.context(""),
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(error.contains("SECURESCAN_SEMGREP_RULES"), "{error}");
    assert!(started.elapsed() < REGISTRY_LIMIT);
    assert!(!workshop.path("seen").exists());
}

#[test]
fn with_network_and_without_rules_the_default_rules_are_asked_for() {
    let mut workshop = project();
    workshop.settings.semgrep_rules.clear();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let semgrep = Semgrep {
        registry: ("127.0.0.1", listener.local_addr().unwrap().port()),
    };
    let program = workshop.reporter("semgrep", REPORT, 0);
    semgrep.scan(&program, &workshop.context("")).unwrap();
    assert_eq!(
        workshop.seen()[4..7],
        ["--disable-version-check", "--config", DEFAULT_RULES]
    );
}

#[test]
fn whatever_is_no_whole_report_is_an_error_with_the_reason() {
    let rule = r#"{"results": [], "errors": [{"code": 7, "level": "error", "type": "SemgrepError", "message": "invalid configuration\nfile found"}], "paths": {"scanned": []}}"#;
    let other = r#"{"results": [], "errors": [{"code": 2, "level": "error", "type": "Fatal error", "message": "out of luck"}], "paths": {"scanned": []}}"#;
    let file = r#"{"results": [], "errors": [{"code": 2, "level": "warn", "type": "Timeout", "message": "m", "path": "a.py"}], "paths": {"scanned": []}}"#;
    for (text, code, expected) in [
        ("", 2, "crashed: no output, exit code 2: last words"),
        ("", 0, "crashed: no output, exit code 0: last words"),
        (
            rule,
            7,
            "semgrep rules are unusable: invalid configuration file found",
        ),
        (
            rule,
            0,
            "semgrep rules are unusable: invalid configuration file found",
        ),
        (other, 2, "crashed: out of luck"),
        (file, 2, "crashed: exit code 2: last words"),
        (REPORT, 3, "crashed: exit code 3: last words"),
        (
            REPORT.split_at(REPORT.len() / 2).0,
            0,
            "unreadable output: JSON that breaks off",
        ),
        ("{}", 0, "unreadable output: JSON of an unknown shape"),
    ] {
        let workshop = project();
        let error = scan(&workshop, &workshop.reporter("semgrep", text, code)).unwrap_err();
        assert!(
            error.to_string().starts_with(expected),
            "{error} instead of {expected}"
        );
    }
}

#[test]
fn errors_about_single_files_are_coverage() {
    let workshop = project();
    let report = r#"{"results": [], "errors": [
        {"level": "error", "type": "Timeout", "message": "m", "path": "a.py", "rule_id": "r"},
        {"level": "error", "type": "Timeout", "message": "m", "path": "a.py", "rule_id": "s"},
        {"level": "error", "type": "Out of memory", "message": "m", "path": "b.py"},
        {"level": "warn", "type": ["PartialParsing", []], "message": "m", "path": "c.py"}],
        "paths": {"scanned": ["a.py", "b.py", "c.py", "d.py"]}}"#;
    let run = scan(&workshop, &workshop.reporter("semgrep", report, 2)).unwrap();
    assert_eq!(run.coverage.files_seen, 1);
    let skipped: Vec<_> = run
        .coverage
        .skipped
        .iter()
        .map(|(k, v)| (k.as_str(), *v))
        .collect();
    assert_eq!(
        skipped,
        [("out-of-memory", 1), ("timeout", 1), ("unparsable", 1)]
    );
}

#[test]
fn messages_of_rules_about_secrets_do_not_repeat_them() {
    let value = ["corr", "ect-", "horse-battery"].concat();
    let workshop = project();
    workshop.file("app/config.py", &format!("x = 1\npassword = \"{value}\"\n"));
    let report = format!(
        r#"{{"results": [{{"check_id": "python.hardcoded-password", "path": "app/config.py", "start": {{"line": 2}}, "end": {{"line": 2}},
            "extra": {{"message": "found {value} in code", "fix": "password = env('{value}')", "severity": "ERROR"}}}}],
            "errors": [], "paths": {{"scanned": []}}}}"#
    );
    // The code decides as well as the rule's name.
    for rule in ["python.hardcoded-password", "local.rule"] {
        let report = report.replace("python.hardcoded-password", rule);
        let run = scan(&workshop, &workshop.reporter("semgrep", &report, 0)).unwrap();
        assert_eq!(run.findings[0].description, "found [redacted] in code");
        assert!(!format!("{run:?}").contains(&value));
    }
}

#[test]
fn what_a_result_may_lack_has_a_default() {
    let finding = only(
        r#"{"check_id": "r", "path": "app/main.py", "start": {"line": 1}, "end": {"line": 1}, "extra": {}}"#,
    );
    assert_eq!(finding.description, "No description");
    assert_eq!(finding.severity, Severity::Low);
    assert_eq!((finding.cwe, finding.remediation), (None, None));
}
