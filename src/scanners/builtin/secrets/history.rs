//! Searches the whole git history: every blob that any commit brought, once.
//!
//! The objects are read in-process; no command, hook, filter or setting of the repository runs.
//! Corruption costs what cannot be read and is counted, never more.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::tree::EntryKind;

use super::Secrets;
use super::redact::Secret;
use super::report::{self, Origin};
use crate::domain::{Coverage, RawFinding};
use crate::scanners::{Finish, ScanContext, ScannerError, readable, target};

/// Bigger blobs are passed over and counted.
const BLOB_LIMIT: u64 = 64 * 1024 * 1024;
/// Decoded objects that one thread keeps, in bytes: versions of one file are mostly stored as
/// differences from each other, and are read one after the other.
const PACK_CACHE: usize = 48 * 1024 * 1024;
/// Blobs that one thread takes at a time at most, so that all end at about the same time.
const BATCH: usize = 512;
/// Object folders that a repository may borrow from at most.
const MOST_ALTERNATES: usize = 64;
/// Most findings of a history; more tell nothing that these do not.
const FINDINGS_LIMIT: usize = 20_000;
/// How many first bytes decide whether a blob is text.
const SNIFF: usize = 8192;

/// A blob and where it came in.
struct Arrival {
    blob: ObjectId,
    /// Index into [`History::commits`].
    commit: u32,
    /// Index into [`History::paths`].
    path: u32,
}

/// What one thread found, and what it looked at.
#[derive(Default)]
struct Found {
    hits: Vec<Hit>,
    coverage: Coverage,
}

/// A secret in a blob.
struct Hit {
    /// Index into [`History::commits`], which are oldest first.
    commit: u32,
    identity: Identity,
    finding: RawFinding,
}

/// Rule, digest of the value, path: the same of all three is reported for its oldest commit only.
type Identity = (usize, [u8; 16], String);

/// Every blob of the history once. Paths and commits are kept once each: there may be millions of
/// blobs.
#[derive(Default)]
struct History {
    arrivals: Vec<Arrival>,
    /// With the author's date in seconds since 1970.
    commits: Vec<(ObjectId, Option<i64>)>,
    paths: Vec<Arc<str>>,
}

impl History {
    /// Puts versions of one file next to each other, oldest first.
    fn group_by_path(&mut self) {
        self.arrivals
            .sort_by_key(|arrival| (arrival.path, arrival.commit));
    }

    /// Cuts the blobs into batches that end between two files where that is possible.
    fn batches(&self) -> Vec<&[Arrival]> {
        let mut batches = Vec::new();
        let mut rest = self.arrivals.as_slice();
        while !rest.is_empty() {
            let mut size = BATCH.min(rest.len());
            let last = rest.get(size - 1).map(|arrival| arrival.path);
            let same = |arrival: &&Arrival| Some(arrival.path) == last;
            size += rest
                .get(size..)
                .unwrap_or_default()
                .iter()
                .take(BATCH)
                .take_while(same)
                .count();
            let (batch, after) = rest.split_at(size);
            batches.push(batch);
            rest = after;
        }
        batches
    }
}

/// A repository whose history is to be searched.
struct Place {
    /// The work tree, or the bare repository.
    root: PathBuf,
    /// Folder inside it that is searched, with a `/` at its end; empty for all of it.
    below: String,
    /// Where it lies in the target, with a `/` at its end; empty for the target's own.
    prefix: String,
}

/// Searches the history of the work tree that holds the target, below the target, and those of the
/// repositories that the walk met inside it.
///
/// `nested` are the work trees below the target with their relative paths.
pub(super) fn search(
    secrets: &Secrets,
    context: &ScanContext,
    mut nested: Vec<(PathBuf, String)>,
) -> Result<Finish, ScannerError> {
    let mut finish = Finish::default();
    if !context.target.is_directory {
        return Ok(finish);
    }
    let root = context.target.root.as_path();
    let bare = || is_bare_repository(root).then(|| (root.to_path_buf(), String::new()));
    let own = find_repository(root)
        .or_else(bare)
        .map(|(root, below)| Place {
            root,
            below,
            prefix: String::new(),
        });
    nested.sort();
    let nested = nested.into_iter().map(|(root, relative)| Place {
        root,
        below: String::new(),
        prefix: format!("{relative}/"),
    });
    // Linked work trees share one history: it is searched once.
    let mut searched = HashSet::new();
    for place in own.into_iter().chain(nested) {
        search_one(secrets, context, &place, &mut searched, &mut finish)?;
    }
    finish
        .findings
        .sort_by(|one, other| place_of(one).cmp(&place_of(other)));
    Ok(finish)
}

