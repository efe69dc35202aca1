//! What the wrappers' tests share: a project and fake programs in a temporary folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ToolEnvironment;
use crate::scanners::{CancelFlag, ScanContext, ScannerSettings, target};

pub(super) struct Workshop {
    folder: tempfile::TempDir,
    pub(super) settings: ScannerSettings,
}

impl Workshop {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("project")).unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let settings = ScannerSettings {
            tool_environment: ToolEnvironment::of([("PATH", "/usr/local/bin:/usr/bin:/bin")]),
            ..ScannerSettings::default()
        };
        Self { folder, settings }
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of the project.
    pub(super) fn file(&self, relative: &str, text: &str) {
        let path = self.path("project").join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a program of `bin`; returns its path.
    pub(super) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Writes a program that answers `--version` with `name 1.2.3`, writes its arguments and working
    /// directory to `seen`, prints `report`, and ends with `code`.
    pub(super) fn reporter(&self, name: &str, report: &str, code: i32) -> PathBuf {
        let (report_file, seen) = (self.path("report"), self.path("seen"));
        fs::write(&report_file, report).unwrap();
        self.program(
            name,
            &format!(
                "case \"$1\" in --version) echo '{name} 1.2.3'; exit 0;; esac
                {{ pwd -P; printf '%s\\n' \"$@\"; env; }} > '{}'
                cat '{}'
                echo 'last words' >&2
                exit {code}",
                seen.display(),
                report_file.display()
            ),
        )
    }

    /// What the last [`Self::reporter`] saw.
    pub(super) fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("seen")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Points a scan at a part of the project, or with the empty text at all of it.
    pub(super) fn context(&self, relative: &str) -> ScanContext {
        self.context_of(&self.path("project").join(relative))
    }

    pub(super) fn context_of(&self, path: &Path) -> ScanContext {
        ScanContext {
            target: Arc::new(
                target::Policy::default()
                    .resolve(path.to_str().unwrap())
                    .unwrap(),
            ),
            cancel: CancelFlag::default(),
            settings: Arc::new(self.settings.clone()),
        }
    }
}
