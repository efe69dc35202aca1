//! Settings of authentication and rate limits.

use super::{Environment, Secret, SettingsError};

/// Who may do what.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// `SECURESCAN_API_KEY`: a key with every scope. Default: none.
    pub api_key: Option<Secret>,
    /// `SECURESCAN_AUTH_REQUIRED`: refuse to serve without credentials. Default: false.
    pub required: bool,
    /// `SECURESCAN_EVENT_TOKEN_SECRET`: signs event tokens. Default: random per process.
    pub event_token_secret: Option<Secret>,
}

impl AuthSettings {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        Ok(Self {
            api_key: environment.text("SECURESCAN_API_KEY").map(Secret::new),
            required: environment.switch("SECURESCAN_AUTH_REQUIRED", false)?,
            event_token_secret: environment
                .text("SECURESCAN_EVENT_TOKEN_SECRET")
                .map(Secret::new),
        })
    }
}

/// How often one caller may start scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// `SECURESCAN_RATE_LIMIT_ENABLED`. Default: false.
    pub enabled: bool,
    /// `SECURESCAN_RATE_LIMIT_PER_MIN`: tokens refilled a minute. Default: 60.
    pub per_minute: u32,
    /// `SECURESCAN_RATE_LIMIT_BURST`: capacity of a caller's bucket. Default: 10.
    pub burst: u32,
}

impl RateLimitSettings {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        let positive = |value: &u32| *value > 0;
        let expected = "use a whole number above 0";
        Ok(Self {
            enabled: environment.switch("SECURESCAN_RATE_LIMIT_ENABLED", false)?,
            per_minute: environment.number(
                "SECURESCAN_RATE_LIMIT_PER_MIN",
                60,
                expected,
                positive,
            )?,
            burst: environment.number("SECURESCAN_RATE_LIMIT_BURST", 10, expected, positive)?,
        })
    }
}
