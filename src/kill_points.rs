//! Named points at which tests kill or hold the program. A release build has none of them.
//!
//! `SECURESCAN_ABORT_AT=<point>` aborts the process there. `SECURESCAN_PAUSE_AT=<point>:<file>`
//! makes `<file>.reached` there and goes on once `<file>` exists. `tests/it/kill` walks over all
//! points, so a new one is tested the moment it has a name.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::config::{Environment, SettingsError};

const ABORT_AT: &str = "SECURESCAN_ABORT_AT";
const PAUSE_AT: &str = "SECURESCAN_PAUSE_AT";
/// How often a held step looks for its file.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where a scan can be killed or held, in the order in which it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The row is stored, nobody has been told, the scan is not queued.
    AfterSubmitStored,
    /// The row says `running`, no scanner has started.
    AfterBegin,
    /// The native scanners are about to walk.
    InsideScanners,
    /// The findings are assembled, nothing of them is stored.
    BeforeStore,
    /// Row and findings are written, what they owe is not, and nothing is committed.
    InsideStoreTransaction,
    /// Everything is committed, nobody has been told.
    AfterStoreBeforePublish,
    /// The terminal event is on its way, the worker has not said its last word.
    AfterPublish,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 7] = [
        Self::AfterSubmitStored,
        Self::AfterBegin,
        Self::InsideScanners,
        Self::BeforeStore,
        Self::InsideStoreTransaction,
        Self::AfterStoreBeforePublish,
        Self::AfterPublish,
    ];

    /// Returns the name that the variables use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterSubmitStored => "after-submit-stored",
            Self::AfterBegin => "after-begin",
            Self::InsideScanners => "inside-scanners",
            Self::BeforeStore => "before-store",
            Self::InsideStoreTransaction => "inside-store-transaction",
            Self::AfterStoreBeforePublish => "after-store-before-publish",
            Self::AfterPublish => "after-publish",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.name() == text)
    }
}

#[derive(Debug)]
struct Armed {
    abort: Option<Point>,
    pause: Option<(Point, PathBuf)>,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms what the environment names; does nothing in a release build.
///
/// # Errors
/// When a variable names no point.
pub fn arm(environment: &Environment) -> Result<(), SettingsError> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let unknown = |name: &str, value: &str| SettingsError {
        name: name.to_owned(),
        value: value.to_owned(),
        problem: "no such point".to_owned(),
    };
    let abort = match environment.text(ABORT_AT) {
        Some(text) => Some(Point::parse(text).ok_or_else(|| unknown(ABORT_AT, text))?),
        None => None,
    };
    let pause = match environment.text(PAUSE_AT) {
        Some(text) => {
            let (point, file) = text
                .split_once(':')
                .and_then(|(point, file)| Some((Point::parse(point)?, PathBuf::from(file))))
                .ok_or_else(|| unknown(PAUSE_AT, text))?;
            Some((point, file))
        }
        None => None,
    };
    if abort.is_some() || pause.is_some() {
        // A second call keeps what the first one armed.
        let _first = ARMED.set(Armed { abort, pause }).is_ok();
    }
    Ok(())
}

/// Passes a point in a future: other work of the thread goes on while this is held.
pub async fn reach(point: Point) {
    let Some(gate) = held_at(point) else { return };
    while !gate.exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Passes a point on a thread that may block; `given_up` ends a hold early.
pub fn reach_blocking(point: Point, given_up: impl Fn() -> bool) {
    let Some(gate) = held_at(point) else { return };
    while !gate.exists() && !given_up() {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Aborts when that was asked for here; returns the file to wait for when a hold was.
fn held_at(point: Point) -> Option<&'static Path> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let armed = ARMED.get()?;
    if armed.abort == Some(point) {
        std::process::abort();
    }
    let (at, gate) = armed.pause.as_ref()?;
    if *at != point {
        return None;
    }
    let mut reached = gate.clone().into_os_string();
    reached.push(".reached");
    // Without the mark the test that waits for it fails by its deadline and says so.
    let _marked = std::fs::write(reached, "").is_ok();
    Some(gate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_found_by_its_name_and_no_other() {
        for point in Point::ALL {
            assert_eq!(Point::parse(point.name()), Some(point));
        }
        assert_eq!(Point::parse("nowhere"), None);
    }

    #[test]
    fn a_point_that_does_not_exist_is_refused() {
        for (name, value) in [
            (ABORT_AT, "nowhere"),
            (PAUSE_AT, "nowhere:/tmp/x"),
            (PAUSE_AT, "after-begin"),
        ] {
            let error = arm(&Environment::of([(name, value)])).unwrap_err();
            assert_eq!(error.name, name);
        }
    }
}
