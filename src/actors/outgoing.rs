//! Events on their way to the hub: none is lost when its mailbox is full, and their order is kept.

use std::collections::VecDeque;
use std::time::Duration;

use actix::Recipient;
use actix::dev::SendError;

use super::event_hub::Publish;

/// Pause before what a full mailbox refused is sent again.
pub(super) const SEND_AGAIN: Duration = Duration::from_millis(2);

/// The events that the hub has not taken yet.
pub(super) struct Outgoing {
    hub: Recipient<Publish>,
    waiting: VecDeque<Publish>,
}

impl Outgoing {
    pub(super) const fn new(hub: Recipient<Publish>) -> Self {
        Self {
            hub,
            waiting: VecDeque::new(),
        }
    }

    /// Adds an event; tells whether it is the only one, so that the caller should [`Self::send`].
    /// Otherwise a sending is under way or planned.
    pub(super) fn push(&mut self, publish: Publish) -> bool {
        self.waiting.push_back(publish);
        self.waiting.len() == 1
    }

    /// Sends what the hub takes; tells whether nothing is left. Otherwise call it again after
    /// [`SEND_AGAIN`]. A hub that is gone takes everything: nobody listens any more.
    pub(super) fn send(&mut self) -> bool {
        while let Some(publish) = self.waiting.pop_front() {
            if let Err(SendError::Full(publish)) = self.hub.try_send(publish) {
                self.waiting.push_front(publish);
                return false;
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::recorder::Recorder;
    use crate::domain::{ScanEvent, ScanId};

    #[actix::test]
    async fn what_a_full_mailbox_refuses_is_sent_later_and_in_order() {
        let (hub, heard) = Recorder::<Publish>::start_pair();
        let mut outgoing = Outgoing::new(hub);
        // More than the recorder's mailbox takes while it has no chance to read.
        let events: Vec<_> = (0..100)
            .map(|n| Publish {
                scan_id: ScanId::new("s"),
                event: ScanEvent::ScannerStart {
                    scanner: n.to_string(),
                },
            })
            .collect();
        assert!(outgoing.push(events[0].clone()));
        assert!(!outgoing.push(events[1].clone()));
        for event in &events[2..] {
            outgoing.push(event.clone());
        }
        let mut told = Vec::new();
        while !outgoing.send() {
            tokio::task::yield_now().await;
            told.extend(heard.drain());
        }
        while told.len() < events.len() {
            tokio::task::yield_now().await;
            told.extend(heard.drain());
        }
        assert!(outgoing.is_empty());
        assert_eq!(told, events);
    }
}
