//! Every way in which a request can be wrong (contract/http-api.md 4 and 5, auth.md 3).

use actix_web::http::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::tools::{HELD, SCRIPTED};
use crate::support::tree::Tree;

const SCANS: &str = "/api/v1/scans";

#[actix::test]
async fn bodies_of_the_wrong_shape_get_the_captured_422() {
    let app = TestApp::start();
    // contract/http-api.md 4.3, captured.
    for (body, detail) in [
        (
            "",
            r#"[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]"#,
        ),
        (
            "{}",
            r#"[{"type":"missing","loc":["body","target_path"],"msg":"Field required","input":{}}]"#,
        ),
        (
            r#"{"target_path":"#,
            r#"[{"type":"json_invalid","loc":["body",15],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]"#,
        ),
        (
            r#"{"target_path": "#,
            r#"[{"type":"json_invalid","loc":["body",16],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]"#,
        ),
        (
            "hello",
            r#"[{"type":"json_invalid","loc":["body",0],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]"#,
        ),
        (
            "[1]",
            r#"[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]"#,
        ),
        (
            r#"{"target_path":"/","scan_types":["code","bogus"]}"#,
            r#"[{"type":"enum","loc":["body","scan_types",1],"msg":"Input should be 'code', 'dependency', 'iac', 'baseline', 'dast' or 'network'","input":"bogus","ctx":{"expected":"'code', 'dependency', 'iac', 'baseline', 'dast' or 'network'"}}]"#,
        ),
        (
            r#"{"target_path":"/","scan_types":[]}"#,
            r#"[{"type":"too_short","loc":["body","scan_types"],"msg":"List should have at least 1 item after validation, not 0","input":[],"ctx":{"field_type":"List","min_length":1,"actual_length":0}}]"#,
        ),
        (
            r#"{"target_path":"/","scan_types":null}"#,
            r#"[{"type":"list_type","loc":["body","scan_types"],"msg":"Input should be a valid list","input":null}]"#,
        ),
        (
            r#"{"target_path":5}"#,
            r#"[{"type":"string_type","loc":["body","target_path"],"msg":"Input should be a valid string","input":5}]"#,
        ),
        (
            r#"{"target_path":"/","target_url":1,"target_host":[]}"#,
            r#"[{"type":"string_type","loc":["body","target_url"],"msg":"Input should be a valid string","input":1},{"type":"string_type","loc":["body","target_host"],"msg":"Input should be a valid string","input":[]}]"#,
        ),
        (
            r#"{"a":1,}"#,
            r#"[{"type":"json_invalid","loc":["body",7],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]"#,
        ),
        (
            r#"{"a":"x"#,
            r#"[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Unterminated string starting at"}}]"#,
        ),
        (
            r#"{"é":1} x"#,
            r#"[{"type":"json_invalid","loc":["body",8],"msg":"JSON decode error","input":{},"ctx":{"error":"Extra data"}}]"#,
        ),
    ] {
        for path in [SCANS, "/api/scans"] {
            let answer = app.post_text(path, body).await;
            answer.assert(422, &format!("{{\"detail\":{detail}}}"));
        }
    }
}

#[actix::test]
async fn a_body_that_is_not_declared_as_json_is_text() {
    let app = TestApp::start();
    let text = r#"{"target_path":"/srv/demo/clean"}"#;
    let told = |input: &str| {
        json!({"detail": [{"type": "model_attributes_type", "loc": ["body"], "msg": "Input should be a valid dictionary or object to extract fields from", "input": input}]}).to_string()
    };
    let form = "target_path=%2Fsrv%2Fdemo%2Fclean";
    for (content_type, body) in [
        (Some("text/plain"), text),
        (None, text),
        (Some("application/x-www-form-urlencoded"), form),
    ] {
        let headers: Vec<_> = content_type
            .map(|kind| ("content-type", kind))
            .into_iter()
            .collect();
        let body_bytes = Some(body.as_bytes().to_vec());
        let answer = app.send(Method::POST, SCANS, &headers, body_bytes).await;
        answer.assert(422, &told(body));
    }
    for content_type in ["Application/JSON; charset=utf-8", "application/vnd.x+json"] {
        let body = Some(b"{}".to_vec());
        let answer = app
            .send(Method::POST, SCANS, &[("content-type", content_type)], body)
            .await;
        assert!(
            answer.text().contains("target_path"),
            "{content_type}: {}",
            answer.text()
        );
    }
}

