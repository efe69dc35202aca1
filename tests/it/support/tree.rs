//! Source trees to scan, in a folder that goes away with the test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of files.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A tree on which the built-in scanners find something.
    pub fn with_findings() -> Self {
        let tree = Self::new();
        tree.write(
            "Dockerfile",
            "FROM ubuntu:latest\nADD . /app\nRUN chmod 777 /app\n",
        );
        tree
    }

    /// A tree of which the tests' own scanner reports these lines.
    pub fn scripted(lines: &str) -> Self {
        let tree = Self::new();
        tree.write(super::tools::SCRIPT_FILE, lines);
        tree
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn text(&self) -> String {
        self.path().to_str().expect("a UTF-8 path").to_owned()
    }

    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }
}
