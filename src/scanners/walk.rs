//! One parallel walk of the target that reads each file once for all native scanners.
//!
//! Invariant: a scan that could not see its target never looks clean. Whatever is passed over is
//! counted with a reason; if the target itself cannot be listed, or is gone at the end, every
//! detector's report carries the error.
//! Bounds: memory is a few MiB per thread plus `QUEUED_FILES` paths, whatever the size of files,
//! lines and folders. Links are never followed, so loops do not matter.

mod skips;
mod text;

use std::any::Any;
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use ignore::{DirEntry, WalkBuilder, WalkState};
use rustix::fs::{Mode, OFlags};

use self::text::{Buffers, Ending, Limits};
use super::{
    CancelFlag, Detector, Entry, Interest, Piece, ScanContext, ScannerError, ScannerReport, Target,
};
use crate::domain::{Coverage, RawFinding};

/// Files listed but not yet read. Beyond this number the listing thread reads them itself.
const QUEUED_FILES: usize = if cfg!(test) { 64 } else { 8 * 1024 };

/// Walks the target of `context` and offers every file to every detector, then lets each finish.
///
/// Blocks until all detectors are done; call it on a thread that may block. `done` is called once
/// per detector, from any thread, as soon as that detector is done, with its index in `detectors`.
pub fn run(
    detectors: &[Arc<dyn Detector>],
    context: &ScanContext,
    done: &(dyn Fn(usize, ScannerReport) + Sync),
) {
    let started = Instant::now();
    let walk = Arc::new(Walk::new(detectors, context));
    let failure = walk_target(&walk, context).err();
    let results = walk.results();
    std::thread::scope(|scope| {
        for (index, (detector, result)) in detectors.iter().zip(results).enumerate() {
            let failure = failure.as_ref();
            scope.spawn(move || {
                let report = conclude(detector.as_ref(), result, failure, context, started);
                done(index, report);
            });
        }
    });
}

/// Lets one detector finish, unless it has failed already.
fn conclude(
    detector: &dyn Detector,
    result: DetectorResult,
    failure: Option<&WalkFailure>,
    context: &ScanContext,
    started: Instant,
) -> ScannerReport {
    let DetectorResult {
        mut findings,
        mut coverage,
        crash,
    } = result;
    let error = if context.cancel.is_cancelled() {
        Some(ScannerError::Cancelled)
    } else if let Some(message) = crash {
        Some(ScannerError::Crashed(message))
    } else if let Some(failure) = failure {
        Some(failure.to_error())
    } else {
        let finished = catch_unwind(AssertUnwindSafe(|| detector.finish(context)));
        match finished {
            Ok(Ok(finish)) => {
                findings.extend(finish.findings);
                coverage.merge(&finish.coverage);
                context
                    .cancel
                    .is_cancelled()
                    .then_some(ScannerError::Cancelled)
            }
            Ok(Err(error)) => Some(error),
            Err(panic) => Some(ScannerError::Crashed(message_of(panic.as_ref()))),
        }
    };
    findings.sort_by(compare);
    ScannerReport {
        scanner: detector.info().name,
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        findings,
        coverage,
        duration: started.elapsed(),
        error,
    }
}

/// A total order, so that reports do not depend on which thread was faster.
fn compare(a: &RawFinding, b: &RawFinding) -> std::cmp::Ordering {
    fn key(f: &RawFinding) -> impl Ord + '_ {
        let place = (&f.file_path, f.line_start, &f.rule_id, &f.title);
        let detail = (f.line_end, f.severity, &f.subject.place, &f.description);
        (place, detail)
    }
    key(a).cmp(&key(b)).then_with(|| {
        serde_json::to_string(&a.metadata)
            .ok()
            .cmp(&serde_json::to_string(&b.metadata).ok())
    })
}

/// Why the target could not be walked; shared by all reports.
struct WalkFailure {
    action: String,
    source: io::Error,
}

impl WalkFailure {
    fn new(action: &str, target: &Target, source: io::Error) -> Self {
        Self {
            action: format!("{action} target {}", target.shown),
            source,
        }
    }

    /// Makes one detector's copy; an [`io::Error`] cannot be cloned.
    fn to_error(&self) -> ScannerError {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        ScannerError::Io {
            action: self.action.clone(),
            source,
        }
    }
}

