//! What the rate limiter understands.

use actix::Message;

/// Give the caller one token, or say when to come back.
///
/// From: the handler that starts scans. Source: contract/http-api.md 2.5 with the capacity of C5.
/// Not idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "Result<Acquired, LimitExceeded>")]
pub struct Acquire {
    /// Name of the authenticated caller, else its address.
    pub caller: String,
}

/// The caller may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// Tokens left, rounded down.
    pub remaining: u64,
}

/// The caller's bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Rate limit exceeded")]
pub struct LimitExceeded {
    /// Whole seconds until there is a token, rounded up, at least 1.
    pub retry_after_secs: u64,
}
