//! The dispatcher by messages, without HTTP.

use std::sync::Arc;

use super::*;
use crate::actors::ask::ask;
use crate::domain::{Clock, SystemClock};
use crate::storage::{DatabaseOptions, StorageError};
use crate::telemetry::silent;

const SECONDS: Duration = Duration::from_secs(5);

#[actix::test]
async fn deliveries_that_were_cut_off_wait_again() {
    use diesel::connection::SimpleConnection;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&DatabaseOptions::at(folder.path().join("scans.db"))).unwrap();
    database
        .write_blocking(|conn| {
            conn.batch_execute(
                "INSERT INTO webhooks (id, name, url, secret, event_filter, enabled, created_at)
                 VALUES ('w', 'n', 'http://127.0.0.1:9/', 's', '[\"scan.complete\"]', 1, 't');
                 INSERT INTO webhook_deliveries
                   (id, webhook_id, event, payload, status, attempt, next_attempt_at, created_at, updated_at)
                 VALUES ('d', 'w', 'scan.complete', '{}', 'delivering', 1, 't', 't', 't'),
                        ('e', 'w', 'scan.complete', '{}', 'succeeded', 1, 't', 't', 't');",
            )
            .map_err(StorageError::from)
        })
        .unwrap();
    let (db, clock) = (database.clone(), Arc::new(SystemClock));
    let dispatcher = actix::Supervisor::start(|_| WebhookDispatcher::new(db, clock, silent()));
    // The first answer comes after the recovery, which holds the mailbox; the count follows it.
    while ask(&dispatcher, Backlog, SECONDS).await.unwrap() != 1 {
        tokio::task::yield_now().await;
    }
    let still = database.blocking(outbox::owed).unwrap();
    assert_eq!(still, 1);
    let now = SystemClock.utc();
    assert_eq!(
        database
            .write_blocking(|conn| outbox::reset_stale(conn, &now))
            .unwrap(),
        0
    );
}
