//! What happens in a scan, as told to everybody who listens.

use serde_json::{Map, Value, json};

/// Longest error text in an event, in characters (contract/events-webhooks-notifications.md 1).
const ERROR_CHARS: usize = 200;

/// One step in the life of a scan. `Complete`, `Failed` and `Cancelled` are terminal: each started
/// scan has exactly one of them, and it comes last.
#[derive(Debug, Clone, PartialEq)]
pub enum ScanEvent {
    /// The scan runs.
    Start {
        /// As stored.
        target: String,
        /// Scanners selected, including those that will be skipped.
        scanner_count: usize,
    },
    /// A selected scanner cannot be asked.
    ScannerSkipped {
        /// Name.
        scanner: String,
        /// Why.
        reason: String,
    },
    /// A scanner begins.
    ScannerStart {
        /// Name.
        scanner: String,
    },
    /// A scanner did its work.
    ScannerComplete {
        /// Name.
        scanner: String,
        /// Seconds.
        duration_s: f64,
        /// Before deduplication.
        findings_count: usize,
    },
    /// A scanner could not do its work.
    ScannerFailed {
        /// Name.
        scanner: String,
        /// Seconds.
        duration_s: f64,
        /// Why; cut at 200 characters.
        error: String,
    },
    /// Results are stored.
    Complete {
        /// As stored.
        target: String,
        /// Seconds.
        duration_s: f64,
        /// Scanners that succeeded.
        scanner_count: usize,
        /// After deduplication.
        findings_count: usize,
    },
    /// The scan ended without results.
    Failed {
        /// Why; cut at 200 characters.
        error: String,
    },
    /// A person ended the scan.
    Cancelled,
}

impl ScanEvent {
    /// Returns the event's name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "scan.start",
            Self::ScannerSkipped { .. } => "scanner.skipped",
            Self::ScannerStart { .. } => "scanner.start",
            Self::ScannerComplete { .. } => "scanner.complete",
            Self::ScannerFailed { .. } => "scanner.failed",
            Self::Complete { .. } => "scan.complete",
            Self::Failed { .. } => "scan.failed",
            Self::Cancelled => "scan.cancelled",
        }
    }

    /// Tells whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Complete { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }

    /// Returns the payload, its fields in wire order. The scan's id is not part of it.
    #[must_use]
    pub fn payload(&self) -> Map<String, Value> {
        let value = match self {
            Self::Start {
                target,
                scanner_count,
            } => {
                json!({"target": target, "scanner_count": scanner_count})
            }
            Self::ScannerSkipped { scanner, reason } => {
                json!({"scanner": scanner, "reason": reason})
            }
            Self::ScannerStart { scanner } => json!({"scanner": scanner}),
            Self::ScannerComplete {
                scanner,
                duration_s,
                findings_count,
            } => json!({
                "scanner": scanner,
                "duration_s": hundredths(*duration_s),
                "findings_count": findings_count,
            }),
            Self::ScannerFailed {
                scanner,
                duration_s,
                error,
            } => json!({
                "scanner": scanner,
                "duration_s": hundredths(*duration_s),
                "error": cut(error),
            }),
            Self::Complete {
                target,
                duration_s,
                scanner_count,
                findings_count,
            } => json!({
                "target": target,
                "duration_s": hundredths(*duration_s),
                "scanner_count": scanner_count,
                "findings_count": findings_count,
            }),
            Self::Failed { error } => json!({"error": cut(error)}),
            Self::Cancelled => json!({}),
        };
        match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

fn cut(text: &str) -> String {
    text.chars().take(ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::spaced_ascii;

    #[test]
    fn payloads_have_the_contracts_fields_in_order() {
        let complete = ScanEvent::Complete {
            target: "/srv/demo/shop".into(),
            duration_s: 0.0188,
            scanner_count: 5,
            findings_count: 11,
        };
        assert_eq!(
            spaced_ascii(&complete.payload()).unwrap(),
            r#"{"target": "/srv/demo/shop", "duration_s": 0.02, "scanner_count": 5, "findings_count": 11}"#
        );
        assert_eq!(spaced_ascii(&ScanEvent::Cancelled.payload()).unwrap(), "{}");
        let failed = ScanEvent::Failed {
            error: "é".repeat(300),
        };
        assert_eq!(
            failed.payload()["error"].as_str().unwrap().chars().count(),
            200
        );
    }
}
