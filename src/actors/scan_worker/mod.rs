//! Runs one scan from `Begin` to exactly one terminal event.
//! Owns: the scan's state machine, its scanners' threads and process groups.
//! Holds: `Recipient<Publish>`, `Recipient<WorkerDone>`, `Recipient<Wake>`, the database.
//! Invariant: the first terminal state wins, and it alone is stored and published (see `state.rs`).
//! Fails: by panic -> last word `WorkerDone { settled: false }`; the supervisor stores `failed`.
//! Never restarted.

mod messages;
mod plan;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::SendError;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture,
    WrapFuture,
};
use slog::Logger;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use messages::{Begin, Cancel, CancelTooLate, ScannerDone, StopReason, WorkerDone};

use plan::{Plan, Ready};
use state::{Effect, End, Input, ScanState};

use super::event_hub::Publish;
use super::outgoing::{Outgoing, SEND_AGAIN};
use super::webhook_dispatcher::Wake;
use crate::domain::{
    Finding, Scan, ScanEvent, ScanOutcome, ScanStatus, ScannerStatus, SharedClock,
};
use crate::engine::{pipeline, score};
use crate::kill_points::{self, Point};
use crate::scanners::registry::{Registered, Registry};
use crate::scanners::target::{Policy, TargetRefused};
use crate::scanners::{
    CancelFlag, ScanContext, ScannerError, ScannerReport, ScannerSettings, Target,
};
use crate::storage::{Database, StorageError, outbox, scans};

/// A report for each of the fourteen scanners, a few timers' worth of room beside them.
const MAILBOX: usize = 64;
/// How long scanners may take to notice that they should stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before an end that could not be written is written again.
const STORE_AGAIN: Duration = Duration::from_secs(2);
/// How often the end of a scan is written when another program locks the database.
const STORE_ATTEMPTS: u32 = 6;

/// What all workers share.
pub struct WorkerParts {
    /// Where the end is stored.
    pub database: Database,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// Operators' log.
    pub log: Logger,
    /// The scanners.
    pub registry: Registry,
    /// Their settings.
    pub scanners: Arc<ScannerSettings>,
    /// Which targets may be scanned.
    pub targets: Policy,
    /// Wall-clock limit of one scan.
    pub budget: Duration,
    /// Folder that v1 fingerprints take paths relative to.
    pub fingerprint_base: PathBuf,
    /// Who tells listeners.
    pub events: Recipient<Publish>,
    /// Who delivers to webhooks.
    pub dispatcher: Recipient<Wake>,
}

/// The actor; see the module.
pub struct ScanWorker {
    scan: Scan,
    parts: Arc<WorkerParts>,
    supervisor: Recipient<WorkerDone>,
    state: ScanState,
    cancel: CancelFlag,
    begun: Instant,
    selected: Vec<Registered>,
    plan: Plan,
    reports: BTreeMap<&'static str, ScannerReport>,
    /// Ready to be stored when the scan completes.
    results: Option<ScanOutcome>,
    /// The terminal event that belongs to the end being stored.
    last_event: Option<ScanEvent>,
    waiting: Vec<oneshot::Sender<Result<(), CancelTooLate>>>,
    outgoing: Outgoing,
    leaving: bool,
    last_word_said: bool,
}

