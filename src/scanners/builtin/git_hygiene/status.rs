//! Whether git tracks or ignores a file, decided without running git and without trusting the
//! repository.
//!
//! The nearest folder with a `.git` decides, so that a target below a repository, and a repository
//! below the target, both get git's own answer. Where there is none, or a broken one, the
//! `.gitignore` files decide alone.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::scanners::walk::open_regular;

/// Bytes of a `.gitignore` that are read.
const MOST_RULES: u64 = 4 * 1024 * 1024;

/// What git makes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// In the index; the history may have it too.
    Tracked {
        /// Whether a rule would keep it out, had it not been added before or by force.
        is_ruled_out: bool,
    },
    /// Neither in the index nor kept out of it.
    Untracked,
    /// Kept out of the index.
    Ignored,
    /// As [`Self::Untracked`], but there is no usable repository.
    NoRepository,
}

/// Answers for all files of one scan.
pub(super) struct Judge {
    /// Where the search for `.gitignore` starts when there is no repository.
    base: PathBuf,
    /// Per folder with a `.git`: the repository, or `None` if it is broken.
    repositories: BTreeMap<PathBuf, Option<Opened>>,
    /// Per folder: whether it has a `.git`.
    has_git: BTreeMap<PathBuf, bool>,
    rules: BTreeMap<PathBuf, Gitignore>,
}

struct Opened {
    repository: gix::Repository,
    index: gix::worktree::Index,
    excludes: gix::worktree::Stack,
}

impl Judge {
    /// Answers for files in or below `base`.
    pub(super) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            repositories: BTreeMap::new(),
            has_git: BTreeMap::new(),
            rules: BTreeMap::new(),
        }
    }

    /// Returns how many repositories could not be used.
    pub(super) fn broken(&self) -> usize {
        self.repositories
            .values()
            .filter(|opened| opened.is_none())
            .count()
    }

    /// Returns the folder whose repository is responsible for what `folder` holds.
    pub(super) fn top(&mut self, folder: &Path) -> Option<PathBuf> {
        folder
            .ancestors()
            .find(|ancestor| {
                if let Some(known) = self.has_git.get(*ancestor) {
                    return *known;
                }
                let has_git = ancestor.join(".git").symlink_metadata().is_ok();
                self.has_git.insert((*ancestor).to_owned(), has_git);
                has_git
            })
            .map(Path::to_owned)
    }

    /// Says what git makes of a file.
    pub(super) fn status(&mut self, path: &Path) -> Status {
        let top = path.parent().and_then(|folder| self.top(folder));
        if let Some(top) = &top
            && let Ok(relative) = path.strip_prefix(top)
        {
            let repository = self
                .repositories
                .entry(top.clone())
                .or_insert_with(|| Opened::open(top));
            if let Some(opened) = repository {
                // A defect met while reading hostile rules must not cost the other answers.
                let asked = catch_unwind(AssertUnwindSafe(|| opened.status(top, relative)));
                match asked {
                    Ok(Some(status)) => return status,
                    _ => *repository = None,
                }
            }
        }
        let base = top.unwrap_or_else(|| self.base.clone());
        if self.is_ignored_by_files(&base, path) {
            Status::Ignored
        } else {
            Status::NoRepository
        }
    }

    /// Applies the `.gitignore` files between `base` and `path` as git does: from the outermost
    /// folder inwards, since what lies below an ignored folder cannot be taken back.
    fn is_ignored_by_files(&mut self, base: &Path, path: &Path) -> bool {
        let Ok(relative) = path.strip_prefix(base) else {
            return false;
        };
        let mut at = base.to_owned();
        let mut folders = vec![base.to_owned()];
        for part in relative {
            at.push(part);
            let is_folder = at != path;
            for folder in folders.iter().rev() {
                let rules = self
                    .rules
                    .entry(folder.clone())
                    .or_insert_with(|| read_rules(folder));
                match rules.matched(&at, is_folder) {
                    Match::None => {}
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => break,
                }
            }
            folders.push(at.clone());
        }
        false
    }
}

