//! The two identities of a finding: v1, which the reference's triage verdicts hang on, and v2,
//! which tells apart what v1 throws together.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{Fingerprint, RawFinding};

/// Metadata entry whose text enters the v1 fingerprint.
const SNIPPET: &str = "line_snippet";

/// Returns the reference's fingerprint of a finding that is shown at `shown_path`.
///
/// Compat: contract/scan-orchestration.md 7, byte for byte. `base` stands in for the reference's
/// working directory.
#[must_use]
pub fn v1(raw: &RawFinding, shown_path: Option<&str>, base: &Path) -> Fingerprint {
    v1_of(&V1Parts {
        scanner: raw.scanner,
        rule_id: raw.rule_id.as_deref(),
        path: shown_path,
        snippet: raw.metadata.get(SNIPPET),
        cwe: raw.fingerprint_cwe.as_deref(),
        base,
    })
}

/// What a v1 fingerprint is made of.
#[derive(Debug, Clone, Copy)]
pub struct V1Parts<'a> {
    /// Name of the scanner.
    pub scanner: &'a str,
    /// Name of the rule.
    pub rule_id: Option<&'a str>,
    /// Path as shown.
    pub path: Option<&'a str>,
    /// The finding's `line_snippet`.
    pub snippet: Option<&'a Value>,
    /// CWE text.
    pub cwe: Option<&'a str>,
    /// Absolute paths below this folder are made relative to it.
    pub base: &'a Path,
}

/// Returns the reference's fingerprint of anything, e.g. of an adopted row.
#[must_use]
pub fn v1_of(parts: &V1Parts<'_>) -> Fingerprint {
    let path = parts
        .path
        .map(|path| v1_path(path, parts.base))
        .unwrap_or_default();
    let context = parts.snippet.map(v1_context).unwrap_or_default();
    let text = [
        parts.scanner,
        parts.rule_id.unwrap_or(""),
        &path,
        &context,
        parts.cwe.unwrap_or(""),
    ]
    .join("|");
    Fingerprint(hex(&Sha256::digest(text.as_bytes())))
}

fn v1_path(path: &str, base: &Path) -> String {
    let path = path.replace('\\', "/");
    let Some(base) = base.to_str().filter(|_| path.starts_with('/')) else {
        return path;
    };
    let Some(relative) = below(&path, base) else {
        return path;
    };
    if relative.is_empty() {
        // The base itself, as Python's pathlib names it.
        ".".to_owned()
    } else {
        relative.join("/")
    }
}

fn below<'a>(path: &'a str, base: &str) -> Option<Vec<&'a str>> {
    let mut rest = components(path);
    components(base)
        .all(|part| rest.next() == Some(part))
        .then(|| rest.collect())
}

/// Splits as Python's `pathlib` does: `..` is kept, empty parts and `.` are not.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

fn v1_context(snippet: &Value) -> String {
    let text = match snippet {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(python_text).collect::<Vec<_>>().join(" "),
        _ => return String::new(),
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            let line = without_block_comments(line);
            let line = before(&line, "#");
            let line = before(line, "//");
            before(line, "--").to_owned()
        })
        .collect();
    lines
        .join(" ")
        .split(is_space)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

fn without_block_comments(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((head, tail)) = rest.split_once("/*") {
        let Some((_, after)) = tail.split_once("*/") else {
            break;
        };
        kept.push_str(head);
        kept.push(' ');
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn before<'a>(line: &'a str, marker: &str) -> &'a str {
    line.split_once(marker).map_or(line, |(head, _)| head)
}

/// Python counts the four separators below U+0020 as space, Unicode does not.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn python_text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The v2 identity but for the ordinal: findings with the same base are equals.
#[derive(Clone)]
pub struct V2Base {
    hasher: Sha256,
    digest: [u8; 32],
}

