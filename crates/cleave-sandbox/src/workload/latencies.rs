//! How long commits took, in memory that does not grow with their number.

use std::time::Duration;

/// Each power of two of microseconds is divided into this many buckets: a percentile is at most 1/16 too high.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) * STEPS as usize;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: Duration::ZERO }
    }
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The duration that `percent` of all (0 to 100) do not exceed, at most 1/16 too high; zero if there are none.
    pub fn percentile(&self, percent: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among fewer than 2^52 durations"
        )]
        let rank = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_bound(index)).min(self.max);
            }
        }
        self.max
    }
}

/// Below [`STEPS`] each value has a bucket; above, the highest set bit and the bits after it choose one.
fn bucket(micros: u64) -> usize {
    let scale = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let step = micros >> scale;
    (u64::from(scale) * STEPS + step) as usize
}

/// The largest value of a bucket.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    let scale = (index / STEPS).saturating_sub(1);
    let step = index - scale * STEPS;
    (step << scale) + ((1 << scale) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_that_bounds_it() {
        let powers = (0..50).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + 1]);
        for micros in powers.chain(0..5000) {
            let bound = upper_bound(bucket(micros));
            assert!(
                bound >= micros && bound <= micros + micros / STEPS + 1,
                "{micros} is bounded by {bound}"
            );
        }
    }

    #[test]
    fn percentiles_follow_the_ranks() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50.0), Duration::ZERO);
        (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let at = |percent| latencies.percentile(percent).as_millis();
        assert!((50..=53).contains(&at(50.0)), "{}", at(50.0));
        assert!((95..=100).contains(&at(95.0)), "{}", at(95.0));
        assert_eq!((at(100.0), latencies.max().as_millis(), latencies.count()), (100, 100, 100));
    }

    #[test]
    fn the_longest_possible_duration_has_a_bucket() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::MAX);
        assert_eq!(latencies.percentile(50.0), Duration::from_micros(u64::MAX));
    }
}
