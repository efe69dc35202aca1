//! The walk against every kind of ugly tree.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::domain::{ScanType, Severity};
use crate::scanners::{Finish, ScannerInfo, ScannerSettings};

const INFO: ScannerInfo = ScannerInfo {
    name: "probe",
    scan_type: ScanType::Code,
    description: "Finds the word needle.",
    checks: &[],
    install_hint: "built in",
    installable: false,
};

/// Reports every `needle` with its line, and every entry it meets by name.
#[derive(Default)]
struct Probe {
    met: Mutex<Vec<String>>,
    panics_on: Option<&'static str>,
    cancels: Option<CancelFlag>,
    deletes: Option<PathBuf>,
    has_finished: AtomicBool,
}

impl Detector for Probe {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, entry: &Entry<'_>, _: &mut Vec<RawFinding>) -> Interest {
        assert_ne!(Some(entry.name), self.panics_on, "asked to panic");
        let slash = if entry.is_directory { "/" } else { "" };
        self.met
            .lock()
            .unwrap()
            .push(format!("{}{slash}", entry.relative));
        Interest::Content
    }

    fn examine(&self, piece: &Piece<'_>, findings: &mut Vec<RawFinding>) {
        if let Some(flag) = &self.cancels {
            flag.cancel();
        }
        if let Some(root) = &self.deletes {
            fs::remove_dir_all(root).unwrap();
        }
        for start in memchr::memmem::find_iter(piece.bytes, "needle") {
            if piece.owned_range().contains(&start) {
                let before = &piece.bytes[..start];
                let line = piece.first_line
                    + u32::try_from(memchr::memchr_iter(b'\n', before).count()).unwrap();
                findings.push(
                    RawFinding::new("probe", ScanType::Code, Severity::Low, "needle", "Needle")
                        .in_file(piece.entry.relative)
                        .at_line(line),
                );
            }
        }
    }

    fn finish(&self, _: &ScanContext) -> Result<Finish, ScannerError> {
        self.has_finished.store(true, Ordering::Relaxed);
        Ok(Finish::default())
    }
}

fn context(root: &Path, threads: usize) -> ScanContext {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    ScanContext {
        target: Arc::new(Target {
            shown: root.display().to_string(),
            is_directory: !root.is_file(),
            root,
        }),
        cancel: CancelFlag::default(),
        settings: Arc::new(ScannerSettings {
            threads,
            ..Default::default()
        }),
    }
}

fn reports(detectors: &[Arc<dyn Detector>], context: &ScanContext) -> Vec<ScannerReport> {
    let reports: Mutex<Vec<(usize, ScannerReport)>> = Mutex::default();
    run(detectors, context, &|index, report| {
        reports.lock().unwrap().push((index, report))
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort_by_key(|(index, _)| *index);
    assert_eq!(reports.len(), detectors.len());
    reports.into_iter().map(|(_, report)| report).collect()
}

fn probe(root: &Path) -> (ScannerReport, Vec<String>) {
    let probe = Arc::new(Probe::default());
    let detectors: [Arc<dyn Detector>; 1] = [probe.clone()];
    let report = reports(&detectors, &context(root, 2)).remove(0);
    let mut met = std::mem::take(&mut *probe.met.lock().unwrap());
    met.sort();
    (report, met)
}

fn hits(report: &ScannerReport) -> Vec<(String, u32)> {
    let hit = |f: &RawFinding| (f.file_path.clone().unwrap(), f.line_start.unwrap());
    report.findings.iter().map(hit).collect()
}

fn skipped(report: &ScannerReport) -> Vec<(&str, u64)> {
    report
        .coverage
        .skipped
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count))
        .collect()
}

