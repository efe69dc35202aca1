//! Builds the whole program from its settings: the only place that wires rooms. The service, the
//! CLI and the tests start the same thing.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use actix_web_lab::middleware::CatchPanic;
use slog::Logger;

use crate::actors::Hub;
use crate::actors::hub::HubError;
use crate::config::{ServerSettings, Settings};
use crate::domain::{Clock, SharedClock, SystemClock};
use crate::http::{AppState, edge, routes};
use crate::scanners::registry::Registry;
use crate::storage::{Database, DatabaseOptions, LockError, ProcessLock};

use crate::storage::StorageError;
use crate::telemetry;

/// Threads per HTTP worker that may block: for looking at a target's path only.
const HTTP_BLOCKING_THREADS: usize = 4;
/// Seconds that open connections get to end once streams are closed.
const CONNECTIONS_END_SECS: u64 = 5;
/// Connections waiting to be accepted.
const BACKLOG: u32 = 4096;

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process serves this database (C7).
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be used.
    #[error("cannot use the database")]
    Storage(#[from] StorageError),
    /// The actors cannot start.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// As configured.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What both the service and the CLI run on: the locked database and the actors.
pub struct Core {
    /// The actors.
    pub hub: Hub,
    /// The store.
    pub database: Database,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// The scanners.
    pub registry: Registry,
    lock: ProcessLock,
}

impl Core {
    /// Locks and opens the database, and starts the actors. Must be called inside an actix system;
    /// blocks until the database is ready.
    ///
    /// # Errors
    /// When somebody else serves the database, or it cannot be used, or nobody could be let in.
    pub fn start(
        settings: &Settings,
        registry: Registry,
        log: &Logger,
    ) -> Result<Self, StartError> {
        let clock: SharedClock = Arc::new(SystemClock);
        let options = DatabaseOptions::at(&settings.database_path);
        let lock = ProcessLock::acquire(&settings.database_path, &SystemClock.local())?;
        let database = Database::open(&options)?;
        let hub = Hub::start(settings, &database, registry.clone(), &clock, log)?;
        Ok(Self {
            hub,
            database,
            clock,
            registry,
            lock,
        })
    }
}

/// The service, listening but not yet serving.
pub struct Application {
    server: Server,
    handle: ServerHandle,
    state: Data<AppState>,
    port: u16,
    lock: ProcessLock,
}

impl Application {
    /// Starts everything but the serving of requests.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn build(settings: Settings, registry: Registry, log: &Logger) -> Result<Self, StartError> {
        let listener = listen(&settings.server)?;
        let core = Core::start(&settings, registry, log)?;
        warn_operator(&settings, &core.hub, log);
        let port = listener
            .local_addr()
            .map_or(settings.server.port, |address| address.port());
        let Core {
            hub,
            database,
            clock,
            registry,
            lock,
        } = core;
        let state = Data::new(AppState {
            hub,
            database,
            clock,
            settings: Arc::new(settings),
            registry,
            log: telemetry::named(log, telemetry::REQUEST_LOGGER),
        });
        let shared = state.clone();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                // The last one wraps the others.
                .wrap(CatchPanic::default())
                .wrap(from_fn({
                    let state = shared.clone();
                    move |request, next| edge::surround(state.clone(), request, next)
                }))
                .configure(routes::configure)
                .default_service(actix_web::web::to(routes::no_route))
        })
        .workers(threads)
        .worker_max_blocking_threads(HTTP_BLOCKING_THREADS)
        .backlog(BACKLOG)
        .shutdown_timeout(CONNECTIONS_END_SECS)
        // actix's own handling would stop every arbiter, scans included, 300 ms after HTTP.
        .disable_signals()
        .listen(listener)
        .map_err(|source| StartError::Listen {
            address: format!("port {port}"),
            source,
        })?
        .run();
        let handle = server.handle();
        Ok(Self {
            server,
            handle,
            state,
            port,
            lock,
        })
    }

    /// Returns the port that the service listens on; of interest when 0 was asked for.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns what handlers see, for tests that look behind the edge.
    #[must_use]
    pub fn state(&self) -> Data<AppState> {
        self.state.clone()
    }

    /// Serves until `stop` is ready, then: no new connections, streams closed, running scans ended
    /// within the grace period, everything written.
    ///
    /// # Errors
    /// When the server itself fails.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()>,
        log: &Logger,
    ) -> std::io::Result<()> {
        let log = telemetry::named(log, telemetry::MAIN_LOGGER);
        let mut server = actix_rt::spawn(self.server);
        let ended = tokio::select! {
            ended = &mut server => Some(ended),
            () = stop => None,
        };
        if ended.is_none() {
            slog::info!(log, "stopping: no new connections, running scans may end";
                "grace_s" => self.state.settings.server.shutdown_grace.as_secs());
        }
        self.state.hub.close_streams().await;
        self.handle.stop(true).await;
        let cut_off = self
            .state
            .hub
            .drain(self.state.settings.server.shutdown_grace)
            .await;
        self.state.hub.stop().await;
        if cut_off > 0 {
            slog::warn!(log, "scans were cut off and are marked as failed"; "scans" => cut_off);
        }
        slog::info!(log, "stopped");
        drop(self.lock);
        match ended {
            Some(Ok(result)) => result,
            Some(Err(panic)) => Err(std::io::Error::other(panic)),
            None => Ok(()),
        }
    }
}

impl Core {
    /// Ends the actors in order.
    pub async fn stop(self) {
        self.hub.drain(std::time::Duration::ZERO).await;
        self.hub.stop().await;
        drop(self.lock);
    }
}

fn listen(settings: &ServerSettings) -> Result<TcpListener, StartError> {
    let address = format!("{}:{}", bracketed(&settings.host), settings.port);
    let failed = |source| StartError::Listen {
        address: address.clone(),
        source,
    };
    let resolved: Vec<_> = std::net::ToSocketAddrs::to_socket_addrs(&address)
        .map_err(failed)?
        .collect();
    TcpListener::bind(resolved.as_slice()).map_err(failed)
}

/// `::1` needs brackets before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn warn_operator(settings: &Settings, hub: &Hub, log: &Logger) {
    let log = telemetry::named(log, telemetry::MAIN_LOGGER);
    if hub.dev_mode {
        slog::warn!(
            log,
            "SECURESCAN_API_KEY not set; API is unauthenticated (dev mode)."
        );
        if !matches!(
            settings.server.host.as_str(),
            "127.0.0.1" | "::1" | "localhost"
        ) {
            slog::warn!(log, "dev mode on an address that others can reach: anybody may scan this host's files";
                "host" => settings.server.host.as_str());
        }
    }
    if settings.auth.event_token_secret.is_none() {
        slog::warn!(
            log,
            "Using ephemeral SSE event-token signing secret — set SECURESCAN_EVENT_TOKEN_SECRET to persist tokens across restarts."
        );
    }
    if !settings.rate_limit.enabled {
        slog::warn!(
            log,
            "scan starts are not rate-limited; set SECURESCAN_RATE_LIMIT_ENABLED=true to limit them"
        );
    }
}

/// Returns where wrapped tools are looked for: `PATH`, then the folder of our own executable.
#[must_use]
pub fn tool_folders(path: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    if let Some(own) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(std::path::Path::parent)
    {
        folders.push(own.to_owned());
    }
    folders
}
