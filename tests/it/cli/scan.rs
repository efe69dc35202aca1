//! `securescan scan`: what it prints where, and how it exits.

use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::process::Signal;
use securescan::kill_points::Point;

use crate::kill::Hold;
use crate::support::binary::{Home, Process};
use crate::support::tree::Tree;

const ESCAPE: char = '\u{1b}';

#[test]
fn findings_alone_are_no_failure_and_the_threshold_is() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let target = tree.text();
    let plain = home.run(&["scan", &target, "--type", "iac"]);
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert!(plain.stdout.contains("Dockerfile:"), "{}", plain.stdout);
    assert!(plain.stdout.contains(" findings: "), "{}", plain.stdout);
    let strict = home.run(&["scan", &target, "-t", "iac", "--fail-on-severity", "info"]);
    assert_eq!(strict.code, Some(1), "{strict:?}");
    assert!(
        strict.stderr.contains("finding(s) at or above 'info'"),
        "{}",
        strict.stderr
    );
    assert!(
        strict.stdout.contains("Dockerfile:"),
        "results are printed all the same"
    );
    home.assert_consistent();
}

#[test]
fn a_threshold_that_nothing_reaches_is_met() {
    let (home, tree) = (Home::new(), Tree::new());
    let ran = home.run(&[
        "scan",
        &tree.text(),
        "-t",
        "iac",
        "--fail-on-severity",
        "info",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("No findings.\n"), "{}", ran.stdout);
}

#[test]
fn bad_usage_is_told_before_anything_is_scanned() {
    let (home, tree) = (Home::new(), Tree::new());
    let target = tree.text();
    let missing = tree.path().join("nope");
    let missing = missing.to_str().unwrap();
    for (arguments, told) in [
        (vec!["scan", missing], "cannot scan"),
        (
            vec!["scan", "/dev/null"],
            "neither a folder nor a regular file",
        ),
        (vec!["scan", &target, "--type", "bogus"], "bogus"),
        (vec!["scan", &target, "--output", "bogus"], "bogus"),
        (
            vec!["scan", &target, "--fail-on-severity", "bogus"],
            "bogus",
        ),
        (vec!["scan", &target, "--bogus"], "--bogus"),
        (vec!["scan", &target, "--output-file", "/nope/x"], "/nope/x"),
        (vec!["bogus"], "bogus"),
        (vec![], "Usage"),
    ] {
        let ran = home.run(&arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    let ran = home.run_with(&["scan", &target], &[("SECURESCAN_SCAN_TIMEOUT", "abc")]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("SECURESCAN_SCAN_TIMEOUT='abc'"),
        "{}",
        ran.stderr
    );
    assert!(!home.database().exists(), "nothing was scanned");
}

#[test]
fn help_and_version_go_to_stdout() {
    let home = Home::new();
    for (arguments, told) in [
        (["--help"].as_slice(), "Exit codes:"),
        (&["scan", "--help"], "--fail-on-severity"),
        (&["serve", "--help"], "--workers"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let ran = home.run(arguments);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(ran.stdout.contains(told), "{arguments:?}: {}", ran.stdout);
    }
}

#[test]
fn json_is_alone_on_stdout() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let ran = home.run(&["scan", &tree.text(), "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let findings: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON alone");
    assert!(!findings.as_array().unwrap().is_empty());
    assert!(findings[0].get("fingerprint").is_some() && findings[0].get("state").is_none());
    let empty = Tree::new();
    let ran = home.run(&["scan", &empty.text(), "-t", "iac", "--output", "json"]);
    assert_eq!(ran.stdout, "[]\n");
}

#[test]
fn an_output_file_has_the_results_and_stdout_nothing() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    for output in ["text", "json"] {
        let file = home.path().join(output);
        let ran = home.run(&[
            "scan",
            &tree.text(),
            "-o",
            output,
            "--output-file",
            file.to_str().unwrap(),
        ]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.contains("Dockerfile") && !text.contains(ESCAPE),
            "{text}"
        );
    }
}

#[test]
fn there_are_no_colours_where_nobody_sees_them() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    for variables in [&[][..], &[("NO_COLOR", "1"), ("TERM", "xterm-256color")]] {
        let ran = home.run_with(&["scan", &tree.text()], variables);
        assert!(
            !ran.stdout.contains(ESCAPE) && !ran.stderr.contains(ESCAPE),
            "{ran:?}"
        );
    }
}

#[test]
fn quiet_says_nothing_but_the_results() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let ran = home.run(&["scan", &tree.text(), "--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn hostile_file_names_cannot_steer_the_terminal() {
    let (home, tree) = (Home::new(), Tree::new());
    tree.write("a\u{1b}]0;owned\u{7}\n/Dockerfile", "FROM ubuntu:latest\n");
    let ran = home.run(&["scan", &tree.text(), "-t", "iac"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains(r"a\u{1b}]0;owned\u{7}\u{a}/Dockerfile"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains([ESCAPE, '\u{7}']) && !ran.stderr.contains(ESCAPE));
    let json = home.run(&["scan", &tree.text(), "-t", "iac", "-o", "json"]);
    assert!(!json.stdout.contains([ESCAPE, '\u{7}']), "{}", json.stdout);
}

#[test]
fn a_target_whose_name_is_no_text_is_refused() {
    let (home, tree) = (Home::new(), Tree::new());
    let target = tree.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&target).unwrap();
    let mut command = home.command(&["scan"]);
    let ran = command.arg(&target).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
}

#[test]
fn a_relative_target_is_shown_as_typed() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let mut command = home.command(&["scan", "-o", "json", "-t", "iac"]);
    let ran = command.current_dir(tree.path()).output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(findings[0]["file_path"], "Dockerfile");
}

fn held(home: &Home, tree: &Tree, point: Point) -> (Process, Hold) {
    let hold = Hold::new(home, point);
    let mut command = home.command(&["scan", &tree.text(), "-t", "iac"]);
    command
        .env("SECURESCAN_PAUSE_AT", &hold.variable)
        .stdout(Stdio::piped());
    let process = Process::start(command);
    hold.wait_reached();
    (process, hold)
}

#[test]
fn ctrl_c_cancels_the_scan() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let (mut process, _hold) = held(&home, &tree, Point::InsideScanners);
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(130), "{}", process.stderr());
    assert_eq!(process.stdout(), "");
    home.assert_consistent();
}

#[test]
fn a_target_that_vanishes_makes_the_scan_incomplete() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let (mut process, hold) = held(&home, &tree, Point::AfterBegin);
    std::fs::remove_dir_all(tree.path()).unwrap();
    hold.release();
    assert_eq!(process.wait().code(), Some(3), "{}", process.stderr());
    assert!(
        process
            .stderr()
            .contains("the scan failed: target cannot be scanned"),
        "{}",
        process.stderr()
    );
    home.assert_consistent();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let (mut process, hold) = held(&home, &tree, Point::InsideScanners);
    process.close_stdout();
    hold.release();
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
    assert!(
        !process.stderr().contains("panicked"),
        "{}",
        process.stderr()
    );
}

