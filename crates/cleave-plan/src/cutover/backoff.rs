//! The lock ladder: short attempts with growing pauses and jitter, until the budget is used up.

/// Limits of the ladder, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderLimits {
    /// The longest attempt's `lock_timeout`.
    pub lock_timeout_ms: u64,
    /// All attempts and the waits between them.
    pub lock_budget_ms: u64,
}

impl LadderLimits {
    /// How long each lock of an attempt, counted from 1, may be waited for. Writers stand behind an attempt for as long
    /// as it waits, and one that crosses a transaction which takes the tables in the other order waits in vain: so there
    /// are many short ones first, [`ATTEMPTS_PER_LENGTH`] at each length. Transactions of milliseconds let them through.
    pub fn attempt_ms(&self, attempt: u32) -> u64 {
        let shorter = 3_u32.saturating_sub(attempt.saturating_sub(1) / ATTEMPTS_PER_LENGTH);
        (self.lock_timeout_ms >> shorter).max(LOCK_MS_MIN.min(self.lock_timeout_ms))
    }
}

/// An even number: the order of the locks turns at every attempt.
const ATTEMPTS_PER_LENGTH: u32 = 8;
/// A shorter wait would give up on a transaction that is about to end.
const LOCK_MS_MIN: u64 = 10;

/// How far up the ladder an attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    limits: LadderLimits,
    seed: u64,
    attempt: u32,
    spent_ms: u64,
}

/// The first pause, and the longest.
const WAIT_MS_MIN: u64 = 30;
const WAIT_MS_MAX: u64 = 2_000;

impl Backoff {
    pub(super) fn new(limits: LadderLimits, seed: u64) -> Self {
        Self { limits, seed, attempt: 0, spent_ms: 0 }
    }

    /// Books an attempt that met a lock and the wait before the next one, in milliseconds; `None` when the budget
    /// does not hold another attempt.
    pub(super) fn take_ms(&mut self) -> Option<u64> {
        let doublings = (2 * self.attempt / ATTEMPTS_PER_LENGTH).min(10);
        let ceiling = WAIT_MS_MIN.saturating_mul(1 << doublings).min(WAIT_MS_MAX);
        let wait = ceiling / 2 + self.jitter() % (ceiling / 2 + 1);
        self.attempt += 1;
        self.spent_ms += self.limits.attempt_ms(self.attempt) + wait;
        (self.spent_ms + self.limits.lock_timeout_ms <= self.limits.lock_budget_ms).then_some(wait)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): well spread, and the same for the same seed.
    fn jitter(&self) -> u64 {
        let mut z = self.seed.wrapping_add(u64::from(self.attempt + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::LadderLimits;

    #[test]
    fn attempts_grow_up_to_the_limit_and_never_above_it() {
        let ladder = |lock_timeout_ms| {
            let limits = LadderLimits { lock_timeout_ms, lock_budget_ms: 600_000 };
            [1, 8, 9, 16, 17, 24, 25, 1000].map(|attempt| limits.attempt_ms(attempt))
        };
        assert_eq!(ladder(100), [12, 12, 25, 25, 50, 50, 100, 100]);
        assert_eq!(ladder(2000), [250, 250, 500, 500, 1000, 1000, 2000, 2000]);
        assert_eq!(ladder(8), [8; 8]);
    }
}
