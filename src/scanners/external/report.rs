//! What wrappers have in common: where a tool is run, its JSON, and the places it points at.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use sha2::{Digest as _, Sha256};

use super::process::{Invocation, Output};
use crate::scanners::{CancelFlag, ScannerError, Target};

/// Longest time for a tool to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of a source file that are looked at for the lines of its findings.
const SOURCE_LIMIT: u64 = 8 * 1024 * 1024;
/// Lines of one finding that make its place.
const PLACE_LINES: usize = 20;

/// Returns the folder to run a tool in and the argument that names the target there.
///
/// Tools are never given the absolute path: rule ids and exclusions of theirs look at it, and the
/// outcome would depend on where the project lies. The `./` keeps names like `-x.py` from being
/// options.
pub(super) fn ground(target: &Target) -> (&Path, OsString) {
    match (
        target.is_directory,
        target.root.parent(),
        target.root.file_name(),
    ) {
        (false, Some(folder), Some(name)) => {
            let mut argument = OsString::from("./");
            argument.push(name);
            (folder, argument)
        }
        _ => (&target.root, OsString::from(".")),
    }
}

/// Returns a path that a tool printed, relative to the folder it ran in, with `/` between parts.
pub(super) fn relative(folder: &Path, printed: &str) -> String {
    let path = Path::new(printed);
    path.strip_prefix(folder)
        .unwrap_or(path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            Component::ParentDir => Some(Cow::Borrowed("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// Asks a tool for its version: the first word of its first line that starts with a digit.
///
/// # Errors
/// Only when cancelled: a tool that does not tell may still scan.
pub(super) fn version(
    invocation: Invocation,
    cancel: &CancelFlag,
) -> Result<Option<String>, ScannerError> {
    match invocation.within(VERSION_LIMIT).run(cancel) {
        Ok(output) => Ok(version_in(&String::from_utf8_lossy(&output.stdout))),
        Err(ScannerError::Cancelled) => Err(ScannerError::Cancelled),
        Err(error) => {
            log::warn!("a tool does not tell its version: {error}");
            Ok(None)
        }
    }
}

fn version_in(text: &str) -> Option<String> {
    text.lines()
        .next()?
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(super::process::shown)
}

/// Reads a tool's whole stdout as JSON. Says where it is wrong, but not with what: reports quote
/// secrets.
///
/// # Errors
/// When there is nothing, not JSON, not to the end, or not what was expected.
pub(super) fn parse<T: DeserializeOwned>(output: &Output) -> Result<T, ScannerError> {
    if output.stdout.trim_ascii().is_empty() {
        let words = output.last_words();
        return Err(ScannerError::Crashed(format!("no output, {words}")));
    }
    serde_json::from_slice(&without_lone_surrogates(&output.stdout)).map_err(|error| {
        let problem = match error.classify() {
            Category::Eof => "JSON that breaks off",
            Category::Data => "JSON of an unknown shape",
            Category::Syntax | Category::Io => "not JSON",
        };
        ScannerError::Unreadable(format!(
            "{problem} (line {}, column {}), {}",
            error.line(),
            error.column(),
            output.last_words()
        ))
    })
}

/// Replaces halves of surrogate pairs, which Python writes for names and literals that are not
/// Unicode: one such file name must not cost the whole report.
fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(json, b"\\ud").is_none()
        && memchr::memmem::find(json, b"\\uD").is_none()
    {
        return Cow::Borrowed(json);
    }
    let mut mended = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        mended.extend_from_slice(plain);
        let (length, replacement) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, None),
            (Some(0xD800..=0xDFFF), _) => (6, Some(b"\\ufffd")),
            (Some(_), _) => (6, None),
            (None, _) => (2, None),
        };
        let (read, after) = escape.split_at(length.min(escape.len()));
        mended.extend_from_slice(replacement.map_or(read, |text| text.as_slice()));
        rest = after;
    }
    mended.extend_from_slice(rest);
    Cow::Owned(mended)
}

fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The source files that findings point at; keeps the last one, as reports are sorted by file.
pub(super) struct Sources<'a> {
    folder: &'a Path,
    last: Option<(String, String)>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, last: None }
    }

    /// Returns lines of a file, from 1, at most [`PLACE_LINES`]; nothing when it cannot be read.
    pub(super) fn lines(&mut self, relative: &str, first: u32, last: u32) -> String {
        if self.last.as_ref().is_none_or(|(name, _)| name != relative) {
            let text = read(&self.folder.join(relative)).unwrap_or_default();
            self.last = Some((relative.to_owned(), text));
        }
        let text = self.last.as_ref().map_or("", |(_, text)| text);
        let count = (last.saturating_sub(first) as usize + 1).min(PLACE_LINES);
        text.lines()
            .skip((first as usize).saturating_sub(1))
            .take(count)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Returns the place of a finding on these lines: a digest of them without white space. A digest,
/// because any line may hold a secret; without line numbers, so that it survives moves.
pub(super) fn place(lines: &str) -> String {
    let text: String = lines.chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return String::new();
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        // Writing to a text cannot fail.
        let _written = write!(hex, "{byte:02x}").is_ok();
        hex
    })
}

fn read(path: &Path) -> Option<String> {
    // Opening a FIFO would wait for its writer.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(SOURCE_LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_paths_become_relative() {
        let folder = Path::new("/srv/shop");
        for (printed, expected) in [
            ("./app/main.py", "app/main.py"),
            ("././main.py", "main.py"),
            ("/srv/shop/app/main.py", "app/main.py"),
            ("app//main.py", "app/main.py"),
            ("../other.py", "../other.py"),
            ("/srv/shopping/main.py", "srv/shopping/main.py"),
        ] {
            assert_eq!(relative(folder, printed), expected, "{printed}");
        }
    }

    #[test]
    fn a_file_is_named_from_its_folder_and_is_no_option() {
        let target = Target {
            shown: "-x.py".to_owned(),
            root: "/srv/-x.py".into(),
            is_directory: false,
        };
        assert_eq!(ground(&target), (Path::new("/srv"), "./-x.py".into()));
    }

    #[test]
    fn versions_are_found() {
        assert_eq!(
            version_in("bandit 1.9.4\n  python version = 3.11.7").as_deref(),
            Some("1.9.4")
        );
        assert_eq!(version_in("1.182.0\n").as_deref(), Some("1.182.0"));
        assert_eq!(version_in("usage: x\n1.2"), None);
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        for (json, expected) in [
            (r#""a\udcffb""#, "a\u{fffd}b"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\\udcff""#, r"\udcff"),
            (r#""\u00e4\ud800\n""#, "ä\u{fffd}\n"),
        ] {
            let mended = without_lone_surrogates(json.as_bytes());
            let text: String = serde_json::from_slice(&mended).unwrap();
            assert_eq!(text, expected, "{json}");
        }
    }

    #[test]
    fn places_survive_moves_and_indentation_but_tell_lines_apart() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("a.py"),
            "x = 1\n\n    eval(x)\neval(y)\n",
        )
        .unwrap();
        let mut sources = Sources::new(folder.path());
        let first = place(&sources.lines("a.py", 3, 3));
        let second = place(&sources.lines("a.py", 4, 4));
        assert_eq!(first, place("\teval( x )"));
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        assert_eq!(sources.lines("a.py", 3, 4), "    eval(x)\neval(y)");
        assert_eq!(place(&sources.lines("missing.py", 1, 1)), "");
        assert_eq!(place(&sources.lines("a.py", 99, 99)), "");
    }
}
