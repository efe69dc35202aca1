//! Supervisor and workers by messages, with scanners made for the test and a real database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};

use super::*;
use crate::actors::ask::ask;
use crate::actors::event_hub::{EventHub, Tap};
use crate::actors::recorder::Recorder;
use crate::actors::webhook_dispatcher::Wake;
use crate::domain::{RawFinding, ScanType, ScannerStatus, Severity, SystemClock};
use crate::scanners::registry::{Kind, MakeDetector, Registered, Registry};
use crate::scanners::{
    Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo,
    ScannerSettings,
};
use crate::storage::{Database, DatabaseOptions, assert_consistent, findings};
use crate::telemetry::silent;

const SECONDS: Duration = Duration::from_secs(20);

/// Shuts and opens the gates that `Gated` detectors wait at, by the name of the target's folder.
static GATES: LazyLock<Mutex<HashMap<String, Arc<AtomicBool>>>> = LazyLock::new(Mutex::default);
/// How many `Gated` detectors run now and ran at most at once, by the room's folder.
static AT_ONCE: LazyLock<Mutex<HashMap<PathBuf, (usize, usize)>>> = LazyLock::new(Mutex::default);

fn count(room: &Path, step: isize) -> usize {
    let mut counts = AT_ONCE.lock().unwrap();
    let (now, most) = counts.entry(room.to_owned()).or_default();
    *now = now.checked_add_signed(step).unwrap();
    *most = (*most).max(*now);
    *most
}

fn gate(target: &str) -> Arc<AtomicBool> {
    Arc::clone(GATES.lock().unwrap().entry(target.to_owned()).or_default())
}

const fn info(name: &'static str) -> ScannerInfo {
    ScannerInfo {
        name,
        scan_type: ScanType::Code,
        description: "",
        checks: &[],
        install_hint: "built-in",
        installable: false,
    }
}

/// Reports each file once; waits in `finish` until its gate opens or the scan is cancelled.
struct Gated;
static GATED: ScannerInfo = info("gated");

impl Detector for Gated {
    fn info(&self) -> &'static ScannerInfo {
        &GATED
    }
    fn visit(&self, entry: &Entry<'_>, found: &mut Vec<RawFinding>) -> Interest {
        if !entry.is_directory {
            let finding = RawFinding::new(
                "gated",
                ScanType::Code,
                Severity::High,
                "gated/file",
                "A file",
            );
            found.push(finding.in_file(entry.relative));
        }
        Interest::Name
    }
    fn examine(&self, _piece: &Piece<'_>, _found: &mut Vec<RawFinding>) {}
    fn finish(&self, context: &ScanContext) -> Result<Finish, ScannerError> {
        let gate = gate(&context.target.shown);
        let room = Path::new(&context.target.shown).parent().unwrap();
        count(room, 1);
        while !gate.load(Ordering::Relaxed) && !context.cancel.is_cancelled() {
            std::thread::yield_now();
        }
        count(room, -1);
        if context.cancel.is_cancelled() {
            Err(ScannerError::Cancelled)
        } else {
            Ok(Finish::default())
        }
    }
}

struct Panics;
static PANICS: ScannerInfo = info("panics");

impl Detector for Panics {
    fn info(&self) -> &'static ScannerInfo {
        &PANICS
    }
    fn visit(&self, _entry: &Entry<'_>, _found: &mut Vec<RawFinding>) -> Interest {
        panic!("on purpose")
    }
    fn examine(&self, _piece: &Piece<'_>, _found: &mut Vec<RawFinding>) {}
    fn finish(&self, _context: &ScanContext) -> Result<Finish, ScannerError> {
        Ok(Finish::default())
    }
}

struct Room {
    supervisor: Addr<ScanSupervisor>,
    events: tokio::sync::mpsc::Receiver<Publish>,
    database: Database,
    folder: tempfile::TempDir,
}

fn native(info: ScannerInfo, make: MakeDetector) -> Registered {
    Registered {
        info,
        kind: Kind::Native(make),
    }
}

async fn room(limit: usize) -> Room {
    room_with(limit, Duration::from_secs(3600), |_| {}).await
}