impl V2Base {
    /// Hashes everything that says which place a finding is about.
    ///
    /// Every field goes in with its length before it and absent ones marked as such, so that no two
    /// different lists of fields hash the same text. The severity, the wording and the line are left
    /// out: they may change while the weakness stays. A finding without a rule is told apart by its
    /// title.
    #[must_use]
    pub fn of(raw: &RawFinding) -> Self {
        let mut hasher = Sha256::new();
        let mut field = |text: Option<&str>| match text {
            Some(text) => {
                hasher.update([1]);
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
            None => hasher.update([0]),
        };
        field(Some("securescan-v2"));
        field(Some(raw.scanner));
        field(raw.rule_id.as_deref());
        field(raw.rule_id.is_none().then_some(raw.title.as_str()));
        field(raw.file_path.as_deref().map(relative_path).as_deref());
        field(Some(&without_space(&raw.subject.place)));
        field(raw.subject.url.as_deref());
        field(raw.subject.endpoint.as_deref());
        field(raw.subject.package.as_deref());
        field(raw.subject.version.as_deref());
        let digest = hasher.clone().finalize().into();
        Self { hasher, digest }
    }

    /// Returns what equals have in common.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Returns the v2 fingerprint of the `ordinal`th of equals, from 0.
    #[must_use]
    pub fn fingerprint(&self, ordinal: u64) -> Fingerprint {
        let mut hasher = self.hasher.clone();
        hasher.update(ordinal.to_be_bytes());
        Fingerprint(hex(&hasher.finalize()))
    }
}

/// Returns the v2 fingerprints of `raw` in its order. Equals are numbered from the top of the file
/// down, whatever order they were collected in.
#[must_use]
pub fn v2_all(raw: &[RawFinding]) -> Vec<Fingerprint> {
    let bases: Vec<V2Base> = raw.iter().map(V2Base::of).collect();
    number(raw, &bases)
}

pub(super) fn number(raw: &[RawFinding], bases: &[V2Base]) -> Vec<Fingerprint> {
    let mut order: Vec<(usize, &RawFinding, &V2Base)> = raw
        .iter()
        .zip(bases)
        .enumerate()
        .map(|(index, (finding, base))| (index, finding, base))
        .collect();
    order.sort_by(|(_, a, _), (_, b, _)| {
        (a.line_start, a.line_end, &a.title, &a.description).cmp(&(
            b.line_start,
            b.line_end,
            &b.title,
            &b.description,
        ))
    });
    let mut seen: HashMap<[u8; 32], u64> = HashMap::with_capacity(raw.len());
    let mut numbered: Vec<(usize, Fingerprint)> = order
        .into_iter()
        .map(|(index, _, base)| {
            let next = seen.entry(base.digest).or_default();
            let fingerprint = base.fingerprint(*next);
            *next += 1;
            (index, fingerprint)
        })
        .collect();
    numbered.sort_unstable_by_key(|(index, _)| *index);
    numbered.into_iter().map(|(_, print)| print).collect()
}

fn relative_path(path: &str) -> String {
    let path = path.replace('\\', "/");
    components(&path).collect::<Vec<_>>().join("/")
}

fn without_space(text: &str) -> String {
    text.chars()
        .filter(|c| !is_space(*c) && *c != '\u{feff}')
        .collect()
}

fn hex(digest: &[u8]) -> String {
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' + nibble - 10
            }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::{ScanType, Severity};

    const BASE: &str = "/srv/run/fp";

    fn print(
        scanner: &str,
        rule: Option<&str>,
        path: Option<&str>,
        snippet: Value,
        cwe: Option<&str>,
    ) -> String {
        v1_of(&V1Parts {
            scanner,
            rule_id: rule,
            path,
            snippet: (!snippet.is_null()).then_some(&snippet),
            cwe,
            base: Path::new(BASE),
        })
        .0
    }

