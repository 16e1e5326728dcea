//! Random choices of a scheduler: whom to rob first, where to send a task. Fast and seeded; no secret hangs on it.

/// One worker's stream of numbers (xorshift with a multiplied output).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed` for worker `index`; neighbours' streams are unlike each other.
    pub fn new(seed: u64, index: usize) -> Self {
        // One round of splitmix: it spreads close seeds far apart and leaves out the one state that never moves.
        let mut state = seed.wrapping_add(
            (index as u64)
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((state ^ (state >> 31)) | 1)
    }

    /// The next number.
    #[inline]
    pub fn step(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        (((self.step() >> 32) * bound as u64) >> 32) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_and_stays_below_the_bound() {
        let (mut a, mut b) = (Rng::new(7, 3), Rng::new(7, 3));
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            let x = a.below(5);
            assert_eq!(x, b.below(5));
            seen[x] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_ne!(Rng::new(7, 3).step(), Rng::new(7, 4).step());
        assert_ne!(Rng::new(0, 0).step(), 0);
    }
}