/// Searches one repository.
fn search_one(
    secrets: &Secrets,
    context: &ScanContext,
    place: &Place,
    searched: &mut HashSet<PathBuf>,
    finish: &mut Finish,
) -> Result<(), ScannerError> {
    // Isolated: no system or user configuration, no environment; lenient: odd values are ignored.
    let options = gix::open::Options::isolated()
        .strict_config(false)
        .bail_if_untrusted(false);
    let Ok(repository) = gix::open_opts(&place.root, options) else {
        finish.coverage.skip("git-history-unreadable");
        return Ok(());
    };
    let common = repository.common_dir();
    if !searched.insert(
        common
            .canonicalize()
            .unwrap_or_else(|_gone| common.to_path_buf()),
    ) {
        return Ok(());
    }
    if leads_outside(&repository, &context.settings.confined_to) {
        finish.coverage.skip("git-history-outside-roots");
        return Ok(());
    }
    let repository = repository.into_sync();
    let below = place.below.as_str();
    let threads = context.settings.threads.max(1);
    let found = Mutex::new(Found::default());
    let count = AtomicUsize::new(0);
    let mut walked = Coverage::default();
    let history = {
        let mut local = repository.to_thread_local();
        local.object_cache_size_if_unset(16 * 1024 * 1024);
        walk(&local, below, context, &mut walked)
    };
    let batches = history.batches();
    let next_batch = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut local = repository.to_thread_local();
                local.objects.set_pack_cache(|| {
                    Box::new(gix::odb::pack::cache::lru::MemoryCappedHashmap::new(
                        PACK_CACHE,
                    ))
                });
                let mut mine = Found::default();
                let mut reported = HashSet::new();
                while let Some(batch) = batches.get(next_batch.fetch_add(1, Ordering::Relaxed)) {
                    for arrival in *batch {
                        if context.cancel.is_cancelled() {
                            return;
                        }
                        if count.load(Ordering::Relaxed) > FINDINGS_LIMIT {
                            mine.coverage.skip("git-history-after-too-many-findings");
                            continue;
                        }
                        let before = mine.hits.len();
                        let origin = (&history, arrival);
                        examine(secrets, &local, origin, place, &mut reported, &mut mine);
                        count.fetch_add(mine.hits.len() - before, Ordering::Relaxed);
                    }
                }
                let mut all = found.lock().unwrap_or_else(PoisonError::into_inner);
                all.hits.append(&mut mine.hits);
                all.coverage.merge(&mine.coverage);
            });
        }
    });
    if context.cancel.is_cancelled() {
        return Err(ScannerError::Cancelled);
    }
    let Found { mut hits, coverage } = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    finish.coverage.merge(&coverage);
    finish.coverage.merge(&walked);
    // Threads know only their own reports: of equal ones the oldest commit stays.
    hits.sort_by(|one, other| (&one.identity, one.commit).cmp(&(&other.identity, other.commit)));
    hits.dedup_by(|later, first| later.identity == first.identity);
    finish
        .findings
        .extend(hits.into_iter().map(|hit| hit.finding));
    Ok(())
}

/// Returns what the findings of a history are sorted by.
fn place_of(finding: &RawFinding) -> (Option<&str>, Option<u32>, Option<&str>, &str) {
    (
        finding.file_path.as_deref(),
        finding.line_start,
        finding.rule_id.as_deref(),
        &finding.subject.place,
    )
}

/// Returns the work tree above (or at) a folder, and the folder's path inside it with a `/` at its
/// end unless it is the work tree itself.
fn find_repository(root: &Path) -> Option<(std::path::PathBuf, String)> {
    let top = root
        .ancestors()
        .find(|folder| folder.join(".git").exists())?;
    let inside = root.strip_prefix(top).ok()?;
    let mut below: String = inside
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .collect::<Vec<_>>()
        .join("/");
    if !below.is_empty() {
        below.push('/');
    }
    Some((top.to_path_buf(), below))
}

/// Tells whether a folder is a repository without a work tree.
fn is_bare_repository(root: &Path) -> bool {
    root.join("HEAD").is_file() && root.join("objects").is_dir() && root.join("refs").is_dir()
}