fn walk_target(walk: &Arc<Walk>, context: &ScanContext) -> Result<(), WalkFailure> {
    let target = &context.target;
    let fail = |action| move |source| WalkFailure::new(action, target, source);
    let before = target.root.symlink_metadata().map_err(fail("open"))?;
    if before.is_dir() {
        std::fs::read_dir(&target.root).map_err(fail("list"))?;
        walk_directory(walk, before.dev(), context.settings.threads.max(1));
        if let Some(source) = walk.take_root_error() {
            return Err(WalkFailure::new("list", target, source));
        }
    } else {
        walk.with_worker(|worker| walk.file(&target.root, worker))
            .map_err(fail("read"))?;
    }
    // A target that is replaced or deleted half-way would otherwise look clean.
    let after = target.root.symlink_metadata().map_err(fail("find again"))?;
    if (before.dev(), before.ino()) != (after.dev(), after.ino()) && before.is_dir() {
        let source = io::Error::new(io::ErrorKind::NotFound, "it was replaced during the scan");
        return Err(WalkFailure::new("keep hold of", target, source));
    }
    Ok(())
}

fn walk_directory(walk: &Arc<Walk>, device: u64, threads: usize) {
    let admission = Arc::clone(walk);
    let walker = WalkBuilder::new(&walk.root)
        .standard_filters(false)
        .follow_links(false)
        .threads(threads)
        .filter_entry(move |entry| admission.admits(entry, device))
        .build_parallel();
    walker.run(|| {
        let walk = Arc::clone(walk);
        Box::new(move |listed| walk.meet(listed))
    });
}

/// What all threads of one walk share.
struct Walk {
    detectors: Vec<Arc<dyn Detector>>,
    /// Per detector: what its panic said. Set once; it is offered nothing more.
    crashes: Vec<OnceLock<String>>,
    cancel: CancelFlag,
    root: PathBuf,
    /// Length of `root` in bytes, for cutting it off.
    root_length: usize,
    is_directory: bool,
    limits: Limits,
    /// Files listed and not yet met.
    queued: AtomicUsize,
    /// Idle workers; as many as ever ran at once.
    workers: Mutex<Vec<Worker>>,
    root_error: OnceLock<io::Error>,
}

/// One thread's buffers and part of the results.
struct Worker {
    buffers: Buffers,
    /// Detectors that want the content of the file at hand.
    wanting: Vec<usize>,
    /// What was passed over for all detectors.
    skipped: Coverage,
    tallies: Vec<Tally>,
}

/// One detector's part of a [`Worker`].
#[derive(Default)]
struct Tally {
    findings: Vec<RawFinding>,
    coverage: Coverage,
}

/// What the walk found for one detector.
#[derive(Default)]
struct DetectorResult {
    findings: Vec<RawFinding>,
    coverage: Coverage,
    crash: Option<String>,
}

impl Walk {
    fn new(detectors: &[Arc<dyn Detector>], context: &ScanContext) -> Self {
        Self {
            detectors: detectors.to_vec(),
            crashes: detectors.iter().map(|_| OnceLock::new()).collect(),
            cancel: context.cancel.clone(),
            root: context.target.root.clone(),
            root_length: context.target.root.as_os_str().len(),
            is_directory: context.target.is_directory,
            limits: Limits::default(),
            queued: AtomicUsize::new(0),
            workers: Mutex::default(),
            root_error: OnceLock::new(),
        }
    }

