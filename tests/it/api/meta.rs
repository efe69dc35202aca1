//! What every response has, and the routes that are no part of the API (contract/http-api.md 2, 6).

use actix_web::http::Method;

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::filters::filtered;
use crate::support::tree::Tree;

#[actix::test]
async fn the_meta_routes_answer_as_captured() {
    let app = TestApp::start();
    app.get("/").await.assert(
        200,
        r#"{"name":"SecureScan API","status":"ok","docs":"/docs","health":"/health"}"#,
    );
    app.get("/health").await.assert(200, r#"{"status":"ok"}"#);
    let ready = app.get("/ready").await;
    assert_eq!(ready.status, 200);
    let text = ready.text();
    assert!(
        text.starts_with(
            r#"{"status":"ready","checks":{"db":{"status":"ok"},"scanners":{"status":"ok","count":"#
        ),
        "{text}"
    );
}

#[actix::test]
async fn every_response_has_a_request_id() {
    let app = TestApp::start();
    for path in [
        "/",
        "/health",
        "/nope",
        "/api/v1/scans",
        "/api/v1/scans/x",
        "/api/scans?limit=0",
    ] {
        let own = app.get(path).await;
        assert_eq!(
            filtered(own.header("x-request-id").unwrap()),
            "[id]",
            "{path}"
        );
        let given = app
            .send(Method::GET, path, &[("x-request-id", "deploy-7:a/b")], None)
            .await;
        assert_eq!(given.header("x-request-id"), Some("deploy-7:a/b"), "{path}");
    }
    let long = "x".repeat(300);
    for odd in ["", "a b", "<script>", "naïve", &long] {
        let answer = app
            .send(Method::GET, "/health", &[("x-request-id", odd)], None)
            .await;
        assert_eq!(
            filtered(answer.header("x-request-id").unwrap()),
            "[id]",
            "{odd}"
        );
    }
}

fn deprecated(answer: &Answer) -> [Option<&str>; 3] {
    ["deprecation", "link", "sunset"].map(|name| answer.header(name))
}

#[actix::test]
async fn only_the_unversioned_mount_says_that_it_is_deprecated() {
    let app = TestApp::start();
    for (method, path, status) in [
        (Method::GET, "/api/scans", 200),
        (Method::GET, "/api/scans/x", 404),
        (Method::PUT, "/api/scans", 405),
        (Method::GET, "/api/nope", 404),
        (Method::POST, "/api/scans", 422),
    ] {
        let answer = app.send(method, path, &[], None).await;
        assert_eq!(answer.status, status, "{path}");
        let rest = path.strip_prefix("/api").unwrap();
        let link = format!("</api/v1{rest}>; rel=\"successor-version\"");
        let expected = [
            Some("true"),
            Some(&*link),
            Some("Wed, 31 Dec 2026 23:59:59 GMT"),
        ];
        assert_eq!(deprecated(&answer), expected, "{path}");
    }
    for path in [
        "/api/v1/scans",
        "/api/v1",
        "/api",
        "/",
        "/apiary/x",
        "/health",
    ] {
        assert_eq!(deprecated(&app.get(path).await), [None; 3], "{path}");
    }
    let with_query = app.get("/api/scans?status=failed").await;
    let link = with_query.header("link");
    assert_eq!(link, Some("</api/v1/scans>; rel=\"successor-version\""));
}

#[actix::test]
async fn both_mounts_answer_the_same() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let id = app.scanned(&tree.text(), &["code", "iac"]).await;
    for path in [
        "/scans".to_owned(),
        format!("/scans/{id}"),
        format!("/scans/{id}/findings"),
        format!("/scans/{id}/summary"),
        format!("/scans/compare?scan_a={id}&scan_b={id}"),
    ] {
        let old = app.get(&format!("/api{path}")).await;
        let new = app.get(&format!("/api/v1{path}")).await;
        assert_eq!((old.status, old.text()), (200, new.text()), "{path}");
    }
}

#[actix::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let id = app.scanned(&tree.text(), &["iac"]).await;
    for path in [
        "/health".to_owned(),
        "/ready".to_owned(),
        "/api/v1/scans".to_owned(),
        format!("/api/v1/scans/{id}/findings"),
    ] {
        let head = app.send(Method::HEAD, &path, &[], None).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(
            head.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
    assert_eq!(app.send(Method::HEAD, "/nope", &[], None).await.status, 404);
}