/// Tells whether a repository keeps something outside the folders that scans are confined to: a
/// `.git` link or file, a common folder or an alternate may lead anywhere.
fn leads_outside(repository: &gix::Repository, confined_to: &[PathBuf]) -> bool {
    if confined_to.is_empty() {
        return false;
    }
    let objects = repository.common_dir().join("objects");
    let mut places = vec![
        repository.git_dir().to_path_buf(),
        repository.common_dir().to_path_buf(),
        objects.clone(),
    ];
    let mut alternates = vec![objects];
    while let Some(objects) = alternates.pop() {
        let list = std::fs::read(objects.join("info/alternates")).unwrap_or_default();
        for line in list.lines().filter(|line| !line.is_empty()) {
            let place = objects.join(line.to_path_lossy());
            if places.contains(&place) || places.len() > MOST_ALTERNATES {
                continue;
            }
            places.push(place.clone());
            alternates.push(place);
        }
    }
    places.len() > MOST_ALTERNATES
        || places
            .iter()
            .any(|place| !target::is_within(place, confined_to))
}

/// Walks all commits, oldest first, and collects the blobs that each brought.
fn walk(
    repository: &gix::Repository,
    below: &str,
    context: &ScanContext,
    coverage: &mut Coverage,
) -> History {
    let mut collector = Collector::default();
    for id in commits(repository, context, coverage).into_iter().rev() {
        if context.cancel.is_cancelled() {
            break;
        }
        match tree_and_date(repository, id) {
            Some((tree, date)) => {
                collector.history.commits.push((id, date));
                collector.take(repository, tree, below, coverage);
            }
            None => coverage.skip("git-history-unreadable"),
        }
    }
    collector.history.group_by_path();
    collector.history
}

/// Returns every commit that can be reached, newest first.
fn commits(
    repository: &gix::Repository,
    context: &ScanContext,
    coverage: &mut Coverage,
) -> Vec<ObjectId> {
    let tips = tips(repository, coverage);
    if tips.is_empty() {
        return Vec::new();
    }
    let newest_first = gix::revision::walk::Sorting::ByCommitTime(
        gix::traverse::commit::simple::CommitTimeOrder::NewestFirst,
    );
    let Ok(walk) = repository.rev_walk(tips).sorting(newest_first).all() else {
        coverage.skip("git-history-unreadable");
        return Vec::new();
    };
    let mut ids = Vec::new();
    for commit in walk {
        match commit {
            Ok(info) => ids.push(info.id),
            Err(_broken) => {
                coverage.skip("git-history-unreadable");
                break;
            }
        }
        if context.cancel.is_cancelled() {
            break;
        }
    }
    ids
}

/// Collects blobs, each for the first commit that has it.
#[derive(Default)]
struct Collector {
    history: History,
    paths: HashMap<Arc<str>, u32>,
    blobs: HashSet<ObjectId>,
    trees: HashSet<ObjectId>,
}

