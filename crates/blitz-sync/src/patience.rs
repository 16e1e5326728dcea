//! A moment of patience before one stands in a line: whoever finds nothing looks again, and lets the other side get ahead if it
//! is at work just now.
//!
//! Two threads at the two ends of one queue, equally fast, meet at every value otherwise: whoever is a little faster finds
//! nothing each time, stands in line, and has to be woken for one value. After a moment there are many, which are taken in one go
//! while nobody else touches their cache lines: as many as the other side can go on with alone. If it does not move, it is no more
//! than a moment: one waits as ever, and the next few do so at once.

use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;

use crate::races::{let_ahead, spin};

/// So many spins for the other side to show that it is at work.
const LOOK: usize = 2;
/// So many more, at least, for it to get ahead.
const AHEAD: usize = 16;
/// After a moment that was in vain, so many go without one.
const SKIPS: usize = 15;

/// What has become of the last moments at one end of a queue.
pub(crate) struct Patience {
    /// How many more go without one.
    skips: AtomicUsize,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            skips: AtomicUsize::new(0),
        }
    }

    /// To be asked once by one who has found nothing: waits a moment. Answers whether the other side, of whose moves each adds one to
    /// `mark`, has moved meanwhile, so that another try is worth it; if it goes on at a pace, only after it has made `enough`.
    #[cold]
    #[inline(never)]
    pub(crate) fn pays(&self, enough: usize, mark: impl Fn() -> usize) -> bool {
        // Another look is nothing new to a model.
        if cfg!(loom) {
            return false;
        }
        // ORDERING: Relaxed, here and below: a guess; two at once may count one too few.
        let skips = self.skips.load(Relaxed);
        if skips != 0 {
            // ORDERING: as above.
            self.skips.store(skips - 1, Relaxed);
            return false;
        }
        let before = mark();
        spin(LOOK);
        if mark() == before {
            // ORDERING: as above.
            self.skips.store(SKIPS, Relaxed);
            return false;
        }
        let_ahead(AHEAD, enough, mark);
        true
    }
}
