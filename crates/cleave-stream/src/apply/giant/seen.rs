//! Which transactions a snapshot sees.

use cleave_proto::pgoutput::Xid;

/// What `pg_current_snapshot()` says: transactions before `end` that are not in `running` are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    first_running: u64,
    end: u64,
    running: Vec<u64>,
}

/// Numbers of transactions in the stream are the lower half of those in snapshots.
const HALF: u64 = 1 << 32;

impl Seen {
    /// From the server's text: `10:20:10,14`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (first, end, running) = (parts.next()?, parts.next()?, parts.next()?);
        let running = match running {
            "" => Vec::new(),
            running => running.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?,
        };
        let seen = Self { first_running: first.parse().ok()?, end: end.parse().ok()?, running };
        parts.next().is_none().then_some(seen)
    }

    /// True if a transaction that committed is in the snapshot. Numbers that far from each other that they mean something
    /// else again are never alive at once.
    pub(crate) fn sees(&self, Xid(xid): Xid) -> bool {
        let mut number = self.end / HALF * HALF + u64::from(xid);
        if number > self.end + HALF / 2 {
            number = number.saturating_sub(HALF);
        } else if number + HALF / 2 < self.end {
            number += HALF;
        }
        number < self.first_running || (number < self.end && !self.running.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_running_or_came_later_is_not_seen() {
        let seen = Seen::parse("10:20:10,14").unwrap();
        for (xid, expected) in
            [(9, true), (10, false), (11, true), (14, false), (19, true), (20, false), (21, false)]
        {
            assert_eq!(seen.sees(Xid(xid)), expected, "{xid}");
        }
        assert!(Seen::parse("20:20:").unwrap().sees(Xid(19)));
    }

    #[test]
    fn numbers_that_begin_again_are_told_apart() {
        // Just behind the wrap: 2^32 + 5.
        let seen = Seen::parse("4294967290:4294967301:4294967290").unwrap();
        assert!(!seen.sees(Xid(4_294_967_290)) && seen.sees(Xid(4_294_967_291)) && seen.sees(Xid(4)));
        assert!(!seen.sees(Xid(5)) && !seen.sees(Xid(100)));
        // Just before it.
        let seen = Seen::parse("4294967200:4294967200:").unwrap();
        assert!(seen.sees(Xid(4_294_967_199)) && !seen.sees(Xid(4_294_967_200)) && !seen.sees(Xid(3)));
    }

    #[test]
    fn what_no_server_says_is_no_snapshot() {
        for text in ["", "1:2", "1:2:x", "1:2:3:4", "a:2:"] {
            assert_eq!(Seen::parse(text), None, "{text}");
        }
    }
}
