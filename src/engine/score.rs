//! One number for how bad a scan's findings are.

use crate::domain::{Finding, Severity, SeverityCounts};

/// Returns the weighted sum's share of a severity.
const fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 15.0,
        Severity::High => 8.0,
        Severity::Medium => 3.0,
        Severity::Low => 1.0,
        Severity::Info => 0.2,
    }
}

/// Counts findings by severity.
#[must_use]
pub fn counts(findings: &[Finding]) -> SeverityCounts {
    findings.iter().map(|finding| finding.severity).collect()
}

/// Returns the risk score, 0.0 to 100.0 with one decimal.
///
/// Compat: contract/scan-orchestration.md 9.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 findings do not fit into any database"
)]
pub fn risk_score(counts: &SeverityCounts) -> f64 {
    let sum: f64 = Severity::DESCENDING
        .into_iter()
        .map(|severity| weight(severity) * counts.of(severity) as f64)
        .sum();
    round((20.0 * (1.0 + sum).ln()).min(100.0), 1)
}

/// Rounds the exact binary value to `decimals`, ties to even, as Python's `round` does.
#[must_use]
pub fn round(value: f64, decimals: usize) -> f64 {
    // The formatter works on the exact decimal expansion; a multiplication by 10 would not.
    let rounded = format!("{value:.decimals$}").parse().unwrap_or(value);
    // No `-0.0` in documents.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Returns how much a second score is above a first, two decimals; none counts as 0.
#[must_use]
pub fn risk_delta(before: Option<f64>, after: Option<f64>) -> f64 {
    round(after.unwrap_or(0.0) - before.unwrap_or(0.0), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(critical: u64, high: u64, medium: u64, low: u64, info: u64) -> f64 {
        risk_score(&SeverityCounts {
            critical,
            high,
            medium,
            low,
            info,
        })
    }

    #[test]
    fn scores_are_the_contracts() {
        let table = [
            (score(0, 0, 0, 0, 0), 0.0),
            (score(0, 0, 0, 0, 1), 3.6),
            (score(0, 0, 0, 0, 3), 9.4),
            (score(0, 0, 0, 1, 0), 13.9),
            (score(0, 0, 0, 0, 5), 13.9),
            (score(0, 0, 1, 0, 0), 27.7),
            (score(0, 1, 0, 0, 0), 43.9),
            (score(1, 0, 0, 0, 0), 55.5),
            (score(0, 1, 2, 1, 1), 55.7),
            (score(3, 0, 0, 0, 0), 76.6),
            (score(9, 0, 0, 0, 0), 98.3),
            (score(10, 0, 0, 0, 0), 100.0),
            (score(u64::MAX / 2, 0, 0, 0, 0), 100.0),
        ];
        for (got, want) in table {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn rounding_takes_the_binary_value_and_ties_to_even() {
        for (value, decimals, want) in [
            (0.25, 1, 0.2),
            (0.75, 1, 0.8),
            (0.35, 1, 0.3),
            (2.5, 0, 2.0),
            (0.125, 2, 0.12),
            (2.675, 2, 2.67),
            (-0.125, 2, -0.12),
        ] {
            assert_eq!(round(value, decimals), want, "{value}");
        }
        assert!(round(-0.001, 2).is_sign_positive());
        assert_eq!(risk_delta(Some(27.7), Some(76.1)), 48.4);
        assert_eq!(risk_delta(Some(27.7), None), -27.7);
    }
}
