//! Who sleeps, who searches, and whom to wake.
//!
//! Whoever makes work visible looks for a sleeper afterwards; whoever goes to sleep says so first and looks for work
//! afterwards. All of these are `SeqCst`, so one of the two sees the other. A pusher wakes nobody while somebody searches:
//! the searcher finds the work, or looks once more after it has stopped counting itself; and the last searcher that finds
//! work wakes the next one.

use blitz_core::primitive::sync::atomic::Ordering::{Relaxed, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicU64, AtomicUsize, fence};

/// One bit per worker, and a count.
#[derive(Debug)]
pub(in crate::scheduler) struct Idle {
    /// Bit `i % 64` of word `i / 64`: worker `i` sleeps, or is about to, and nobody has claimed it to wake it.
    sleepers: Box<[AtomicU64]>,
    /// Workers that look for work elsewhere, and those claimed that do not know it yet.
    searching: AtomicUsize,
    workers: usize,
}

impl Idle {
    pub(in crate::scheduler) fn new(workers: usize) -> Self {
        let words = (0..workers.div_ceil(64))
            .map(|_| AtomicU64::new(0))
            .collect();
        Self {
            sleepers: words,
            searching: AtomicUsize::new(0),
            workers,
        }
    }

    /// Whether waking somebody would help, as it looked a moment ago. For the owner of a queue, who will run the work
    /// himself if this errs.
    #[inline]
    pub(in crate::scheduler) fn is_worth_waking(&self) -> bool {
        // ORDERING: Relaxed: a hint. `wake_one` decides.
        self.searching.load(Relaxed) == 0
            && self.sleepers.iter().any(|word| word.load(Relaxed) != 0)
    }

    /// After work was made visible: claims a sleeper, who is counted as searching from here on. The caller unparks it.
    pub(in crate::scheduler) fn wake_one(&self) -> Option<usize> {
        // ORDERING: SeqCst, pairs with the fence in `sleep`: the work was published before, we look for sleepers after.
        fence(SeqCst);
        loop {
            // ORDERING: SeqCst: see above.
            if self.searching.load(SeqCst) != 0
                || self.sleepers.iter().all(|word| word.load(SeqCst) == 0)
            {
                return None;
            }
            // ORDERING: SeqCst, as the loads above: all of this module is in one order. Counted before the claim, so that
            // the claimed one may stop searching at once.
            self.searching.fetch_add(1, SeqCst);
            if let Some(index) = self.claim() {
                return Some(index);
            }
            // ORDERING: SeqCst: as `stop_search`.
            if self.searching.fetch_sub(1, SeqCst) != 1 {
                return None;
            }
            // For a moment we stood for a searcher, and somebody may have relied on that: look again.
        }
    }

    fn claim(&self) -> Option<usize> {
        for (at, word) in self.sleepers.iter().enumerate() {
            // ORDERING: SeqCst, and the claim below: one order with `sleep` and `awake`.
            let mut seen = word.load(SeqCst);
            while seen != 0 {
                let bit = seen & seen.wrapping_neg();
                let before = word.fetch_and(!bit, SeqCst);
                if before & bit != 0 {
                    return Some(at * 64 + bit.trailing_zeros() as usize);
                }
                seen = before & !bit;
            }
        }
        None
    }

    /// Counts the caller as searching, unless half of the workers are.
    pub(in crate::scheduler) fn start_search(&self) -> bool {
        // ORDERING: Relaxed: only a limit.
        if 2 * self.searching.load(Relaxed) >= self.workers {
            return false;
        }
        // ORDERING: SeqCst: see `wake_one`.
        self.searching.fetch_add(1, SeqCst);
        true
    }

    /// The caller searches no more. Answers whether it was the last.
    pub(in crate::scheduler) fn stop_search(&self) -> bool {
        // ORDERING: SeqCst: who saw us counted has relied on our next look, which comes after this.
        self.searching.fetch_sub(1, SeqCst) == 1
    }

    /// Worker `index` is about to sleep. It must look for work once more before it does.
    pub(in crate::scheduler) fn sleep(&self, index: usize, searching: bool) {
        let (word, bit) = self.place(index);
        word.fetch_or(bit, SeqCst);
        if searching {
            self.searching.fetch_sub(1, SeqCst);
        }
        // ORDERING: SeqCst, pairs with the fence in `wake_one`: we said that we sleep and look for work after.
        fence(SeqCst);
    }

    /// Worker `index` is awake again. Answers whether it was claimed: then it is counted as searching.
    pub(in crate::scheduler) fn awake(&self, index: usize) -> bool {
        let (word, bit) = self.place(index);
        // ORDERING: SeqCst with the claim: one of the two gets the bit.
        word.fetch_and(!bit, SeqCst) & bit == 0
    }

    fn place(&self, index: usize) -> (&AtomicU64, u64) {
        (&self.sleepers[index / 64], 1 << (index % 64))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_is_woken_at_a_time_and_each_is_claimed_once() {
        let idle = Idle::new(130);
        assert_eq!(idle.wake_one(), None);
        for index in [0, 64, 129] {
            idle.sleep(index, false);
        }
        assert_eq!(idle.wake_one(), Some(0));
        assert_eq!(
            idle.wake_one(),
            None,
            "the first one is counted as searching"
        );
        assert!(idle.awake(0));
        assert!(idle.stop_search());
        assert_eq!(idle.wake_one(), Some(64));
        assert!(idle.stop_search());
        assert!(!idle.awake(129), "it woke by itself");
        assert!(idle.awake(64));
        assert_eq!(idle.wake_one(), None);
    }

    #[test]
    fn at_most_half_search() {
        let idle = Idle::new(4);
        assert!(idle.start_search());
        assert!(idle.start_search());
        assert!(!idle.start_search());
        assert!(!idle.stop_search());
        assert!(idle.stop_search());
        let alone = Idle::new(1);
        assert!(alone.start_search());
        assert!(!alone.start_search());
    }
}
