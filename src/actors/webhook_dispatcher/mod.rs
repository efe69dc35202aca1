//! Keeps the deliveries that are owed to webhooks.
//! Owns: the knowledge of how many deliveries wait.
//! Holds: the database.
//! Invariant: a delivery that was under way when the process died waits again.
//! Fails: by panic -> restarts and looks at the database again; rows are never lost.

mod messages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use slog::Logger;

pub use messages::{Backlog, Wake};

use super::guard::Breath;
use crate::domain::SharedClock;
use crate::storage::{Database, outbox};

/// Nudges; more than a few waiting ones are as good as one.
const MAILBOX: usize = 256;

/// The actor; see the module.
pub struct WebhookDispatcher {
    database: Database,
    clock: SharedClock,
    log: Logger,
    owed: u64,
    looking: bool,
    breath: Breath,
}

impl WebhookDispatcher {
    /// Makes a dispatcher over the database.
    #[must_use]
    pub fn new(database: Database, clock: SharedClock, log: Logger) -> Self {
        Self {
            database,
            clock,
            log,
            owed: 0,
            looking: false,
            breath: Breath::default(),
        }
    }

    /// Returns deliveries that were cut off to the queue.
    fn recover(&mut self, context: &mut Context<Self>) {
        let database = self.database.clone();
        let now = self.clock.utc();
        let reset = async move {
            database
                .write(move |conn| outbox::reset_stale(conn, &now))
                .await
        };
        context.wait(reset.into_actor(self).map(|reset, dispatcher, context| {
            match reset {
                Ok(0) => {}
                Ok(count) => {
                    slog::info!(dispatcher.log, "reset {count} stale delivering rows on startup");
                }
                Err(error) => {
                    slog::warn!(dispatcher.log, "failed to look for cut-off deliveries; trying again";
                        "error" => crate::telemetry::chain(&error));
                    context.run_later(Duration::from_secs(5), Self::recover);
                }
            }
            dispatcher.look(context);
        }));
    }

    fn look(&mut self, context: &mut Context<Self>) {
        if self.looking {
            return;
        }
        self.looking = true;
        let database = self.database.clone();
        let count = async move { database.run(outbox::owed).await };
        context.spawn(count.into_actor(self).map(|count, dispatcher, _context| {
            dispatcher.looking = false;
            match count {
                Ok(owed) => dispatcher.owed = owed,
                Err(error) => slog::warn!(dispatcher.log, "failed to count owed deliveries";
                    "error" => crate::telemetry::chain(&error)),
            }
        }));
    }
}

impl Actor for WebhookDispatcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.looking = false;
        self.recover(context);
    }
}

impl Supervised for WebhookDispatcher {}

impl Handler<Wake> for WebhookDispatcher {
    type Result = ();

    fn handle(&mut self, _message: Wake, context: &mut Self::Context) {
        self.breath.take(context);
        self.look(context);
    }
}

impl Handler<Backlog> for WebhookDispatcher {
    type Result = u64;

    fn handle(&mut self, _message: Backlog, context: &mut Self::Context) -> u64 {
        self.breath.take(context);
        self.owed
    }
}
