//! The life of scans over HTTP (contract/http-api.md 7).

use actix_web::http::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::filters::{assert_extends, filtered};
use crate::support::tools::{HELD, SCRIPTED};
use crate::support::tree::Tree;
use crate::support::wait_until;

#[actix::test]
async fn a_new_scan_is_answered_with_its_pending_row() {
    let app = TestApp::start();
    let tree = Tree::new();
    let body = json!({"target_path": tree.text(), "scan_types": ["code", "iac", "baseline", "dast"], "target_url": null});
    let answer = app.post_text("/api/v1/scans", body.to_string()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let contract = r#"{"id":"ceb78c52-41da-42a8-9a42-d2a8e85db188","target_path":"TARGET","scan_types":["code","iac","baseline","dast"],"status":"pending","started_at":null,"completed_at":null,"findings_count":0,"risk_score":null,"summary":null,"error":null,"target_url":null,"target_host":null,"scanners_run":[],"scanners_skipped":[]}"#;
    assert_extends(&answer.text(), &contract.replace("TARGET", &tree.text()));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(filtered(&id), "[id]");
    app.wait_status(&id, "completed").await;
}

#[actix::test]
async fn types_default_to_code_and_dependency_on_both_mounts() {
    let app = TestApp::start();
    let tree = Tree::new();
    for path in ["/api/scans", "/api/v1/scans"] {
        let body = json!({"target_path": tree.text()}).to_string();
        let answer = app.post_text(path, body).await;
        assert_eq!(answer.json()["scan_types"], json!(["code", "dependency"]));
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let scan = app.wait_status(&id, "completed").await;
        assert_eq!(scan["scan_types"], json!(["code", "dependency"]));
    }
}

#[actix::test]
async fn a_completed_scan_says_what_ran_and_what_did_not() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let id = app.scanned(&tree.text(), &["code", "iac"]).await;
    let answer = app.get(&format!("/api/v1/scans/{id}")).await;
    let scan = answer.json();
    let filtered = filtered(&answer.text());
    assert!(filtered.contains(r#""status":"completed","started_at":"[time]","completed_at":"[time]","findings_count":"#), "{filtered}");
    assert!(
        filtered.contains(
            r#"{"name":"bandit","reason":"not installed","install_hint":"pip install bandit"}"#
        ),
        "{filtered}"
    );
    let names = |list: &str, key: &str| -> Vec<String> {
        let list = scan[list].as_array().unwrap().iter();
        list.map(|item| item.get(key).unwrap_or(item).as_str().unwrap().to_owned())
            .collect()
    };
    let ran = names("scanners_run", "");
    for scanner in ["dockerfile", "git-hygiene"] {
        assert!(ran.contains(&scanner.to_owned()), "{ran:?}");
    }
    assert!(ran.is_sorted());
    assert!(names("scanners_skipped", "name").is_sorted());
    assert_eq!(scan["scanners_failed"], json!([]));
    assert_eq!(scan["queue_position"], json!(null));
    assert!(scan["findings_count"].as_i64().unwrap() > 0);
    assert!(scan["risk_score"].as_f64().unwrap() > 0.0);
}

#[actix::test]
async fn a_repeated_or_odd_scan_type_list_is_echoed_as_sent() {
    let app = TestApp::start();
    let tree = Tree::new();
    let body = json!({"target_path": tree.text(), "scan_types": ["iac", "code", "iac"], "unknown": 1, "target_host": "h", "target_url": "http://u"});
    let answer = app.post_text("/api/v1/scans", body.to_string()).await;
    let scan = answer.json();
    assert_eq!(scan["scan_types"], json!(["iac", "code", "iac"]));
    assert_eq!(
        (&scan["target_url"], &scan["target_host"]),
        (&json!("http://u"), &json!("h"))
    );
    app.wait_ended(scan["id"].as_str().unwrap()).await;
}

#[actix::test]
async fn a_scan_whose_scanner_crashes_or_fails_completes_and_does_not_look_clean() {
    let app = TestApp::start();
    for word in ["panic", "fail"] {
        let tree = Tree::scripted(word);
        let id = app.start(&tree.text(), &[SCRIPTED]).await;
        let scan = app.wait_status(&id, "completed").await;
        assert_eq!(scan["scanners_failed"][0]["name"], "script", "{scan}");
        assert_eq!(scan["scanners_run"], json!([]));
    }
}

#[actix::test]
async fn scans_beyond_the_limit_wait_in_order_and_say_their_place() {
    let app = TestApp::with(&[("SECURESCAN_MAX_CONCURRENT_SCANS", "1")]);
    let tree = Tree::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.start(&tree.text(), &[HELD]).await);
    }
    app.wait_status(&ids[0], "running").await;
    for (place, id) in ids[1..].iter().enumerate() {
        let scan = app.scan(id).await;
        assert_eq!(scan["queue_position"], json!(place + 1), "{scan}");
        assert_eq!(scan["status"], "pending");
    }
    let ready = app.get("/ready").await.json();
    assert_eq!(
        ready["checks"]["queue"],
        json!({"status": "ok", "queued": 4, "running": 1})
    );
    app.holder.open();
    let mut starts = Vec::new();
    for id in &ids {
        let scan = app.wait_status(id, "completed").await;
        starts.push(scan["started_at"].as_str().unwrap().to_owned());
    }
    assert!(starts.is_sorted(), "{starts:?}");
}

