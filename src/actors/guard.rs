//! A panic inside a handler becomes a restart, and a flooded mailbox leaves its neighbours air.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, AsyncContext, Context, Supervised};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Returns how many handlers have panicked since the process started.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// The step panicked; the actor restarts cold and the question is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("restarting")]
pub struct Restarting;

/// Runs one step of a supervised actor; a panic in it stops the context, which the supervisor
/// starts again.
///
/// # Errors
/// [`Restarting`] when the step panicked.
pub fn step<A, R>(
    actor: &mut A,
    context: &mut Context<A>,
    step: impl FnOnce(&mut A, &mut Context<A>) -> R,
) -> Result<R, Restarting>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    // Half-changed state is sound only because `Supervised::restarting` throws it away.
    catch_unwind(AssertUnwindSafe(|| step(&mut *actor, &mut *context))).map_err(|_panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        context.stop();
        Restarting
    })
}

/// Messages that one actor may handle before its neighbours on the arbiter get a turn.
const MESSAGES_PER_TURN: u32 = 32;

/// Counts handled messages and yields after a bounded number of them: an actor whose mailbox is fed
/// faster than it drains would otherwise keep the arbiter.
#[derive(Debug, Default)]
pub struct Breath(u32);

impl Breath {
    /// Counts one message.
    pub fn take<A: Actor<Context = Context<A>>>(&mut self, context: &mut Context<A>) {
        self.0 += 1;
        if self.0 >= MESSAGES_PER_TURN {
            self.0 = 0;
            context.wait(wrap_future(tokio::task::yield_now()));
        }
    }
}
