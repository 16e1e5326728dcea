//! Who sleeps, who searches, and whom to wake.
//!
//! Whoever makes work visible looks for a sleeper afterwards; whoever goes to sleep says so first and looks for work
//! afterwards. Between the two steps each has a `SeqCst` fence, so one of the two sees the other. A pusher wakes nobody
//! while somebody searches: the searcher finds the work, or says that it searches no more, passes a fence and looks again.
//! The last searcher that finds work does so too, and wakes the next one if there is more.
//!
//! Who naps is a sleeper who looks by himself before long. A worker with more than it does next then calls nobody; all others
//! still do.
//!
//! ORDERING: the words themselves are Relaxed: all that counts is which side's fence comes first, and a thread that takes
//! work synchronises with the queue that it takes it from.

use blitz_core::primitive::sync::atomic::Ordering::{Relaxed, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicU64, AtomicUsize, fence};

/// One bit per worker, and a count.
#[derive(Debug)]
pub(in crate::scheduler) struct Idle {
    /// Bit `i % 64` of word `i / 64`: worker `i` sleeps, or is about to, and nobody has claimed it to wake it.
    sleepers: Box<[AtomicU64]>,
    /// Workers that look for work elsewhere, and those claimed that do not know it yet.
    searching: AtomicUsize,
    /// Workers that sleep for a moment and then look by themselves.
    napping: AtomicUsize,
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
            napping: AtomicUsize::new(0),
            workers,
        }
    }

    /// Whether waking somebody would help, as it looked a moment ago. For the owner of a queue, who will run the work
    /// himself if this errs.
    #[inline]
    pub(in crate::scheduler) fn is_worth_waking(&self) -> bool {
        self.searching.load(Relaxed) == 0 && self.has_sleepers() && self.napping.load(Relaxed) == 0
    }

    /// The caller will sleep, for a moment only: whoever has a surplus leaves it to him to come for it.
    pub(in crate::scheduler) fn begin_nap(&self) {
        self.napping.fetch_add(1, Relaxed);
    }

    /// The caller is awake again.
    pub(in crate::scheduler) fn end_nap(&self) {
        self.napping.fetch_sub(1, Relaxed);
    }

    fn has_sleepers(&self) -> bool {
        self.sleepers.iter().any(|word| word.load(Relaxed) != 0)
    }

    /// After work was made visible: claims a sleeper, who is counted as searching from here on. The caller unparks it.
    pub(in crate::scheduler) fn wake_one(&self) -> Option<usize> {
        loop {
            // ORDERING: pairs with the fence in `sleep`: the work was published before, we look for sleepers after. In
            // the second round, and after `stop_search`: we counted ourselves out before, and look after, so a pusher
            // who relied on our search is answered.
            fence(SeqCst);
            if self.searching.load(Relaxed) != 0 || !self.has_sleepers() {
                return None;
            }
            // Counted before the claim, so that the claimed one may stop searching at once.
            self.searching.fetch_add(1, Relaxed);
            if let Some(index) = self.claim() {
                return Some(index);
            }
            if self.searching.fetch_sub(1, Relaxed) != 1 {
                return None;
            }
            // For a moment we stood for a searcher, and somebody may have relied on that: look again.
        }
    }

    /// The same, whoever else is counted as searching: one of those may be stuck on its way.
    pub(in crate::scheduler) fn wake_another(&self) -> Option<usize> {
        self.searching.fetch_add(1, Relaxed);
        let index = self.claim();
        if index.is_none() {
            // Somebody may have relied on us for a moment; who comes here comes again.
            self.searching.fetch_sub(1, Relaxed);
        }
        index
    }

    fn claim(&self) -> Option<usize> {
        for (at, word) in self.sleepers.iter().enumerate() {
            let mut seen = word.load(Relaxed);
            while seen != 0 {
                let bit = seen & seen.wrapping_neg();
                let before = word.fetch_and(!bit, Relaxed);
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
        if 2 * self.searching.load(Relaxed) >= self.workers {
            return false;
        }
        self.searching.fetch_add(1, Relaxed);
        true
    }

    /// The caller searches no more. Answers whether it was the last: then it must look for work once more, and wake the next one if
    /// there is any, for somebody may have relied on it.
    pub(in crate::scheduler) fn stop_search(&self) -> bool {
        let was_last = self.searching.fetch_sub(1, Relaxed) == 1;
        if was_last {
            // ORDERING: pairs with the fence in `wake_one`: we said that we search no more, and look for work after; a pusher who
            // relied on our search had published its work before.
            fence(SeqCst);
        }
        was_last
    }

    /// Worker `index` is about to sleep. It must look for work once more before it does.
    pub(in crate::scheduler) fn sleep(&self, index: usize, searching: bool) {
        let (word, bit) = self.place(index);
        word.fetch_or(bit, Relaxed);
        if searching {
            self.searching.fetch_sub(1, Relaxed);
        }
        // ORDERING: pairs with the fence in `wake_one`: we said that we sleep, and search no more, and look for work after.
        fence(SeqCst);
    }

    /// Worker `index` is awake again. Answers whether it was claimed: then it is counted as searching.
    pub(in crate::scheduler) fn awake(&self, index: usize) -> bool {
        let (word, bit) = self.place(index);
        word.fetch_and(!bit, Relaxed) & bit == 0
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
    fn another_is_woken_while_the_one_that_was_claimed_does_not_come() {
        let idle = Idle::new(2);
        idle.sleep(0, false);
        idle.sleep(1, false);
        assert_eq!(idle.wake_one(), Some(0));
        // It is stuck on its way: a pusher relies on it.
        assert_eq!(idle.wake_one(), None);
        assert_eq!(idle.wake_another(), Some(1));
        assert_eq!(idle.wake_another(), None);
        assert!(idle.awake(1));
        assert!(!idle.stop_search());
        idle.sleep(1, false);
        assert_eq!(idle.wake_another(), Some(1));
        assert!(!idle.stop_search());
        // It comes after all, and the count is as it should be.
        assert!(idle.awake(0));
        assert!(idle.stop_search());
        assert_eq!(idle.wake_one(), None);
    }

    #[test]
    fn a_surplus_waits_for_who_naps_and_nothing_else_does() {
        let idle = Idle::new(2);
        idle.sleep(0, false);
        assert!(idle.is_worth_waking());
        idle.begin_nap();
        idle.sleep(1, false);
        assert!(!idle.is_worth_waking());
        assert_eq!(idle.wake_one(), Some(0));
        assert!(idle.awake(0));
        assert!(idle.stop_search());
        assert_eq!(idle.wake_one(), Some(1), "who naps can be called too");
        idle.end_nap();
        assert!(idle.awake(1));
        assert!(idle.stop_search());
        idle.sleep(0, false);
        assert!(idle.is_worth_waking());
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