#[actix::test]
async fn a_running_scan_can_be_cancelled_once() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    wait_until("the scanner to run", async || {
        (app.holder.inside() == 1).then_some(())
    })
    .await;
    let path = format!("/api/v1/scans/{id}/cancel");
    let answer = app.post(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let contract = r#"{"id":"e89562aa-3a56-4d44-a5bf-deadfab18a50","target_path":"TARGET","scan_types":["network"],"status":"cancelled","started_at":"2026-11-23T12:50:23.948481","completed_at":"2026-11-23T12:50:58.581134","findings_count":0,"risk_score":null,"summary":null,"error":"Scan cancelled by user","target_url":null,"target_host":null,"scanners_run":[],"scanners_skipped":[]}"#;
    assert_extends(&answer.text(), &contract.replace("TARGET", &tree.text()));
    let again = app.post(&path).await;
    again.assert(
        409,
        r#"{"detail":"Cannot cancel scan in 'cancelled' state"}"#,
    );
    wait_until("the scanner to stop", async || {
        (app.holder.inside() == 0).then_some(())
    })
    .await;
}

#[actix::test]
async fn a_waiting_scan_can_be_cancelled_and_those_behind_move_up() {
    let app = TestApp::start();
    let tree = Tree::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.start(&tree.text(), &[HELD]).await);
    }
    let answer = app.post(&format!("/api/v1/scans/{}/cancel", ids[2])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["started_at"], json!(null));
    assert_eq!(app.scan(&ids[3]).await["queue_position"], json!(1));
    app.holder.open();
    app.wait_status(&ids[3], "completed").await;
    assert_eq!(app.scan(&ids[2]).await["status"], "cancelled");
}

/// A cancel races with the start of the scan; it must win or be told that the scan has ended, never
/// that a running scan cannot be cancelled.
#[actix::test]
async fn a_cancel_right_after_the_start_always_cancels() {
    let app = TestApp::start();
    let tree = Tree::new();
    for _ in 0..30 {
        let id = app.start(&tree.text(), &[HELD]).await;
        let answer = app.post(&format!("/api/v1/scans/{id}/cancel")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["status"], "cancelled");
    }
}

#[actix::test]
async fn many_cancels_at_once_give_one_success() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    app.wait_status(&id, "running").await;
    let path = format!("/api/v1/scans/{id}/cancel");
    let answers = futures_util::future::join_all((0..8).map(|_| app.post(&path))).await;
    for answer in &answers {
        assert!(
            answer.status == 200
                || (answer.status == 409
                    && answer.text() == r#"{"detail":"Cannot cancel scan in 'cancelled' state"}"#),
            "{} {}",
            answer.status,
            answer.text()
        );
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert_eq!(app.scan(&id).await["status"], "cancelled");
}

#[actix::test]
async fn an_ended_scan_cannot_be_cancelled() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.scanned(&tree.text(), &["iac"]).await;
    let answer = app.post(&format!("/api/v1/scans/{id}/cancel")).await;
    answer.assert(
        409,
        r#"{"detail":"Cannot cancel scan in 'completed' state"}"#,
    );
}