async fn room_with(limit: usize, budget: Duration, prepare: impl FnOnce(&Database)) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&DatabaseOptions::at(folder.path().join("scans.db"))).unwrap();
    prepare(&database);
    let (dispatcher, _woken) = Recorder::<Wake>::start_pair();
    let hub = EventHub::new(silent()).unwrap().start();
    let (tap, events) = tokio::sync::mpsc::channel(10_000);
    ask(&hub, Tap(tap), SECONDS).await.unwrap();
    let registry = Registry::new(
        vec![
            native(GATED, |_| Ok(Arc::new(Gated) as Arc<dyn Detector>)),
            native(PANICS, |_| Ok(Arc::new(Panics) as Arc<dyn Detector>)),
            native(info("broken"), |_| {
                Err(ScannerError::Configuration("no rules".into()))
            }),
            Registered {
                info: info("absent"),
                kind: Kind::Foreign {
                    programs: &["no-such"],
                },
            },
        ],
        vec![],
    );
    let parts = Arc::new(WorkerParts {
        database: database.clone(),
        clock: Arc::new(SystemClock),
        log: silent(),
        registry,
        scanners: Arc::new(ScannerSettings {
            threads: 1,
            ..ScannerSettings::default()
        }),
        targets: crate::scanners::target::Policy::default(),
        budget,
        fingerprint_base: PathBuf::from("/nowhere"),
        events: hub.recipient(),
        dispatcher,
    });
    let supervisor = actix::Supervisor::start(move |_| ScanSupervisor::new(parts, limit));
    Room {
        supervisor,
        events,
        database,
        folder,
    }
}

impl Room {
    fn target(&self, name: &str, open: bool) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("a.txt"), "x").unwrap();
        let target = path.to_string_lossy().into_owned();
        gate(&target).store(open, Ordering::Relaxed);
        target
    }

    async fn submit(&self, target: String) -> Accepted {
        let scan = Scan::pending(ScanId::random(), target, vec![ScanType::Code]);
        ask(&self.supervisor, SubmitScan { scan }, SECONDS)
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits for a scan's terminal event, and returns the names of its events.
    async fn hear_end(&mut self, scan_id: &ScanId) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let publish = self.events.recv().await.unwrap();
            if publish.scan_id == *scan_id {
                names.push(publish.event.name().to_owned());
                if publish.event.is_terminal() {
                    return names;
                }
            }
        }
    }

    async fn hear(&mut self, scan_id: &ScanId, name: &str) {
        loop {
            let publish = self.events.recv().await.unwrap();
            if publish.scan_id == *scan_id && publish.event.name() == name {
                return;
            }
        }
    }

    fn row(&self, scan_id: &ScanId) -> Scan {
        let scan_id = scan_id.clone();
        self.database
            .blocking(|conn| scans::get(conn, &scan_id))
            .unwrap()
            .unwrap()
    }

    fn check(&self) {
        self.database.blocking(assert_consistent).unwrap();
    }
}

#[actix::test]
async fn a_scan_keeps_what_good_scanners_found_and_says_which_failed() {
    let mut room = room(1).await;
    let scan = room.submit(room.target("t", true)).await.scan;
    let names = room.hear_end(&scan.id).await;
    assert_eq!(names[..2], ["scan.start", "scanner.skipped"]);
    assert_eq!(names.last().unwrap(), "scan.complete");
    assert_eq!(
        names
            .iter()
            .filter(|name| *name == "scanner.failed")
            .count(),
        2
    );
    let row = room.row(&scan.id);
    assert_eq!(row.status, ScanStatus::Completed);
    assert_eq!(row.scanners_run, ["gated"]);
    let failed: Vec<_> = row.failures().map(|failure| failure.name).collect();
    assert_eq!(failed, ["panics", "broken"]);
    assert_eq!(row.scanners.len(), 4);
    assert_eq!(row.scanners[3].status, ScannerStatus::Skipped);
    let found = room
        .database
        .blocking(|conn| findings::all(conn, &scan.id))
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].file_path.as_deref(),
        Some(&*format!("{}/a.txt", scan.target_path))
    );
    room.check();
}

#[actix::test]
async fn at_most_so_many_run_at_once_and_the_rest_wait_in_order() {
    let mut room = room(2).await;
    let targets: Vec<_> = (0..5)
        .map(|n| room.target(&format!("t{n}"), false))
        .collect();
    let mut ids = Vec::new();
    for target in &targets {
        ids.push(room.submit(target.clone()).await.scan.id);
    }
    room.hear(&ids[1], "scanner.start").await;
    let waiting = ask(&room.supervisor, QueuePositions, SECONDS)
        .await
        .unwrap();
    assert_eq!(waiting.get(&ids[2]), Some(&1));
    assert_eq!(waiting.get(&ids[4]), Some(&3));
    let load = ask(&room.supervisor, CurrentLoad, SECONDS).await.unwrap();
    assert_eq!(
        load,
        Load {
            queued: 3,
            running: 2
        }
    );
    targets
        .iter()
        .for_each(|target| gate(target).store(true, Ordering::Relaxed));
    let mut ended = 0;
    while ended < 5 {
        ended += usize::from(room.events.recv().await.unwrap().event.is_terminal());
    }
    // Whether two ever wait at their gates together is a matter of luck; more must not.
    assert!(count(room.folder.path(), 0) <= 2);
    room.check();
}