    /// Runs `work` with a worker that nobody else uses meanwhile.
    fn with_worker<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let idle = self
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut worker = idle.unwrap_or_else(|| Worker {
            buffers: Buffers::default(),
            wanting: Vec::new(),
            skipped: Coverage::default(),
            tallies: self.detectors.iter().map(|_| Tally::default()).collect(),
        });
        let result = work(&mut worker);
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker);
        result
    }

    fn take_root_error(&self) -> Option<io::Error> {
        self.root_error
            .get()
            .map(|error| match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            })
    }

    /// Adds up what all workers have; to be called after the walk.
    fn results(&self) -> Vec<DetectorResult> {
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut results: Vec<DetectorResult> = self
            .crashes
            .iter()
            .map(|crash| DetectorResult {
                crash: crash.get().cloned(),
                ..Default::default()
            })
            .collect();
        for worker in workers {
            for (result, tally) in results.iter_mut().zip(worker.tallies) {
                result.findings.extend(tally.findings);
                result.coverage.merge(&tally.coverage);
                result.coverage.merge(&worker.skipped);
            }
        }
        results
    }

    /// Decides on an entry as soon as it is listed: whether a folder is entered, and whether a file
    /// waits for a free thread. Runs on the threads of the walk.
    fn admits(&self, entry: &DirEntry, root_device: u64) -> bool {
        if entry.depth() == 0 {
            return true;
        }
        if self.cancel.is_cancelled() {
            return false;
        }
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            let reason = skips::of_directory(entry.path())
                .or_else(|| is_pseudo(entry.path(), root_device).then_some(skips::PSEUDO));
            if let Some(reason) = reason {
                self.with_worker(|worker| worker.skipped.skip(reason));
            }
            return reason.is_none();
        }
        if self.queued.load(Ordering::Relaxed) < QUEUED_FILES {
            self.queued.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.with_worker(|worker| self.non_directory(entry, worker));
        false
    }

    /// Meets an entry that was admitted, or an error of listing.
    fn meet(&self, listed: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.cancel.is_cancelled() {
            return WalkState::Quit;
        }
        match listed {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {
                self.with_worker(|worker| self.directory(entry.path(), worker));
            }
            Ok(entry) => {
                self.queued.fetch_sub(1, Ordering::Relaxed);
                self.with_worker(|worker| self.non_directory(&entry, worker));
            }
            Err(error) => self.listing_failed(error),
        }
        WalkState::Continue
    }

    fn listing_failed(&self, error: ignore::Error) {
        let is_root = error.depth() == Some(0);
        let error = error
            .into_io_error()
            .unwrap_or_else(|| io::Error::other("unknown"));
        if is_root {
            // Kept if it is the first; there is one root only.
            drop(self.root_error.set(error));
        } else {
            self.with_worker(|worker| worker.skipped.skip(skips::of_error(&error)));
        }
    }

    fn directory(&self, path: &Path, worker: &mut Worker) {
        let relative = self.relative(path);
        let entry = Entry {
            path,
            name: last_part(&relative),
            relative: &relative,
            is_directory: true,
            size: 0,
        };
        if !relative.is_empty() {
            self.offer(&entry, worker);
        }
    }

    fn non_directory(&self, entry: &DirEntry, worker: &mut Worker) {
        let kind = entry.file_type();
        if kind.is_some_and(|kind| kind.is_symlink()) {
            worker.skipped.skip(self.judge_link(entry.path()));
        } else if kind.is_some_and(|kind| kind.is_file()) {
            // Its error was recorded as a skip; only a file that is the target makes more of it.
            drop(self.file(entry.path(), worker));
        } else {
            worker.skipped.skip(skips::NOT_REGULAR);
        }
    }

    /// Says why a link is passed over. What it points to inside the target is walked anyway.
    fn judge_link(&self, path: &Path) -> &'static str {
        match path.canonicalize() {
            Ok(target) if !target.starts_with(&self.root) => skips::LINK_OUTSIDE,
            _ => skips::LINK,
        }
    }

    /// Offers a regular file and feeds it to the detectors that want its content.
    ///
    /// Returns the error that kept it from being read, after recording it as a skip.
    fn file(&self, path: &Path, worker: &mut Worker) -> io::Result<()> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => {
                worker.skipped.skip(skips::NOT_REGULAR);
                return Err(io::Error::other("it is not a regular file"));
            }
            Err(error) => {
                worker.skipped.skip(skips::of_error(&error));
                return Err(error);
            }
        };
        let relative = self.relative(path);
        let entry = Entry {
            path,
            name: last_part(&relative),
            relative: &relative,
            is_directory: false,
            size: metadata.len(),
        };
        self.offer(&entry, worker);
        if worker.wanting.is_empty() {
            return Ok(());
        }
        match self.read(&entry, worker) {
            Ok(Reading::Complete(bytes)) => {
                worker.complete(bytes);
                Ok(())
            }
            Ok(Reading::Skipped(reason)) => {
                worker.pass_over(reason);
                Ok(())
            }
            Err(error) => {
                worker.pass_over(skips::of_error(&error));
                Err(error)
            }
        }
    }

    fn read(&self, entry: &Entry<'_>, worker: &mut Worker) -> io::Result<Reading> {
        if skips::has_binary_extension(entry.name) {
            return Ok(Reading::Skipped(skips::BINARY_EXTENSION));
        }
        if entry.size == 0 {
            let window = text::Window {
                bytes: &[],
                owned: (0, 0),
                first_line: 1,
                is_whole: true,
            };
            let Worker {
                wanting, tallies, ..
            } = worker;
            if self.examine(entry, window, wanting, tallies).is_break() {
                wanting.clear();
            }
            return Ok(Reading::Complete(0));
        }
        let Some((mut file, metadata)) = open_regular(entry.path)? else {
            return Ok(Reading::Skipped(skips::NOT_REGULAR));
        };
        let Worker {
            buffers,
            wanting,
            tallies,
            ..
        } = worker;
        let ending = text::feed(
            &mut file,
            metadata.len(),
            &self.limits,
            buffers,
            &mut |window| self.examine(entry, window, wanting, tallies),
        )?;
        Ok(match ending {
            Ending::Complete(bytes) => Reading::Complete(bytes),
            Ending::Binary => Reading::Skipped(skips::BINARY),
            Ending::Grew => Reading::Skipped(skips::GREW),
            // Cancelled, or nobody is left who wants it: nothing to record.
            Ending::Stopped => {
                wanting.clear();
                Reading::Complete(0)
            }
        })
    }

    /// Shows an entry to all detectors and notes in `worker.wanting` who wants its content.
    fn offer(&self, entry: &Entry<'_>, worker: &mut Worker) {
        let Worker {
            wanting, tallies, ..
        } = worker;
        wanting.clear();
        for (index, (detector, tally)) in self.detectors.iter().zip(tallies).enumerate() {
            let interest = self.guarded(index, || detector.visit(entry, &mut tally.findings));
            match interest {
                None | Some(Interest::None) => {}
                Some(Interest::Name) => {
                    tally.coverage.files_seen += u64::from(!entry.is_directory);
                }
                Some(Interest::Content) if entry.is_directory => {}
                Some(Interest::Content) => wanting.push(index),
            }
        }
    }

    /// Shows a window to the detectors in `wanting`, which loses those that panic.
    fn examine(
        &self,
        entry: &Entry<'_>,
        window: text::Window<'_>,
        wanting: &mut Vec<usize>,
        tallies: &mut [Tally],
    ) -> ControlFlow<()> {
        if self.cancel.is_cancelled() {
            return ControlFlow::Break(());
        }
        let piece = Piece {
            entry,
            bytes: window.bytes,
            owned: window.owned,
            first_line: window.first_line,
            is_whole: window.is_whole,
        };
        wanting.retain(|&index| {
            let (Some(detector), Some(tally)) = (self.detectors.get(index), tallies.get_mut(index))
            else {
                return false;
            };
            self.guarded(index, || detector.examine(&piece, &mut tally.findings))
                .is_some()
        });
        if wanting.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Runs a step of a detector; `None` if it has crashed, now or earlier.
    fn guarded<R>(&self, index: usize, step: impl FnOnce() -> R) -> Option<R> {
        let crash = self.crashes.get(index)?;
        if crash.get().is_some() {
            return None;
        }
        // A half-done step is sound: nothing more is asked of this detector, and its findings are
        // reported beside the error.
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(result) => Some(result),
            Err(panic) => {
                // The first of several threads has the word.
                drop(crash.set(message_of(panic.as_ref())));
                None
            }
        }
    }

    /// Cuts the root off; for a file target leaves its name.
    fn relative<'a>(&self, path: &'a Path) -> Cow<'a, str> {
        let bytes = path.as_os_str().as_bytes();
        let relative = if self.is_directory {
            let rest = bytes.get(self.root_length..).unwrap_or_default();
            rest.strip_prefix(b"/").unwrap_or(rest)
        } else {
            path.file_name().unwrap_or_default().as_bytes()
        };
        super::readable(relative)
    }
}

