//! Several queues from outside behind one lock: any thread pushes to one, any worker takes from one, oldest first.
//!
//! One word beside the lock tells which of them hold something, so that a worker who looks at all of them pays one load of a
//! line that is written only when something comes or goes.

use super::{Chain, Linked};
use crate::primitive::sync::Mutex;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::array;
use std::fmt;

/// `N` unbounded first-in, first-out queues that are closed together.
pub struct Lanes<T: Linked, const N: usize> {
    queues: Mutex<Queues<T, N>>,
    /// Bit `i`: lane `i` holds something. Written under the lock, as the lengths are.
    waiting: AtomicUsize,
    lens: [AtomicUsize; N],
}

struct Queues<T: Linked, const N: usize> {
    chains: [Chain<T>; N],
    closed: bool,
}

impl<T: Linked, const N: usize> Lanes<T, N> {
    /// Empty, open queues.
    pub fn new() -> Self {
        const {
            assert!(
                N <= usize::BITS as usize,
                "one word has a bit for each lane"
            )
        };
        Self {
            queues: Mutex::new(Queues {
                chains: array::from_fn(|_| Chain::new()),
                closed: false,
            }),
            waiting: AtomicUsize::new(0),
            lens: array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// Which lanes hold something, or did a moment ago: bit `i` for lane `i`.
    ///
    /// A thread that goes to sleep looks here last; it and a pusher who looks for sleepers each need a `SeqCst` fence
    /// between their write and their look.
    #[inline]
    pub fn waiting(&self) -> usize {
        // ORDERING: a hint; who acts on it takes the lock, and who sleeps on it brings a fence.
        self.waiting.load(Relaxed)
    }

    /// How many entries are in a lane, or were a moment ago.
    #[inline]
    pub fn len(&self, lane: usize) -> usize {
        // ORDERING: as in `waiting`.
        self.lens[lane].load(Relaxed)
    }

    /// Is nothing in any of them? As fresh as [`waiting`](Self::waiting).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    fn locked<R>(&self, lane: usize, change: impl FnOnce(&mut Chain<T>, &mut bool) -> R) -> R {
        let mut queues = self.queues.lock();
        let Queues { chains, closed } = &mut *queues;
        let answer = change(&mut chains[lane], closed);
        let (len, bit) = (chains[lane].len(), 1 << lane);
        // ORDERING: Relaxed, here and below: the lock orders it for those who take the lock; for others it is a hint.
        self.lens[lane].store(len, Relaxed);
        let before = self.waiting.load(Relaxed);
        let now = if len > 0 { before | bit } else { before & !bit };
        if now != before {
            // ORDERING: as above.
            self.waiting.store(now, Relaxed);
        }
        answer
    }

    /// Puts an entry behind all others of its lane.
    ///
    /// # Errors
    /// The entry comes back if the queues are closed.
    pub fn push(&self, lane: usize, entry: T) -> Result<(), T> {
        self.locked(lane, |chain, closed| {
            if *closed {
                return Err(entry);
            }
            chain.push_back(entry);
            Ok(())
        })
    }

    /// Puts a whole batch behind all others of its lane, under one lock.
    ///
    /// # Errors
    /// The batch comes back if the queues are closed.
    pub fn push_chain(&self, lane: usize, batch: Chain<T>) -> Result<(), Chain<T>> {
        self.locked(lane, |chain, closed| {
            if *closed {
                return Err(batch);
            }
            chain.append(batch);
            Ok(())
        })
    }

    /// Takes the oldest entry of a lane.
    pub fn pop(&self, lane: usize) -> Option<T> {
        if self.len(lane) == 0 {
            return None;
        }
        self.locked(lane, |chain, _| chain.pop_front())
    }

    /// Takes up to `count` of the oldest entries of a lane, under one lock.
    pub fn pop_chain(&self, lane: usize, count: usize) -> Chain<T> {
        if count == 0 || self.len(lane) == 0 {
            return Chain::new();
        }
        self.locked(lane, |chain, _| chain.split_front(count))
    }

    /// Refuses pushes from now on, and takes everything that is in the lanes.
    pub fn close(&self) -> Chain<T> {
        let mut all = Chain::new();
        for lane in 0..N {
            all.append(self.locked(lane, |chain, closed| {
                *closed = true;
                std::mem::take(chain)
            }));
        }
        all
    }
}

impl<T: Linked, const N: usize> Default for Lanes<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked, const N: usize> fmt::Debug for Lanes<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens: [usize; N] = array::from_fn(|lane| self.len(lane));
        f.debug_struct("Lanes")
            .field("lens", &lens)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/lanes.rs"]
mod tests;
