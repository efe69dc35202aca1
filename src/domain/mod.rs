//! Plain types and pure rules: no I/O, no actors, no SQL. Imports nothing of ours.

pub mod auth;
pub mod clock;
pub mod event;
pub mod finding;
pub mod json;
pub mod scan;
pub mod severity;
pub mod timestamp;

pub use auth::{Principal, Scope};
pub use clock::{Clock, SharedClock, SystemClock};
pub use event::ScanEvent;
pub use finding::{Finding, FindingId, FindingState, Fingerprint, RawFinding, Subject};
pub use scan::{
    Coverage, Scan, ScanId, ScanOutcome, ScanStatus, ScanType, ScannerFailure, ScannerRecord,
    ScannerSkip, ScannerStatus,
};
pub use severity::{Severity, SeverityCounts};
pub use timestamp::Timestamp;