impl ScanWorker {
    /// Makes a worker for a pending scan.
    #[must_use]
    pub fn new(scan: Scan, parts: Arc<WorkerParts>, supervisor: Recipient<WorkerDone>) -> Self {
        let selected = parts.registry.selected(&scan.scan_types);
        let outgoing = Outgoing::new(parts.events.clone());
        Self {
            scan,
            parts,
            supervisor,
            state: ScanState::default(),
            cancel: CancelFlag::default(),
            begun: Instant::now(),
            selected,
            plan: Plan::default(),
            reports: BTreeMap::new(),
            results: None,
            last_event: None,
            waiting: Vec::new(),
            outgoing,
            leaving: false,
            last_word_said: false,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        for effect in self.state.step(input) {
            match effect {
                Effect::StartScanners => self.start_scanners(context),
                Effect::StopScanners => {
                    self.cancel.cancel();
                    context.run_later(PATIENCE, |worker, context| {
                        worker.step(Input::PatienceElapsed, context);
                    });
                }
                Effect::Assemble => self.assemble(context),
                Effect::Store(end) => self.store(&end, context),
                Effect::StoreAgain(end) => {
                    context.run_later(STORE_AGAIN, move |worker, context| {
                        worker.store(&end, context);
                    });
                }
                Effect::Publish(end) => self.publish_end(&end, context),
                Effect::Leave => self.leave(context),
            }
        }
    }

    fn begin(&mut self, context: &mut Context<Self>) {
        let database = self.parts.database.clone();
        let scan_id = self.scan.id.clone();
        let started_at = self.parts.clock.local();
        self.scan.started_at = Some(started_at);
        let begun = async move {
            let begun = with_patience(|| {
                let scan_id = scan_id.clone();
                database.write(move |conn| scans::begin(conn, &scan_id, &started_at))
            })
            .await;
            kill_points::reach(Point::AfterBegin).await;
            begun
        };
        context.spawn(begun.into_actor(self).map(|begun, worker, context| match begun {
            Ok(true) => {
                worker.publish_start(context);
                worker.step(Input::Begun, context);
            }
            Ok(false) => worker.step(Input::NotPending, context),
            Err(error) => {
                slog::error!(worker.parts.log, "failed to start a scan";
                    "scan_id" => worker.scan.id.as_str(), "error" => crate::telemetry::chain(&error));
                // The row stays `pending`; the supervisor stores the failure when it can.
                context.stop();
            }
        }));
    }

    fn publish_start(&mut self, context: &mut Context<Self>) {
        let event = ScanEvent::Start {
            target: self.scan.target_path.clone(),
            scanner_count: self.selected.len(),
        };
        self.publish(event, context);
    }

    fn start_scanners(&mut self, context: &mut Context<Self>) {
        context.run_later(self.parts.budget, |worker, context| {
            worker.step(Input::BudgetElapsed, context);
        });
        let parts = Arc::clone(&self.parts);
        let selected = self.selected.clone();
        let shown = self.scan.target_path.clone();
        let planned = tokio::task::spawn_blocking(move || -> Result<_, TargetRefused> {
            let target = parts.targets.resolve(&shown)?;
            Ok((target, plan::plan(&parts.registry, &selected)))
        });
        context.spawn(
            planned
                .into_actor(self)
                .map(|planned, worker, context| match planned {
                    Ok(Ok((target, plan))) => worker.run(target, plan, context),
                    Ok(Err(error)) => {
                        let why = format!("target cannot be scanned: {error}");
                        worker.step(Input::Broken(why), context);
                    }
                    Err(_panic) => worker.step(
                        Input::Broken("internal error while planning".into()),
                        context,
                    ),
                }),
        );
    }

    fn run(&mut self, target: Target, plan: Plan, context: &mut Context<Self>) {
        self.plan = plan;
        if self.state.is_settling() {
            return;
        }
        for skip in self.plan.skipped.clone() {
            let event = ScanEvent::ScannerSkipped {
                scanner: skip.name,
                reason: skip.reason,
            };
            self.publish(event, context);
        }
        let ready = self.plan.ready.clone();
        let names: Vec<_> = ready.iter().map(Ready::name).collect();
        if !names.is_empty() {
            let list = names
                .iter()
                .map(|name| format!("'{name}'"))
                .collect::<Vec<_>>()
                .join(", ");
            slog::info!(self.parts.log, "Running scanners in parallel: [{list}]";
                "scan_id" => self.scan.id.as_str());
        }
        for name in &names {
            self.publish(
                ScanEvent::ScannerStart {
                    scanner: (*name).to_owned(),
                },
                context,
            );
        }
        self.step(
            Input::Started(names.into_iter().map(str::to_owned).collect()),
            context,
        );
        self.spawn_scanners(target, ready, context);
    }

    fn spawn_scanners(&self, target: Target, ready: Vec<Ready>, context: &mut Context<Self>) {
        let scan_context = ScanContext {
            target: Arc::new(target),
            cancel: self.cancel.clone(),
            settings: Arc::clone(&self.parts.scanners),
        };
        let mut natives = Vec::new();
        for scanner in ready {
            match scanner {
                Ready::Native(name, make) => natives.push((name, make)),
                Ready::Tool(tool, program) => {
                    let address = context.address();
                    let scan_context = scan_context.clone();
                    drop(tokio::task::spawn_blocking(move || {
                        let report = plan::run_tool(tool.as_ref(), &program, &scan_context);
                        tell(&address, report);
                    }));
                }
            }
        }
        if natives.is_empty() {
            return;
        }
        let address = context.address();
        drop(tokio::task::spawn_blocking(move || {
            plan::run_natives(&natives, &scan_context, &|report| tell(&address, report));
        }));
    }

    fn scanner_done(&mut self, mut report: ScannerReport, context: &mut Context<Self>) {
        let name = report.scanner;
        if matches!(report.error, Some(ScannerError::Cancelled)) && self.state.is_over_budget() {
            report.error = Some(ScannerError::TimedOut(self.parts.budget));
        }
        if !self.state.is_settling() {
            if let Some(error) = &report.error {
                slog::error!(self.parts.log, "Scanner error: {}", crate::telemetry::chain(error);
                    "scan_id" => self.scan.id.as_str(), "scanner" => name);
            }
            self.publish(plan::event_of(&report), context);
            self.reports.insert(name, report);
        }
        self.step(Input::ScannerDone(name.to_owned()), context);
    }

    fn late_reason(&self) -> String {
        format!("timed out after {}s", self.parts.budget.as_secs())
    }

    fn assemble(&mut self, context: &mut Context<Self>) {
        let reports = std::mem::take(&mut self.reports);
        let records = plan::records(
            &self.selected,
            &self.plan.skipped,
            &reports,
            &self.late_reason(),
        );
        let selected = self.selected.clone();
        let parts = Arc::clone(&self.parts);
        let scan_id = self.scan.id.clone();
        let shown = self.scan.target_path.clone();
        let assembled = tokio::task::spawn_blocking(move || {
            // Scanned is scanned: the path may lead elsewhere by now, and only its text matters here.
            let target = Policy::default().resolve(&shown).unwrap_or(Target {
                shown,
                root: PathBuf::new(),
                is_directory: true,
            });
            let raw = plan::collect(&selected, reports);
            let base = &parts.fingerprint_base;
            let findings = pipeline::assemble(&scan_id, |path| target.show(path), base, raw);
            let risk_score = score::risk_score(&score::counts(&findings));
            (findings, risk_score)
        });
        context.spawn(
            assembled
                .into_actor(self)
                .map(move |assembled, worker, context| match assembled {
                    Ok((findings, risk_score)) => {
                        worker.results = Some(worker.completed(findings, risk_score, records));
                        worker.step(Input::Assembled, context);
                    }
                    Err(_panic) => {
                        worker.step(
                            Input::Broken("internal error while sorting findings".into()),
                            context,
                        );
                    }
                }),
        );
    }

    fn completed(
        &self,
        findings: Vec<Finding>,
        risk_score: f64,
        scanners: Vec<crate::domain::ScannerRecord>,
    ) -> ScanOutcome {
        ScanOutcome {
            status: ScanStatus::Completed,
            completed_at: self.parts.clock.local(),
            error: None,
            risk_score: Some(risk_score),
            scanners,
            findings,
        }
    }

    fn outcome(&mut self, end: &End) -> ScanOutcome {
        let ended = |status, error: &str, scanners| ScanOutcome {
            status,
            completed_at: self.parts.clock.local(),
            error: Some(error.to_owned()),
            risk_score: None,
            scanners,
            findings: Vec::new(),
        };
        match end {
            End::Completed => match self.results.take() {
                Some(results) => results,
                None => ended(
                    ScanStatus::Failed,
                    "internal error: results were lost",
                    Vec::new(),
                ),
            },
            End::Failed(why) => {
                let records = plan::records(
                    &self.selected,
                    &self.plan.skipped,
                    &self.reports,
                    "the scan ended before this scanner did",
                );
                ended(ScanStatus::Failed, why, records)
            }
            // Compat: contract/scan-orchestration.md 3.1; the lists stay empty.
            End::Cancelled => ended(ScanStatus::Cancelled, "Scan cancelled by user", Vec::new()),
        }
    }

    fn store(&mut self, end: &End, context: &mut Context<Self>) {
        let outcome = Arc::new(self.outcome(end));
        let last = self.end_event(end, &outcome);
        let mut owed = failures(&outcome);
        owed.push(last.clone());
        self.last_event = Some(last);
        let owed = Arc::new(owed);
        let database = self.parts.database.clone();
        let scan_id = self.scan.id.clone();
        let now = self.parts.clock.utc();
        let written = async move {
            kill_points::reach(Point::BeforeStore).await;
            let written = with_patience(|| {
                let (outcome, owed, scan_id) =
                    (Arc::clone(&outcome), Arc::clone(&owed), scan_id.clone());
                database.write(move |conn| {
                    let ended = scans::finish(conn, &scan_id, &outcome)?;
                    kill_points::reach_blocking(Point::InsideStoreTransaction, || false);
                    if ended {
                        for event in owed.iter() {
                            outbox::record(conn, &scan_id, event, &now)?;
                        }
                    }
                    Ok(ended)
                })
            })
            .await;
            kill_points::reach(Point::AfterStoreBeforePublish).await;
            written
        };
        context.spawn(written.into_actor(self).map(|written, worker, context| match written {
            Ok(_ended) => worker.step(Input::Stored, context),
            Err(error) => {
                let why = format!("results could not be stored: {}", crate::telemetry::chain(&error));
                slog::error!(worker.parts.log, "{why}"; "scan_id" => worker.scan.id.as_str());
                worker.step(Input::NotStored(why), context);
            }
        }));
    }

    fn end_event(&self, end: &End, outcome: &ScanOutcome) -> ScanEvent {
        match end {
            End::Completed => ScanEvent::Complete {
                target: self.scan.target_path.clone(),
                duration_s: self.begun.elapsed().as_secs_f64(),
                scanner_count: outcome
                    .scanners
                    .iter()
                    .filter(|record| record.status == ScannerStatus::Completed)
                    .count(),
                findings_count: outcome.findings.len(),
            },
            End::Failed(why) => ScanEvent::Failed { error: why.clone() },
            End::Cancelled => ScanEvent::Cancelled,
        }
    }

    fn publish_end(&mut self, end: &End, context: &mut Context<Self>) {
        if let Some(event) = self.last_event.take() {
            self.publish(event, context);
        }
        kill_points::reach_blocking(Point::AfterPublish, || false);
        // A full mailbox holds nudges enough.
        let _nudged = self.parts.dispatcher.try_send(Wake).is_ok();
        for waiting in self.waiting.drain(..) {
            let answer = if matches!(end, End::Completed) {
                Err(CancelTooLate)
            } else {
                Ok(())
            };
            // Whoever asked may have gone away.
            let _heard = waiting.send(answer).is_ok();
        }
    }

    /// Queues an event behind those not yet taken, and sends what the hub takes.
    fn publish(&mut self, event: ScanEvent, context: &mut Context<Self>) {
        let scan_id = self.scan.id.clone();
        if self.outgoing.push(Publish { scan_id, event }) {
            self.send_outgoing(context);
        }
    }

    fn send_outgoing(&mut self, context: &mut Context<Self>) {
        if !self.outgoing.send() {
            context.run_later(SEND_AGAIN, Self::send_outgoing);
        } else if self.leaving {
            self.say_last_word(context);
        }
    }

    fn leave(&mut self, context: &mut Context<Self>) {
        self.leaving = true;
        for waiting in self.waiting.drain(..) {
            let _heard = waiting.send(Err(CancelTooLate)).is_ok();
        }
        if self.outgoing.is_empty() {
            self.say_last_word(context);
        }
    }

    fn say_last_word(&mut self, context: &mut Context<Self>) {
        if self.last_word_said {
            return;
        }
        let last = WorkerDone {
            scan_id: self.scan.id.clone(),
            settled: true,
        };
        if let Err(SendError::Full(_)) = self.supervisor.try_send(last) {
            context.run_later(SEND_AGAIN, Self::say_last_word);
            return;
        }
        self.last_word_said = true;
        context.stop();
    }
}

/// Returns the events of the scanners that failed.
fn failures(outcome: &ScanOutcome) -> Vec<ScanEvent> {
    outcome
        .scanners
        .iter()
        .filter(|record| {
            record.status == ScannerStatus::Failed && outcome.status == ScanStatus::Completed
        })
        .map(|record| ScanEvent::ScannerFailed {
            scanner: record.scanner.clone(),
            duration_s: Duration::from_millis(record.duration_ms).as_secs_f64(),
            error: record.reason.clone().unwrap_or_default(),
        })
        .collect()
}

/// Writes again while another program locks the database.
async fn with_patience<F, T>(mut write: impl FnMut() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut attempt = 1;
    loop {
        match write().await {
            Err(StorageError::Busy) if attempt < STORE_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            written => return written,
        }
    }
}

/// Brings a report home. The mailbox has room for all of them; a worker that is gone needs none.
fn tell(worker: &actix::Addr<ScanWorker>, report: ScannerReport) {
    let _heard = worker.try_send(ScannerDone(report)).is_ok();
}

impl Actor for ScanWorker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for ScanWorker {
    fn drop(&mut self) {
        self.cancel.cancel();
        if !self.last_word_said {
            let last = WorkerDone {
                scan_id: self.scan.id.clone(),
                settled: false,
            };
            // A supervisor that cannot hear it is restarting and finds the row itself.
            let _heard = self.supervisor.try_send(last).is_ok();
        }
    }
}

impl Handler<Begin> for ScanWorker {
    type Result = ();

    fn handle(&mut self, _message: Begin, context: &mut Self::Context) {
        self.begin(context);
    }
}

impl Handler<ScannerDone> for ScanWorker {
    type Result = ();

    fn handle(&mut self, message: ScannerDone, context: &mut Self::Context) {
        self.scanner_done(message.0, context);
    }
}

impl Handler<Cancel> for ScanWorker {
    type Result = ResponseFuture<Result<(), CancelTooLate>>;

    fn handle(&mut self, message: Cancel, context: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        if self.state.has_settled() {
            return Box::pin(async { Err(CancelTooLate) });
        }
        self.waiting.push(answer);
        self.step(Input::Stop(message.why), context);
        Box::pin(async move { answered.await.unwrap_or(Err(CancelTooLate)) })
    }
}
