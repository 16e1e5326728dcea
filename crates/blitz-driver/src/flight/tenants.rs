//! Which thread's operations are in flight on a ring that changes threads.
//!
//! The kernel ties an operation to the thread that submitted it, and cancels it when that thread ends. So a thread that gives a
//! ring up is told how many of its operations are still in flight there, and lives until there are none.

use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many operations a thread has left behind in a ring that it gave up.
#[derive(Debug, Default)]
pub(crate) struct Left(AtomicUsize);

impl Left {
    pub(crate) fn is_none(&self) -> bool {
        // ORDERING: Relaxed: the kernel is done with an operation before anybody counts it off.
        self.0.load(Relaxed) == 0
    }
}

/// The number of a thread's time with the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenancy(u32);

impl Tenancy {
    /// Of what is not in flight.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Under the driver's submission lock.
pub(super) struct Tenants {
    now: Tenancy,
    /// In flight since this one began.
    own: usize,
    /// Those before it that have some in flight.
    before: Vec<(Tenancy, Arc<Left>)>,
}

impl Tenants {
    pub(super) fn new() -> Self {
        Self {
            now: Tenancy(0),
            own: 0,
            before: Vec::new(),
        }
    }

    /// An operation is queued.
    #[inline]
    pub(super) fn begin(&mut self) -> Tenancy {
        self.own += 1;
        self.now
    }

    /// The last answer to one has come.
    #[inline]
    pub(super) fn end(&mut self, tenancy: Tenancy) {
        if tenancy == self.now {
            self.own -= 1;
        } else {
            self.end_of_before(tenancy);
        }
    }

    #[cold]
    fn end_of_before(&mut self, tenancy: Tenancy) {
        let mut before = self.before.iter();
        if let Some(at) = before.position(|(number, _)| *number == tenancy) {
            // ORDERING: Relaxed: see `is_none`. All who count hold the submission lock.
            if self.before[at].1.0.fetch_sub(1, Relaxed) == 1 {
                self.before.swap_remove(at);
            }
        }
    }

    /// The thread gives the ring up. What is queued and not submitted counts as its own, too.
    pub(super) fn hand_over(&mut self, left: &Arc<Left>) {
        if self.own != 0 {
            // ORDERING: Relaxed: as above.
            left.0.store(std::mem::take(&mut self.own), Relaxed);
            self.before.push((self.now, Arc::clone(left)));
        }
        self.now = Tenancy(self.now.0.wrapping_add(1));
    }

    /// No answer will be looked at any more: nobody lives for one.
    pub(super) fn forget(&mut self) {
        for (_, left) in self.before.drain(..) {
            // ORDERING: Relaxed: as above.
            left.0.store(0, Relaxed);
        }
        self.own = 0;
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_thread_lives_for_its_own() {
        let mut tenants = Tenants::new();
        let lefts: [Arc<Left>; 3] = Default::default();
        let (a, b) = (tenants.begin(), tenants.begin());
        tenants.end(a);
        tenants.hand_over(&lefts[0]);
        let c = tenants.begin();
        tenants.hand_over(&lefts[1]);
        // Nothing of its own.
        tenants.hand_over(&lefts[2]);
        let none =
            |lefts: &[Arc<Left>]| lefts.iter().map(|left| left.is_none()).collect::<Vec<_>>();
        assert_eq!(none(&lefts), [false, false, true]);
        tenants.end(b);
        assert_eq!(none(&lefts), [true, false, true]);
        let d = tenants.begin();
        tenants.end(c);
        assert_eq!(none(&lefts), [true, true, true]);
        tenants.hand_over(&lefts[2]);
        assert!(!lefts[2].is_none());
        // The ring is given up.
        drop(tenants);
        assert!(lefts[2].is_none());
        let _ = d;
    }
}
