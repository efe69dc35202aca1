//! The six rooms on the hub: one dedicated arbiter that runs messages, timers and async network
//! I/O, and nothing that blocks.
//!
//! ```text
//!   http / cli
//!      │ SubmitScan, CancelScan (4096)      │ Subscribe (4096)     │ Authenticate (4096)
//!      ▼                                    ▼                      ▼
//!  ScanSupervisor ──Begin, Cancel (64)──▶ ScanWorker ──Publish──▶ EventHub      KeyStore
//!      ▲                                    │  │                                RateLimiter
//!      └──────────── WorkerDone ────────────┘  └──Wake (256)──▶ WebhookDispatcher
//! ```

pub mod ask;
pub mod event_hub;
pub mod guard;
pub mod hub;
pub mod key_store;
mod outgoing;
pub mod rate_limiter;
#[cfg(test)]
pub(crate) mod recorder;
pub mod scan_supervisor;
pub mod scan_worker;
pub mod webhook_dispatcher;

pub use ask::{AskError, ask};
pub use hub::Hub;
