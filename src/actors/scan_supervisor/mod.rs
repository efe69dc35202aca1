//! Runs at most N scans at once, the rest in order.
//! Owns: the queue of scans, the table of live workers, the concurrency limit.
//! Holds: the database, `Recipient<Publish>`, what workers need.
//! Invariant: an accepted scan is in the database; it ends in exactly one terminal state, whatever
//! dies.
//! Fails: by panic -> its workers end, and it restarts from the database: running scans become
//! `failed`, pending ones are queued again.

mod messages;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, MessageResult, ResponseActFuture,
    ResponseFuture, Supervised, WrapFuture,
};
use tokio::sync::oneshot;

pub use messages::{
    Accepted, CancelRefused, CancelScan, CurrentLoad, Drain, Load, QueuePositions, SubmitRefused,
    SubmitScan,
};

use queue::{Place, Queue};

use super::event_hub::Publish;
use super::guard::{self, Breath};
use super::outgoing::{Outgoing, SEND_AGAIN};
use super::scan_worker::{Begin, Cancel, ScanWorker, StopReason, WorkerDone, WorkerParts};
use crate::domain::{Scan, ScanEvent, ScanId, ScanOutcome, ScanStatus};
use crate::kill_points::{self, Point};
use crate::storage::{StorageError, outbox, scans};

/// HTTP requests and the workers' last words.
const MAILBOX: usize = 4096;
/// What the row of a scan says that was running when the process died.
pub const INTERRUPTED: &str = "interrupted: the server stopped while the scan was running";
/// Pause before the database is asked again at start.
const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// The actor; see the module.
pub struct ScanSupervisor {
    parts: Arc<WorkerParts>,
    queue: Queue,
    outgoing: Outgoing,
    live: BTreeMap<ScanId, Addr<ScanWorker>>,
    drained: Vec<oneshot::Sender<usize>>,
    cut_off: usize,
    resume_waiting: bool,
    breath: Breath,
}

impl ScanSupervisor {
    /// Makes a supervisor that runs at most `max_concurrent` scans at once.
    #[must_use]
    pub fn new(parts: Arc<WorkerParts>, max_concurrent: usize) -> Self {
        let outgoing = Outgoing::new(parts.events.clone());
        Self {
            parts,
            queue: Queue::new(max_concurrent),
            outgoing,
            live: BTreeMap::new(),
            drained: Vec::new(),
            cut_off: 0,
            resume_waiting: true,
            breath: Breath::default(),
        }
    }

    /// Leaves scans alone that a former process left waiting: the next server runs them.
    #[must_use]
    pub fn leaving_others_waiting(mut self) -> Self {
        self.resume_waiting = false;
        self
    }

    /// Puts right what the last life of the process left behind, then starts what waits.
    fn load(&mut self, context: &mut Context<Self>) {
        let parts = Arc::clone(&self.parts);
        let resume_waiting = self.resume_waiting;
        let loaded = async move {
            let (at, now) = (parts.clock.local(), parts.clock.utc());
            parts
                .database
                .write(move |conn| {
                    let interrupted = scans::fail_interrupted(conn, &at, INTERRUPTED)?;
                    for scan_id in &interrupted {
                        outbox::record(conn, scan_id, &failed(INTERRUPTED), &now)?;
                    }
                    let waiting = match resume_waiting {
                        true => scans::pending_in_order(conn)?,
                        false => Vec::new(),
                    };
                    Ok((interrupted, waiting))
                })
                .await
        };
        context.wait(loaded.into_actor(self).map(|loaded, supervisor, context| match loaded {
            Ok((interrupted, pending)) => {
                for scan_id in interrupted {
                    supervisor.publish(scan_id, failed(INTERRUPTED), context);
                }
                supervisor.queue.clear();
                for scan_id in pending {
                    supervisor.queue.push(scan_id);
                }
                supervisor.start_scans(context);
            }
            Err(error) => {
                slog::error!(supervisor.parts.log, "failed to load the queue of scans; trying again";
                    "error" => crate::telemetry::chain(&error));
                context.run_later(LOAD_AGAIN, Self::load);
            }
        }));
    }

    fn publish(&mut self, scan_id: ScanId, event: ScanEvent, context: &mut Context<Self>) {
        if self.outgoing.push(Publish { scan_id, event }) {
            self.send_outgoing(context);
        }
    }

    fn send_outgoing(&mut self, context: &mut Context<Self>) {
        if !self.outgoing.send() {
            context.run_later(SEND_AGAIN, Self::send_outgoing);
        }
    }

    fn start_scans(&mut self, context: &mut Context<Self>) {
        while let Some(scan_id) = self.queue.start_next() {
            let database = self.parts.database.clone();
            let wanted = scan_id.clone();
            let row = async move { database.read(move |conn| scans::get(conn, &wanted)).await };
            context.spawn(row.into_actor(self).map(move |row, supervisor, context| {
                supervisor.start_worker(&scan_id, row, context);
            }));
        }
    }