#[actix::test]
async fn a_scan_beside_a_server_works_and_says_that_it_is_not_kept() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let server = home.serve(&[]);
    let ran = home.run(&["scan", &tree.text(), "-t", "iac"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("Dockerfile:"), "{}", ran.stdout);
    for told in ["is held by process ", "this scan is not kept"] {
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    server.get("/api/v1/scans").await.assert(200, "[]");
}

#[actix::test]
async fn a_scan_by_command_is_kept_for_the_server() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    assert_eq!(home.run(&["scan", &tree.text(), "-t", "iac"]).code, Some(0));
    let server = home.serve(&[]);
    let list = server.get("/api/v1/scans").await.json();
    assert_eq!(list[0]["status"], "completed", "{list}");
}

/// The command line must neither run what waits for a server nor cut it off when it ends.
#[actix::test]
async fn scans_that_wait_for_a_server_are_left_to_it() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let hold = Hold::new(&home, Point::InsideScanners);
    let mut server = home.serve(&[
        ("SECURESCAN_PAUSE_AT", &hold.variable),
        ("SECURESCAN_MAX_CONCURRENT_SCANS", "1"),
    ]);
    let first = server.start(&tree.text(), &["iac"]).await;
    let waiting = server.start(&tree.text(), &["iac"]).await;
    hold.wait_reached();
    server.process.kill();
    assert_eq!(home.run(&["scan", &tree.text(), "-t", "iac"]).code, Some(0));
    let server = home.serve(&[]);
    server.wait_status(&first, "failed").await;
    let scan = server.wait_status(&waiting, "completed").await;
    let list = server.get("/api/v1/scans").await.json();
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(list[0]["id"], scan["id"], "it started last");
}

#[test]
fn a_scan_without_a_writable_home_works() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let variables = [("SECURESCAN_DATABASE_PATH", "/proc/nope/scans.db")];
    let ran = home.run_with(&["scan", &tree.text(), "-t", "iac"], &variables);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("this scan is not kept"),
        "{}",
        ran.stderr
    );
}
