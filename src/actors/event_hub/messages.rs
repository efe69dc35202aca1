//! What the event hub understands.

use actix::Message;

use super::replay::EventStream;
use crate::domain::{ScanEvent, ScanId};

/// Tell everybody who listens to a scan.
///
/// From: the scan's worker, the supervisor for scans without one. Order: per scan as sent; nothing
/// after a terminal event is taken.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// The scan.
    pub scan_id: ScanId,
    /// What happened.
    pub event: ScanEvent,
}

/// Listen to a scan, from the first event that is still remembered or from the one after `after`.
///
/// From: the SSE route, after it has seen that the scan exists.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "Result<EventStream, SubscribeRefused>")]
pub struct Subscribe {
    /// The scan.
    pub scan_id: ScanId,
    /// `Last-Event-ID`: the last event that the subscriber has seen.
    pub after: Option<u64>,
    /// Whether the scan has ended according to the database: then only a remembered sequence helps.
    pub ended: bool,
}

/// Why there is nothing to listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeRefused {
    /// The scan has ended and its events are forgotten.
    #[error("the scan's events are no longer remembered")]
    Forgotten,
    /// The subscriber has already seen the terminal event.
    #[error("nothing follows the terminal event")]
    AllSeen,
    /// The hub is closing.
    #[error("shutting down")]
    Closing,
}

/// Hear every event of every scan from now on, as it is.
///
/// From: the CLI. Events that find the channel full are lost to this listener.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Tap(pub tokio::sync::mpsc::Sender<Publish>);

/// End every stream: the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CloseStreams;
