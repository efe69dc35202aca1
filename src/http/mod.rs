//! The HTTP edge: parse, ask an actor or the store, render.

pub mod edge;
pub mod error;
pub mod extract;
pub mod json_syntax;
pub mod query;
pub mod routes;
pub mod validate;
pub mod views;

use std::sync::Arc;
use std::time::Duration;

use crate::actors::Hub;
use crate::config::Settings;
use crate::domain::SharedClock;
use crate::scanners::registry::Registry;
use crate::storage::Database;

/// How long a handler waits for an actor before it says "busy".
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What handlers share.
pub struct AppState {
    /// The actors.
    pub hub: Hub,
    /// The store.
    pub database: Database,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// Everything configured.
    pub settings: Arc<Settings>,
    /// The scanners.
    pub registry: Registry,
    /// Operators' log of requests.
    pub log: slog::Logger,
}
