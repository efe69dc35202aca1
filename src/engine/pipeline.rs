//! From raw findings to rows.

use std::path::Path;

use super::dedup::dedup_with_bases;
use super::fingerprint::{number, v1};
use crate::domain::{Finding, FindingId, Fingerprint, RawFinding, ScanId};

/// Turns what the scanners of one scan said into findings: merges exact duplicates, gives each its
/// two fingerprints and its shown path, and sorts.
///
/// `show` makes the shown path of a path relative to the target (the empty text is the target);
/// `base` is the folder that v1 fingerprints are relative to. The result is in canonical order,
/// equals in the order in which they were collected, so that insertion order is the API's order.
#[must_use]
pub fn assemble(
    scan_id: &ScanId,
    show: impl Fn(&str) -> String,
    base: &Path,
    raw: Vec<RawFinding>,
) -> Vec<Finding> {
    let (raw, bases) = dedup_with_bases(raw);
    let identities = number(&raw, &bases);
    let mut findings: Vec<Finding> = raw
        .into_iter()
        .zip(identities)
        .map(|(raw, v2)| {
            let shown = raw.file_path.as_deref().map(&show);
            let v1 = v1(&raw, shown.as_deref(), base);
            into_finding(scan_id, shown, raw, v1, v2)
        })
        .collect();
    findings.sort_by(|a, b| a.canonical_key().cmp(&b.canonical_key()));
    findings
}

fn into_finding(
    scan_id: &ScanId,
    file_path: Option<String>,
    raw: RawFinding,
    fingerprint: Fingerprint,
    fingerprint_v2: Fingerprint,
) -> Finding {
    Finding {
        id: FindingId::random(),
        scan_id: scan_id.clone(),
        scanner: raw.scanner.to_owned(),
        scan_type: raw.scan_type.as_str().to_owned(),
        severity: raw.severity,
        title: raw.title,
        description: raw.description,
        file_path,
        line_start: raw.line_start.map(i64::from),
        line_end: raw.line_end.map(i64::from),
        rule_id: raw.rule_id,
        cwe: raw.cwe,
        remediation: raw.remediation,
        metadata: raw.metadata,
        compliance_tags: Vec::new(),
        fingerprint,
        fingerprint_v2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ScanType, Severity};

    fn raw(file: &str, line: u32, severity: Severity) -> RawFinding {
        RawFinding::new("secrets", ScanType::Code, severity, "rule", "Title")
            .in_file(file)
            .at_line(line)
            .placed(format!("place of {file}"))
    }

    fn run(target: &str, base: &str, raw: Vec<RawFinding>) -> Vec<Finding> {
        let show = |relative: &str| {
            if relative.is_empty() {
                target.to_owned()
            } else {
                format!("{target}/{relative}")
            }
        };
        assemble(&ScanId::new("s"), show, Path::new(base), raw)
    }

    #[test]
    fn findings_come_out_in_canonical_order_with_shown_paths() {
        let findings = run(
            "/srv/shop",
            "/srv",
            vec![
                raw("b", 1, Severity::Low),
                raw("", 1, Severity::Info),
                raw("b", 9, Severity::Critical),
                raw("b", 2, Severity::Critical),
                raw("a", 5, Severity::Critical),
                raw("b", 1, Severity::Low),
            ],
        );
        let seen: Vec<_> = findings
            .iter()
            .map(|f| (f.file_path.as_deref().unwrap(), f.line_start.unwrap()))
            .collect();
        assert_eq!(
            seen,
            [
                ("/srv/shop/a", 5),
                ("/srv/shop/b", 2),
                ("/srv/shop/b", 9),
                ("/srv/shop/b", 1),
                ("/srv/shop", 1)
            ]
        );
    }

    #[test]
    fn a_hundred_thousand_findings_take_well_under_a_second_when_optimised() {
        let many: Vec<RawFinding> = (0..100_000)
            .map(|n| raw(&format!("src/{}.py", n % 997), n, Severity::Medium))
            .collect();
        let start = std::time::Instant::now();
        assert_eq!(run("/srv", "/srv", many).len(), 100_000);
        let took = start.elapsed();
        eprintln!("assembled 100,000 findings in {took:?}");
        // A debug build on a busy machine; the release figure is a tenth of this.
        assert!(took.as_secs() < 20, "{took:?}");
    }

    proptest! {
        #[test]
        fn the_targets_spelling_does_not_change_v2(
            lines in prop::collection::vec(1u32..50, 0..20),
            target in "[a-z./]{0,8}",
            base in "/[a-z]{0,3}",
        ) {
            let raw = |lines: &[u32]| -> Vec<RawFinding> {
                lines.iter().map(|l| raw("x/y", *l, Severity::Low)).collect()
            };
            let here: Vec<_> = run("/srv/shop", "/srv", raw(&lines)).into_iter().map(|f| f.fingerprint_v2).collect();
            let there: Vec<_> = run(&target, &base, raw(&lines)).into_iter().map(|f| f.fingerprint_v2).collect();
            prop_assert_eq!(here, there);
        }
    }
}
