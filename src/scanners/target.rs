//! Which targets may be scanned, and where they really lead.

use std::path::{Path, PathBuf};

use super::Target;

/// Folders that belong to the kernel or hold credentials of the host; never scanned over HTTP,
/// neither by name nor through links, nor what lies below them.
const SYSTEM_FOLDERS: [&str; 6] = [
    "/proc",
    "/sys",
    "/dev",
    "/run/secrets",
    "/etc/shadow",
    "/root/.ssh",
];

/// Which targets may be scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Refuse the system's own folders, and what lies outside `roots`. Off for the CLI, whose user
    /// may read what the program may read.
    pub guarded: bool,
    /// Canonical folders that targets must lie in; none for all.
    pub roots: Vec<PathBuf>,
}

/// Why a target is not scanned; readable before ": path".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefused {
    /// Nothing is there.
    #[error("Path does not exist")]
    Missing,
    /// It cannot be looked at.
    #[error("Path is not readable")]
    Unreadable,
    /// A device, a FIFO, a socket.
    #[error("Path is not a file or directory")]
    Special,
    /// It belongs to the system.
    #[error("Scanning system path not allowed")]
    System,
    /// It lies elsewhere.
    #[error("Path is outside the allowed scan roots (SECURESCAN_SCAN_ROOTS)")]
    OutsideRoots,
}

impl Policy {
    /// Resolves a stored target and checks where it really leads. Reads the disk.
    ///
    /// Asked when a scan is taken, to tell the client early, and again when it starts, since what a
    /// path leads to may have changed while the scan was waiting.
    ///
    /// # Errors
    /// See [`TargetRefused`].
    pub fn resolve(&self, shown: &str) -> Result<Target, TargetRefused> {
        let path = if shown.is_empty() { "." } else { shown };
        if self.guarded && is_system(Path::new(path)) {
            return Err(TargetRefused::System);
        }
        let root = Path::new(path)
            .canonicalize()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::PermissionDenied => TargetRefused::Unreadable,
                _ => TargetRefused::Missing,
            })?;
        let found = root.metadata().map_err(|_gone| TargetRefused::Missing)?;
        if !found.is_dir() && !found.is_file() {
            return Err(TargetRefused::Special);
        }
        if self.guarded && is_system(&root) {
            return Err(TargetRefused::System);
        }
        if self.guarded && !is_within(&root, &self.roots) {
            return Err(TargetRefused::OutsideRoots);
        }
        Ok(Target {
            shown: shown.to_owned(),
            root,
            is_directory: found.is_dir(),
        })
    }
}

/// Tells whether a path leads into one of these canonical folders; with none, everything does. A path
/// that cannot be resolved leads nowhere.
#[must_use]
pub fn is_within(path: &Path, roots: &[PathBuf]) -> bool {
    roots.is_empty()
        || path
            .canonicalize()
            .is_ok_and(|path| roots.iter().any(|root| path.starts_with(root)))
}

fn is_system(path: &Path) -> bool {
    SYSTEM_FOLDERS.iter().any(|folder| {
        // A device is "not a file or directory", which the reference says of it as well.
        let is_device = *folder == "/dev" && path != Path::new("/dev") && !path.is_dir();
        path.starts_with(folder) && !is_device
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(roots: &[PathBuf]) -> Policy {
        Policy {
            guarded: true,
            roots: roots.to_vec(),
        }
    }

    #[test]
    fn what_decides_is_where_a_path_leads_part_by_part() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/proc", &link).unwrap();
        let sent = link.join("self").to_string_lossy().into_owned();
        assert_eq!(guarded(&[]).resolve(&sent), Err(TargetRefused::System));
        let lookalike = folder.path().join("proc-backup");
        std::fs::create_dir(&lookalike).unwrap();
        assert!(guarded(&[]).resolve(&lookalike.to_string_lossy()).is_ok());
        assert!(!is_system(Path::new("/procession")));
        assert!(
            Policy::default().resolve("/proc/self").is_ok(),
            "the CLI's user may"
        );
    }

    #[test]
    fn roots_confine_targets_through_links_too() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for name in ["in", "out", "inside-but-not"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(base.join("out"), base.join("in/leak")).unwrap();
        let policy = guarded(&[base.join("in")]);
        let ask = |path: PathBuf| policy.resolve(&path.to_string_lossy());
        assert!(ask(base.join("in")).is_ok());
        assert!(ask(base.join("in/../in")).is_ok());
        for outside in ["out", "in/leak", "in/../out", "inside-but-not"] {
            assert_eq!(
                ask(base.join(outside)),
                Err(TargetRefused::OutsideRoots),
                "{outside}"
            );
        }
    }
}
