//! The key store by messages, without HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix::Addr;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::*;
use crate::actors::ask::ask;
use crate::domain::{Clock, ScanId};
use crate::storage::DatabaseOptions;
use crate::telemetry::silent;

const SECOND: Duration = Duration::from_secs(1);

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
    }
}

struct Room {
    store: Addr<KeyStore>,
    clock: Arc<TestClock>,
    database: Database,
    _folder: tempfile::TempDir,
}

fn settings(api_key: Option<&str>, required: bool) -> AuthSettings {
    AuthSettings {
        api_key: api_key.map(Secret::new),
        required,
        event_token_secret: Some(Secret::new("test-secret-0123456789abcdef")),
    }
}

fn key_of(id: &str) -> String {
    format!("ssk_{id}_{}", "s".repeat(32))
}

fn row(id: &str, scopes: &[&str], revoked: bool) -> keys::ApiKeyRow {
    let digest = Sha256::new()
        .chain_update([1; 16])
        .chain_update(key_of(id))
        .finalize();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    keys::ApiKeyRow {
        id: id.into(),
        name: "n".into(),
        key_hash: format!("{}${}", hex(&[1; 16]), hex(digest.as_slice())),
        prefix: "ssk".into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        created_at: "2026-11-23T12:44:39".into(),
        last_used_at: None,
        revoked_at: revoked.then(|| "2026-11-23T12:50:00".into()),
    }
}

fn room(settings: AuthSettings, rows: Vec<keys::ApiKeyRow>) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&DatabaseOptions::at(folder.path().join("scans.db"))).unwrap();
    database
        .write_blocking(|conn| rows.iter().try_for_each(|row| keys::insert(conn, row)))
        .unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000)));
    let shared: SharedClock = clock.clone();
    let store = KeyStore::open(settings, database.clone(), shared, silent()).unwrap();
    Room {
        store: actix::Supervisor::start(|_| store),
        clock,
        database,
        _folder: folder,
    }
}

async fn who(room: &Room, key: Option<&str>) -> Result<Principal, AuthRefused> {
    let presented = key.map(Secret::new);
    ask(&room.store, Authenticate { presented }, SECOND)
        .await
        .unwrap()
}

#[actix::test]
async fn without_credentials_the_server_is_open_unless_that_is_forbidden() {
    let open = room(
        settings(None, false),
        vec![row("Ab3dE5gH1J", &["admin"], true)],
    );
    assert_eq!(who(&open, None).await, Ok(Principal::Dev));
    assert_eq!(
        who(&open, Some("bogus")).await,
        Err(AuthRefused::InvalidKey)
    );
    let revoked = key_of("Ab3dE5gH1J");
    assert_eq!(
        who(&open, Some(&revoked)).await,
        Err(AuthRefused::InvalidKey)
    );
    let closed = room(settings(None, true), vec![]);
    assert_eq!(who(&closed, None).await, Err(AuthRefused::NoCredentials));
}

#[actix::test]
async fn the_environment_key_has_every_scope() {
    let room = room(settings(Some("env-key"), false), vec![]);
    assert_eq!(who(&room, None).await, Err(AuthRefused::KeyRequired));
    assert_eq!(
        who(&room, Some("env-kez")).await,
        Err(AuthRefused::InvalidKey)
    );
    assert_eq!(
        who(&room, Some("clé-é")).await,
        Err(AuthRefused::InvalidKey)
    );
    let principal = who(&room, Some("env-key")).await.unwrap();
    assert!(
        [Scope::Read, Scope::Write, Scope::Admin]
            .iter()
            .all(|scope| principal.may(*scope))
    );
}

#[actix::test]
async fn a_database_key_has_just_its_scopes_and_leaves_its_moment_of_use() {
    let id = "Ab3dE5gH1J";
    let room = room(settings(None, false), vec![row(id, &["admin"], false)]);
    assert_eq!(who(&room, None).await, Err(AuthRefused::KeyRequired));
    let principal = who(&room, Some(&key_of(id))).await.unwrap();
    assert!(principal.may(Scope::Admin) && !principal.may(Scope::Read));
    ask(&room.store, FlushKeys, SECOND * 5).await.unwrap();
    let rows = room.database.blocking(keys::load_all).unwrap();
    assert_eq!(rows[0].last_used_at.as_deref(), Some("2027-01-15T08:00:00"));
}

#[actix::test]
async fn a_token_opens_its_scan_for_five_minutes() {
    let room = room(settings(None, false), vec![]);
    let scan_id = ScanId::new("scan-1");
    let mint = MintEventToken {
        scan_id: scan_id.clone(),
        principal: Principal::Dev,
    };
    let minted = ask(&room.store, mint, SECOND).await.unwrap();
    assert_eq!(minted.expires_in_secs, 300);
    let verify = |scan: &ScanId| VerifyEventToken {
        token: Secret::new(minted.token.clone()),
        scan_id: scan.clone(),
    };
    room.clock.0.fetch_add(300, Ordering::Relaxed);
    assert_eq!(
        ask(&room.store, verify(&scan_id), SECOND).await.unwrap(),
        Ok(Principal::Dev)
    );
    let other = ask(&room.store, verify(&ScanId::new("scan-2")), SECOND)
        .await
        .unwrap();
    assert_eq!(other, Err(TokenRefused::OtherScan));
    room.clock.0.fetch_add(1, Ordering::Relaxed);
    let late = ask(&room.store, verify(&scan_id), SECOND).await.unwrap();
    assert_eq!(late, Err(TokenRefused::Invalid));
}

#[actix::test]
async fn a_token_dies_with_the_credential_it_stands_for() {
    let room = room(
        settings(Some("env-key"), false),
        vec![row("Ab3dE5gH1J", &["read"], true)],
    );
    let scan_id = ScanId::new("scan-1");
    let gone = Principal::Key {
        id: "Ab3dE5gH1J".into(),
        scopes: vec![Scope::Read],
    };
    for (principal, expected) in [
        (Principal::Dev, Err(TokenRefused::DevModeOver)),
        (Principal::Environment, Ok(Principal::Environment)),
        (gone, Err(TokenRefused::KeyGone)),
    ] {
        let mint = MintEventToken {
            scan_id: scan_id.clone(),
            principal,
        };
        let token = Secret::new(ask(&room.store, mint, SECOND).await.unwrap().token);
        let verify = VerifyEventToken {
            token,
            scan_id: scan_id.clone(),
        };
        assert_eq!(ask(&room.store, verify, SECOND).await.unwrap(), expected);
    }
}
