//! `securescan scan`: one scan by the same actors as the service, in this process.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use slog::Logger;
use tokio::sync::mpsc;

use super::progress::Progress;
use super::{Exit, complain, table};
use crate::actors::ask;
use crate::actors::event_hub::{Publish, Tap};
use crate::actors::scan_supervisor::{CancelScan, SubmitScan};
use crate::app::{Core, StartError};
use crate::config::Settings;
use crate::domain::{Finding, Scan, ScanId, ScanStatus, ScanType, Severity};
use crate::http::DEADLINE;
use crate::http::views::FindingView;
use crate::scanners::registry::Registry;
use crate::scanners::target::Policy;
use crate::storage::{findings, scans};
use crate::telemetry;

/// Events that may wait to be shown; a scan has a few dozen.
const EVENTS: usize = 1024;

/// Options of `scan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  securescan scan .
  securescan scan src --type code --fail-on-severity high
  securescan scan . --output json --output-file findings.json

Results go to stdout (or --output-file), progress and problems to stderr.")]
pub(super) struct ScanArguments {
    /// Folder or file to scan.
    #[arg(default_value = ".")]
    target: PathBuf,
    /// What to look at; may be given several times. Default: code, dependency, iac, baseline.
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = parse_type)]
    types: Vec<ScanType>,
    /// Form of the results.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Write the results to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Exit with code 1 when there is a finding of this severity or a worse one: critical, high,
    /// medium, low or info.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    fail_on_severity: Option<Severity>,
    /// Do not search the git history for secrets.
    #[arg(long)]
    no_git_history: bool,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people.
    #[value(alias = "table")]
    Text,
    /// A JSON array of findings.
    Json,
}

fn parse_type(text: &str) -> Result<ScanType, String> {
    text.parse()
        .map_err(|error: crate::domain::scan::UnknownScanType| error.to_string())
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    text.parse()
        .map_err(|error: crate::domain::severity::UnknownSeverity| error.to_string())
}

/// What the arguments mean.
struct Plan {
    target: String,
    types: Vec<ScanType>,
    arguments: ScanArguments,
}

fn plan(arguments: ScanArguments) -> Result<Plan, String> {
    let target = arguments
        .target
        .to_str()
        .ok_or("the target's name is not UTF-8: scan its parent folder instead")?;
    let found = std::fs::metadata(target)
        .map_err(|error| format!("cannot scan {}: {error}", table::printable(target)))?;
    if !found.is_dir() && !found.is_file() {
        return Err(format!(
            "cannot scan {}: neither a folder nor a regular file",
            table::printable(target)
        ));
    }
    if let Some(file) = &arguments.output_file {
        check_writable(file)?;
    }
    let types = if arguments.types.is_empty() {
        vec![
            ScanType::Code,
            ScanType::Dependency,
            ScanType::Iac,
            ScanType::Baseline,
        ]
    } else {
        arguments.types.clone()
    };
    Ok(Plan {
        target: target.to_owned(),
        types,
        arguments,
    })
}

/// Finds out before a long scan, not after it.
fn check_writable(file: &Path) -> Result<(), String> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if file.is_dir() || !parent.is_dir() {
        return Err(format!(
            "cannot write {}: its folder does not exist, or it is one",
            file.display()
        ));
    }
    Ok(())
}

pub(super) fn run(arguments: ScanArguments, mut settings: Settings, registry: Registry) -> Exit {
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(problem) => {
            complain(&problem);
            return Exit::Usage;
        }
    };
    settings.scans.scanners.git_history &= !plan.arguments.no_git_history;
    // The user may read what the program may read; nobody signs in.
    settings.scans.targets = Policy::default();
    settings.scans.scanners.confined_to.clear();
    settings.auth.required = false;
    settings.scans.resume_waiting = false;
    let log = if settings.log.asked_for {
        telemetry::start(&settings.log)
    } else {
        telemetry::silent()
    };
    actix_rt::System::new().block_on(async move {
        match scan(&plan, settings, registry, &log).await {
            Ok(exit) => exit,
            Err(problem) => {
                complain(&problem);
                Exit::Incomplete
            }
        }
    })
}

async fn scan(
    plan: &Plan,
    settings: Settings,
    registry: Registry,
    log: &Logger,
) -> Result<Exit, String> {
    let (core, _scratch) = start(settings, registry, log)?;
    let mut progress = Progress::new(plan.arguments.quiet);
    let ended = watch(plan, &core, &mut progress).await;
    progress.finish();
    let results = match ended {
        Ok(scan_id) => read(&core, scan_id).await,
        Err(problem) => Err(problem),
    };
    core.stop().await;
    let Some((scan, found)) = results? else {
        return Ok(Exit::Interrupted);
    };
    write_results(plan, &scan, &found)?;
    Ok(judge(plan, &scan, &found))
}