    #[test]
    fn v1_is_the_references() {
        let r1 = |path, snippet| print("bandit", Some("R1"), Some(path), snippet, None);
        let b602 = |path| {
            print(
                "bandit",
                Some("B602"),
                Some(path),
                Value::Null,
                Some("CWE-78"),
            )
        };
        let table = [
            (
                print("bandit", None, None, Value::Null, None),
                "639637f248bc6067fe820d3921f59ace9501fb057532a1bc036abccc4c39038a",
            ),
            (
                b602("/srv/demo/shop/src/app.py"),
                "dd528f9bf13069c3aa58f7f17aa952703ce9ab0afe747ac05f8881549b8ca377",
            ),
            (
                b602("/srv/run/fp/src/app.py"),
                "ccdc35770ee78c0d8d08996dc9d153eaf2561560be6fd84934b75a5178d8c171",
            ),
            (
                b602("src\\app.py"),
                "ccdc35770ee78c0d8d08996dc9d153eaf2561560be6fd84934b75a5178d8c171",
            ),
            (
                r1("a.py", json!("  X = Eval( Y )   # bad")),
                "53fe80785ad6d0c01a48b710f79e6dc78ea03d7403dc49e38b477232ec7c650a",
            ),
            (
                r1("a.py", json!("foo( /* c */ a,\r\n\t b ) // t\rc -- d")),
                "e04e223c5ce5b37f8fc3ced68d81d722c9c05550c80dce4c5d1cddf3835fbae8",
            ),
            (
                r1("a.py", json!(["a", 1, null])),
                "50bc8473d5e2635681ea0e5c98c041b5022f3899fe6513b2e4f685e4dd143232",
            ),
            (
                r1("a.py", json!(5)),
                "1870d7d951929f0a1ac6794c33d4887722ee67128b406b316d414d02ed2b1dd5",
            ),
            (
                r1("é.py", json!("PRINT(\"ÀÉ\u{a0}Z\")")),
                "df01d5d7d7e17ca0b68df70151a0dd76484bf964f0d2eab9b676a24e5bdc7689",
            ),
            (
                r1("a.py", json!("u = \"http://x\"")),
                "70be3f17423f72e5cd687d8b0444b0bd0ea380ca2dfaeb0fef2e60be41e83b06",
            ),
            (
                print(
                    "secrets",
                    Some("secrets/aws-access-key"),
                    Some("/srv/demo/shop/src/app.py"),
                    Value::Null,
                    None,
                ),
                "2ef24f4d928ca0c150b2d18f8aaf726ef3e8073751d76cb495eea4289a689db5",
            ),
        ];
        for (row, (got, want)) in table.iter().enumerate() {
            assert_eq!(got, want, "row {row}");
        }
    }

    /// Values captured from scans of the reference server (contract/http-api.md 8, config-ops.md 6).
    #[test]
    fn v1_is_that_of_captured_findings() {
        let at = |scanner, rule, path| print(scanner, rule, path, Value::Null, None);
        assert_eq!(
            at(
                "secrets",
                Some("secrets/generic-secret"),
                Some("/srv/demo/shop/src/app.py")
            ),
            "77afba436b84b60ca7259df5e8a1d8d63cf735d51ae6cbbd5f2f8379ef4ffaaf"
        );
        assert_eq!(
            at(
                "baseline",
                Some("BASELINE-PERM-001"),
                Some("/srv/demo/rootfs/etc/shadow")
            ),
            "815cc0c4654a9b7e6ccaf41e5c30d5f6ae181b4605c46e684b71fcb95ef98e07"
        );
        assert_eq!(
            at(
                "git-hygiene",
                Some("git-hygiene/no-gitignore"),
                Some("/srv/demo/clean")
            ),
            "527b61b66aea16c86ea63ec7a73776b8356152e14dcacdd880017f1e89980870"
        );
        assert_eq!(
            at("semgrep", None, None),
            "8b63e2e4e048eb6c31fd5168dafca34e113449968cf80b4387b243c11ef18e35"
        );
    }

    #[test]
    fn v1_paths_are_relative_only_below_the_base() {
        for (path, want) in [
            ("/srv/run/fp", "."),
            ("/srv/run/fpx/a", "/srv/run/fpx/a"),
            ("/srv//run/./fp/a//b", "a/b"),
            ("./a", "./a"),
            ("", ""),
        ] {
            assert_eq!(v1_path(path, Path::new(BASE)), want, "{path}");
        }
    }

