//! Pages: everything exactly once, in the order of the whole list.

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::tools::{HELD, SCRIPTED};
use crate::support::tree::Tree;

/// Follows `x-next-cursor` to the end and returns the ids seen.
async fn walk(client: &Client, path: &str, limit: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut next = format!("{path}?limit={limit}");
    loop {
        let answer = client.get(&next).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        let page = page.as_array().unwrap();
        assert!(page.len() <= limit);
        seen.extend(
            page.iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = answer.header("x-next-cursor") else {
            assert_eq!(answer.header("link"), None);
            return seen;
        };
        assert_eq!(page.len(), limit, "a page with a successor is full");
        let following = format!("{path}?limit={limit}&cursor={cursor}");
        let link = format!("<{following}>; rel=\"next\"");
        assert_eq!(answer.header("link"), Some(link.as_str()));
        next = following;
    }
}

async fn ids(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).await.json();
    let list = list.as_array().unwrap().iter();
    list.map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[actix::test]
async fn pages_of_findings_walk_all_of_them_once() {
    let app = TestApp::start();
    let severities = ["low", "critical", "info", "high", "medium"];
    let lines: String = (0..23)
        .map(|n| format!("{}|r/{n}|f{n}.py|{}|number {n}\n", severities[n % 5], n + 1))
        .collect();
    let tree = Tree::scripted(&lines);
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let path = format!("/api/v1/scans/{id}/findings");
    let all = ids(&app, &path).await;
    assert_eq!(all.len(), 23);
    for limit in [1, 2, 5, 22, 23, 24] {
        assert_eq!(walk(&app, &path, limit).await, all, "{limit}");
    }
}

#[actix::test]
async fn pages_of_scans_walk_all_of_them_once_whether_started_or_not() {
    let app = TestApp::start();
    let tree = Tree::new();
    for _ in 0..5 {
        app.scanned(&tree.text(), &["iac"]).await;
    }
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(app.start(&tree.text(), &[HELD]).await);
    }
    for id in &held[..2] {
        app.wait_status(id, "running").await;
    }
    let all = ids(&app, "/api/v1/scans").await;
    assert_eq!(all.len(), 10);
    for limit in [1, 3, 9, 10, 11] {
        assert_eq!(walk(&app, "/api/v1/scans", limit).await, all, "{limit}");
    }
}

/// The unversioned mount's own `link` (contract/http-api.md 2.4) stands beside that of the page.
#[actix::test]
async fn the_old_mount_pages_by_cursor_header() {
    let app = TestApp::start();
    let tree = Tree::new();
    for _ in 0..2 {
        app.scanned(&tree.text(), &["iac"]).await;
    }
    let answer = app.get("/api/scans?limit=1").await;
    assert!(answer.header("x-next-cursor").is_some());
    let link = answer.header("link").unwrap();
    assert!(link.ends_with("rel=\"next\""), "{link}");
}
