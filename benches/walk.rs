//! What the walk itself costs, beside the work of the detectors.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot make its input has nothing to say"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use securescan::domain::{RawFinding, ScanType};
use securescan::scanners::{
    CancelFlag, Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo,
    ScannerSettings, Target, walk,
};

const INFO: ScannerInfo = ScannerInfo {
    name: "nothing",
    scan_type: ScanType::Code,
    description: "Reads everything and says nothing.",
    checks: &[],
    install_hint: "built in",
    installable: false,
};

/// Asks for all content and does nothing with it.
struct Nothing;

impl Detector for Nothing {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, _: &Entry<'_>, _: &mut Vec<RawFinding>) -> Interest {
        Interest::Content
    }

    fn examine(&self, piece: &Piece<'_>, _: &mut Vec<RawFinding>) {
        black_box(piece.bytes.len());
    }

    fn finish(&self, _: &ScanContext) -> Result<Finish, ScannerError> {
        Ok(Finish::default())
    }
}

fn walk_once(root: &Path) -> u64 {
    let context = ScanContext {
        target: Arc::new(Target {
            shown: root.display().to_string(),
            root: root.to_owned(),
            is_directory: true,
        }),
        cancel: CancelFlag::default(),
        settings: Arc::new(ScannerSettings::default()),
    };
    let seen = std::sync::atomic::AtomicU64::new(0);
    walk::run(&[Arc::new(Nothing)], &context, &|_, report| {
        seen.store(
            report.coverage.files_seen,
            std::sync::atomic::Ordering::Relaxed,
        );
    });
    seen.into_inner()
}

/// A tree of `files` files of `size` bytes of text, a hundred to a folder.
fn tree(files: usize, size: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let text: Vec<u8> = b"the quick brown fox\n"
        .iter()
        .copied()
        .cycle()
        .take(size)
        .collect();
    for file in 0..files {
        let folder = dir.path().join((file / 100).to_string());
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join(file.to_string()), &text).expect("a file can be written");
    }
    dir
}

fn walking(criterion: &mut Criterion) {
    for (name, files, size) in [
        ("empty files", 20_000, 0),
        ("small files", 10_000, 4 * 1024),
        ("source files", 2_000, 100 * 1024),
        ("one big file", 1, 256 * 1024 * 1024),
    ] {
        let dir = tree(files, size);
        let mut group = criterion.benchmark_group("walk");
        group.sample_size(10);
        group.throughput(if size < 8 * 1024 {
            Throughput::Elements(files as u64)
        } else {
            Throughput::Bytes((files * size) as u64)
        });
        group.bench_function(name, |bencher| bencher.iter(|| walk_once(dir.path())));
        group.finish();
    }
}

criterion_group!(benches, walking);
criterion_main!(benches);
