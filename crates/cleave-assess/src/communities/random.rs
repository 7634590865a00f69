//! A small source of chance that anybody can repeat (SplitMix64, Steele, Lea and Flood 2014): the same seed gives the
//! same numbers on every machine and in every release.

/// A stream of numbers from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// Below `limit`, which is at least 1. The bias of the remainder is below 2^-32 for what is counted here.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// Puts the items into an order of chance.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A number from 0 to 1 that belongs to a seed and a pair, whichever comes first in it.
pub(crate) fn of_pair(seed: u64, a: usize, b: usize) -> f64 {
    let (low, high) = (a.min(b) as u64, a.max(b) as u64);
    let bits = mixed(seed ^ mixed(low.wrapping_mul(STEP) ^ mixed(high.wrapping_add(STEP))));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, of_pair};

    #[test]
    fn the_same_seed_gives_the_same_numbers_as_the_published_algorithm() {
        let mut random = Random::with_seed(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_pair_has_one_number_in_both_orders_and_it_spreads_over_the_unit() {
        assert_eq!(of_pair(7, 3, 9).to_bits(), of_pair(7, 9, 3).to_bits());
        let mean = (0..1000).map(|at| of_pair(1, at, at + 1)).sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
