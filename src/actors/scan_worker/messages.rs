//! What a scan worker understands, and its last word.

use actix::Message;

use crate::domain::ScanId;
use crate::scanners::ScannerReport;

/// Start scanning.
///
/// From: the supervisor, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Begin;

/// End the scan.
///
/// From: the supervisor. Answer: given when the end is stored. Twice: refused.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "Result<(), CancelTooLate>")]
pub struct Cancel {
    /// What the scan's row says; becomes `cancelled` for people, `failed` for a shutdown.
    pub why: StopReason,
}

/// Why a scan is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody asked.
    User,
    /// The server stops and the grace period is over.
    Shutdown,
}

/// The scan reached its end before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the scan has already ended")]
pub struct CancelTooLate;

/// A scanner is done.
///
/// From: the thread that ran it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ScannerDone(pub ScannerReport);

/// The worker's last word, also when it died.
///
/// To: the supervisor, exactly once per worker.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct WorkerDone {
    /// The scan.
    pub scan_id: ScanId,
    /// Whether the worker knows that the scan's end is stored and told. Otherwise the supervisor
    /// stores `failed`.
    pub settled: bool,
}