fn write(root: &Path, relative: &str, content: impl AsRef<[u8]>) {
    let path = root.join(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn every_file_is_read_whole_and_hidden_or_ignored_ones_too() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, ".gitignore", "secret.txt\n");
    write(root, ".ignore", "secret.txt\n");
    write(root, "secret.txt", "a\nneedle\n");
    write(root, ".hidden/x", "needle");
    write(root, "dist/build/vendor/tests/y", "\n\nneedle needle");
    write(root, "empty", "");
    let (report, met) = probe(root);
    assert!(report.error.is_none());
    assert_eq!(
        hits(&report),
        [
            (".hidden/x".to_owned(), 1),
            ("dist/build/vendor/tests/y".to_owned(), 3),
            ("dist/build/vendor/tests/y".to_owned(), 3),
            ("secret.txt".to_owned(), 2)
        ]
    );
    assert_eq!(report.coverage.files_seen, 6);
    assert_eq!(report.coverage.bytes_seen, 11 + 11 + 9 + 6 + 15);
    assert_eq!(skipped(&report), []);
    assert!(met.contains(&"dist/".to_owned()) && met.contains(&"empty".to_owned()));
    assert_eq!(met.len(), 6 + 5);
}

#[test]
fn folders_that_are_not_the_projects_own_are_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for skipped in [
        ".git",
        "node_modules",
        "a/bower_components",
        "__pycache__",
        ".tox",
        ".next",
    ] {
        write(root, &format!("{skipped}/deep/x"), "needle");
    }
    write(
        root,
        "target/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n# cargo",
    );
    write(root, "target/debug/x", "needle");
    write(
        root,
        "not-a-cache/CACHEDIR.TAG",
        "Signature: something else, and long enough for it",
    );
    write(root, "env/pyvenv.cfg", "home = /usr/bin");
    write(root, "env/lib/x", "needle");
    write(root, "sub/.git", "gitdir: elsewhere");
    let (report, met) = probe(root);
    assert_eq!(
        skipped(&report),
        [
            ("cache-directory", 4),
            ("dependency-directory", 2),
            ("git-metadata", 1),
            ("virtual-environment", 1)
        ]
    );
    assert_eq!(hits(&report), []);
    assert_eq!(
        met,
        [
            "a/",
            "not-a-cache/",
            "not-a-cache/CACHEDIR.TAG",
            "sub/",
            "sub/.git"
        ]
    );
}

#[test]
fn a_target_that_is_such_a_folder_itself_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "node_modules/x", "needle");
    write(dir.path(), "node_modules/pyvenv.cfg", "");
    let (report, _) = probe(&dir.path().join("node_modules"));
    assert_eq!(hits(&report), [("x".to_owned(), 1)]);
}

#[test]
fn special_files_and_links_are_passed_over_and_never_opened() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "real/x", "needle");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo"),
        fifo,
        Mode::from(0o600),
        0,
    )
    .unwrap();
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
    symlink("/dev/null", root.join("device")).unwrap();
    symlink("/etc/passwd", root.join("outside")).unwrap();
    symlink("real/x", root.join("inside")).unwrap();
    symlink("real", root.join("folder")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("..", root.join("real/up")).unwrap();
    let (report, _) = probe(root);
    assert!(report.error.is_none());
    assert_eq!(hits(&report), [("real/x".to_owned(), 1)]);
    assert_eq!(
        skipped(&report),
        [
            ("not-a-regular-file", 2),
            ("symlink", 5),
            ("symlink-outside", 2)
        ]
    );
}

#[test]
fn binary_files_are_passed_over_and_utf16_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "program", b"\x7fELF\0\0\0needle");
    write(root, "picture.PNG", "needle");
    let wide: Vec<u8> = "\u{feff}one\nneedle"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write(root, "wide", wide);
    let plain: Vec<u8> = "one\r\n\r\nneedle\r\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    write(root, "wide-without-mark", plain);
    write(
        root,
        "late-nul",
        [&[b'x'; 9000][..], b"\0\nneedle"].concat(),
    );
    let (report, _) = probe(root);
    assert_eq!(skipped(&report), [("binary", 1), ("binary-extension", 1)]);
    assert_eq!(
        hits(&report),
        [
            ("late-nul".to_owned(), 2),
            ("wide".to_owned(), 2),
            ("wide-without-mark".to_owned(), 3)
        ]
    );
    assert_eq!(report.coverage.files_seen, 3);
}

