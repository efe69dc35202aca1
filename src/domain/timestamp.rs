//! Moments as the wire and the database write them.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeZone};
use serde::{Serialize, Serializer};

/// A moment without a zone, as text `2026-11-23T12:44:35.799136`.
///
/// Microsecond precision; the fraction is left out when it is zero. Whether it is local time or
/// UTC depends on the field (scans: local, everything else: UTC; contract/http-api.md 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NaiveDateTime);

impl Timestamp {
    /// Drops the zone and everything below a microsecond.
    #[must_use]
    pub fn naive<Tz: TimeZone>(moment: &DateTime<Tz>) -> Self {
        Self::from_naive(moment.naive_local())
    }

    /// Drops everything below a microsecond.
    #[must_use]
    pub fn from_naive(moment: NaiveDateTime) -> Self {
        use chrono::{DurationRound, TimeDelta};
        // Rounding fails only outside the years 1677..2262, where nanoseconds do not matter.
        Self(
            moment
                .duration_trunc(TimeDelta::microseconds(1))
                .unwrap_or(moment),
        )
    }

    /// Reads the text form; `None` for anything else. Accepts a space for the `T`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(Self::from_naive)
    }

    /// Returns the moment for arithmetic.
    #[must_use]
    pub const fn as_naive(&self) -> NaiveDateTime {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.and_utc().timestamp_subsec_micros() == 0 {
            write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S"))
        } else {
            write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S%.6f"))
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_the_contracts() {
        for text in [
            "2026-11-23T12:44:35.799136",
            "2026-11-23T12:44:35",
            "2026-11-23T12:44:35.000001",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Timestamp::parse("2026-11-23T12:44:35.5")
                .unwrap()
                .to_string(),
            "2026-11-23T12:44:35.500000"
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
