//! Where a stream stands: (system identifier, timeline, commit end LSN).

use std::{fmt, str::FromStr};

/// A byte position in one server's write-ahead log. Compare only within one system identifier and timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A text that is not an LSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLsn(pub String);

impl fmt::Display for InvalidLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a log position such as 16/B374D848", self.0)
    }
}

impl std::error::Error for InvalidLsn {}

impl fmt::Display for Lsn {
    /// As the server prints it: `16/B374D848` (`pg_lsn`, manual section 8.20).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = InvalidLsn;

    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let half = |digits: &str| {
            let hex =
                !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if hex { u64::from_str_radix(digits, 16).ok() } else { None }
        };
        let parsed = text.split_once('/').and_then(|(high, low)| Some((half(high)? << 32) | half(low)?));
        parsed.map(Lsn).ok_or_else(|| InvalidLsn(text.to_owned()))
    }
}

/// What a stream has durably applied. `lsn` is the *end* of the last applied transaction's commit record: a
/// transaction is skipped if and only if its commit LSN is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// `system_identifier` of `IDENTIFY_SYSTEM`: another one means another cluster.
    pub system_identifier: u64,
    /// Timeline of `IDENTIFY_SYSTEM`: another one means a promotion or a restore.
    pub timeline: u32,
    /// Commit end LSN.
    pub lsn: Lsn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_is_printed_and_read_as_the_server_does() {
        let lsn = Lsn(0x16_B374_D848);
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse(), Ok(lsn));
        for bad in ["", "16", "/", "16/", "+1/2", "1/123456789", "x/1"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }
}
