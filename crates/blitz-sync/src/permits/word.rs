//! How many permits there are.

use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use crate::acquire_error::TryAcquireError;

/// How many permits there are, and whether there is a line.
///
/// ```text
///  bit 0    CLOSED   nobody gets permits any more
///  bit 1    LINE     somebody stands in line; permits go to the one in front
///  bits 2…  how many permits are free
///
///  from            move     to                 who, and what it does then
///  n free          take     n - k free         anyone, with neither flag and k <= n: has them
///  any             give     k more free        anyone; if there was LINE: takes the lock and serves the line
///  n free          queue    none free, LINE    under the lock, k > n: stands in line with n in hand
///  n free, LINE    serve    n - k free         under the lock: hands k to the one in front
///  LINE            empty    no LINE            under the lock, nobody is left in line
///  any             close    CLOSED             under the lock: tells everyone in line
///  n free          close    none free, CLOSED  anyone, with neither flag: nobody is to be told
/// ```
pub(super) struct Word(AtomicUsize);

pub(super) const CLOSED: usize = 1;
pub(super) const LINE: usize = 2;
pub(super) const ONE: usize = 4;

/// The most permits that there may be.
pub(crate) const MAX: usize = usize::MAX >> 3;

impl Word {
    /// So many free, nobody in line.
    #[cfg(not(loom))]
    pub(super) const fn new(free: usize) -> Self {
        Self(AtomicUsize::new(free * ONE))
    }

    /// So many free, nobody in line.
    #[cfg(loom)]
    pub(super) fn new(free: usize) -> Self {
        Self(AtomicUsize::new(free * ONE))
    }

    /// Nobody gets any.
    #[cfg(not(loom))]
    pub(super) const fn new_closed() -> Self {
        Self(AtomicUsize::new(CLOSED))
    }

    pub(super) fn take(&self, count: usize) -> Result<(), TryAcquireError> {
        // ORDERING: Acquire pairs with the Release in `close`, whose bit stays: what was done before that is seen by who is told; and
        // in `take_all`: who finds none sees that somebody has them in hand.
        let mut word = self.0.load(Acquire);
        loop {
            if word & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if count == 0 {
                return Ok(());
            }
            if word & LINE != 0 || word / ONE < count {
                return Err(TryAcquireError::NoPermits);
            }
            // ORDERING: Acquire pairs with the Release in `give`: what was done under a permit is seen by the next who has it; if it
            // fails, as above.
            match self
                .0
                .compare_exchange_weak(word, word - count * ONE, Acquire, Acquire)
            {
                Ok(_) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
    }

    /// Takes all, as `take` does.
    pub(super) fn take_all(&self) -> usize {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word >= ONE && word & (CLOSED | LINE) == 0 {
            // ORDERING: Acquire as in `take`; Release pairs with the Acquire there, of who finds none.
            match self.0.compare_exchange_weak(word, 0, AcqRel, Relaxed) {
                Ok(_) => return word / ONE,
                Err(seen) => word = seen,
            }
        }
        0
    }

    /// Takes up to `count`, line or not.
    pub(super) fn take_up_to(&self, count: usize) -> usize {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            let got = count.min(word / ONE);
            if got == 0 {
                return 0;
            }
            // ORDERING: Acquire as in `take`.
            match self
                .0
                .compare_exchange_weak(word, word - got * ONE, Acquire, Relaxed)
            {
                Ok(_) => return got,
                Err(seen) => word = seen,
            }
        }
    }

    /// Answers whether there is a line to serve.
    pub(super) fn give(&self, count: usize) -> bool {
        // ORDERING: Release pairs with the Acquire of whoever takes these permits.
        self.0.fetch_add(count * ONE, Release) & LINE != 0
    }

    /// Under the lock: gives what the line did not want.
    #[inline]
    pub(super) fn put_back(&self, count: usize) {
        if count != 0 {
            self.give(count);
        }
    }

    /// As `give`, but gives nothing if there would be too many.
    pub(super) fn give_checked(&self, count: usize) -> Option<bool> {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            if count > MAX - word / ONE {
                return None;
            }
            // ORDERING: Release as in `give`.
            match self
                .0
                .compare_exchange_weak(word, word + count * ONE, Release, Relaxed)
            {
                Ok(_) => return Some(word & LINE != 0),
                Err(seen) => word = seen,
            }
        }
    }

    /// Under the lock: takes `count`, or as much of it as there is and raises LINE.
    pub(super) fn queue(&self, count: usize) -> Queued {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Queued::Closed;
            }
            if word & LINE != 0 {
                return Queued::Missing(count);
            }
            let free = word / ONE;
            let (next, answer) = if free >= count {
                (word - count * ONE, Queued::Served)
            } else {
                (LINE, Queued::Missing(count - free))
            };
            // ORDERING: Acquire as in `take`.
            match self.0.compare_exchange_weak(word, next, Acquire, Relaxed) {
                Ok(_) => return answer,
                Err(seen) => word = seen,
            }
        }
    }

    pub(super) fn empty(&self) {
        // ORDERING: Relaxed: it publishes nothing, and as an exchange it goes on with the releases before it.
        self.0.fetch_and(!LINE, Relaxed);
    }

    pub(super) fn close(&self) {
        // ORDERING: Release pairs with the second look in `take`; who is told in line knows by its place.
        self.0.fetch_or(CLOSED, Release);
    }

    /// Closes if it is as `free` says, with neither flag. Who comes to the line finds it closed, or is there before.
    #[inline]
    pub(super) fn close_from(&self, free: usize) -> bool {
        // ORDERING: Relaxed: it draws a line among those who take. The value that the permit stood for is published by itself, and whoever
        // finds this closed looks for that: see `OnceCell::value`.
        self.0
            .compare_exchange(free * ONE, CLOSED, Relaxed, Relaxed)
            .is_ok()
    }

    /// What it is, as far as this thread has seen.
    #[inline]
    pub(super) fn glance(&self) -> usize {
        // ORDERING: Relaxed: it is not older than this thread's own last move, which is all that is asked of it.
        self.0.load(Relaxed)
    }

    /// Whether somebody stands in line.
    #[inline]
    pub(super) fn has_line(&self) -> bool {
        // ORDERING: SeqCst, for who has left something for those in line before this look: see `mpsc::room`.
        self.0.load(SeqCst) & LINE != 0
    }

    #[inline]
    pub(super) fn look(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `give`, so that a number that was seen can be reasoned with.
        self.0.load(Acquire)
    }
}

/// What became of one who comes to the line.
pub(super) enum Queued {
    Served,
    Missing(usize),
    Closed,
}