/// What became of one file.
enum Reading {
    Complete(u64),
    Skipped(&'static str),
}

impl Worker {
    /// Counts the file at hand for those who saw it to the end.
    fn complete(&mut self, bytes: u64) {
        for &index in &self.wanting {
            if let Some(tally) = self.tallies.get_mut(index) {
                tally.coverage.files_seen += 1;
                tally.coverage.bytes_seen += bytes;
            }
        }
    }

    /// Counts the file at hand as passed over.
    fn pass_over(&mut self, reason: &'static str) {
        if !skips::is_about_content(reason) {
            self.skipped.skip(reason);
            return;
        }
        for &index in &self.wanting {
            if let Some(tally) = self.tallies.get_mut(index) {
                tally.coverage.skip(reason);
            }
        }
    }
}

fn last_part(relative: &str) -> &str {
    relative.rsplit('/').next().unwrap_or(relative)
}

/// Opens a regular file without following a link and without waiting for the other end of a FIFO.
///
/// `None` if it is anything else.
pub(in crate::scanners) fn open_regular(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

fn is_pseudo(directory: &Path, root_device: u64) -> bool {
    let is_mounted = |metadata: Metadata| metadata.dev() != root_device;
    directory.symlink_metadata().is_ok_and(is_mounted) && skips::is_on_pseudo_filesystem(directory)
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}

#[cfg(test)]
mod tests;