#[actix::test]
async fn cancelling_works_while_a_scan_waits_and_while_it_runs() {
    let mut room = room(1).await;
    let running = room.submit(room.target("running", false)).await.scan.id;
    let waiting = room.submit(room.target("waiting", false)).await.scan.id;
    room.hear(&running, "scanner.start").await;
    for scan_id in [&waiting, &running] {
        let cancel = CancelScan {
            scan_id: scan_id.clone(),
        };
        ask(&room.supervisor, cancel.clone(), SECONDS)
            .await
            .unwrap()
            .unwrap();
        let row = room.row(scan_id);
        assert_eq!(row.status, ScanStatus::Cancelled);
        assert_eq!(row.error.as_deref(), Some("Scan cancelled by user"));
        let again = ask(&room.supervisor, cancel, SECONDS)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(again.to_string(), "Cannot cancel scan in 'cancelled' state");
        assert_eq!(
            room.hear_end(scan_id).await.last().unwrap(),
            "scan.cancelled"
        );
    }
    let unknown = CancelScan {
        scan_id: ScanId::new("nope"),
    };
    let refused = ask(&room.supervisor, unknown, SECONDS)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.to_string(), "Scan not found");
    room.check();
}

#[actix::test]
async fn a_scan_over_its_budget_completes_with_its_scanner_failed() {
    let mut room = room_with(1, Duration::from_millis(50), |_| {}).await;
    let scan_id = room.submit(room.target("slow", false)).await.scan.id;
    assert_eq!(
        room.hear_end(&scan_id).await.last().unwrap(),
        "scan.complete"
    );
    let row = room.row(&scan_id);
    let gated = row
        .failures()
        .find(|failure| failure.name == "gated")
        .unwrap();
    assert!(
        gated.reason.starts_with("timed out after"),
        "{}",
        gated.reason
    );
    room.check();
}

#[actix::test]
async fn a_target_that_has_vanished_fails_the_scan() {
    let mut room = room(1).await;
    let target = room.target("gone", true);
    std::fs::remove_dir_all(&target).unwrap();
    let scan_id = room.submit(target).await.scan.id;
    assert_eq!(room.hear_end(&scan_id).await, ["scan.start", "scan.failed"]);
    assert!(
        room.row(&scan_id)
            .error
            .unwrap()
            .contains("target cannot be scanned")
    );
    room.check();
}

#[actix::test]
async fn draining_lets_running_scans_end_and_keeps_waiting_ones_for_the_next_start() {
    let mut room = room(1).await;
    let cut = room.submit(room.target("cut", false)).await.scan.id;
    let kept = room.submit(room.target("kept", false)).await.scan.id;
    room.hear(&cut, "scanner.start").await;
    let cut_off = ask(
        &room.supervisor,
        Drain {
            grace: Duration::from_millis(10),
        },
        SECONDS,
    )
    .await;
    assert_eq!(cut_off, Ok(1));
    assert_eq!(room.row(&cut).status, ScanStatus::Failed);
    assert_eq!(room.row(&kept).status, ScanStatus::Pending);
    let late = Scan::pending(ScanId::random(), "/".into(), vec![ScanType::Code]);
    let refused = ask(&room.supervisor, SubmitScan { scan: late }, SECONDS)
        .await
        .unwrap();
    assert!(matches!(refused, Err(SubmitRefused::Draining)));
    room.check();
}

#[actix::test]
async fn a_new_life_fails_what_ran_and_runs_what_waited() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_string_lossy().into_owned();
    gate(&target).store(true, Ordering::Relaxed);
    let ran = Scan::pending(ScanId::new("ran"), target.clone(), vec![ScanType::Code]);
    let waited = Scan::pending(ScanId::new("waited"), target, vec![ScanType::Code]);
    let mut room = room_with(1, SECONDS, |database| {
        let now = crate::domain::Clock::utc(&SystemClock);
        database
            .write_blocking(|conn| {
                scans::insert(conn, &ran, &now)?;
                scans::insert(conn, &waited, &now)?;
                scans::begin(conn, &ran.id, &now)
            })
            .unwrap();
    })
    .await;
    room.hear_end(&ScanId::new("waited")).await;
    assert_eq!(
        room.row(&ScanId::new("waited")).status,
        ScanStatus::Completed
    );
    let row = room.row(&ScanId::new("ran"));
    assert_eq!(
        (row.status, row.error.as_deref()),
        (ScanStatus::Failed, Some(INTERRUPTED))
    );
    room.check();
}
