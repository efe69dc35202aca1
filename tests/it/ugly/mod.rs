//! Targets and databases as nobody wants them.

use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use securescan::kill_points::Point;
use serde_json::json;

use crate::kill::Hold;
use crate::support::app::TestApp;
use crate::support::binary::Home;
use crate::support::tools::HELD;
use crate::support::tree::Tree;
use crate::support::wait_until;

/// Scans with everything that is built in; the scan must complete and no scanner may fail.
async fn survives(app: &TestApp, tree: &Tree) -> serde_json::Value {
    let id = app
        .start(&tree.text(), &["code", "iac", "dependency"])
        .await;
    let scan = app.wait_status(&id, "completed").await;
    assert_eq!(scan["scanners_failed"], json!([]), "{scan}");
    assert_eq!(app.get("/health").await.status, 200);
    scan
}

fn fifo(tree: &Tree, name: &str) {
    mknodat(
        CWD,
        tree.path().join(name),
        FileType::Fifo,
        Mode::from(0o644),
        0,
    )
    .unwrap();
}

#[actix::test]
async fn things_that_are_no_files_are_passed_over() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    fifo(&tree, "Dockerfile.fifo");
    fifo(&tree, ".env");
    let _socket = UnixListener::bind(tree.path().join("socket.py")).unwrap();
    for (name, target) in [
        ("zero.py", "/dev/zero"),
        ("stdin.py", "/dev/stdin"),
        ("loop", "."),
        ("up", ".."),
        ("self.py", "self.py"),
        ("gone.py", "/nope"),
        ("proc", "/proc/self"),
    ] {
        symlink(target, tree.path().join(name)).unwrap();
    }
    let scan = survives(&app, &tree).await;
    assert!(scan["findings_count"].as_i64().unwrap() > 0, "{scan}");
}

#[actix::test]
async fn a_fifo_is_no_target() {
    let app = TestApp::start();
    let tree = Tree::new();
    fifo(&tree, "pipe");
    let path = format!("{}/pipe", tree.text());
    let answer = app
        .post_text("/api/v1/scans", json!({"target_path": path}).to_string())
        .await;
    answer.assert(
        400,
        &json!({"detail": format!("Path is not a file or directory: {path}")}).to_string(),
    );
}

#[actix::test]
async fn names_that_are_no_text_are_shown_and_harm_nothing() {
    let app = TestApp::start();
    let tree = Tree::new();
    for name in [
        b"\xff\xfe".as_slice(),
        b"a\nb",
        b"\x1b[31m",
        "\u{202e}".as_bytes(),
        b"-rf",
        &[b'n'; 200],
    ] {
        let folder = std::ffi::OsStr::from_bytes(name);
        tree.write(
            std::path::Path::new(folder).join("Dockerfile"),
            "FROM ubuntu:latest\n",
        );
    }
    let id = app.scanned(&tree.text(), &["iac"]).await;
    let findings = app.findings(&id).await;
    let files: std::collections::BTreeSet<_> = findings
        .iter()
        .map(|finding| finding["file_path"].to_string())
        .collect();
    assert_eq!(files.len(), 6, "{files:?}");
}