/// Opens the usual database; when somebody serves it, or it cannot be written, a temporary one, so
/// that a scan always works.
fn start(
    mut settings: Settings,
    registry: Registry,
    log: &Logger,
) -> Result<(Core, Option<ScratchFolder>), String> {
    match Core::start(&settings, registry.clone(), log) {
        Ok(core) => Ok((core, None)),
        Err(problem @ (StartError::Lock(_) | StartError::Storage(_))) => {
            complain(&format!(
                "{}; this scan is not kept",
                telemetry::chain(&problem)
            ));
            let scratch =
                ScratchFolder::make().map_err(|error| format!("no temporary folder: {error}"))?;
            settings.database_path = scratch.0.join("scan.db");
            let core =
                Core::start(&settings, registry, log).map_err(|error| telemetry::chain(&error))?;
            Ok((core, Some(scratch)))
        }
        Err(problem) => Err(telemetry::chain(&problem)),
    }
}

/// A folder that goes away with the scan.
struct ScratchFolder(PathBuf);

impl ScratchFolder {
    fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("securescan-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What is left in the temporary folder, the system clears.
        let _removed = std::fs::remove_dir_all(&self.0).is_ok();
    }
}

/// Starts the scan and shows its events until the terminal one.
async fn watch(plan: &Plan, core: &Core, progress: &mut Progress) -> Result<ScanId, String> {
    let busy = |error: crate::actors::AskError| error.to_string();
    let (sender, mut events) = mpsc::channel::<Publish>(EVENTS);
    ask(&core.hub.events, Tap(sender), DEADLINE)
        .await
        .map_err(busy)?;
    let scan = Scan::pending(ScanId::random(), plan.target.clone(), plan.types.clone());
    let scan_id = scan.id.clone();
    ask(&core.hub.supervisor, SubmitScan { scan }, DEADLINE)
        .await
        .map_err(busy)?
        .map_err(|refused| telemetry::chain(&refused))?;
    let mut interrupted = false;
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(publish) = event else { return Err("the scan's events ended early".to_owned()) };
                if publish.scan_id != scan_id {
                    continue;
                }
                progress.show(&publish.event);
                if publish.event.is_terminal() {
                    return Ok(scan_id);
                }
            }
            signal = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = true;
                if signal.is_ok() {
                    let cancel = CancelScan { scan_id: scan_id.clone() };
                    // A scan that has ended by itself tells so with its own event.
                    let _cancelled = ask(&core.hub.supervisor, cancel, DEADLINE).await.is_ok();
                }
            }
        }
    }
}

/// Reads the ended scan; none when it was cancelled.
async fn read(core: &Core, scan_id: ScanId) -> Result<Option<(Scan, Vec<Finding>)>, String> {
    let read = core
        .database
        .read(move |conn| {
            let scan = scans::get(conn, &scan_id)?;
            Ok((scan, findings::all(conn, &scan_id)?))
        })
        .await;
    match read {
        Ok((Some(scan), _)) if scan.status == ScanStatus::Cancelled => Ok(None),
        Ok((Some(scan), found)) => Ok(Some((scan, found))),
        Ok((None, _)) => Err("the scan's row has vanished".to_owned()),
        Err(error) => Err(telemetry::chain(&error)),
    }
}

fn write_results(plan: &Plan, scan: &Scan, found: &[Finding]) -> Result<(), String> {
    let text = match plan.arguments.output {
        Output::Text => table::render(scan, found),
        Output::Json => {
            let views: Vec<_> = found.iter().map(FindingView::new).collect();
            let mut text =
                serde_json::to_string_pretty(&views).map_err(|error| error.to_string())?;
            text.push('\n');
            text
        }
    };
    let written = match &plan.arguments.output_file {
        Some(file) => {
            let plain = anstream::adapter::strip_str(&text).to_string();
            std::fs::write(file, plain)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))
        }
        None => anstream::stdout()
            .write_all(text.as_bytes())
            .or_else(|error| match error.kind() {
                // The reader has seen enough, e.g. `| head`.
                std::io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error),
            })
            .map_err(|error| format!("cannot write to stdout: {error}")),
    };
    written?;
    if plan.arguments.output == Output::Json || plan.arguments.output_file.is_some() {
        for failure in scan.failures() {
            complain(&format!(
                "{} failed: {}",
                failure.name,
                table::printable(&failure.reason)
            ));
        }
    }
    Ok(())
}

fn judge(plan: &Plan, scan: &Scan, found: &[Finding]) -> Exit {
    let reached = |threshold: Severity| {
        found
            .iter()
            .filter(|finding| finding.severity >= threshold)
            .count()
    };
    if let Some(threshold) = plan.arguments.fail_on_severity
        && reached(threshold) > 0
    {
        complain(&format!(
            "{} finding(s) at or above '{threshold}'",
            reached(threshold)
        ));
        return Exit::Findings;
    }
    if scan.status != ScanStatus::Completed {
        complain(&format!(
            "the scan failed: {}",
            table::printable(scan.error.as_deref().unwrap_or("unknown reason"))
        ));
        return Exit::Incomplete;
    }
    if scan.scanners_run.is_empty() {
        complain("nothing was scanned: none of the scanners for these types could run");
        return Exit::Incomplete;
    }
    if scan.failures().next().is_some() {
        complain("the scan is incomplete: not every scanner could do its work");
        return Exit::Incomplete;
    }
    Exit::Done
}