    fn start_worker(
        &mut self,
        scan_id: &ScanId,
        row: Result<Option<Scan>, StorageError>,
        context: &mut Context<Self>,
    ) {
        match row {
            Ok(Some(scan)) if scan.status == ScanStatus::Pending => {
                let last_word = context.address().recipient();
                let worker = ScanWorker::new(scan, Arc::clone(&self.parts), last_word).start();
                if worker.try_send(Begin).is_ok() {
                    self.live.insert(scan_id.clone(), worker);
                }
                // Otherwise the worker is gone already, and its last word frees the slot.
            }
            Ok(_) => {
                // Cancelled or deleted since it was queued.
                self.queue.done(scan_id);
                self.start_scans(context);
            }
            Err(error) => {
                slog::error!(self.parts.log, "failed to read a scan that was to start";
                    "scan_id" => scan_id.as_str(), "error" => crate::telemetry::chain(&error));
                self.store_failure(scan_id.clone(), context);
            }
        }
    }

    /// Ends a scan whose worker cannot: stores `failed`, tells, and frees the slot.
    fn store_failure(&mut self, scan_id: ScanId, context: &mut Context<Self>) {
        const WHY: &str = "internal error: the scan's worker died";
        let parts = Arc::clone(&self.parts);
        let row = scan_id.clone();
        let stored = async move {
            let (at, now) = (parts.clock.local(), parts.clock.utc());
            parts
                .database
                .write(move |conn| {
                    scans::begin(conn, &row, &at)?;
                    let ended = scans::finish(conn, &row, &failure(at, WHY))?;
                    if ended {
                        outbox::record(conn, &row, &failed(WHY), &now)?;
                    }
                    Ok(ended)
                })
                .await
        };
        context.spawn(
            stored
                .into_actor(self)
                .map(move |stored, supervisor, context| {
                    match stored {
                        Ok(true) => supervisor.publish(scan_id.clone(), failed(WHY), context),
                        Ok(false) => {}
                        Err(error) => {
                            slog::error!(supervisor.parts.log, "failed to store the end of a scan";
                        "scan_id" => scan_id.as_str(), "error" => crate::telemetry::chain(&error));
                        }
                    }
                    supervisor.free(&scan_id, context);
                }),
        );
    }

    fn free(&mut self, scan_id: &ScanId, context: &mut Context<Self>) {
        self.live.remove(scan_id);
        self.queue.done(scan_id);
        self.start_scans(context);
        if self.queue.running() == 0 && !self.queue.is_open() {
            for drained in self.drained.drain(..) {
                let _heard = drained.send(self.cut_off).is_ok();
            }
        }
    }

    /// Makes running scans end: the grace period is over.
    fn cut_off(&mut self) {
        for worker in self.live.values() {
            if worker
                .try_send(Cancel {
                    why: StopReason::Shutdown,
                })
                .is_ok()
            {
                self.cut_off += 1;
            }
        }
    }

    fn cancel_waiting(
        &mut self,
        scan_id: ScanId,
    ) -> ResponseActFuture<Self, Result<(), CancelRefused>> {
        let database = self.parts.database.clone();
        let at = self.parts.clock.local();
        let row = scan_id.clone();
        let cancelled = async move {
            database
                .write(move |conn| {
                    let cancelled =
                        scans::cancel_pending(conn, &row, &at, "Scan cancelled by user")?;
                    Ok((cancelled, scans::status(conn, &row)?))
                })
                .await
        };
        Box::pin(
            cancelled
                .into_actor(self)
                .then(move |cancelled, supervisor, context| {
                    let answer = match cancelled {
                        Ok((true, _)) => {
                            supervisor.queue.remove_waiting(&scan_id);
                            supervisor.publish(scan_id, ScanEvent::Cancelled, context);
                            Ok(())
                        }
                        Ok((false, None)) => Err(CancelRefused::NotFound),
                        Ok((false, Some(status))) => {
                            // It may have begun while the row was being asked.
                            if let Some(worker) = supervisor.live.get(&scan_id) {
                                return supervisor.cancel_running(worker.clone(), scan_id);
                            }
                            Err(CancelRefused::AlreadyEnded(status))
                        }
                        Err(error) => Err(CancelRefused::Storage(error)),
                    };
                    Box::pin(std::future::ready(answer).into_actor(supervisor))
                }),
        )
    }