#[test]
fn a_single_line_of_64_mb_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("line");
    let window = Limits::default().window;
    let mut file = File::create(&path).unwrap();
    let block = vec![b'x'; 1024 * 1024];
    for _ in 0..64 {
        file.write_all(&block).unwrap();
    }
    // At, across and beside the borders of windows, and at the very ends.
    let size = 64 * block.len();
    let places = [
        0,
        window - 6,
        window - 3,
        window,
        2 * window - 3,
        5 * window,
        size - 6,
    ];
    for place in [
        0,
        window - 13,
        window - 3,
        window + 6,
        2 * window - 3,
        5 * window,
        size - 6,
    ] {
        file.seek(SeekFrom::Start(place as u64)).unwrap();
        file.write_all(b"needle").unwrap();
    }
    let (report, _) = probe(dir.path());
    assert_eq!(hits(&report), vec![("line".to_owned(), 1); places.len()]);
    assert_eq!(report.coverage.bytes_seen, size as u64);
}

#[test]
fn a_sparse_file_of_2_gb_is_binary_at_first_sight() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("sparse"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let (report, _) = probe(dir.path());
    assert_eq!(skipped(&report), [("binary", 1)]);
}

#[test]
fn names_that_are_not_utf8_are_shown_so_that_they_stay_different() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(std::ffi::OsStr::from_bytes(b"f\xFF"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"n\xFE")), "needle").unwrap();
    let (report, _) = probe(dir.path());
    assert_eq!(hits(&report), [("f\\xff/n\\xfe".to_owned(), 1)]);
}

#[test]
fn nesting_beyond_the_longest_path_is_recorded() {
    // No path of more than 4096 bytes can be opened, so further levels would show nothing new.
    const LEVELS: usize = 60;
    let name = "d".repeat(100);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x", "needle");
    let mut at = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..LEVELS {
        rustix::fs::mkdirat(&at, &name, Mode::from(0o700)).unwrap();
        at = rustix::fs::openat(&at, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let (report, met) = probe(dir.path());
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(hits(&report), [("x".to_owned(), 1)]);
    assert_eq!(skipped(&report), [("path-too-long", 1)]);
    assert!(met.len() > 35);
}

#[test]
fn what_must_not_be_read_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x", "needle");
    write(dir.path(), "sub/y", "needle");
    let closed = |path: &str, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(dir.path().join(path), permissions).unwrap();
    };
    closed("x", 0);
    closed("sub", 0);
    let (report, _) = probe(dir.path());
    closed("sub", 0o700);
    if rustix::process::geteuid().is_root() {
        println!("NOT CHECKED: root may read everything; see the_reasons_for_errors");
    } else {
        assert_eq!(skipped(&report), [("permission-denied", 2)]);
    }
}

#[test]
fn the_reasons_for_errors() {
    use rustix::io::Errno;
    for (errno, reason) in [
        (Errno::ACCESS, "permission-denied"),
        (Errno::PERM, "permission-denied"),
        (Errno::NOENT, "vanished"),
        (Errno::NOTDIR, "vanished"),
        (Errno::STALE, "vanished"),
        (Errno::NAMETOOLONG, "path-too-long"),
        (Errno::LOOP, "symlink"),
        (Errno::NXIO, "not-a-regular-file"),
        (Errno::IO, "read-error"),
    ] {
        assert_eq!(skips::of_error(&errno.into()), reason, "{errno:?}");
    }
}

