//! Limits how often one caller starts scans.
//! Owns: one token bucket per caller, bounded in number.
//! Holds: nothing.
//! Invariant: a caller never gets more than `burst` at once nor more than `per_minute` in the long run.
//! Fails: by panic -> restarts with full buckets.

mod messages;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use actix::{Actor, Context, Handler, Supervised};
use ratelimit::{Ratelimiter, TryWaitError};

pub use messages::{Acquire, Acquired, LimitExceeded};

use super::guard::{self, Breath};
use crate::config::RateLimitSettings;

/// One question per request that starts a scan.
const MAILBOX: usize = 4096;
/// Callers remembered at most; beyond, the full buckets go first, then all.
const CALLERS: usize = 10_000;

/// The actor; see the module.
pub struct RateLimiter {
    settings: RateLimitSettings,
    buckets: HashMap<String, Ratelimiter>,
    breath: Breath,
}

impl RateLimiter {
    /// Makes a limiter whose buckets all start full.
    #[must_use]
    pub fn new(settings: RateLimitSettings) -> Self {
        Self {
            settings,
            buckets: HashMap::new(),
            breath: Breath::default(),
        }
    }

    fn acquire(&mut self, caller: String) -> Result<Acquired, LimitExceeded> {
        if !self.settings.enabled {
            return Ok(Acquired {
                remaining: u64::from(self.settings.burst),
            });
        }
        self.make_room();
        let settings = self.settings;
        let bucket = self
            .buckets
            .entry(caller)
            .or_insert_with(|| full_bucket(settings));
        match bucket.try_wait() {
            Ok(()) => Ok(Acquired {
                remaining: bucket.available(),
            }),
            Err(TryWaitError::Insufficient(wait)) => Err(LimitExceeded {
                retry_after_secs: whole_seconds(wait),
            }),
            Err(_) => Err(LimitExceeded {
                retry_after_secs: 60,
            }),
        }
    }

    fn make_room(&mut self) {
        if self.buckets.len() < CALLERS {
            return;
        }
        let full = u64::from(self.settings.burst);
        self.buckets
            .retain(|_caller, bucket| bucket.available() < full);
        if self.buckets.len() >= CALLERS {
            self.buckets.clear();
        }
    }
}

fn full_bucket(settings: RateLimitSettings) -> Ratelimiter {
    // The crate's buckets start empty unless told otherwise.
    Ratelimiter::builder(u64::from(settings.per_minute))
        .period(Duration::from_secs(60))
        .max_tokens(u64::from(settings.burst))
        .initial_available(u64::from(settings.burst))
        .build()
        .unwrap_or_else(|_| Ratelimiter::new(u64::from(settings.per_minute)))
}

/// Rounds up, at least 1 (contract/http-api.md 2.5).
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl Actor for RateLimiter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Supervised for RateLimiter {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.buckets.clear();
    }
}

impl Handler<Acquire> for RateLimiter {
    type Result = Result<Acquired, LimitExceeded>;

    fn handle(&mut self, message: Acquire, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        guard::step(self, context, |limiter, _context| {
            limiter.acquire(message.caller)
        })
        .unwrap_or(Err(LimitExceeded {
            retry_after_secs: 1,
        }))
    }
}
