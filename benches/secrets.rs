//! Speed of the secrets detector: `cargo bench --bench secrets`.
//!
//! With a folder as its only argument the program instead lists what the detector reports there, one
//! line a finding and without values: the way to look at its noise.
#![allow(clippy::print_stdout, reason = "a program for developers")]
#![allow(clippy::unwrap_used, reason = "a failed measurement may crash")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use securescan::scanners::builtin::secrets::Secrets;
use securescan::scanners::{Detector as _, Entry, Piece, ScannerSettings};

/// Text like ordinary source: words that the prefilter knows in harmless places.
fn ordinary_source(size: usize) -> String {
    let mut text = String::new();
    let mut line = 0;
    while text.len() < size {
        let _written = writeln!(
            text,
            "    def handle_{line}(self, request, *args, **kwargs):\n        # the token of the author is checked by the key server\n        \
             value = self.cache.get(request.key, default=None)\n        if value is None and request.user.is_authenticated:\n            \
             return self.render(template_name=\"page_{line}.html\", context={{\"title\": value}})\n"
        );
        line += 1;
    }
    text
}

fn with_hits(size: usize) -> String {
    let mut text = ordinary_source(size);
    let token: String = (0..36_u8)
        .map(|index| char::from(b'a' + (index * 7 + index / 3) % 26))
        .collect();
    let step = 4096;
    let mut at = step;
    while at < text.len() {
        let end = text
            .get(at..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |line| at + line + 1);
        text.insert_str(
            end,
            &format!("API = \"ghp_{token}\"\npassword = \"kpD4ObZ{at}TP2\"\n"),
        );
        at = end + step;
    }
    text
}

fn count(secrets: &Secrets, name: &str, bytes: &[u8]) -> Vec<securescan::domain::RawFinding> {
    let entry = Entry {
        path: Path::new(name),
        relative: name,
        name: name.rsplit('/').next().unwrap_or(name),
        is_directory: false,
        size: 0,
    };
    let mut findings = Vec::new();
    secrets.examine(
        &Piece {
            entry: &entry,
            bytes,
            owned: (0, bytes.len()),
            first_line: 1,
            is_whole: true,
        },
        &mut findings,
    );
    findings
}

fn list(folder: &Path) {
    let secrets = Secrets::new(&ScannerSettings::default()).unwrap();
    let (mut files, mut bytes, mut total, mut busy) =
        (0_u64, 0_u64, 0_u64, std::time::Duration::ZERO);
    for entry in ignore::WalkBuilder::new(folder)
        .standard_filters(false)
        .build()
        .flatten()
    {
        let Ok(content) = std::fs::read(entry.path()) else {
            continue;
        };
        if content
            .get(..8192.min(content.len()))
            .is_some_and(|head| head.contains(&0))
        {
            continue;
        }
        files += 1;
        bytes += u64::try_from(content.len()).unwrap();
        let relative = entry
            .path()
            .strip_prefix(folder)
            .unwrap_or(entry.path())
            .to_string_lossy()
            .into_owned();
        let started = Instant::now();
        let findings = count(
            &secrets,
            if relative.is_empty() { "x" } else { &relative },
            &content,
        );
        busy += started.elapsed();
        let text = String::from_utf8_lossy(&content);
        for finding in findings {
            total += 1;
            let line = finding.line_start.unwrap_or(1);
            let shown: String = text
                .lines()
                .nth(usize::try_from(line).unwrap() - 1)
                .unwrap_or("")
                .trim()
                .chars()
                .take(140)
                .collect();
            println!(
                "{}\t{}\t{relative}:{line}\t{shown}",
                finding.rule_id.unwrap_or_default(),
                finding
                    .metadata
                    .get("confidence")
                    .map(ToString::to_string)
                    .unwrap_or_default()
            );
        }
    }
    println!(
        "# {files} files, {bytes} bytes, {total} findings, {:.1} MB/s",
        f64::from(u32::try_from(bytes / 1024).unwrap()) / 1024.0 / busy.as_secs_f64()
    );
}

fn main() {
    if let Some(folder) = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'))
    {
        list(Path::new(&folder));
        return;
    }
    let secrets = Secrets::new(&ScannerSettings::default()).unwrap();
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("secrets");
    for (label, text) in [
        ("ordinary source", ordinary_source(4 << 20)),
        ("source with hits", with_hits(4 << 20)),
    ] {
        group.throughput(Throughput::Bytes(u64::try_from(text.len()).unwrap()));
        group.bench_function(label, |bencher| {
            bencher.iter(|| count(&secrets, "src/module.py", text.as_bytes()).len())
        });
    }
    group.finish();
    criterion.final_summary();
}
