//! What the tests share.

pub mod app;
pub mod binary;
pub mod client;
pub mod filters;
pub mod sse;
pub mod tools;
pub mod tree;

use std::time::{Duration, Instant};

/// Longest time that anything may take before a test gives up: far beyond what a loaded machine
/// needs, since a passing test never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something; panics with `what` at the deadline.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// As [`wait_for`], for looks that are asynchronous.
pub async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        actix_rt::time::sleep(LOOK_EVERY).await;
    }
}