#[actix::test]
async fn a_scan_is_deleted_once_with_its_findings_and_only_when_it_has_ended() {
    let app = TestApp::with(&[("SECURESCAN_MAX_CONCURRENT_SCANS", "1")]);
    let tree = Tree::with_findings();
    let done = app.scanned(&tree.text(), &["iac"]).await;
    let running = app.start(&tree.text(), &[HELD]).await;
    app.wait_status(&running, "running").await;
    let pending = app.start(&tree.text(), &[HELD]).await;
    let path = |id: &str| format!("/api/v1/scans/{id}");
    app.delete(&path(&running)).await.assert(
        409,
        r#"{"detail":"Cannot delete scan in 'running' state; cancel it first"}"#,
    );
    app.delete(&path(&pending)).await.assert(
        409,
        r#"{"detail":"Cannot delete scan in 'pending' state; cancel it first"}"#,
    );
    let deleted = app.delete(&path(&done)).await;
    deleted.assert(204, "");
    assert_eq!(deleted.header("content-type"), None);
    app.delete(&path(&done))
        .await
        .assert(404, r#"{"detail":"Scan not found"}"#);
    app.get(&path(&done))
        .await
        .assert(404, r#"{"detail":"Scan not found"}"#);
    let findings = format!("{}/findings", path(&done));
    app.get(&findings)
        .await
        .assert(404, r#"{"detail":"Scan not found"}"#);
}

#[actix::test]
async fn unknown_scans_are_not_found_whatever_is_asked_of_them() {
    let app = TestApp::start();
    for id in ["nope", "%20", "..", "a%2Fb", "%FF", "'%20OR%201=1--"] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::POST, "/cancel"),
            (Method::GET, "/findings"),
            (Method::GET, "/summary"),
            (Method::GET, "/events"),
            (Method::POST, "/event-token"),
        ] {
            let path = format!("/api/v1/scans/{id}{rest}");
            let answer = app.send(method.clone(), &path, &[], None).await;
            let known = [
                r#"{"detail":"Scan not found"}"#,
                r#"{"detail":"Not Found"}"#,
            ];
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
            assert!(
                known.contains(&answer.text().as_str()),
                "{method} {path}: {}",
                answer.text()
            );
        }
    }
}

#[actix::test]
async fn delete_compare_is_about_a_scan_of_that_name() {
    let app = TestApp::start();
    let answer = app.delete("/api/v1/scans/compare").await;
    answer.assert(404, r#"{"detail":"Scan not found"}"#);
}

#[actix::test]
async fn the_list_is_filtered_by_state_and_target() {
    let app = TestApp::start();
    let (one, other) = (Tree::new(), Tree::new());
    one.write("sub/x.txt", "");
    let whole = app.scanned(&one.text(), &["iac"]).await;
    let part = app.scanned(&format!("{}/sub", one.text()), &["iac"]).await;
    let elsewhere = app.scanned(&other.text(), &["iac"]).await;
    let held = app.start(&other.text(), &[HELD]).await;
    app.wait_status(&held, "running").await;
    let ids = async |query: &str| -> Vec<String> {
        let answer = app.get(&format!("/api/v1/scans{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list = answer.json();
        let list = list.as_array().unwrap().iter();
        list.map(|scan| scan["id"].as_str().unwrap().to_owned())
            .collect()
    };
    // Newest start first.
    assert_eq!(
        ids("").await,
        [held.clone(), elsewhere.clone(), part.clone(), whole.clone()]
    );
    assert_eq!(ids("?status=running").await, std::slice::from_ref(&held));
    assert_eq!(ids("?status=failed").await, [""; 0]);
    assert_eq!(
        ids(&format!("?target={}", one.text())).await,
        [part.clone(), whole]
    );
    assert_eq!(
        ids(&format!("?target={}/sub&status=completed", one.text())).await,
        [part]
    );
    let bad = app.get("/api/v1/scans?status=done").await;
    assert_eq!(bad.status, 422);
    assert_eq!(bad.json()["detail"][0]["loc"], json!(["query", "status"]));
}

#[actix::test]
async fn targets_outside_the_roots_are_refused() {
    let (inside, outside) = (Tree::new(), Tree::new());
    inside.write("sub/x.txt", "");
    std::os::unix::fs::symlink(outside.path(), inside.path().join("leak")).unwrap();
    let app = TestApp::with(&[("SECURESCAN_SCAN_ROOTS", &inside.text())]);
    for target in [
        outside.text(),
        format!("{}/leak", inside.text()),
        format!("{}/..", inside.text()),
    ] {
        let body = json!({"target_path": target}).to_string();
        let answer = app.post_text("/api/v1/scans", body).await;
        let told =
            format!("Path is outside the allowed scan roots (SECURESCAN_SCAN_ROOTS): {target}");
        answer.assert(400, &json!({"detail": told}).to_string());
    }
    app.scanned(&format!("{}/sub", inside.text()), &["iac"])
        .await;
}
