//! Settings of scans and scanners.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Environment, SettingsError, refuse};
use crate::scanners::ScannerSettings;
use crate::scanners::external::ToolEnvironment;
use crate::scanners::target::Policy;

/// What may be scanned, and how.
#[derive(Debug, Clone)]
pub struct ScanSettings {
    /// `SECURESCAN_SCAN_ROOTS`: folders, separated by `:`, that targets over HTTP must lie under.
    /// Default: none, which allows every folder but those of the system's kernel.
    pub targets: Policy,
    /// `SECURESCAN_MAX_CONCURRENT_SCANS`: scans that run at once. Default: number of cores.
    pub max_concurrent: usize,
    /// `SECURESCAN_SCAN_BUDGET`, in seconds: wall-clock limit of one scan. Default: 3600.
    pub budget: Duration,
    /// `SECURESCAN_FINGERPRINT_BASE`: folder that v1 fingerprints take paths relative to. Default:
    /// the working directory at start.
    pub fingerprint_base: PathBuf,
    /// Whether scans that a former process left waiting are run. No variable: the service does, the
    /// command line leaves them to it.
    pub resume_waiting: bool,
    /// Settings of the scanners themselves.
    pub scanners: ScannerSettings,
}

impl ScanSettings {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = |name: &str, default: u64| {
            environment
                .number(name, default, "use whole seconds above 0", |seconds| {
                    *seconds > 0
                })
                .map(Duration::from_secs)
        };
        let roots = roots(environment)?;
        Ok(Self {
            targets: Policy {
                guarded: true,
                roots: roots.clone(),
            },
            max_concurrent: environment.number(
                "SECURESCAN_MAX_CONCURRENT_SCANS",
                cores,
                "use a whole number from 1 to 1024",
                |limit| (1..=1024).contains(limit),
            )?,
            budget: seconds("SECURESCAN_SCAN_BUDGET", 3600)?,
            fingerprint_base: environment
                .text("SECURESCAN_FINGERPRINT_BASE")
                .map(PathBuf::from)
                .or_else(|| std::env::current_dir().ok())
                .unwrap_or_else(|| PathBuf::from("/")),
            resume_waiting: true,
            scanners: ScannerSettings {
                tool_timeout: seconds("SECURESCAN_SCAN_TIMEOUT", 300)?,
                confined_to: roots,
                secret_rules: paths(environment.text("SECURESCAN_SECRET_RULES")),
                git_history: environment.switch("SECURESCAN_GIT_HISTORY", true)?,
                semgrep_rules: paths(environment.text("SECURESCAN_SEMGREP_RULES")),
                tool_environment: ToolEnvironment::of(environment.variables()),
                ..ScannerSettings::default()
            },
        })
    }
}

fn paths(list: Option<&str>) -> Vec<PathBuf> {
    list.unwrap_or_default()
        .split(':')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// An empty entry is refused: `$A:$B` with empty variables must not lift the confinement.
fn roots(environment: &Environment) -> Result<Vec<PathBuf>, SettingsError> {
    const NAME: &str = "SECURESCAN_SCAN_ROOTS";
    let Some(list) = environment.text(NAME) else {
        return Ok(Vec::new());
    };
    list.split(':')
        .map(|root| {
            Path::new(root)
                .canonicalize()
                .ok()
                .filter(|canonical| !root.is_empty() && canonical.is_dir())
                .ok_or_else(|| refuse(NAME, list, format!("'{root}' is no folder")))
        })
        .collect()
}
