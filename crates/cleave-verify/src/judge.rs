//! Decides from a row's readings whether it differs. Pure; docs/design/verify.md has the argument.

/// A row (or, without a key, all rows of one content) as one statement saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Count, hash and column hashes.
    pub(crate) content: Vec<i64>,
    /// Changes whenever the row is written, even with the same content: a hash of table, place and transaction.
    pub(crate) version: i64,
}

/// One round's readings of a row: home, then (after the follower has caught up with that) follower, then home again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) home_before: Option<Reading>,
    pub(crate) follower: Option<Reading>,
    pub(crate) home_after: Option<Reading>,
    /// True if every transaction that was writing to the home's table just before the previous round's last reading
    /// had ended before this round's first one.
    pub(crate) writers_gone: bool,
    /// True if nothing that the follower may know was hidden from the last reading, or if that could not matter.
    pub(crate) nothing_hidden: bool,
}

/// A difference seen in one round, to be confirmed by the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspicion {
    pub(crate) home: Option<Reading>,
    pub(crate) follower: Option<Reading>,
    /// As in [`Round`].
    pub(crate) nothing_hidden: bool,
}

/// What is known about a row after a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The follower has what the home had.
    Equal,
    /// The difference is real.
    Different(Suspicion),
    /// Another round is needed. A difference that stood still is kept for it.
    Open(Option<Suspicion>),
}

/// Judges a round, given what the previous one left open.
pub(crate) fn judge(previous: Option<&Suspicion>, round: Round) -> Verdict {
    let follower_content = content(round.follower.as_ref());
    if follower_content == content(round.home_after.as_ref())
        || follower_content == content(round.home_before.as_ref())
    {
        return Verdict::Equal;
    }
    if round.home_before != round.home_after {
        return Verdict::Open(None);
    }
    let nothing_hidden = round.nothing_hidden;
    let seen = Suspicion { home: round.home_after, follower: round.follower, nothing_hidden };
    let stood_still = previous.is_some_and(|previous| {
        previous.nothing_hidden && previous.home == seen.home && previous.follower == seen.follower
    });
    if round.writers_gone && stood_still { Verdict::Different(seen) } else { Verdict::Open(Some(seen)) }
}

/// Readings of a row on both sides, for a repair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BothSides<'r> {
    pub(crate) home: Option<&'r Reading>,
    pub(crate) follower: Option<&'r Reading>,
}

/// Whether the follower may be given what the home has: it differs, and nobody touched the row on either side between the
/// readings before the follower had caught up and those after it was stopped.
pub(crate) fn may_repair(before: BothSides<'_>, after: BothSides<'_>) -> bool {
    let stood_still = before.home == after.home && before.follower == after.follower;
    stood_still && content(after.home) != content(after.follower)
}

/// How often the row is there.
pub(crate) fn count(reading: Option<&Reading>) -> u64 {
    reading.and_then(|reading| reading.content.first()).map_or(0, |count| count.unsigned_abs())
}

fn content(reading: Option<&Reading>) -> Option<&[i64]> {
    reading.map(|reading| reading.content.as_slice())
}

#[cfg(test)]
mod tests;
