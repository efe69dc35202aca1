//! Live streams, as a browser sees them (contract/events-webhooks-notifications.md 2).

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use securescan::kill_points::Point;

use crate::kill::Hold;
use crate::support::app::TestApp;
use crate::support::binary::Home;
use crate::support::sse::{Event, Stream, names};
use crate::support::tools::{HELD, SCRIPTED};
use crate::support::tree::Tree;
use crate::support::wait_until;

async fn all_of(app: &TestApp, id: &str) -> Vec<Event> {
    Stream::open(app, id, &[]).await.rest().await
}

#[actix::test]
async fn events_come_live_in_order_and_the_stream_ends_with_the_scan() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    let mut stream = Stream::open(&app, &id, &[]).await;
    assert_eq!(stream.status, 200);
    for header in [
        "content-type: text/event-stream; charset=utf-8\r\n",
        "cache-control: no-cache\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let start = stream.next().await.unwrap();
    assert_eq!((start.id, start.name.as_str()), (Some(1), "scan.start"));
    assert_eq!(
        start.data,
        format!("{{\"target\": \"{}\", \"scanner_count\": 2}}", tree.text())
    );
    let skipped = stream.next().await.unwrap();
    assert_eq!(
        skipped.data,
        r#"{"scanner": "nmap", "reason": "not installed"}"#
    );
    let scanner = stream.next().await.unwrap();
    assert_eq!(
        (scanner.name.as_str(), scanner.data.as_str()),
        ("scanner.start", r#"{"scanner": "holder"}"#)
    );
    app.holder.open();
    let rest = stream.rest().await;
    assert_eq!(names(&rest), ["scanner.complete", "scan.complete"]);
    let last = crate::support::filters::filtered(&rest[1].data);
    assert_eq!(
        last,
        format!(
            "{{\"target\": \"{}\", \"duration_s\": [s], \"scanner_count\": 1, \"findings_count\": 0}}",
            tree.text()
        )
    );
    let ids: Vec<_> = rest.iter().map(|event| event.id).collect();
    assert_eq!(ids, [Some(4), Some(5)]);
}

#[actix::test]
async fn all_skips_come_before_the_first_start() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let id = app.scanned(&tree.text(), &["code", "iac", "dast"]).await;
    let events = all_of(&app, &id).await;
    let names = names(&events);
    assert_eq!(
        (names[0], names[names.len() - 1]),
        ("scan.start", "scan.complete")
    );
    let last_skip = names
        .iter()
        .rposition(|name| *name == "scanner.skipped")
        .unwrap();
    let first_start = names
        .iter()
        .position(|name| *name == "scanner.start")
        .unwrap();
    assert!(last_skip < first_start, "{names:?}");
    let count = |wanted: &str| names.iter().filter(|name| **name == wanted).count();
    assert_eq!(count("scanner.start"), count("scanner.complete"));
    let ids: Vec<_> = events.iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>());
}

#[actix::test]
async fn a_late_subscriber_gets_the_whole_sequence() {
    let app = TestApp::start();
    let tree = Tree::scripted("low|r|a|1|one\n");
    let id = app.start(&tree.text(), &[SCRIPTED]).await;
    let live = all_of(&app, &id).await;
    let late = all_of(&app, &id).await;
    assert_eq!(late, live);
    assert_eq!(late[late.len() - 1].name, "scan.complete");
}

/// The row says that a scan has ended a moment before its last event is told: whoever comes in
/// between gets the sequence all the same.
#[actix::test]
async fn a_subscriber_that_comes_as_the_scan_ends_gets_the_whole_sequence() {
    let (home, tree) = (Home::new(), Tree::with_findings());
    let hold = Hold::new(&home, Point::AfterStoreBeforePublish);
    let server = home.serve(&[("SECURESCAN_PAUSE_AT", &hold.variable)]);
    let id = server.start(&tree.text(), &["iac"]).await;
    hold.wait_reached();
    assert_eq!(server.scan(&id).await["status"], "completed");
    let mut stream = Stream::open(&server, &id, &[]).await;
    assert_eq!(stream.next().await.unwrap().name, "scan.start");
    hold.release();
    let rest = stream.rest().await;
    assert_eq!(rest[rest.len() - 1].name, "scan.complete");
}

#[actix::test]
async fn last_event_id_resumes_behind_it_and_after_the_end_there_is_nothing() {
    let app = TestApp::start();
    let tree = Tree::scripted("low|r|a|1|one\n");
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let all = all_of(&app, &id).await;
    for seen in 0..all.len() {
        let header = seen.to_string();
        let mut stream = Stream::open(&app, &id, &[("last-event-id", &header)]).await;
        assert_eq!(stream.rest().await, all[seen..], "{seen}");
    }
    let last = all.len().to_string();
    let answer = app
        .send(
            actix_web::http::Method::GET,
            &format!("/api/v1/scans/{id}/events"),
            &[("last-event-id", &last)],
            None,
        )
        .await;
    answer.assert(204, "");
    // Nonsense begins at the beginning.
    for nonsense in ["x", "-1", "1.5", ""] {
        let mut stream = Stream::open(&app, &id, &[("last-event-id", nonsense)]).await;
        assert_eq!(stream.rest().await, all, "{nonsense}");
    }
}

