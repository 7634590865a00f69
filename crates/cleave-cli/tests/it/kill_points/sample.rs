//! Which kills are tried where not all are: chosen by a seed, so that a run can be repeated.

/// `CLEAVE_TEST_FULL=1` takes all, `CLEAVE_TEST_SEED` chooses others.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    full: bool,
    state: u64,
}

impl Sample {
    const SOME: usize = 3;

    pub(crate) fn from_environment() -> Self {
        let seed = std::env::var("CLEAVE_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let full = std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1");
        Self { full, state: seed.unwrap_or(1) }
    }

    /// What this seed stands for, whatever the environment says.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { full: false, state: seed }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// A sample for one more pair.
    pub(crate) fn fork(&mut self) -> Self {
        Self { full: self.full, state: self.next() }
    }

    pub(crate) fn some<T>(&mut self, all: Vec<T>) -> Vec<T> {
        self.take(Self::SOME, all)
    }

    pub(crate) fn one<T>(&mut self, all: Vec<T>) -> Vec<T> {
        self.take(1, all)
    }

    fn take<T>(&mut self, wanted: usize, mut all: Vec<T>) -> Vec<T> {
        while !self.full && all.len() > wanted {
            let out = self.next() % all.len() as u64;
            all.swap_remove(usize::try_from(out).unwrap());
        }
        all
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
