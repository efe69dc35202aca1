//! Tells everybody who listens what happens in a scan, in order and to the end.
//! Owns: the event log of each live or recently ended scan.
//! Holds: the thread that wakes readers.
//! Invariant: events of a scan are read in the order of their ids; nothing follows a terminal one.
//! Fails: by panic -> restarts empty; open streams end, and clients that come back are told how the
//! scan ended from its row.

mod messages;
mod replay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Supervised};
use slog::Logger;

pub use messages::{CloseStreams, Publish, Subscribe, SubscribeRefused, Tap};
pub use replay::{EventStream, synthesised};

use replay::{ScanLog, Waker};

use super::guard::{self, Breath};
use crate::domain::{ScanEvent, ScanId};

/// Publishers are the workers, with a few dozen events a scan; subscribers are HTTP clients.
const MAILBOX: usize = 4096;
/// How long the events of an ended scan stay readable (contract/events-webhooks-notifications.md 2.2).
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// The actor; see the module.
pub struct EventHub {
    logs: BTreeMap<ScanId, Arc<ScanLog>>,
    taps: Vec<tokio::sync::mpsc::Sender<Publish>>,
    waker: Waker,
    closing: bool,
    breath: Breath,
    log: Logger,
}

impl EventHub {
    /// Makes a hub that writes lifecycle lines to `log`.
    ///
    /// # Errors
    /// When the thread that wakes readers cannot be started.
    pub fn new(log: Logger) -> std::io::Result<Self> {
        Ok(Self {
            logs: BTreeMap::new(),
            taps: Vec::new(),
            waker: Waker::start()?,
            closing: false,
            breath: Breath::default(),
            log,
        })
    }

    fn log_of(&mut self, scan_id: &ScanId) -> Arc<ScanLog> {
        Arc::clone(self.logs.entry(scan_id.clone()).or_default())
    }

    /// Writes the line of contract/config-ops.md 5: `<event> k=v k=v scan_id=<id>`.
    fn tell_operators(&self, scan_id: &ScanId, event: &ScanEvent) {
        let mut line = event.name().to_owned();
        for (name, value) in event.payload() {
            let shown = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) if number.is_f64() => {
                    format!("{:.2}", number.as_f64().unwrap_or_default())
                }
                other => other.to_string(),
            };
            line.push_str(&format!(" {name}={shown}"));
        }
        slog::info!(self.log, "{line} scan_id={scan_id}"; "event" => event.name(), "scan_id" => scan_id.as_str());
    }

    fn publish(&mut self, publish: &Publish, context: &mut Context<Self>) {
        let log = self.log_of(&publish.scan_id);
        if !log.append(&publish.event) {
            return;
        }
        self.tell_operators(&publish.scan_id, &publish.event);
        self.waker.wake(&log);
        for tap in &self.taps {
            // A listener that has gone away or does not keep up holds up nobody.
            let _heard = tap.try_send(publish.clone()).is_ok();
        }
        if publish.event.is_terminal() {
            let scan_id = publish.scan_id.clone();
            context.run_later(REMEMBERED_FOR, move |hub, _context| {
                hub.logs.remove(&scan_id);
            });
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Result<EventStream, SubscribeRefused> {
        if self.closing {
            return Err(SubscribeRefused::Closing);
        }
        let remembered = self.logs.get(&subscribe.scan_id);
        // A row says how a scan ended a moment before the event does: a log that has begun will end.
        if subscribe.ended && remembered.is_none_or(|log| log.last_id() == 0) {
            return Err(SubscribeRefused::Forgotten);
        }
        let log = self.log_of(&subscribe.scan_id);
        if log.has_ended() && subscribe.after.is_some_and(|after| after >= log.last_id()) {
            return Err(SubscribeRefused::AllSeen);
        }
        // An id from before a restart may be ahead of ours: begin again rather than wait for it.
        let after = subscribe.after.filter(|after| *after <= log.last_id());
        Ok(EventStream::new(log, after))
    }

    fn close_streams(&mut self) {
        self.closing = true;
        for log in self.logs.values() {
            log.close();
            self.waker.wake(log);
        }
    }
}

impl Actor for EventHub {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Supervised for EventHub {
    fn restarting(&mut self, _context: &mut Self::Context) {
        for log in self.logs.values() {
            log.close();
            self.waker.wake(log);
        }
        self.logs.clear();
    }
}

impl Handler<Publish> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Publish, context: &mut Self::Context) {
        self.breath.take(context);
        if guard::step(self, context, |hub, context| hub.publish(&message, context)).is_err() {
            slog::error!(self.log, "event hub restarts after a panic"; "scan_id" => message.scan_id.as_str());
        }
    }
}

impl Handler<Subscribe> for EventHub {
    type Result = Result<EventStream, SubscribeRefused>;

    fn handle(&mut self, message: Subscribe, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        guard::step(self, context, |hub, _context| hub.subscribe(&message))
            .unwrap_or(Err(SubscribeRefused::Closing))
    }
}

impl Handler<Tap> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Tap, _context: &mut Self::Context) {
        self.taps.push(message.0);
    }
}

impl Handler<CloseStreams> for EventHub {
    type Result = ();

    fn handle(&mut self, _message: CloseStreams, _context: &mut Self::Context) {
        self.close_streams();
    }
}
