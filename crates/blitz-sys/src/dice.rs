//! Numbers that follow from a seed, for the faults that tests inject.

/// Numbers that follow from a seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// What `seed` says `about` a thing that these words name.
    pub(crate) fn new(seed: u64, about: &[u64]) -> Self {
        let mut dice = Self(seed);
        for word in about {
            dice.0 = dice.next() ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        dice
    }

    /// The step of splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn hits(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}
