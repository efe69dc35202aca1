//! Starts the singletons on one arbiter of their own, and stops them in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Addr, Arbiter, Supervisor};
use slog::Logger;

use super::ask;
use super::event_hub::{CloseStreams, EventHub};
use super::key_store::{FlushKeys, KeyStore, KeyStoreError};
use super::rate_limiter::RateLimiter;
use super::scan_supervisor::{Drain, ScanSupervisor};
use super::scan_worker::WorkerParts;
use super::webhook_dispatcher::WebhookDispatcher;
use crate::config::Settings;
use crate::domain::SharedClock;
use crate::scanners::registry::Registry;
use crate::storage::Database;
use crate::telemetry;

/// Time for work that takes no time, at shutdown.
const MOMENT: Duration = Duration::from_secs(5);

/// The addresses of the singletons. Share one per thread: every clone of an address widens its
/// mailbox by one message.
pub struct Hub {
    /// Runs scans.
    pub supervisor: Addr<ScanSupervisor>,
    /// Tells listeners.
    pub events: Addr<EventHub>,
    /// Knows the keys.
    pub keys: Addr<KeyStore>,
    /// Limits callers.
    pub limiter: Addr<RateLimiter>,
    /// Delivers to webhooks.
    pub dispatcher: Addr<WebhookDispatcher>,
    /// Whether the server is open to everybody, as of the start.
    pub dev_mode: bool,
    arbiter: Mutex<Option<Arbiter>>,
}

/// Why the hub cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The keys could not be read.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The system refuses a thread.
    #[error("failed to start a thread")]
    Thread(#[from] std::io::Error),
    /// `SECURESCAN_AUTH_REQUIRED=1` without anybody who could be let in (C2).
    #[error(
        "SECURESCAN_AUTH_REQUIRED=1 but no credentials configured: set SECURESCAN_API_KEY, or start \
         once without SECURESCAN_AUTH_REQUIRED and create an API key with the admin scope"
    )]
    NoCredentials,
    /// `SECURESCAN_AUTH_REQUIRED=1` without `SECURESCAN_EVENT_TOKEN_SECRET` (C3).
    #[error(
        "SECURESCAN_AUTH_REQUIRED=1 requires SECURESCAN_EVENT_TOKEN_SECRET: set it to a long random \
         text, e.g. the output of `openssl rand -base64 32`"
    )]
    NoEventTokenSecret,
}

impl Hub {
    /// Starts the actors. Blocks on the database while the keys are read.
    ///
    /// Must be called inside an actix system.
    ///
    /// # Errors
    /// When the server would not know whom to let in.
    pub fn start(
        settings: &Settings,
        database: &Database,
        registry: Registry,
        clock: &SharedClock,
        log: &Logger,
    ) -> Result<Self, HubError> {
        let named = |name| telemetry::named(log, name);
        let keys = KeyStore::open(
            settings.auth.clone(),
            database.clone(),
            Arc::clone(clock),
            named("securescan.auth"),
        )?;
        if settings.auth.required && !keys.has_administrator() {
            return Err(HubError::NoCredentials);
        }
        if settings.auth.required && settings.auth.event_token_secret.is_none() {
            return Err(HubError::NoEventTokenSecret);
        }
        let dev_mode = keys.is_dev_mode();
        let event_hub = EventHub::new(named(telemetry::SCAN_LOGGER))?;
        let arbiter = Arbiter::new();
        let on = arbiter.handle();
        let keys = Supervisor::start_in_arbiter(&on, |_| keys);
        let events = Supervisor::start_in_arbiter(&on, |_| event_hub);
        let limits = settings.rate_limit;
        let limiter = Supervisor::start_in_arbiter(&on, move |_| RateLimiter::new(limits));
        let dispatcher = WebhookDispatcher::new(
            database.clone(),
            Arc::clone(clock),
            named("securescan.webhooks"),
        );
        let dispatcher = Supervisor::start_in_arbiter(&on, |_| dispatcher);
        let parts = Arc::new(WorkerParts {
            database: database.clone(),
            clock: Arc::clone(clock),
            log: named("securescan.api.scans"),
            registry,
            scanners: Arc::new(settings.scans.scanners.clone()),
            targets: settings.scans.targets.clone(),
            budget: settings.scans.budget,
            fingerprint_base: settings.scans.fingerprint_base.clone(),
            events: events.clone().recipient(),
            dispatcher: dispatcher.clone().recipient(),
        });
        let mut supervisor = ScanSupervisor::new(parts, settings.scans.max_concurrent);
        if !settings.scans.resume_waiting {
            supervisor = supervisor.leaving_others_waiting();
        }
        let supervisor = Supervisor::start_in_arbiter(&on, |_| supervisor);
        let arbiter = Mutex::new(Some(arbiter));
        Ok(Self {
            supervisor,
            events,
            keys,
            limiter,
            dispatcher,
            dev_mode,
            arbiter,
        })
    }

    /// Ends every event stream, so that connections can close.
    pub async fn close_streams(&self) {
        // A hub that does not answer has no streams worth waiting for.
        let _closed = ask(&self.events, CloseStreams, MOMENT).await.is_ok();
    }

    /// Lets running scans end within `grace`, then makes them; returns how many were cut off.
    pub async fn drain(&self, grace: Duration) -> usize {
        ask(&self.supervisor, Drain { grace }, grace + MOMENT * 3)
            .await
            .unwrap_or(0)
    }

    /// Writes what is only in memory and ends the arbiter's thread.
    pub async fn stop(&self) {
        let _flushed = ask(&self.keys, FlushKeys, MOMENT).await.is_ok();
        let arbiter = self
            .arbiter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(arbiter) = arbiter {
            arbiter.stop();
            let joined = tokio::task::spawn_blocking(move || arbiter.join()).await;
            debug_assert!(joined.is_ok(), "joining a thread does not panic");
        }
    }
}