#[test]
fn pseudo_file_systems_are_recognised() {
    assert!(skips::is_on_pseudo_filesystem(Path::new("/proc")));
    assert!(is_pseudo(Path::new("/proc"), u64::MAX));
    let dir = tempfile::tempdir().unwrap();
    assert!(!skips::is_on_pseudo_filesystem(dir.path()));
}

#[test]
fn a_target_that_is_a_file_is_that_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "one", "\nneedle");
    write(dir.path(), "two", "needle");
    let (report, met) = probe(&dir.path().join("one"));
    assert_eq!(met, ["one"]);
    assert_eq!(hits(&report), [("one".to_owned(), 2)]);
    assert_eq!(report.coverage.files_seen, 1);
}

#[test]
fn a_target_that_is_not_there_never_looks_clean() {
    let dir = tempfile::tempdir().unwrap();
    for missing in [dir.path().join("gone"), dir.path().join("gone/file")] {
        let (report, _) = probe(&missing);
        let error = report.error.expect("an error");
        assert!(matches!(error, ScannerError::Io { .. }), "{error:?}");
    }
}

#[test]
fn a_target_that_vanishes_during_the_scan_never_looks_clean() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("target");
    write(&root, "x", "needle");
    let probe = Arc::new(Probe {
        deletes: Some(root.canonicalize().unwrap()),
        ..Probe::default()
    });
    let detectors: [Arc<dyn Detector>; 1] = [probe.clone()];
    let report = reports(&detectors, &context(&root, 1)).remove(0);
    assert!(
        matches!(report.error, Some(ScannerError::Io { .. })),
        "{:?}",
        report.error
    );
    assert!(!probe.has_finished.load(Ordering::Relaxed));
}

#[test]
fn a_panic_costs_one_detector_only() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        write(dir.path(), name, "needle");
    }
    let broken = Arc::new(Probe {
        panics_on: Some("b"),
        ..Probe::default()
    });
    let sound = Arc::new(Probe::default());
    let reports = reports(&[broken.clone(), sound], &context(dir.path(), 2));
    match &reports[0].error {
        Some(ScannerError::Crashed(message)) => assert!(message.contains("asked to panic")),
        other => panic!("{other:?}"),
    }
    assert!(!broken.has_finished.load(Ordering::Relaxed));
    assert!(reports[1].error.is_none());
    assert_eq!(reports[1].findings.len(), 3);
}

#[test]
fn a_cancelled_walk_says_so_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    for name in 0..50 {
        write(dir.path(), &name.to_string(), "needle");
    }
    let context = context(dir.path(), 1);
    let cancels = Probe {
        cancels: Some(context.cancel.clone()),
        ..Probe::default()
    };
    let reports = reports(&[Arc::new(cancels), Arc::new(Probe::default())], &context);
    for report in reports {
        assert!(
            matches!(report.error, Some(ScannerError::Cancelled)),
            "{:?}",
            report.error
        );
        assert!(report.findings.len() <= 1);
    }
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    for folder in 0..20 {
        for file in 0..10 {
            write(dir.path(), &format!("{folder}/{file}"), "needle\nneedle\n");
        }
    }
    let all: Vec<(Vec<RawFinding>, Coverage)> = [1, 2, 7]
        .map(|threads| {
            let report =
                reports(&[Arc::new(Probe::default())], &context(dir.path(), threads)).remove(0);
            (report.findings, report.coverage)
        })
        .into();
    assert_eq!(all[0].0.len(), 400);
    assert!(all.iter().all(|one| *one == all[0]));
}

#[test]
fn more_files_than_may_wait_are_all_seen() {
    let dir = tempfile::tempdir().unwrap();
    for name in 0..QUEUED_FILES + 500 {
        File::create(dir.path().join(name.to_string())).unwrap();
    }
    let (report, met) = probe(dir.path());
    assert_eq!(met.len(), QUEUED_FILES + 500);
    assert_eq!(report.coverage.files_seen, met.len() as u64);
}
