//! The server's clock as the protocol carries it.

/// Microseconds from PostgreSQL's epoch to the Unix epoch, both at midnight UTC: 2000-01-01 minus 1970-01-01.
const UNIX_TO_POSTGRES_MICROS: i64 = 946_684_800 * 1_000_000;

/// A point in time: microseconds since 2000-01-01 00:00 UTC (`TimestampTz`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From microseconds since 1970-01-01 00:00 UTC; saturates at the ends of the range.
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(micros.saturating_sub(UNIX_TO_POSTGRES_MICROS))
    }

    /// Microseconds since 1970-01-01 00:00 UTC; saturates at the ends of the range.
    pub fn unix_micros(self) -> i64 {
        self.0.saturating_add(UNIX_TO_POSTGRES_MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_epochs_are_thirty_years_apart() {
        assert_eq!(Timestamp(0).unix_micros(), 946_684_800_000_000);
        assert_eq!(Timestamp::from_unix_micros(946_684_800_000_001), Timestamp(1));
        assert_eq!(Timestamp(i64::MAX).unix_micros(), i64::MAX);
    }
}
