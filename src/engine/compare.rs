//! What is new, fixed and unchanged between two scans.

use std::collections::HashMap;

use crate::domain::Finding;

/// Every finding of two scans, sorted into three lists in canonical order.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// In the second scan only.
    pub new: Vec<&'a Finding>,
    /// In the first scan only.
    pub fixed: Vec<&'a Finding>,
    /// In both, as the second scan has them.
    pub unchanged: Vec<&'a Finding>,
}

/// Compares the findings of an earlier scan `a` with those of a later scan `b`.
///
/// They are matched by v2 when every finding of both has one. Otherwise one side is a scan of the
/// reference server, and all are matched by its key; findings with equal keys are matched one to
/// one, so that none disappears.
#[must_use]
pub fn compare<'a>(a: &'a [Finding], b: &'a [Finding]) -> Comparison<'a> {
    let has_v2 = |finding: &Finding| !finding.fingerprint_v2.as_str().is_empty();
    if a.iter().all(has_v2) && b.iter().all(has_v2) {
        compare_by(a, b, |finding| finding.fingerprint_v2.as_str())
    } else {
        compare_by(a, b, reference_key)
    }
}

fn compare_by<'a, K, F>(a: &'a [Finding], b: &'a [Finding], key: F) -> Comparison<'a>
where
    K: std::hash::Hash + Eq,
    F: Fn(&'a Finding) -> K,
{
    // Sorted first, so that which of several equals is left over does not depend on storage order.
    let (a, b) = (sorted(a), sorted(b));
    let mut open: HashMap<K, usize> = HashMap::with_capacity(a.len());
    for finding in &a {
        *open.entry(key(finding)).or_default() += 1;
    }
    let (mut new, mut unchanged) = (Vec::new(), Vec::new());
    let mut matched: HashMap<K, usize> = HashMap::new();
    for finding in b {
        match open.get_mut(&key(finding)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                *matched.entry(key(finding)).or_default() += 1;
                unchanged.push(finding);
            }
            _ => new.push(finding),
        }
    }
    let fixed = a
        .into_iter()
        .filter(|finding| match matched.get_mut(&key(finding)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect();
    Comparison {
        new,
        fixed,
        unchanged,
    }
}

fn sorted(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by(|a, b| {
        a.canonical_key()
            .cmp(&b.canonical_key())
            .then_with(|| a.fingerprint_v2.cmp(&b.fingerprint_v2))
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
    sorted
}

/// Returns the reference's deduplication key of a finding.
///
/// Compat: contract/scan-orchestration.md 6, with the title's leading `b` cut off as it is there.
#[must_use]
pub fn reference_key(finding: &Finding) -> String {
    let title = finding.title.to_lowercase();
    let mut title = title.trim();
    for prefix in ["b", "cwe-", "rule-"] {
        title = title.strip_prefix(prefix).unwrap_or(title);
    }
    let file = finding
        .file_path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("no-file");
    let title: String = title.chars().take(60).collect();
    format!("{file}|{}|{title}", finding.line_start.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::domain::{FindingId, Fingerprint, ScanId, Severity};

    fn finding(title: &str, file: Option<&str>, line: Option<i64>, v2: &str) -> Finding {
        Finding {
            id: FindingId::random(),
            scan_id: ScanId::new("s"),
            scanner: "x".into(),
            scan_type: "code".into(),
            severity: Severity::Low,
            title: title.into(),
            description: String::new(),
            file_path: file.map(Into::into),
            line_start: line,
            line_end: None,
            rule_id: None,
            cwe: None,
            remediation: None,
            metadata: Map::new(),
            compliance_tags: Vec::new(),
            fingerprint: Fingerprint::default(),
            fingerprint_v2: Fingerprint(v2.into()),
        }
    }

    #[test]
    fn reference_keys_are_the_contracts() {
        let long = "B".repeat(80);
        let want = format!("a|1|{}", "b".repeat(60));
        for (title, file, line, want) in [
            ("B602: x", Some("a"), Some(5), "a|5|602: x"),
            ("  Blacklist ", Some("a"), Some(1), "a|1|lacklist"),
            ("CWE-79: XSS", None, None, "no-file|0|79: xss"),
            ("Rule-1", Some("a"), Some(0), "a|0|1"),
            ("bcwe-rule-x", Some("a"), Some(3), "a|3|x"),
            ("Buffer", Some(""), Some(0), "no-file|0|uffer"),
            (&long, Some("a"), Some(1), &want),
        ] {
            assert_eq!(reference_key(&finding(title, file, line, "")), want);
        }
    }

    #[test]
    fn a_moved_line_is_unchanged_when_both_have_v2_and_only_then() {
        let a = [finding("t", Some("f"), Some(1), "v")];
        let b = [finding("t", Some("f"), Some(9), "v")];
        let moved = compare(&a, &b);
        assert_eq!(moved.unchanged, [&b[0]]);
        assert!(moved.new.is_empty() && moved.fixed.is_empty());
        let old = [finding("t", Some("f"), Some(1), "")];
        let against_old = compare(&old, &b);
        assert_eq!(
            (against_old.new.len(), against_old.fixed.len()),
            (1, 1),
            "matched by line"
        );
        assert_eq!(compare(&old, &a).unchanged, [&a[0]]);
    }

    #[test]
    fn equal_keys_of_an_adopted_scan_are_matched_one_to_one() {
        let twin = || finding("t", None, None, "");
        let (a, b) = ([twin(), twin(), twin()], [twin(), twin()]);
        let result = compare(&a, &b);
        assert_eq!(
            (result.new.len(), result.fixed.len(), result.unchanged.len()),
            (0, 1, 2)
        );
    }

    proptest! {
        #[test]
        fn nothing_appears_or_disappears(
            a in prop::collection::vec("[abc]{0,2}", 0..12),
            b in prop::collection::vec("[abc]{0,2}", 0..12),
        ) {
            // An empty v2 in either list switches to keys: both ways are walked.
            let make = |list: &[String]| -> Vec<Finding> {
                list.iter().map(|t| finding(t, Some("f"), Some(1), t)).collect()
            };
            let (a, b) = (make(&a), make(&b));
            let there = compare(&a, &b);
            prop_assert_eq!(there.new.len() + there.unchanged.len(), b.len());
            prop_assert_eq!(there.fixed.len() + there.unchanged.len(), a.len());
            let back = compare(&b, &a);
            prop_assert_eq!(there.new.len(), back.fixed.len());
            prop_assert_eq!(compare(&a, &a).unchanged.len(), a.len());
        }
    }
}
