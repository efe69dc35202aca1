//! The limiter by messages, without HTTP.

use super::*;
use crate::actors::ask::ask;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(enabled: bool) -> actix::Addr<RateLimiter> {
    let settings = RateLimitSettings {
        enabled,
        per_minute: 1,
        burst: 3,
    };
    actix::Supervisor::start(move |_| RateLimiter::new(settings))
}

#[actix::test]
async fn a_caller_gets_its_burst_and_then_a_time_to_come_back() {
    let limiter = limiter(true);
    for remaining in [2, 1, 0] {
        let answer = ask(
            &limiter,
            Acquire {
                caller: "key:a".into(),
            },
            SECOND,
        )
        .await
        .unwrap();
        assert_eq!(answer, Ok(Acquired { remaining }));
    }
    let refused = ask(
        &limiter,
        Acquire {
            caller: "key:a".into(),
        },
        SECOND,
    )
    .await
    .unwrap();
    let retry = refused.unwrap_err().retry_after_secs;
    assert!((1..=60).contains(&retry), "{retry}");
    let other = ask(
        &limiter,
        Acquire {
            caller: "key:b".into(),
        },
        SECOND,
    )
    .await
    .unwrap();
    assert!(other.is_ok(), "one caller's limit is not another's");
}

#[actix::test]
async fn a_limiter_that_is_off_refuses_nobody() {
    let limiter = limiter(false);
    for _ in 0..20 {
        assert!(
            ask(&limiter, Acquire { caller: "a".into() }, SECOND)
                .await
                .unwrap()
                .is_ok()
        );
    }
}

#[test]
fn the_number_of_buckets_is_bounded() {
    let settings = RateLimitSettings {
        enabled: true,
        per_minute: 1,
        burst: 3,
    };
    let mut limiter = RateLimiter::new(settings);
    for caller in 0..CALLERS + 50 {
        limiter.acquire(caller.to_string()).unwrap();
    }
    assert!(limiter.buckets.len() <= CALLERS);
}
