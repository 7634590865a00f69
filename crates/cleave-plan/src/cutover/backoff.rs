//! The lock ladder: short attempts with growing pauses and jitter, until the budget is used up.

/// Limits of the ladder, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderLimits {
    /// One attempt's `lock_timeout`.
    pub lock_timeout_ms: u64,
    /// All attempts and the waits between them.
    pub lock_budget_ms: u64,
}

/// How far up the ladder an attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    limits: LadderLimits,
    seed: u64,
    attempt: u32,
    spent_ms: u64,
}

/// The first pause, and the longest.
const WAIT_MS_MIN: u64 = 50;
const WAIT_MS_MAX: u64 = 2_000;

impl Backoff {
    pub(super) fn new(limits: LadderLimits, seed: u64) -> Self {
        Self { limits, seed, attempt: 0, spent_ms: 0 }
    }

    /// Books an attempt that met a lock and the wait before the next one, in milliseconds; `None` when the budget
    /// does not hold another attempt.
    pub(super) fn take_ms(&mut self) -> Option<u64> {
        let ceiling = WAIT_MS_MIN.saturating_mul(1 << self.attempt.min(10)).min(WAIT_MS_MAX);
        let wait = ceiling / 2 + self.jitter() % (ceiling / 2 + 1);
        self.attempt += 1;
        self.spent_ms += self.limits.lock_timeout_ms + wait;
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
