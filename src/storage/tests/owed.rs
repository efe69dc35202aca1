//! Deliveries, notifications, keys and health.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::*;
use crate::storage::keys::{self, ApiKeyRow};
use crate::storage::outbox::{self, Notice};
use crate::storage::schema::{notifications, webhook_deliveries};

#[test]
fn every_enabled_webhook_that_wants_the_event_is_owed_it() {
    let (_folder, database) = fresh();
    let payload = r#"{"scan_id": "a", "target": "/t"}"#;
    database
        .write_blocking(|conn| {
            conn.batch_execute(
                r#"INSERT INTO webhooks VALUES
                   ('yes', 'n', 'u', 's', '["scan.failed", "scan.complete"]', 1, '2026'),
                   ('off', 'n', 'u', 's', '["scan.complete"]', 0, '2026'),
                   ('other', 'n', 'u', 's', '["scan.completed"]', 1, '2026'),
                   ('broken', 'n', 'u', 's', 'scan.complete', 1, '2026');"#,
            )?;
            let owed = outbox::owe(conn, &ScanId::new("a"), "scan.complete", payload, &at(1))?;
            assert_eq!(owed, 1);
            let row: (String, String, String, i64, String, Option<i64>) = webhook_deliveries::table
                .select((
                    webhook_deliveries::webhook_id,
                    webhook_deliveries::payload,
                    webhook_deliveries::status,
                    webhook_deliveries::attempt,
                    webhook_deliveries::next_attempt_at,
                    webhook_deliveries::response_code,
                ))
                .first(conn)?;
            assert_eq!(
                row,
                (
                    "yes".into(),
                    payload.into(),
                    "pending".into(),
                    0,
                    at(1).to_string(),
                    None
                )
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn notifications_have_the_contracts_texts() {
    let (_folder, database) = fresh();
    let long = "é".repeat(300);
    let told = database
        .write_blocking(|conn| {
            let id = ScanId::new("a");
            let notices = [
                Notice::ScanComplete {
                    findings_count: 0,
                    target: Some("/t"),
                },
                Notice::ScanComplete {
                    findings_count: 5,
                    target: Some("/srv/demo/rootfs"),
                },
                Notice::ScanComplete {
                    findings_count: 1,
                    target: None,
                },
                Notice::ScanFailed { error: &long },
                Notice::ScanFailed { error: "" },
                Notice::ScannerFailed {
                    scanner: "nmap",
                    error: "",
                },
                Notice::ScannerFailed {
                    scanner: "nmap",
                    error: &long,
                },
            ];
            for (number, notice) in notices.into_iter().enumerate() {
                assert_eq!(outbox::notify(conn, &id, notice, &at(1))?, number != 0);
            }
            Ok(notifications::table
                .select((
                    notifications::type_,
                    notifications::title,
                    notifications::body,
                    notifications::severity,
                    notifications::link,
                ))
                .load::<(String, String, Option<String>, String, Option<String>)>(conn)?)
        })
        .unwrap();
    let row = |kind: &str, title: &str, body: Option<String>, severity: &str| {
        (
            kind.to_owned(),
            title.to_owned(),
            body,
            severity.to_owned(),
            Some("/scan/a".to_owned()),
        )
    };
    let complete = |body: &str| {
        row(
            "scan.complete",
            "Scan complete",
            Some(body.to_owned()),
            "warning",
        )
    };
    let failed = |body| row("scan.failed", "Scan failed", body, "error");
    let scanner = |body| row("scanner.failed", "Scanner failed", Some(body), "warning");
    assert_eq!(
        told,
        [
            complete("5 findings on /srv/demo/rootfs"),
            complete("1 findings"),
            failed(Some("é".repeat(200))),
            failed(None),
            scanner("nmap failed: ".into()),
            scanner(format!("nmap failed: {}", "é".repeat(100))),
        ]
    );
}

#[test]
fn keys_are_stored_touched_and_revoked() {
    let (_folder, database) = fresh();
    let key = |id: &str, created_at: &str| ApiKeyRow {
        id: id.into(),
        name: "n".into(),
        key_hash: "h".into(),
        prefix: "p".into(),
        scopes: vec!["admin".into(), "read".into()],
        created_at: created_at.into(),
        last_used_at: None,
        revoked_at: None,
    };
    database
        .write_blocking(|conn| {
            keys::insert(conn, &key("a", "2026-01"))?;
            keys::insert(conn, &key("b", "2026-02"))?;
            keys::touch_last_used(conn, &[("a".into(), at(7)), ("gone".into(), at(7))])?;
            assert!(keys::revoke(conn, "b", &at(8))?);
            assert!(!keys::revoke(conn, "b", &at(9))?);
            conn.batch_execute("UPDATE api_keys SET scopes = 'admin' WHERE id = 'b'")?;
            let all = keys::load_all(conn)?;
            assert_eq!(all[0].id, "b");
            assert_eq!(all[0].revoked_at, Some(at(8).to_string()));
            assert!(all[0].scopes.is_empty(), "unreadable scopes allow nothing");
            assert_eq!(all[1].scopes, ["admin", "read"]);
            assert_eq!(all[1].last_used_at, Some(at(7).to_string()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_fresh_database_is_there_and_takes_writes() {
    let (_folder, database) = fresh();
    database.blocking(health::ping).unwrap();
    database.blocking(health::writable).unwrap();
}
