//! Tokens: what a transaction of the workload leaves behind, so that it can be found again.

use std::fmt;

/// Bits of a token that count; the bits above tell one workload from another.
const COUNTER_BITS: u32 = 40;

/// The unique number of one transaction of a workload, for a column of type `bigint`. That column should have no
/// unique constraint: it would hide a transaction that was applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(i64);

impl Token {
    /// The number as it stands in the database.
    pub fn value(self) -> i64 {
        self.0
    }

    /// The token of that number.
    pub fn from_value(value: i64) -> Self {
        Self(value)
    }

    /// Which workload the token is from.
    pub fn run(self) -> RunId {
        RunId(self.0 >> COUNTER_BITS)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells the tokens of one workload from those of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(i64);

impl RunId {
    /// A new id: random, because several processes may write into one table.
    pub(crate) fn random() -> Self {
        Self(fastrand::i64(1..1 << 22))
    }

    /// The workload's token of that number, counted from 1.
    pub(crate) fn token(self, number: u64) -> Token {
        debug_assert!(number < 1 << COUNTER_BITS, "a workload ran out of tokens");
        Token(self.0 << COUNTER_BITS | number.cast_signed())
    }
}

/// Which tables a transaction writes its token to; the oracle is told where tokens of each kind must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(&'static str);

impl Kind {
    /// The token is written to one table.
    pub const SINGLE: Self = Self("single");

    /// The token is written to tables on both sides of a boundary, and must be in both or in neither.
    pub const PAIR: Self = Self("pair");

    /// A kind of one's own.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_two_workloads_differ_and_tell_their_workload() {
        let (one, two) = (RunId(1), RunId((1 << 22) - 1));
        assert_ne!(one.token(7), two.token(7));
        assert_eq!(two.token(7).run(), two);
        assert_eq!(two.token((1 << COUNTER_BITS) - 1).run(), two);
        assert!(two.token(7).value() > 0);
    }
}