fn read_rules(folder: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(folder);
    if let Ok(Some((file, _))) = open_regular(&folder.join(".gitignore")) {
        let mut bytes = Vec::new();
        if file.take(MOST_RULES).read_to_end(&mut bytes).is_ok() {
            for line in String::from_utf8_lossy(&bytes).lines() {
                // Git passes over a line that is no pattern, too.
                drop(builder.add_line(None, line));
            }
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

impl Opened {
    fn open(top: &Path) -> Option<Self> {
        catch_unwind(|| Self::try_open(top)).ok().flatten()
    }

    fn try_open(top: &Path) -> Option<Self> {
        if !can_be_opened(top)? {
            return None;
        }
        let options = gix::open::Options::isolated()
            .with(gix::sec::Trust::Reduced)
            .bail_if_untrusted(false);
        let repository = options.open(top).ok()?.to_thread_local();
        // `core.worktree` could make somebody else's rules answer for this folder.
        if repository.workdir()?.canonicalize().ok()? != top.canonicalize().ok()? {
            return None;
        }
        let index = repository.index_or_empty().ok()?;
        let source = gix::worktree::stack::state::ignore::Source::WorktreeThenIdMappingIfNotSkipped;
        let excludes = repository.excludes(&index, None, source).ok()?.detach();
        Some(Self {
            repository,
            index,
            excludes,
        })
    }

    fn status(&mut self, top: &Path, relative: &Path) -> Option<Status> {
        let name = gix::path::into_bstr(relative).ok()?;
        let is_tracked = self.index.entry_by_path(name.as_bstr()).is_some();
        let folders = relative.ancestors().skip(1);
        if !folders
            .into_iter()
            .all(|at| is_plain_or_missing(&top.join(at).join(".gitignore")))
        {
            return None;
        }
        let mode = Some(gix::index::entry::Mode::FILE);
        let platform = self
            .excludes
            .at_path(relative, mode, &self.repository.objects)
            .ok()?;
        Some(match (is_tracked, platform.is_excluded()) {
            (true, is_ruled_out) => Status::Tracked { is_ruled_out },
            (false, true) => Status::Ignored,
            (false, false) => Status::Untracked,
        })
    }
}

/// Tells whether no file that opening a repository reads is a FIFO or a device, which would make it
/// wait for ever. `None` if there is no sensible repository at all.
fn can_be_opened(top: &Path) -> Option<bool> {
    const READ: [&str; 8] = [
        "HEAD",
        "config",
        "index",
        "info/exclude",
        "packed-refs",
        "commondir",
        "shallow",
        "objects/info/alternates",
    ];
    let mut git = top.join(".git");
    if !git.metadata().ok()?.is_dir() {
        // A linked work tree or a submodule: a file with the address of the real folder.
        let mut text = String::new();
        open_regular(&git)
            .ok()??
            .0
            .take(64 * 1024)
            .read_to_string(&mut text)
            .ok()?;
        git = top.join(text.trim().strip_prefix("gitdir:")?.trim());
    }
    let is_safe = |folder: &Path| {
        READ.iter()
            .all(|file| is_plain_or_missing(&folder.join(file)))
    };
    if !is_safe(&git) {
        return Some(false);
    }
    match open_regular(&git.join("commondir")) {
        Ok(Some((file, _))) => {
            let mut text = String::new();
            file.take(64 * 1024).read_to_string(&mut text).ok()?;
            Some(is_safe(&git.join(text.trim())))
        }
        _ => Some(true),
    }
}

fn is_plain_or_missing(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scanners::builtin::git_hygiene::tests::{repository, write};

    #[test]
    fn git_decides_in_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = &dir.path().canonicalize().unwrap();
        write(
            root,
            ".gitignore",
            "# env\n*.secret\n/deep/\n!kept.secret\n",
        );
        write(root, "sub/.gitignore", "!a.secret\n");
        repository(root, &["tracked.secret"]);
        fs::write(root.join(".git/info/exclude"), "excluded\n").unwrap();
        for (path, status) in [
            ("tracked.secret", Status::Tracked { is_ruled_out: true }),
            ("other.secret", Status::Ignored),
            ("kept.secret", Status::Untracked),
            ("sub/a.secret", Status::Untracked),
            ("sub/b.secret", Status::Ignored),
            ("deep/x/y", Status::Ignored),
            ("excluded", Status::Ignored),
            (".env", Status::Untracked),
        ] {
            // From the top and from a folder below it.
            for base in [root.clone(), root.join("sub")] {
                assert_eq!(Judge::new(&base).status(&root.join(path)), status, "{path}");
            }
        }
    }

    #[test]
    fn rules_alone_decide_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, ".gitignore", "venv/\n# .env\n*.key\n/build\n");
        write(root, "a/.gitignore", "!b.key\n.env\n");
        write(root, "build/.gitignore", "!x\n");
        let mut judge = Judge::new(root);
        for (path, is_ignored) in [
            (".env", false),
            ("a/.env", true),
            ("a/b/.env", true),
            ("x.key", true),
            ("a/b.key", false),
            ("a/c.key", true),
            ("build/x", true),
            ("venv/.env", true),
            ("environment", false),
        ] {
            let expected = if is_ignored {
                Status::Ignored
            } else {
                Status::NoRepository
            };
            assert_eq!(judge.status(&root.join(path)), expected, "{path}");
        }
        assert_eq!(judge.broken(), 0);
    }

    #[test]
    fn a_repository_below_the_target_answers_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let root = &dir.path().canonicalize().unwrap();
        write(root, ".gitignore", ".env\n");
        repository(root, &[]);
        write(root, "inner/x", "");
        repository(&root.join("inner"), &[".env"]);
        let mut judge = Judge::new(root);
        assert_eq!(judge.status(&root.join(".env")), Status::Ignored);
        let tracked = Status::Tracked {
            is_ruled_out: false,
        };
        assert_eq!(judge.status(&root.join("inner/.env")), tracked);
    }

    #[test]
    fn settings_of_the_repository_are_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let root = &dir.path().canonicalize().unwrap();
        repository(root, &["tracked"]);
        let everything = root.join("everything");
        fs::write(&everything, "*\n").unwrap();
        let config = format!(
            "[core]\nbare = false\nworktree = /\nexcludesFile = {}\nfsmonitor = false\n",
            everything.display()
        );
        fs::write(root.join(".git/config"), config).unwrap();
        let mut judge = Judge::new(root);
        assert_eq!(
            judge.status(&root.join("tracked")),
            Status::Tracked {
                is_ruled_out: false
            }
        );
        assert_eq!(judge.status(&root.join(".env")), Status::Untracked);
    }

    fn fifo(path: &Path) {
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
    }

    #[test]
    fn a_repository_may_be_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = &dir.path().canonicalize().unwrap();
        repository(root, &["tracked"]);
        fs::rename(root.join(".git"), root.join("real")).unwrap();
        fs::write(root.join(".git"), "gitdir: real\n").unwrap();
        assert_eq!(
            Judge::new(root).status(&root.join("tracked")),
            Status::Tracked {
                is_ruled_out: false
            }
        );
    }

    #[test]
    fn broken_repositories_fall_back_to_the_rules() {
        type Break = fn(&Path);
        let ways: [Break; 7] = [
            |git| {
                fs::remove_dir_all(git).unwrap();
                fifo(git);
            },
            |git| {
                let real = git.with_file_name("real");
                fs::rename(git, &real).unwrap();
                fs::write(git, "gitdir: real\n").unwrap();
                fs::remove_file(real.join("HEAD")).unwrap();
                fifo(&real.join("HEAD"));
            },
            |git| fs::write(git.join("index"), b"DIRC not an index").unwrap(),
            |git| fs::write(git.join("index"), [0xFF; 4096]).unwrap(),
            |git| fs::remove_file(git.join("HEAD")).unwrap(),
            |git| fs::write(git.join("config"), "[core\nworktree = /\n").unwrap(),
            |git| {
                fs::remove_file(git.join("config")).unwrap();
                fifo(&git.join("config"));
            },
        ];
        for (index, way) in ways.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let root = &dir.path().canonicalize().unwrap();
            write(root, ".gitignore", "ignored\n");
            repository(root, &["tracked"]);
            way(&root.join(".git"));
            let mut judge = Judge::new(root);
            assert_eq!(
                judge.status(&root.join("ignored")),
                Status::Ignored,
                "{index}"
            );
            assert_eq!(
                judge.status(&root.join("tracked")),
                Status::NoRepository,
                "{index}"
            );
            assert_eq!(judge.broken(), 1, "{index}");
        }
    }
}
