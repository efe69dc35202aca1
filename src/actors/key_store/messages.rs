//! What the key store understands.

use actix::Message;

use crate::config::Secret;
use crate::domain::{Principal, ScanId};

/// Tell who presents this key.
///
/// From: every `/api` request. Answer: the caller. Source: contract/auth.md 3. Idempotent but for
/// the key's moment of last use.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Principal, AuthRefused>")]
pub struct Authenticate {
    /// The key as presented, trimmed; `None` when there is none.
    pub presented: Option<Secret>,
}

/// Why a caller is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefused {
    /// There are credentials, and none was presented.
    #[error("X-API-Key header required")]
    KeyRequired,
    /// The key presented is unknown or revoked.
    #[error("Invalid API key")]
    InvalidKey,
    /// Authentication is required and there are no credentials.
    #[error("Auth required but no credentials configured")]
    NoCredentials,
    /// The keys could not be read: never mistaken for "there are none" (C1).
    #[error("authentication is unavailable")]
    Unavailable,
}

/// Make a token that opens one scan's event stream for five minutes.
///
/// From: the mint route, after authentication. Source: contract/auth.md 6.
#[derive(Debug, Clone, Message)]
#[rtype(result = "EventToken")]
pub struct MintEventToken {
    /// The scan.
    pub scan_id: ScanId,
    /// Whom the token stands for.
    pub principal: Principal,
}

/// A minted token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventToken {
    /// For the query parameter `event_token`.
    pub token: String,
    /// Seconds until it is refused.
    pub expires_in_secs: u64,
}

/// Tell whom a token stands for.
///
/// From: the SSE route. Source: contract/auth.md 6.3; decoding is strict. Idempotent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Principal, TokenRefused>")]
pub struct VerifyEventToken {
    /// As presented.
    pub token: Secret,
    /// The scan whose stream is asked for.
    pub scan_id: ScanId,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Not one of ours, tampered with, or too old.
    #[error("Invalid or expired event token")]
    Invalid,
    /// Made for another scan.
    #[error("Token does not match scan id")]
    OtherScan,
    /// Made in dev mode, which is over.
    #[error("Dev-mode token no longer valid (auth has been enabled)")]
    DevModeOver,
    /// Made for the environment key, which is gone.
    #[error("Env-var key no longer configured")]
    EnvironmentKeyGone,
    /// Made for a key that is revoked or deleted.
    #[error("Bound key is revoked or missing")]
    KeyGone,
}
