//! What the scan supervisor understands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::domain::{Scan, ScanId, ScanStatus};
use crate::storage::StorageError;

/// Take a scan: store it, queue it.
///
/// From: `POST /scans` and the CLI, after the target has been validated. Answer: given when the
/// row is stored, so an accepted scan survives a crash.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "Result<Accepted, SubmitRefused>")]
pub struct SubmitScan {
    /// A pending scan with an id of its own.
    pub scan: Scan,
}

/// The scan is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// As stored.
    pub scan: Scan,
    /// Place in the queue, from 1: the number of scans that start before it, plus one.
    pub queue_position: usize,
}

/// Why a scan is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitRefused {
    /// The server is stopping.
    #[error("the server is shutting down")]
    Draining,
    /// Too many scans wait already.
    #[error("the queue is full ({0} scans)")]
    QueueFull(usize),
    /// The row could not be written.
    #[error("failed to store the scan")]
    Storage(#[from] StorageError),
}

/// End a scan, whether it waits or runs.
///
/// From: `POST /scans/{id}/cancel`, Ctrl-C in the CLI. Answer: given when the end is stored and
/// told. Twice: refused.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "Result<(), CancelRefused>")]
pub struct CancelScan {
    /// The scan.
    pub scan_id: ScanId,
}

/// Why a scan is not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelRefused {
    /// No such scan.
    #[error("Scan not found")]
    NotFound,
    /// It has ended.
    #[error("Cannot cancel scan in '{0}' state")]
    AlreadyEnded(ScanStatus),
    /// The end could not be stored.
    #[error("failed to store the end of the scan")]
    Storage(#[from] StorageError),
}

/// Say where each waiting scan stands in the queue.
///
/// From: the routes that show scans. Answer: places from 1, shared until the queue changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Arc<HashMap<ScanId, usize>>")]
pub struct QueuePositions;

/// Say how much there is to do.
///
/// From: the readiness probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Load")]
pub struct CurrentLoad;

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, actix::MessageResponse)]
pub struct Load {
    /// Scans that wait.
    pub queued: usize,
    /// Scans that run.
    pub running: usize,
}

/// Take no more work, let running scans end within the time given, then make them end.
///
/// From: the shutdown. Answer: given when no scan runs; the number of scans that were cut off.
/// Waiting scans stay in the database and run at the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "usize")]
pub struct Drain {
    /// How long running scans may go on.
    pub grace: Duration,
}