#[actix::test]
async fn big_sparse_wide_and_binary_files_are_survived() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    File::create(tree.path().join("sparse.py"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    File::create(tree.path().join("Dockerfile.sparse"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let mut line = File::create(tree.path().join("line.js")).unwrap();
    let block = "x".repeat(1 << 20);
    for _ in 0..50 {
        line.write_all(block.as_bytes()).unwrap();
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    tree.write("binary.py", &bytes);
    tree.write("Dockerfile.binary", &bytes);
    tree.write("half.py", b"\xc3");
    tree.write("utf16.py", b"\xff\xfea\0b");
    let scan = survives(&app, &tree).await;
    assert!(scan["findings_count"].as_i64().unwrap() > 0, "{scan}");
}

#[actix::test]
async fn a_deep_tree_is_walked() {
    let app = TestApp::start();
    let tree = Tree::new();
    let deep = "d/".repeat(400);
    tree.write(format!("{deep}Dockerfile"), "FROM ubuntu:latest\n");
    let scan = survives(&app, &tree).await;
    assert!(scan["findings_count"].as_i64().unwrap() > 0, "{scan}");
}

#[actix::test]
async fn twenty_thousand_empty_files_are_walked() {
    let app = TestApp::start();
    let tree = Tree::new();
    for folder in 0..20 {
        let folder = tree.path().join(folder.to_string());
        std::fs::create_dir(&folder).unwrap();
        for file in 0..1_000 {
            File::create(folder.join(format!("{file}.py"))).unwrap();
        }
    }
    survives(&app, &tree).await;
}

#[actix::test]
async fn broken_git_folders_are_survived() {
    let app = TestApp::start();
    for (name, content) in [
        (".git", "gitdir: /nope"),
        (".git", ""),
        (".git/HEAD", "ref: refs/heads/../../../etc/passwd"),
        (".git/index", "DIRC garbage"),
        (".git/config", "[core\nbroken"),
        (".git/objects/pack/pack-x.idx", "garbage"),
    ] {
        let tree = Tree::with_findings();
        tree.write(name, content);
        let id = app.start(&tree.text(), &["code", "iac"]).await;
        let scan = app.wait_status(&id, "completed").await;
        assert!(
            scan["findings_count"].as_i64().unwrap() > 0,
            "{name}: {scan}"
        );
    }
}

#[actix::test]
async fn what_may_not_be_read_is_counted_and_the_rest_is_scanned() {
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root may read everything");
        return;
    }
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let closed = tree.write("closed/Dockerfile", "FROM ubuntu:latest\n");
    std::fs::set_permissions(closed.parent().unwrap(), PermissionsExt::from_mode(0o0)).unwrap();
    let scan = survives(&app, &tree).await;
    std::fs::set_permissions(closed.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(scan["findings_count"].as_i64().unwrap() > 0, "{scan}");
}

#[actix::test]
async fn a_target_that_vanishes_in_the_middle_ends_its_scan_and_nothing_else() {
    for point in [Point::AfterBegin, Point::InsideScanners] {
        let (home, tree) = (Home::new(), Tree::with_findings());
        let hold = Hold::new(&home, point);
        let mut server = home.serve(&[("SECURESCAN_PAUSE_AT", &hold.variable)]);
        let id = server.start(&tree.text(), &["code", "iac"]).await;
        hold.wait_reached();
        std::fs::remove_dir_all(tree.path()).unwrap();
        hold.release();
        let scan = server.wait_ended(&id).await;
        let failed = scan["status"] == "failed" || scan["scanners_failed"] != json!([]);
        assert!(failed, "a scan of nothing must not look clean: {scan}");
        assert_eq!(server.terminate(), Some(0));
        home.assert_consistent();
    }
}

fn lock(app: &TestApp) -> SqliteConnection {
    let mut other = SqliteConnection::establish(app.database().to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    other
}

#[actix::test]
async fn a_database_that_another_program_locks_is_busy_and_readable() {
    let app = TestApp::start();
    let tree = Tree::new();
    let before = app.scanned(&tree.text(), &["iac"]).await;
    let mut other = lock(&app);
    let body = json!({"target_path": tree.text()}).to_string();
    let answer = app.post_text("/api/v1/scans", body).await;
    answer.assert(
        503,
        r#"{"detail":"the database is locked; try again in a moment"}"#,
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(app.scan(&before).await["status"], "completed");
    other.batch_execute("ROLLBACK").unwrap();
    app.scanned(&tree.text(), &["iac"]).await;
}

#[actix::test]
async fn a_scan_that_ends_while_the_database_is_locked_waits_for_it() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    wait_until("the scanner to run", async || {
        (app.holder.inside() == 1).then_some(())
    })
    .await;
    let mut other = lock(&app);
    app.holder.open();
    wait_until("the scanner to end", async || {
        (app.holder.inside() == 0).then_some(())
    })
    .await;
    assert_eq!(app.scan(&id).await["status"], "running");
    other.batch_execute("ROLLBACK").unwrap();
    app.wait_status(&id, "completed").await;
}

#[actix::test]
async fn a_row_that_no_version_wrote_costs_only_itself() {
    let app = TestApp::start();
    let tree = Tree::new();
    let good = app.scanned(&tree.text(), &["iac"]).await;
    let bad = app.scanned(&tree.text(), &["iac"]).await;
    let mut other = SqliteConnection::establish(app.database().to_str().unwrap()).unwrap();
    let update = format!("UPDATE scans SET scan_types = '[\"bogus\"' WHERE id = '{bad}'");
    other.batch_execute(&update).unwrap();
    let answer = app.get(&format!("/api/v1/scans/{bad}")).await;
    answer.assert(500, r#"{"detail":"Internal Server Error"}"#);
    assert!(answer.header("x-request-id").is_some());
    let list = app.get("/api/v1/scans").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], good.as_str());
    app.delete(&format!("/api/v1/scans/{bad}"))
        .await
        .assert(204, "");
}
