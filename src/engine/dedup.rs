//! Merges what was said twice, and nothing else.
//!
//! Invariant: two findings are merged only when they agree on scanner, rule, path, place, subject,
//! line and title; sharing a v1 fingerprint is not enough (contract/discrepancies-and-weaknesses.md
//! C1, C4).

use std::collections::HashMap;

use super::fingerprint::V2Base;
use crate::domain::RawFinding;

type Key = ([u8; 32], Option<u32>, String);

/// Keeps the first of each set of exact duplicates, at its position. It takes over the highest
/// severity of the set and any metadata that it lacks.
#[must_use]
pub fn dedup(raw: Vec<RawFinding>) -> Vec<RawFinding> {
    dedup_with_bases(raw).0
}

pub(super) fn dedup_with_bases(raw: Vec<RawFinding>) -> (Vec<RawFinding>, Vec<V2Base>) {
    let mut kept: Vec<RawFinding> = Vec::with_capacity(raw.len());
    let mut bases = Vec::with_capacity(raw.len());
    let mut positions: HashMap<Key, usize> = HashMap::with_capacity(raw.len());
    for finding in raw {
        let base = V2Base::of(&finding);
        let key = (base.digest(), finding.line_start, finding.title.clone());
        let position = *positions.entry(key).or_insert(kept.len());
        if let Some(first) = kept.get_mut(position) {
            absorb(first, finding);
        } else {
            kept.push(finding);
            bases.push(base);
        }
    }
    (kept, bases)
}

fn absorb(kept: &mut RawFinding, other: RawFinding) {
    kept.severity = kept.severity.max(other.severity);
    if kept.description.is_empty() {
        kept.description = other.description;
    }
    kept.line_end = kept.line_end.max(other.line_end);
    kept.cwe = kept.cwe.take().or(other.cwe);
    kept.fingerprint_cwe = kept.fingerprint_cwe.take().or(other.fingerprint_cwe);
    kept.remediation = kept.remediation.take().or(other.remediation);
    for (key, value) in other.metadata {
        kept.metadata.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ScanType, Severity};

    fn finding(place: &str, line: u32, severity: Severity) -> RawFinding {
        RawFinding::new("secrets", ScanType::Code, severity, "rule", "Title")
            .in_file("a.py")
            .placed(place)
            .at_line(line)
    }

    #[test]
    fn exact_duplicates_become_one_and_keep_the_worst_severity() {
        let kept = dedup(vec![
            finding("p", 1, Severity::Low).with("a", 1),
            finding("q", 1, Severity::Low),
            finding("p", 1, Severity::High).with("a", 2).with("b", 3),
        ]);
        assert_eq!(kept.len(), 2);
        assert_eq!(
            kept[0],
            finding("p", 1, Severity::High).with("a", 1).with("b", 3)
        );
    }

    #[test]
    fn sharing_a_v1_fingerprint_merges_nothing() {
        let port = |endpoint: &str| {
            let mut raw = RawFinding::new(
                "nmap",
                ScanType::Network,
                Severity::Medium,
                "open-port",
                "Open port 22",
            );
            raw.subject.endpoint = Some(endpoint.to_owned());
            raw
        };
        assert_eq!(
            dedup(vec![port("10.0.0.1:22"), port("10.0.0.2:22")]).len(),
            2
        );
        let lines = vec![
            finding("p", 1, Severity::Low),
            finding("p", 2, Severity::Low),
        ];
        assert_eq!(dedup(lines.clone()), lines);
    }

    proptest! {
        #[test]
        fn deduplicating_twice_changes_nothing(
            parts in prop::collection::vec(("[ab]", 1u32..3, 0usize..5), 0..30),
        ) {
            let raw: Vec<RawFinding> = parts
                .iter()
                .map(|(place, line, severity)| finding(place, *line, Severity::DESCENDING[*severity]))
                .collect();
            let once = dedup(raw.clone());
            prop_assert_eq!(dedup(once.clone()), once.clone());
            // Every place said is still there.
            for finding in &raw {
                prop_assert!(once.iter().any(|kept| kept.subject == finding.subject
                    && kept.line_start == finding.line_start
                    && kept.severity >= finding.severity));
            }
        }
    }
}
