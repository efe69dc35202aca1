//! The memory of one scan's events, and a reader's place in it.
//!
//! The hub appends, readers follow at their own pace: an append with an id, a read from an id, a
//! wake-up. A reader has no queue of its own, so a slow one costs nothing but its place; when the
//! log has dropped what it had not read yet, it goes on with the oldest event that is left.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep};

use crate::domain::json::spaced_ascii;
use crate::domain::{ScanEvent, ScanStatus};

/// Events remembered per scan. A scan has fewer than fifty; the bound is for safety.
const EVENTS_KEPT: usize = 1_000;
/// Ids up to here may have been given by a former process for the same scan.
const FORMER_LIVES: u64 = 1_000_000;
/// Most bytes handed to a connection at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Time without an event after which a comment keeps the connection open.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE: &[u8] = b": keepalive\n\n";
/// Milliseconds after which a client that lost its connection should come back.
const RETRY: &[u8] = b"retry: 2000\n\n";

#[derive(Debug, Clone)]
struct Frame {
    id: u64,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Frame>,
    last_id: u64,
    ended: bool,
    closed: bool,
}

/// The remembered events of one scan. Ids count from 1; a terminal event is never dropped, since
/// nothing follows it.
#[derive(Debug, Default)]
pub(super) struct ScanLog {
    inner: Mutex<Inner>,
    news: Arc<Notify>,
}

impl ScanLog {
    /// Adds an event; false when the scan has already ended.
    pub(super) fn append(&self, event: &ScanEvent) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        if inner.last_id == 0 && matches!(event, ScanEvent::Failed { .. }) {
            // A scan that was cut off by the end of a former process: a client may come back with an
            // id from there, and must not take this event for one that it has seen.
            inner.last_id = FORMER_LIVES;
        }
        inner.last_id += 1;
        let frame = Frame {
            id: inner.last_id,
            bytes: encode(inner.last_id, event),
        };
        inner.frames.push_back(frame);
        if inner.frames.len() > EVENTS_KEPT {
            inner.frames.pop_front();
        }
        inner.ended = event.is_terminal();
        true
    }

    /// Ends every stream after what it can still read.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Wakes every reader. May take milliseconds with thousands of them: not for the hub's arbiter.
    pub(super) fn wake(&self) {
        self.news.notify_waiters();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    pub(super) fn last_id(&self) -> u64 {
        self.lock().last_id
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies what follows `after` into one chunk, and tells whether the stream ends with it.
    fn read(&self, after: u64) -> Read {
        let inner = self.lock();
        let mut chunk = BytesMut::new();
        let mut place = after;
        let mut complete = true;
        for frame in inner.frames.iter().filter(|frame| frame.id > after) {
            if !chunk.is_empty() && chunk.len() + frame.bytes.len() > CHUNK_BYTES {
                complete = false;
                break;
            }
            chunk.extend_from_slice(&frame.bytes);
            place = frame.id;
        }
        Read {
            chunk: chunk.freeze(),
            place,
            over: complete && (inner.ended || inner.closed),
        }
    }
}

struct Read {
    chunk: Bytes,
    place: u64,
    over: bool,
}

/// Renders the frame that every subscriber shares.
fn encode(id: u64, event: &ScanEvent) -> Bytes {
    Bytes::from(format!(
        "id: {id}\nevent: {}\ndata: {}\n\n",
        event.name(),
        spaced_ascii(&event.payload()).unwrap_or_default()
    ))
}

/// Renders the stream of a scan that has ended and whose events are forgotten: one event that says
/// how it ended (contract/events-webhooks-notifications.md 2.2).
#[must_use]
pub fn synthesised(status: ScanStatus) -> Option<Bytes> {
    let name = match status {
        ScanStatus::Completed => "scan.complete",
        ScanStatus::Failed => "scan.failed",
        ScanStatus::Cancelled => "scan.cancelled",
        ScanStatus::Pending | ScanStatus::Running => return None,
    };
    Some(Bytes::from(format!(
        "event: {name}\ndata: {{\"status\": \"{status}\"}}\n\n"
    )))
}

/// One subscriber's body: an endless text until the terminal event.
pub struct EventStream {
    log: Arc<ScanLog>,
    place: u64,
    greeted: bool,
    over: bool,
    news: Pin<Box<OwnedNotified>>,
    /// Made at the first poll: a timer belongs to the runtime of the thread that polls it.
    keepalive: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl EventStream {
    pub(super) fn new(log: Arc<ScanLog>, after: Option<u64>) -> Self {
        let news = Box::pin(Arc::clone(&log.news).notified_owned());
        Self {
            log,
            place: after.unwrap_or(0),
            greeted: false,
            over: false,
            news,
            keepalive: None,
        }
    }

    /// Starts the time to the next keepalive anew.
    fn rest(&mut self) -> &mut Pin<Box<Sleep>> {
        let timer = self
            .keepalive
            .get_or_insert_with(|| Box::pin(sleep(KEEPALIVE_EVERY)));
        timer.as_mut().reset(Instant::now() + KEEPALIVE_EVERY);
        timer
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.greeted {
            this.greeted = true;
            return Poll::Ready(Some(Ok(Bytes::from_static(RETRY))));
        }
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            // Register before looking: news that come between are not missed.
            let woken = this.news.as_mut().poll(context).is_ready();
            if woken {
                this.news = Box::pin(Arc::clone(&this.log.news).notified_owned());
            }
            let read = this.log.read(this.place);
            this.place = read.place;
            this.over = read.over;
            if !read.chunk.is_empty() {
                this.rest();
                return Poll::Ready(Some(Ok(read.chunk)));
            }
            if this.over {
                return Poll::Ready(None);
            }
            if !woken {
                break;
            }
        }
        let timer = match &mut this.keepalive {
            Some(timer) => timer,
            None => this.rest(),
        };
        ready!(timer.as_mut().poll(context));
        this.rest();
        Poll::Ready(Some(Ok(Bytes::from_static(KEEPALIVE))))
    }
}

/// Wakes readers on a thread of its own, so that thousands of them do not hold up the hub.
///
/// Ends when the last sender is dropped.
#[derive(Debug, Clone)]
pub(super) struct Waker(std::sync::mpsc::Sender<Arc<ScanLog>>);

impl Waker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = std::sync::mpsc::channel::<Arc<ScanLog>>();
        std::thread::Builder::new()
            .name("sse-wake".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || {
                while let Ok(log) = receiver.recv() {
                    // News that piled up meanwhile are one wake-up a scan.
                    let mut logs = vec![log];
                    for more in receiver.try_iter() {
                        if !logs.iter().any(|log| Arc::ptr_eq(log, &more)) {
                            logs.push(more);
                        }
                    }
                    logs.iter().for_each(|log| log.wake());
                }
            })?;
        Ok(Self(sender))
    }

    /// Has the readers of a log woken soon.
    pub(super) fn wake(&self, log: &Arc<ScanLog>) {
        if self.0.send(Arc::clone(log)).is_err() {
            // The thread is gone: wake here, late is better than never.
            log.wake();
        }
    }
}