    fn finding(path: &str, place: &str, line: u32) -> RawFinding {
        RawFinding::new("secrets", ScanType::Code, Severity::High, "r", "t")
            .in_file(path)
            .placed(place)
            .at_line(line)
    }

    #[test]
    fn v2_ignores_layout_and_nothing_else() {
        let one = |raw: RawFinding| v2_all(&[raw]).remove(0);
        let base = one(finding("src/a.py", "x = eval(y)", 3));
        assert_eq!(base.0.len(), 64);
        assert_eq!(
            one(finding("src/a.py", "\u{feff}x=eval(\u{a0}y )", 9)),
            base
        );
        assert_eq!(one(finding("./src\\a.py", "x = eval(y)", 3)), base);
        assert_ne!(one(finding("src/a.py", "X = eval(y)", 3)), base);
        assert_ne!(one(finding("src/b.py", "x = eval(y)", 3)), base);
        // The bytes are a promise to stored baselines.
        assert_eq!(
            base.0,
            "1fe0b68c35d8c22b11b04d21c9c7451551697e6d36af845e8b1c46626ab7374f"
        );
    }

    #[test]
    fn v2_does_not_run_fields_together() {
        let with = |url: Option<&str>, endpoint: Option<&str>, package: Option<&str>| {
            let mut raw = finding("a", "p", 1);
            raw.subject.url = url.map(Into::into);
            raw.subject.endpoint = endpoint.map(Into::into);
            raw.subject.package = package.map(Into::into);
            V2Base::of(&raw).digest()
        };
        let variants = [
            with(None, None, None),
            with(Some("ab"), None, None),
            with(None, Some("ab"), None),
            with(Some("a"), Some("b"), None),
            with(Some(""), Some("ab"), None),
            with(None, None, Some("ab")),
        ];
        for (i, a) in variants.iter().enumerate() {
            for b in variants.iter().skip(i + 1) {
                assert_ne!(a, b);
            }
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[ab /\\t\u{a0}é|]{0,6}").unwrap()
    }

    proptest! {
        #[test]
        fn two_different_places_differ(a in texts(), b in texts()) {
            let prints = v2_all(&[finding("f", &a, 1), finding("f", &b, 1)]);
            prop_assert_ne!(&prints[0], &prints[1]);
            let same_place = without_space(&a) == without_space(&b);
            prop_assert_eq!(
                V2Base::of(&finding("f", &a, 1)).digest() == V2Base::of(&finding("f", &b, 2)).digest(),
                same_place
            );
        }

        #[test]
        fn moving_lines_down_changes_no_v2(
            places in prop::collection::vec("[ab]{0,2}", 0..12),
            shift in 0u32..1000,
        ) {
            let at = |shift: u32| -> Vec<RawFinding> {
                places.iter().zip(1u32..).map(|(p, line)| finding("f", p, line * 2 + shift)).collect()
            };
            prop_assert_eq!(v2_all(&at(0)), v2_all(&at(shift)));
        }

        #[test]
        fn ordinals_are_unique_and_do_not_depend_on_the_collection_order(
            places in prop::collection::vec("[ab]{0,1}", 0..20),
        ) {
            let raw: Vec<RawFinding> =
                places.iter().zip(1u32..).map(|(p, line)| finding("f", p, line)).collect();
            let prints = v2_all(&raw);
            let mut unique = prints.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), prints.len());
            let reversed: Vec<RawFinding> = raw.iter().rev().cloned().collect();
            let mut back = v2_all(&reversed);
            back.reverse();
            prop_assert_eq!(back, prints);
        }

        #[test]
        fn v1_never_panics(snippet in any::<String>(), path in any::<String>(), base in any::<String>()) {
            let snippet = Value::String(snippet);
            let print = v1_of(&V1Parts {
                scanner: "s",
                rule_id: None,
                path: Some(&path),
                snippet: Some(&snippet),
                cwe: None,
                base: Path::new(&base),
            });
            prop_assert_eq!(print.0.len(), 64);
        }
    }
}
