//! The fourteen scanners in their fixed order, and which of them can be asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::external::Tool;
use super::{Detector, ScannerError, ScannerInfo, ScannerSettings};
use crate::domain::ScanType;

/// Makes a native scanner's detector for one scan.
pub type MakeDetector = fn(&ScannerSettings) -> Result<Arc<dyn Detector>, ScannerError>;

/// How a scanner does its work.
#[derive(Clone)]
pub enum Kind {
    /// Built in; shares the walk.
    Native(MakeDetector),
    /// A program that must be installed.
    Wrapped(Arc<dyn Tool>),
    /// A program that this version recognises but cannot drive yet.
    Foreign {
        /// Any of these makes it count as installed.
        programs: &'static [&'static str],
    },
}

/// One scanner of the registry.
#[derive(Clone)]
pub struct Registered {
    /// What is known before it runs.
    pub info: ScannerInfo,
    /// How it works.
    pub kind: Kind,
}

/// Whether a scanner can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Built in.
    Native,
    /// Found here.
    Found(PathBuf),
    /// Why not.
    Missing(&'static str),
}

/// All scanners, in the order in which results are merged and status is shown.
#[derive(Clone)]
pub struct Registry {
    scanners: Vec<Registered>,
    search_path: Vec<PathBuf>,
}

impl Registry {
    /// Makes a registry of these scanners that looks for programs in these folders.
    #[must_use]
    pub fn new(scanners: Vec<Registered>, search_path: Vec<PathBuf>) -> Self {
        Self {
            scanners,
            search_path,
        }
    }

    /// Returns every scanner.
    #[must_use]
    pub fn all(&self) -> &[Registered] {
        &self.scanners
    }

    /// Returns the scanners of these types, in registry order; repeated types do not count.
    #[must_use]
    pub fn selected(&self, types: &[ScanType]) -> Vec<Registered> {
        self.scanners
            .iter()
            .filter(|scanner| types.contains(&scanner.info.scan_type))
            .cloned()
            .collect()
    }

    /// Looks whether a scanner can be asked; reads folders, so not for the hub's arbiter.
    #[must_use]
    pub fn availability(&self, scanner: &Registered) -> Availability {
        let missing = Availability::Missing("not installed");
        match &scanner.kind {
            Kind::Native(_) => Availability::Native,
            Kind::Wrapped(tool) => self
                .find(tool.program())
                .map_or(missing, Availability::Found),
            Kind::Foreign { programs } => {
                if programs.iter().any(|program| self.find(program).is_some()) {
                    Availability::Missing("not supported by this version")
                } else {
                    missing
                }
            }
        }
    }

    /// Finds a program as contract/scanners.md 0.2 says: along the search path, the last folder of
    /// which is our own executable's.
    fn find(&self, program: &str) -> Option<PathBuf> {
        self.search_path
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
