//! Two scans side by side (contract/http-api.md 8.4).

use serde_json::Value;

use crate::support::app::TestApp;
use crate::support::tools::{SCRIPT_FILE, SCRIPTED};
use crate::support::tree::Tree;

async fn compared(app: &TestApp, before: &str, after: &str) -> Value {
    let tree = Tree::scripted(before);
    let a = app.scanned(&tree.text(), &[SCRIPTED]).await;
    tree.write(SCRIPT_FILE, after);
    let b = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let answer = app
        .get(&format!("/api/v1/scans/compare?scan_a={a}&scan_b={b}"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn titles(result: &Value, list: &str) -> Vec<String> {
    let list = result[list].as_array().unwrap().iter();
    let mut titles: Vec<_> = list
        .map(|found| found["title"].as_str().unwrap().to_owned())
        .collect();
    titles.sort();
    titles
}

#[actix::test]
async fn the_answer_has_the_contracts_keys_in_their_order() {
    let app = TestApp::start();
    let result = compared(
        &app,
        "low|r|a|1|gone\nlow|r|a|2|kept\n",
        "low|r|a|2|kept\nhigh|r|a|3|new\n",
    )
    .await;
    let keys: Vec<_> = result.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "scan_a",
            "scan_b",
            "new_findings",
            "fixed_findings",
            "unchanged_findings",
            "summary"
        ]
    );
    let summary = &result["summary"];
    let keys: Vec<_> = summary.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["new_count", "fixed_count", "unchanged_count", "risk_delta"]
    );
    assert_eq!(titles(&result, "new_findings"), ["new"]);
    assert_eq!(titles(&result, "fixed_findings"), ["gone"]);
    assert_eq!(titles(&result, "unchanged_findings"), ["kept"]);
    assert!(result["new_findings"][0].get("state").is_none());
    assert_eq!(
        result["fixed_findings"][0]["scan_id"],
        result["scan_a"]["id"]
    );
    assert_eq!(
        result["unchanged_findings"][0]["scan_id"],
        result["scan_b"]["id"]
    );
    let (a, b) = (
        &result["scan_a"]["risk_score"],
        &result["scan_b"]["risk_score"],
    );
    let delta = b.as_f64().unwrap() - a.as_f64().unwrap();
    assert!(
        (summary["risk_delta"].as_f64().unwrap() - delta).abs() < 0.006,
        "{summary}"
    );
}

/// contract/engine-weaknesses.md: the reference called a moved line new and fixed.
#[actix::test]
async fn a_line_that_moved_is_unchanged() {
    let app = TestApp::start();
    let result = compared(&app, "low|r|a|10|moved\n", "low|r|a|20|moved\n").await;
    assert_eq!(titles(&result, "unchanged_findings"), ["moved"]);
    assert_eq!(result["unchanged_findings"][0]["line_start"], 20);
}

/// A second occurrence of what was there before must not hide behind the first.
#[actix::test]
async fn a_second_finding_of_the_same_rule_is_new() {
    let app = TestApp::start();
    let result = compared(
        &app,
        "low|r|a|1|first\n",
        "low|r|a|1|first\nlow|r|a|2|second\n",
    )
    .await;
    assert_eq!(titles(&result, "new_findings"), ["second"]);
    assert_eq!(titles(&result, "unchanged_findings"), ["first"]);
    assert_eq!(titles(&result, "fixed_findings"), [""; 0]);
}

#[actix::test]
async fn a_scan_is_its_own_equal() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let id = app.scanned(&tree.text(), &["code", "iac"]).await;
    let result = app
        .get(&format!("/api/v1/scans/compare?scan_a={id}&scan_b={id}"))
        .await
        .json();
    let found = app.findings(&id).await.len();
    assert_eq!(result["summary"]["unchanged_count"], found);
    assert_eq!(result["summary"]["new_count"], 0);
    assert_eq!(result["summary"]["risk_delta"].to_string(), "0.0");
}

#[actix::test]
async fn the_first_missing_scan_is_named() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.scanned(&tree.text(), &["iac"]).await;
    for (query, told) in [
        ("scan_a=x&scan_b=y".to_owned(), "Scan A not found"),
        (format!("scan_a={id}&scan_b=y"), "Scan B not found"),
        (format!("scan_a=&scan_b={id}"), "Scan A not found"),
    ] {
        let answer = app.get(&format!("/api/v1/scans/compare?{query}")).await;
        answer.assert(404, &format!("{{\"detail\":\"{told}\"}}"));
    }
}
