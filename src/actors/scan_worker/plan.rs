//! What blocks in a scan, run on threads that may: looking for scanners, running them, and turning
//! reports into records and findings.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::{Coverage, RawFinding, ScanEvent, ScannerRecord, ScannerSkip, ScannerStatus};
use crate::kill_points::{self, Point};
use crate::scanners::external::Tool;
use crate::scanners::registry::{Availability, Kind, MakeDetector, Registered, Registry};
use crate::scanners::{Detector, ScanContext, ScannerError, ScannerReport, walk};

/// A scanner that can be asked.
#[derive(Clone)]
pub(super) enum Ready {
    Native(&'static str, MakeDetector),
    Tool(Arc<dyn Tool>, PathBuf),
}

impl Ready {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Native(name, _) => name,
            Self::Tool(tool, _) => tool.info().name,
        }
    }
}

/// Which of the selected scanners run, in registry order.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) ready: Vec<Ready>,
    pub(super) skipped: Vec<ScannerSkip>,
}

/// Asks for each selected scanner whether it is there.
pub(super) fn plan(registry: &Registry, selected: &[Registered]) -> Plan {
    let mut plan = Plan::default();
    for scanner in selected {
        match (registry.availability(scanner), &scanner.kind) {
            (Availability::Native, Kind::Native(make)) => {
                plan.ready.push(Ready::Native(scanner.info.name, *make));
            }
            (Availability::Found(program), Kind::Wrapped(tool)) => {
                plan.ready.push(Ready::Tool(Arc::clone(tool), program));
            }
            (Availability::Missing(reason), _) => plan.skipped.push(skip(scanner, reason)),
            // The registry answers by kind; a mismatch would be its defect.
            (Availability::Native | Availability::Found(_), _) => {
                plan.skipped.push(skip(scanner, "unavailable"));
            }
        }
    }
    plan
}

fn skip(scanner: &Registered, reason: &str) -> ScannerSkip {
    ScannerSkip {
        name: scanner.info.name.to_owned(),
        reason: reason.to_owned(),
        install_hint: Some(scanner.info.install_hint.to_owned()),
    }
}

/// Runs all native scanners over one walk; `report` hears of each exactly once.
pub(super) fn run_natives(
    scanners: &[(&'static str, MakeDetector)],
    context: &ScanContext,
    report: &(dyn Fn(ScannerReport) + Sync),
) {
    let started = Instant::now();
    let mut detectors: Vec<Arc<dyn Detector>> = Vec::new();
    for (name, make) in scanners {
        let made = catch_unwind(AssertUnwindSafe(|| make(&context.settings)))
            .unwrap_or_else(|_| Err(ScannerError::Crashed("panic while starting".to_owned())));
        match made {
            Ok(detector) => detectors.push(detector),
            Err(error) => report(failed(name, started.elapsed(), error)),
        }
    }
    if detectors.is_empty() {
        return;
    }
    kill_points::reach_blocking(Point::InsideScanners, || context.cancel.is_cancelled());
    let told = std::sync::Mutex::new(vec![false; detectors.len()]);
    let walked = catch_unwind(AssertUnwindSafe(|| {
        walk::run(&detectors, context, &|index, done| {
            let first = told.lock().is_ok_and(|mut told| {
                told.get_mut(index)
                    .is_some_and(|told| !std::mem::replace(told, true))
            });
            if first {
                report(done);
            }
        });
    }));
    let crash = if walked.is_err() {
        "panic in the walk"
    } else {
        "never reported"
    };
    let told = told.into_inner().unwrap_or_default();
    for (detector, _told) in detectors.iter().zip(told).filter(|(_, told)| !told) {
        let error = ScannerError::Crashed(crash.to_owned());
        report(failed(detector.info().name, started.elapsed(), error));
    }
}

/// Runs one wrapped tool.
pub(super) fn run_tool(
    tool: &dyn Tool,
    program: &std::path::Path,
    context: &ScanContext,
) -> ScannerReport {
    let started = Instant::now();
    let name = tool.info().name;
    let run = catch_unwind(AssertUnwindSafe(|| tool.scan(program, context)))
        .unwrap_or_else(|_| Err(ScannerError::Crashed("panic in the wrapper".to_owned())));
    match run {
        Ok(run) => ScannerReport {
            scanner: name,
            version: run.version,
            findings: run.findings,
            coverage: run.coverage,
            duration: started.elapsed(),
            error: None,
        },
        Err(error) => failed(name, started.elapsed(), error),
    }
}

fn failed(scanner: &'static str, duration: Duration, error: ScannerError) -> ScannerReport {
    ScannerReport {
        scanner,
        version: None,
        findings: Vec::new(),
        coverage: Coverage::default(),
        duration,
        error: Some(error),
    }
}

/// Returns the event that tells how a scanner ended.
pub(super) fn event_of(report: &ScannerReport) -> ScanEvent {
    let scanner = report.scanner.to_owned();
    let duration_s = report.duration.as_secs_f64();
    match &report.error {
        None => ScanEvent::ScannerComplete {
            scanner,
            duration_s,
            findings_count: report.findings.len(),
        },
        Some(error) => ScanEvent::ScannerFailed {
            scanner,
            duration_s,
            error: crate::telemetry::chain(error),
        },
    }
}

/// Writes the completeness record, in registry order. `late` are scanners that never reported, with
/// the reason.
pub(super) fn records(
    selected: &[Registered],
    skipped: &[ScannerSkip],
    reports: &BTreeMap<&'static str, ScannerReport>,
    late: &str,
) -> Vec<ScannerRecord> {
    selected
        .iter()
        .map(|scanner| {
            let name = scanner.info.name;
            if let Some(report) = reports.get(name) {
                return record_of(report, late);
            }
            let skip = skipped.iter().find(|skip| skip.name == name);
            ScannerRecord {
                scanner: name.to_owned(),
                status: if skip.is_some() {
                    ScannerStatus::Skipped
                } else {
                    ScannerStatus::Failed
                },
                reason: Some(skip.map_or_else(|| late.to_owned(), |skip| skip.reason.clone())),
                install_hint: skip.and_then(|skip| skip.install_hint.clone()),
                version: None,
                findings_count: 0,
                duration_ms: 0,
                coverage: Coverage::default(),
            }
        })
        .collect()
}

fn record_of(report: &ScannerReport, late: &str) -> ScannerRecord {
    ScannerRecord {
        scanner: report.scanner.to_owned(),
        status: if report.error.is_none() {
            ScannerStatus::Completed
        } else {
            ScannerStatus::Failed
        },
        reason: report.error.as_ref().map(|error| match error {
            ScannerError::Cancelled => late.to_owned(),
            error => crate::telemetry::chain(error),
        }),
        install_hint: None,
        version: report.version.clone(),
        findings_count: report.findings.len() as u64,
        duration_ms: u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
        coverage: report.coverage.clone(),
    }
}

/// Joins all findings in registry order.
pub(super) fn collect(
    selected: &[Registered],
    mut reports: BTreeMap<&'static str, ScannerReport>,
) -> Vec<RawFinding> {
    selected
        .iter()
        .filter_map(|scanner| reports.remove(scanner.info.name))
        .flat_map(|report| report.findings)
        .collect()
}
