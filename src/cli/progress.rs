//! Shows on stderr what a scan is doing: bars on a terminal, lines elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table::printable;
use crate::domain::ScanEvent;

/// The display of one scan.
pub(super) struct Progress {
    bars: Option<MultiProgress>,
    running: BTreeMap<String, ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Draws bars when stderr is a terminal, says nothing when `quiet`.
    pub(super) fn new(quiet: bool) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self {
            bars: (is_terminal && !quiet).then(MultiProgress::new),
            running: BTreeMap::new(),
            quiet,
        }
    }

    /// Shows one event.
    pub(super) fn show(&mut self, event: &ScanEvent) {
        match event {
            ScanEvent::ScannerStart { scanner } => self.start(scanner),
            ScanEvent::ScannerComplete {
                scanner,
                duration_s,
                findings_count,
            } => {
                let noun = if *findings_count == 1 {
                    "finding"
                } else {
                    "findings"
                };
                self.end(
                    scanner,
                    &format!("✓ {scanner}: {findings_count} {noun} in {duration_s:.2} s"),
                );
            }
            ScanEvent::ScannerFailed { scanner, error, .. } => {
                self.end(scanner, &format!("✗ {scanner}: {}", printable(error)));
            }
            ScanEvent::ScannerSkipped { .. }
            | ScanEvent::Start { .. }
            | ScanEvent::Complete { .. }
            | ScanEvent::Failed { .. }
            | ScanEvent::Cancelled => {}
        }
    }

    /// Removes what moves; what was said stays.
    pub(super) fn finish(&mut self) {
        for bar in std::mem::take(&mut self.running).into_values() {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self, scanner: &str) {
        let Some(bars) = &self.bars else { return };
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = bars.add(ProgressBar::new_spinner().with_style(style));
        bar.set_message(scanner.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.running.insert(scanner.to_owned(), bar);
    }

    fn end(&mut self, scanner: &str, line: &str) {
        if let Some(bar) = self.running.remove(scanner) {
            bar.finish_and_clear();
        }
        match &self.bars {
            Some(bars) => {
                let _shown = bars.println(line).is_ok();
            }
            None if self.quiet => {}
            None => {
                let _shown = writeln!(anstream::stderr(), "{line}").is_ok();
            }
        }
    }
}