#[actix::test]
async fn hostile_bodies_are_refused_and_the_server_lives_on() {
    let app = TestApp::with(&[("SECURESCAN_MAX_BODY_BYTES", "100000")]);
    let deep = "[".repeat(50_000);
    let answer = app.post_text(SCANS, deep.clone()).await;
    assert!([400, 422].contains(&answer.status), "{}", answer.status);
    let closed = format!("{deep}{}", "]".repeat(50_000));
    app.post_text(SCANS, closed)
        .await
        .assert(400, r#"{"detail":"There was an error parsing the body"}"#);
    app.post_text(SCANS, b"{\"target_path\":\"\xff\"}".to_vec())
        .await
        .assert(400, r#"{"detail":"There was an error parsing the body"}"#);
    app.post_text(SCANS, vec![b' '; 100_001]).await.assert(
        413,
        r#"{"detail":"Request body is larger than 100000 bytes"}"#,
    );
    for body in [
        r#"{"target_path":NaN}"#,
        r#"{"target_path":1e999}"#,
        r#"{"target_path":"\ud800"}"#,
        r#"{"target_path":-0}"#,
        "\u{feff}{}",
        "null",
    ] {
        let answer = app.post_text(SCANS, body).await;
        assert!(
            (400..=422).contains(&answer.status),
            "{body}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(app.get("/health").await.status, 200);
}

#[actix::test]
async fn targets_that_cannot_be_scanned_get_the_captured_400() {
    let app = TestApp::start();
    for (target, detail) in [
        ("/srv/demo/nope", "Path does not exist: /srv/demo/nope"),
        ("/dev/null", "Path is not a file or directory: /dev/null"),
        ("/proc", "Scanning system path not allowed: /proc"),
        (
            "/srv/../sys/kernel",
            "Scanning system path not allowed: /srv/../sys/kernel",
        ),
        ("~", "Path does not exist: ~"),
        ("/srv/\0x", "Path does not exist: /srv/\0x"),
    ] {
        let answer = app
            .post_text(SCANS, json!({"target_path": target}).to_string())
            .await;
        answer.assert(400, &json!({"detail": detail}).to_string());
    }
}

#[actix::test]
async fn a_file_a_trailing_slash_and_dots_are_good_targets() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    for (sent, stored) in [
        (
            format!("{}/Dockerfile", tree.text()),
            format!("{}/Dockerfile", tree.text()),
        ),
        (format!("{}//./x/..//", tree.text()), tree.text()),
    ] {
        let body = json!({"target_path": sent, "scan_types": ["iac"]}).to_string();
        let answer = app.post_text(SCANS, body).await;
        assert_eq!(answer.json()["target_path"], stored);
        let scan = app
            .wait_status(answer.json()["id"].as_str().unwrap(), "completed")
            .await;
        assert!(
            scan["findings_count"].as_i64().unwrap() > 0,
            "{sent}: {scan}"
        );
    }
}

#[actix::test]
async fn query_parameters_of_the_wrong_shape_get_the_captured_422() {
    let app = TestApp::start();
    let findings = "/api/v1/scans/x/findings";
    for (path, detail) in [
        (
            format!("{findings}?limit=0"),
            r#"[{"type":"greater_than_equal","loc":["query","limit"],"msg":"Input should be greater than or equal to 1","input":"0","ctx":{"ge":1}}]"#,
        ),
        (
            format!("{findings}?limit=10001"),
            r#"[{"type":"less_than_equal","loc":["query","limit"],"msg":"Input should be less than or equal to 10000","input":"10001","ctx":{"le":10000}}]"#,
        ),
        (
            format!("{findings}?limit=abc"),
            r#"[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"abc"}]"#,
        ),
        (
            format!("{findings}?limit="),
            r#"[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":""}]"#,
        ),
        (
            "/api/v1/scans/compare".to_owned(),
            r#"[{"type":"missing","loc":["query","scan_a"],"msg":"Field required","input":null},{"type":"missing","loc":["query","scan_b"],"msg":"Field required","input":null}]"#,
        ),
    ] {
        app.get(&path)
            .await
            .assert(422, &format!("{{\"detail\":{detail}}}"));
    }
    // The last one wins, and odd spellings of numbers count.
    for query in [
        "limit=abc&limit=5",
        "limit=%205%20",
        "limit=%2B5",
        "limit=1_0",
        "limit=1.0",
    ] {
        let answer = app.get(&format!("{findings}?{query}")).await;
        answer.assert(404, r#"{"detail":"Scan not found"}"#);
    }
    for query in ["cursor=x", "cursor=%00", "cursor=MTIz"] {
        for path in [findings, SCANS] {
            assert_eq!(
                app.get(&format!("{path}?{query}")).await.status,
                422,
                "{path} {query}"
            );
        }
    }
}

#[actix::test]
async fn unknown_paths_are_not_found() {
    let app = TestApp::start();
    for path in [
        "/nope",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nope",
        "/api/v2/scans",
        "/api/v1/scans/a/b",
        "//api/v1/scans",
        "/api/v1/scans/%2e%2e/x/y",
    ] {
        app.get(path).await.assert(404, r#"{"detail":"Not Found"}"#);
    }
}

#[actix::test]
async fn wrong_methods_are_told_the_right_ones() {
    let app = TestApp::start();
    for (method, path, allow) in [
        (Method::PUT, SCANS, "GET, HEAD, POST"),
        (Method::PATCH, "/api/scans/x", "GET, HEAD, DELETE"),
        (Method::GET, "/api/v1/scans/x/cancel", "POST"),
        (Method::POST, "/api/v1/scans/x/findings", "GET, HEAD"),
        (Method::DELETE, "/api/v1/scans/x/events", "GET"),
        (Method::POST, "/health", "GET, HEAD"),
    ] {
        let answer = app.send(method, path, &[], None).await;
        answer.assert(405, r#"{"detail":"Method Not Allowed"}"#);
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[actix::test]
async fn an_environment_key_closes_the_api() {
    let key = format!("{}-{}", "hush", "hush");
    let app = TestApp::with(&[("SECURESCAN_API_KEY", &key)]);
    for path in [
        SCANS,
        "/api/scans",
        "/api/v1/scans/x/findings",
        "/api/v1/scans/x/events",
    ] {
        let none = app.get(path).await;
        none.assert(401, r#"{"detail":"X-API-Key header required"}"#);
        assert_eq!(none.header("www-authenticate"), Some("Bearer"));
        let shaped = ["ssk_", "Ab3dE5gH1J", "_x"].concat();
        for headers in [
            [("x-api-key", "bogus")],
            [("authorization", "Bearer bogus")],
            [("x-api-key", shaped.as_str())],
        ] {
            let bogus = app.send(Method::GET, path, &headers, None).await;
            bogus.assert(401, r#"{"detail":"Invalid API key"}"#);
            assert_eq!(bogus.header("www-authenticate"), Some("Bearer"));
        }
    }
    for (name, value) in [
        ("x-api-key", key.clone()),
        ("x-api-key", format!("  {key} ")),
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer   {key}")),
    ] {
        let answer = app.send(Method::GET, SCANS, &[(name, &value)], None).await;
        answer.assert(200, "[]");
    }
    // Probes and unknown paths need none, wrong methods neither.
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(app.get("/api/v1/nope").await.status, 404);
    assert_eq!(app.send(Method::PUT, SCANS, &[], None).await.status, 405);
    // What the body holds is nobody's business before the caller is known.
    let answer = app.post_text(SCANS, "garbage").await;
    answer.assert(401, r#"{"detail":"X-API-Key header required"}"#);
}

#[actix::test]
async fn a_bogus_key_is_refused_in_dev_mode_too() {
    let app = TestApp::start();
    let answer = app
        .send(Method::GET, SCANS, &[("x-api-key", "bogus")], None)
        .await;
    answer.assert(401, r#"{"detail":"Invalid API key"}"#);
    app.get(SCANS).await.assert(200, "[]");
}

#[actix::test]
async fn an_event_token_opens_one_stream_and_nothing_else() {
    let key = format!("{}-{}", "hush", "hush");
    let app = TestApp::with(&[("SECURESCAN_API_KEY", &key)]);
    let mut insider = app.client.clone();
    insider.key = Some(key.clone());
    let tree = Tree::scripted("");
    let one = insider.scanned(&tree.text(), &[SCRIPTED]).await;
    let other = insider.scanned(&tree.text(), &[SCRIPTED]).await;
    let minted = insider
        .post(&format!("/api/v1/scans/{one}/event-token"))
        .await;
    assert_eq!(minted.header("cache-control"), Some("no-store"));
    assert_eq!(minted.json()["expires_in"], 300);
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let events = |id: &str, token: &str| format!("/api/v1/scans/{id}/events?event_token={token}");
    let stream = app.get(&events(&one, &token)).await;
    assert!(
        stream.text().contains("event: scan.complete"),
        "{}",
        stream.text()
    );
    app.get(&events(&other, &token))
        .await
        .assert(401, r#"{"detail":"Token does not match scan id"}"#);
    // A bad token is not rescued by a good key.
    let answer = insider.get(&events(&one, "x")).await;
    answer.assert(401, r#"{"detail":"Invalid or expired event token"}"#);
    assert_eq!(answer.header("www-authenticate"), None);
    let blank = app.get(&events(&one, "%20")).await;
    blank.assert(401, r#"{"detail":"X-API-Key header required"}"#);
    let elsewhere = app
        .get(&format!("/api/v1/scans/{one}?event_token={token}"))
        .await;
    elsewhere.assert(401, r#"{"detail":"X-API-Key header required"}"#);
    let unknown = insider.post("/api/v1/scans/x/event-token").await;
    unknown.assert(404, r#"{"detail":"Scan not found"}"#);
}

#[actix::test]
async fn a_caller_over_the_limit_is_told_when_to_come_back() {
    let app = TestApp::with(&[
        ("SECURESCAN_RATE_LIMIT_ENABLED", "true"),
        ("SECURESCAN_RATE_LIMIT_PER_MIN", "3"),
        ("SECURESCAN_RATE_LIMIT_BURST", "3"),
    ]);
    let tree = Tree::new();
    app.holder.open();
    for _ in 0..3 {
        app.start(&tree.text(), &[HELD]).await;
    }
    let body = json!({"target_path": tree.text()}).to_string();
    let answer = app.post_text(SCANS, body).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(answer.json()["detail"], "Rate limit exceeded");
    assert_eq!(answer.json()["retry_after"], wait);
    assert_eq!(app.get(SCANS).await.status, 200);
}

/// A connection that breaks in the middle of a body, or never speaks HTTP, costs only itself.
#[actix::test]
async fn broken_requests_hurt_nobody() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start();
    let post = "POST /api/v1/scans HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for request in [
        format!("{post}content-length: 100\r\n\r\n{{\"target"),
        format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!("{post}content-length: -1\r\n\r\n{{}}"),
        format!("{post}content-length: 99999999999999999999\r\n\r\n{{}}"),
        "NONSENSE\r\n\r\n".to_owned(),
        "\0\0\0\0".to_owned(),
        huge,
    ] {
        let mut socket = actix_rt::net::TcpStream::connect(app.address)
            .await
            .unwrap();
        // The server may hang up before it has heard everything.
        let _sent = socket.write_all(request.as_bytes()).await.is_ok();
        let _closed = socket.shutdown().await.is_ok();
        let mut answer = Vec::new();
        let _read = socket.read_to_end(&mut answer).await.is_ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    app.get(SCANS).await.assert(200, "[]");
}
