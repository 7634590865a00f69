//! `cleave demo`.

use crate::Report;
use serde::Serialize;

/// The proof at the end of a demonstration: what every acknowledged commit of the writer became.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DemoReport {
    /// Commits that the servers acknowledged.
    pub acknowledged: u64,
    /// Of these, found exactly once at the home.
    pub found: u64,
    /// Of these, found nowhere at the home.
    pub lost: u64,
    /// Tokens found more than once.
    pub duplicated: u64,
    /// Statements that failed for good.
    pub refused: u64,
    /// Statements that were tried again after 40001 or 40P01.
    pub retried: u64,
    /// Commits without an answer, found at most once.
    pub unknown: u64,
    /// Rounds of cutover and rollback.
    pub rounds: u64,
    /// How long writers waited at the switches.
    pub pause_ms: PauseSummary,
    /// Rows that the copy moved.
    pub rows_moved: u64,
    /// How long the demonstration took.
    pub seconds: f64,
}

impl Report for DemoReport {
    const KIND: &'static str = "demo";
}

/// The spread of the write pauses, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PauseSummary {
    /// Half were shorter.
    pub p50: u64,
    /// 95 of 100 were shorter.
    pub p95: u64,
    /// The longest.
    pub max: u64,
}

impl PauseSummary {
    /// Summarises pauses by nearest rank; all zero if there were none.
    pub fn of(pauses_ms: &[u64]) -> Self {
        let mut sorted = pauses_ms.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or(0)
        };
        Self { p50: rank(50), p95: rank(95), max: rank(100) }
    }
}

impl DemoReport {
    /// True if nothing was lost, doubled or refused and every acknowledged commit was found.
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.refused == 0 && self.found == self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_summarised_by_nearest_rank() {
        assert_eq!(PauseSummary::of(&[]), PauseSummary::default());
        assert_eq!(PauseSummary::of(&[30, 10, 20]), PauseSummary { p50: 20, p95: 30, max: 30 });
    }
}