    fn cancel_running(
        &self,
        worker: Addr<ScanWorker>,
        scan_id: ScanId,
    ) -> ResponseActFuture<Self, Result<(), CancelRefused>> {
        let database = self.parts.database.clone();
        let cancelled = async move {
            let answer = worker
                .send(Cancel {
                    why: StopReason::User,
                })
                .await;
            if matches!(answer, Ok(Ok(()))) {
                return Ok(());
            }
            match database
                .read(move |conn| scans::status(conn, &scan_id))
                .await
            {
                Ok(Some(status)) => Err(CancelRefused::AlreadyEnded(status)),
                Ok(None) => Err(CancelRefused::NotFound),
                Err(error) => Err(CancelRefused::Storage(error)),
            }
        };
        Box::pin(cancelled.into_actor(self))
    }
}

fn failed(why: &str) -> ScanEvent {
    ScanEvent::Failed {
        error: why.to_owned(),
    }
}

fn failure(at: crate::domain::Timestamp, why: &str) -> ScanOutcome {
    ScanOutcome {
        status: ScanStatus::Failed,
        completed_at: at,
        error: Some(why.to_owned()),
        risk_score: None,
        scanners: Vec::new(),
        findings: Vec::new(),
    }
}

impl Actor for ScanSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.load(context);
    }
}

impl Supervised for ScanSupervisor {
    fn restarting(&mut self, context: &mut Self::Context) {
        // What waited for the hub is still true; the timer that would send it went with the panic.
        self.send_outgoing(context);
        // Workers without an address end; their rows are found `running` by the reload.
        self.live.clear();
        self.queue.clear();
    }
}

impl Handler<SubmitScan> for ScanSupervisor {
    type Result = ResponseActFuture<Self, Result<Accepted, SubmitRefused>>;

    fn handle(&mut self, message: SubmitScan, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        let refused = if !self.queue.is_open() {
            Some(SubmitRefused::Draining)
        } else if self.queue.is_full() {
            Some(SubmitRefused::QueueFull(queue::CAPACITY))
        } else {
            None
        };
        if let Some(refused) = refused {
            return Box::pin(async { Err(refused) }.into_actor(self));
        }
        let scan = Arc::new(message.scan);
        let row = Arc::clone(&scan);
        let database = self.parts.database.clone();
        let now = self.parts.clock.utc();
        let stored = async move {
            let stored = database
                .write(move |conn| scans::insert(conn, &row, &now))
                .await;
            if stored.is_ok() {
                kill_points::reach(Point::AfterSubmitStored).await;
            }
            stored
        };
        Box::pin(
            stored
                .into_actor(self)
                .map(move |stored, supervisor, context| match stored {
                    Ok(()) => {
                        let queue_position = supervisor.queue.push(scan.id.clone());
                        supervisor.start_scans(context);
                        Ok(Accepted {
                            scan: Arc::unwrap_or_clone(scan),
                            queue_position,
                        })
                    }
                    Err(error) => Err(SubmitRefused::Storage(error)),
                }),
        )
    }
}

impl Handler<CancelScan> for ScanSupervisor {
    type Result = ResponseActFuture<Self, Result<(), CancelRefused>>;

    fn handle(&mut self, message: CancelScan, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        match (
            self.queue.place(&message.scan_id),
            self.live.get(&message.scan_id),
        ) {
            (Place::Running, Some(worker)) => self.cancel_running(worker.clone(), message.scan_id),
            // Waiting, about to start (its row is still pending), or not ours: the row decides.
            _ => self.cancel_waiting(message.scan_id),
        }
    }
}

impl Handler<WorkerDone> for ScanSupervisor {
    type Result = ();

    fn handle(&mut self, message: WorkerDone, context: &mut Self::Context) {
        self.breath.take(context);
        let handled = guard::step(self, context, |supervisor, context| {
            if message.settled {
                supervisor.free(&message.scan_id, context);
            } else {
                supervisor.store_failure(message.scan_id, context);
            }
        });
        if handled.is_err() {
            slog::error!(self.parts.log, "scan supervisor restarts after a panic");
        }
    }
}

impl Handler<QueuePositions> for ScanSupervisor {
    type Result = MessageResult<QueuePositions>;

    fn handle(&mut self, _message: QueuePositions, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        MessageResult(self.queue.positions())
    }
}

impl Handler<CurrentLoad> for ScanSupervisor {
    type Result = Load;

    fn handle(&mut self, _message: CurrentLoad, context: &mut Self::Context) -> Load {
        self.breath.take(context);
        Load {
            queued: self.queue.waiting(),
            running: self.queue.running(),
        }
    }
}

impl Handler<Drain> for ScanSupervisor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, message: Drain, context: &mut Self::Context) -> Self::Result {
        self.queue.close();
        if self.queue.running() == 0 {
            return Box::pin(async { 0 });
        }
        context.run_later(message.grace, |supervisor, _context| supervisor.cut_off());
        let (drained, heard) = oneshot::channel();
        self.drained.push(drained);
        Box::pin(async move { heard.await.unwrap_or(0) })
    }
}
