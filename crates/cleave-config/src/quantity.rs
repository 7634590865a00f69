//! Durations and sizes as people write them: `500ms`, `10min`, `256MB`.

use std::{fmt, time::Duration};

/// A text that is not a duration or size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidQuantity {
    /// What would be one, for the hint.
    pub expected: &'static str,
}

impl fmt::Display for InvalidQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for InvalidQuantity {}

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 4] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];

/// Reads `500ms`, `30s`, `10min`, `1h`, `7d`: a whole number above 0 and one unit, as in PostgreSQL's settings.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidQuantity> {
    let expected = "a number above 0 with the unit ms, s, min, h or d, such as 500ms";
    parse(text, &DURATION_UNITS).map(Duration::from_millis).ok_or(InvalidQuantity { expected })
}

/// Reads `64kB`, `256MB`, `4GB`, `1TB` as bytes: units of 1024, as in PostgreSQL's settings.
pub fn parse_size(text: &str) -> Result<u64, InvalidQuantity> {
    let expected = "a number above 0 with the unit kB, MB, GB or TB, such as 256MB";
    parse(text, &SIZE_UNITS).ok_or(InvalidQuantity { expected })
}

/// The duration in its largest whole unit; what [`parse_duration`] reads back. Parts below a millisecond are cut.
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    write(ms, &DURATION_UNITS, "ms")
}

/// The size in its largest whole unit; what [`parse_size`] reads back, for whole kilobytes.
pub fn format_size(bytes: u64) -> String {
    write(bytes, &SIZE_UNITS, " bytes")
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, text[digits..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).filter(|value| *value > 0)
}

fn write(value: u64, units: &[(&str, u64)], smallest: &str) -> String {
    match units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("{value}{smallest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_postgres_reads_them_and_written_back() {
        for text in ["500ms", "30s", "10min", "1h", "7d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["64kB", "256MB", "4GB", "1TB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_duration("90 s").unwrap(), Duration::from_secs(90));
    }

    #[test]
    fn a_quantity_without_a_known_unit_or_of_nothing_is_refused() {
        for text in
            ["", "5", "ms", "0s", "-1s", "1.5h", "1h30min", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["256mb", "1KB", "0MB", "MB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