impl Collector {
    /// Takes what is new in the tree of the commit added last.
    fn take(
        &mut self,
        repository: &gix::Repository,
        root: ObjectId,
        below: &str,
        coverage: &mut Coverage,
    ) {
        let commit = index(self.history.commits.len().saturating_sub(1));
        let mut pending = vec![(root, String::new())];
        while let Some((tree, prefix)) = pending.pop() {
            if !self.trees.insert(tree) {
                continue;
            }
            let Ok(object) = repository.find_tree(tree) else {
                coverage.skip("git-history-unreadable");
                continue;
            };
            for entry in object.iter().flatten() {
                let path = format!("{prefix}{}", shown(entry.filename()));
                match entry.mode().kind() {
                    EntryKind::Tree
                        if below.starts_with(&format!("{path}/")) || path.starts_with(below) =>
                    {
                        pending.push((entry.object_id(), format!("{path}/")));
                    }
                    EntryKind::Blob | EntryKind::BlobExecutable
                        if path.starts_with(below) && self.blobs.insert(entry.object_id()) =>
                    {
                        let path = self.path(path);
                        let blob = entry.object_id();
                        self.history.arrivals.push(Arrival { blob, commit, path });
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns the index of a path.
    fn path(&mut self, path: String) -> u32 {
        if let Some(known) = self.paths.get(path.as_str()) {
            return *known;
        }
        let path: Arc<str> = path.into();
        let next = index(self.history.paths.len());
        self.history.paths.push(Arc::clone(&path));
        self.paths.insert(path, next);
        next
    }
}

/// Makes a small index; a history with more than four thousand million of anything is cut there.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Returns a commit's tree and the author's date.
fn tree_and_date(repository: &gix::Repository, id: ObjectId) -> Option<(ObjectId, Option<i64>)> {
    let commit = repository.find_object(id).ok()?.try_into_commit().ok()?;
    let date = commit
        .author()
        .ok()
        .and_then(|author| author.time().ok())
        .map(|time| time.seconds);
    Some((commit.tree_id().ok()?.detach(), date))
}

fn shown(name: &BStr) -> String {
    readable(name).into_owned()
}

/// Returns every commit that a reference (stashes included) or HEAD points to. What cannot be read is
/// counted.
fn tips(repository: &gix::Repository, coverage: &mut Coverage) -> Vec<ObjectId> {
    let mut tips = Vec::new();
    match repository.head().map(gix::Head::try_into_peeled_id) {
        Ok(Ok(Some(id))) => tips.push(id.detach()),
        // No commit yet.
        Ok(Ok(None)) => {}
        Ok(Err(_)) | Err(_) => coverage.skip("git-history-unreadable"),
    }
    let references = repository.references();
    let Ok(Ok(all)) = references.as_ref().map(gix::reference::iter::Platform::all) else {
        coverage.skip("git-history-unreadable");
        return tips;
    };
    for reference in all {
        let id = reference
            .ok()
            .and_then(|mut reference| reference.peel_to_id().ok());
        match id.and_then(|id| id.object().ok()) {
            Some(object) if object.kind == gix::object::Kind::Commit => tips.push(object.id),
            // A tag of a tree or of a blob.
            Some(_) => {}
            None => coverage.skip("git-history-unreadable"),
        }
    }
    tips.sort_unstable();
    tips.dedup();
    tips
}

/// Searches one blob.
fn examine(
    secrets: &Secrets,
    repository: &gix::Repository,
    (history, arrival): (&History, &Arrival),
    place: &Place,
    reported: &mut HashSet<Identity>,
    found: &mut Found,
) {
    let size = match repository.find_header(arrival.blob) {
        Ok(header) => header.size(),
        Err(_broken) => return found.coverage.skip("git-history-unreadable"),
    };
    if size > BLOB_LIMIT {
        return found.coverage.skip("git-history-too-large");
    }
    let Ok(blob) = repository.find_object(arrival.blob) else {
        return found.coverage.skip("git-history-unreadable");
    };
    let bytes = blob.data.as_slice();
    if memchr::memchr(0, bytes.get(..SNIFF).unwrap_or(bytes)).is_some() {
        return found.coverage.skip("git-history-binary");
    }
    found.coverage.files_seen += 1;
    found.coverage.bytes_seen += size;
    let path = history
        .paths
        .get(arrival.path as usize)
        .map_or("", |path| path);
    let path = path.strip_prefix(place.below.as_str()).unwrap_or(path);
    let path = &format!("{}{path}", place.prefix);
    let mut lines = report::Lines::new(bytes, 1);
    for hit in secrets.hits(path, bytes, 0..bytes.len(), true) {
        let (Some(rule), Some(value)) = (
            secrets.rules.rules.get(hit.rule),
            bytes.get(hit.secret.clone()),
        ) else {
            continue;
        };
        let secret = Secret(value);
        let key = secret.key();
        let line = lines.of(hit.secret.start);
        let is_in_tree = secrets
            .in_tree
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&(hit.rule, key));
        if is_in_tree || !reported.insert((hit.rule, key, path.to_owned())) {
            continue;
        }
        let Some(commit) = history.commits.get(arrival.commit as usize) else {
            continue;
        };
        let origin = Origin {
            commit: commit.0.to_string(),
            path: path.to_owned(),
            date: commit.1.map(rfc3339).unwrap_or_default(),
            line,
        };
        let finding: RawFinding = report::in_history(rule, &hit, secret, &origin);
        found.hits.push(Hit {
            commit: arrival.commit,
            identity: (hit.rule, key, path.to_owned()),
            finding,
        });
    }
}

/// Writes a moment as RFC 3339 in UTC; empty when it lies outside the calendar.
fn rfc3339(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0)
        .map(|moment| moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