#[actix::test]
async fn after_a_restart_one_event_says_how_the_scan_ended() {
    let app = TestApp::start();
    let tree = Tree::new();
    let completed = app.scanned(&tree.text(), &["iac"]).await;
    let cancelled = app.start(&tree.text(), &[HELD]).await;
    app.wait_status(&cancelled, "running").await;
    assert_eq!(
        app.post(&format!("/api/v1/scans/{cancelled}/cancel"))
            .await
            .status,
        200
    );
    let home = app.stop();
    let app = TestApp::at(&home, &[]);
    for (id, word) in [(&completed, "complete"), (&cancelled, "cancelled")] {
        let answer = app.get(&format!("/api/v1/scans/{id}/events")).await;
        let status = if word == "complete" {
            "completed"
        } else {
            word
        };
        answer.assert(
            200,
            &format!("event: scan.{word}\ndata: {{\"status\": \"{status}\"}}\n\n"),
        );
    }
}

#[actix::test]
async fn a_cancelled_scan_ends_its_streams_with_one_event() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    let mut stream = Stream::open(&app, &id, &[]).await;
    assert_eq!(stream.next().await.unwrap().name, "scan.start");
    app.wait_status(&id, "running").await;
    app.post(&format!("/api/v1/scans/{id}/cancel")).await;
    let rest = stream.rest().await;
    let last = &rest[rest.len() - 1];
    assert_eq!(
        (last.name.as_str(), last.data.as_str()),
        ("scan.cancelled", "{}")
    );
    assert_eq!(
        rest.iter()
            .filter(|event| event.name.starts_with("scan."))
            .count(),
        1
    );
}

#[actix::test]
async fn a_stream_of_a_waiting_scan_begins_when_the_scan_does() {
    let app = TestApp::with(&[("SECURESCAN_MAX_CONCURRENT_SCANS", "1")]);
    let tree = Tree::new();
    let first = app.start(&tree.text(), &[HELD]).await;
    app.wait_status(&first, "running").await;
    let second = app.start(&tree.text(), &["iac"]).await;
    let mut stream = Stream::open(&app, &second, &[]).await;
    app.holder.open();
    let events = stream.rest().await;
    assert_eq!(events[0].name, "scan.start");
    assert_eq!(events[events.len() - 1].name, "scan.complete");
}

#[actix::test]
async fn an_unknown_scan_has_no_stream() {
    let app = TestApp::start();
    app.get("/api/v1/scans/x/events")
        .await
        .assert(404, r#"{"detail":"Scan not found"}"#);
}

#[actix::test]
async fn two_hundred_subscribers_all_get_everything_in_order() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    wait_until("the scanner to run", async || {
        (app.holder.inside() == 1).then_some(())
    })
    .await;
    let mut streams = join_all((0..200).map(|_| Stream::open(&app, &id, &[]))).await;
    app.holder.open();
    let heard = join_all(streams.iter_mut().map(Stream::rest)).await;
    let all = all_of(&app, &id).await;
    assert_eq!(all[all.len() - 1].name, "scan.complete");
    for events in heard {
        assert_eq!(events, all);
    }
}

#[actix::test]
async fn a_subscriber_that_never_reads_delays_nobody() {
    let app = TestApp::start();
    let tree = Tree::scripted("");
    // A deaf one for each of many scans, and many for one.
    let mut deaf = Vec::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    for _ in 0..50 {
        let mut socket = actix_rt::net::TcpStream::connect(app.address)
            .await
            .unwrap();
        let request = format!("GET /api/v1/scans/{id}/events HTTP/1.1\r\nhost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        deaf.push(socket);
    }
    let mut stream = Stream::open(&app, &id, &[]).await;
    assert_eq!(stream.next().await.unwrap().name, "scan.start");
    app.holder.open();
    let rest = stream.rest().await;
    assert_eq!(rest[rest.len() - 1].name, "scan.complete");
    app.scanned(&tree.text(), &[SCRIPTED]).await;
}

#[actix::test]
async fn subscribers_that_go_away_in_the_middle_hurt_nobody() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    for _ in 0..20 {
        let mut stream = Stream::open(&app, &id, &[]).await;
        assert_eq!(stream.next().await.unwrap().name, "scan.start");
    }
    app.holder.open();
    let events = all_of(&app, &id).await;
    assert_eq!(events[events.len() - 1].name, "scan.complete");
}

#[actix::test]
async fn a_shutdown_ends_streams_properly() {
    let app = TestApp::start();
    let tree = Tree::new();
    let id = app.start(&tree.text(), &[HELD]).await;
    let mut stream = Stream::open(&app, &id, &[]).await;
    assert_eq!(stream.next().await.unwrap().name, "scan.start");
    let holder = Arc::clone(&app.holder);
    let stopping = std::thread::spawn(move || app.stop());
    // `rest` panics unless the last chunk of the response arrives.
    let rest = stream.rest().await;
    assert!(
        rest.iter()
            .all(|event| event.name.starts_with("scanner.") || event.name == "scan.complete"),
        "{rest:?}"
    );
    holder.open();
    stopping.join().unwrap();
}
