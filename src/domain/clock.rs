//! Where the time comes from.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use chrono::{DateTime, Local, Utc};

use super::Timestamp;

/// Source of wall-clock time; tests put a fixed one in its place.
pub trait Clock: Send + Sync + UnwindSafe + RefUnwindSafe + 'static {
    /// Returns the present moment.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the present moment as UTC text, the clock of everything but scans.
    fn utc(&self) -> Timestamp {
        Timestamp::naive(&self.now())
    }

    /// Returns the present moment in the server's zone, the clock of scans.
    ///
    /// Compat: contract/http-api.md 3; `started_at` and `completed_at` are local time.
    fn local(&self) -> Timestamp {
        Timestamp::naive(&self.now().with_timezone(&Local))
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock shared between rooms.
pub type SharedClock = Arc<dyn Clock>;
