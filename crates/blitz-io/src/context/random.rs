//! Random choices of tasks and macros, from a runtime's seed.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where a thread that enters a runtime gets the beginning of its row of numbers from.
#[derive(Debug)]
pub(crate) struct Seeds(AtomicU64);

/// The golden ratio's fraction: steps that spread evenly (Steele, Lea and Flood, "SplitMix", OOPSLA 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(super) fn next(&self) -> Row {
        // ORDERING: Relaxed: only unlike the others.
        Row(Cell::new(mix(self.0.fetch_add(STEP, Relaxed))))
    }
}

/// A row of numbers that is one thread's own.
#[derive(Debug)]
pub(super) struct Row(Cell<u64>);

impl Row {
    pub(super) const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&self, bound: u32) -> u32 {
        let state = self.0.get().wrapping_add(STEP);
        self.0.set(state);
        // The upper half of a product falls evenly below the bound, but for a bias of bound / 2^32.
        ((u64::from(mix(state) as u32) * u64::from(bound)) >> 32) as u32
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_repeats_from_its_seed_and_stays_below_its_bound() {
        let rows = [(); 2].map(|()| Seeds::new(7).next());
        let mut seen = [0; 3];
        for _ in 0..300 {
            let number = rows[0].below(3);
            assert_eq!(number, rows[1].below(3));
            seen[number as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        let seeds = Seeds::new(7);
        let (first, second) = (seeds.next(), seeds.next());
        assert!((0..10).any(|_| first.below(1000) != second.below(1000)));
    }
}
