//! The queue from outside: any thread pushes, any worker takes, oldest first.
//!
//! A chain behind a lock, since outside work comes in batches and workers look here seldom; its length stands
//! beside the lock, so that looking at an empty one costs a load.

use super::{Chain, Linked};
use crate::primitive::sync::Mutex;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::fmt;

/// An unbounded first-in, first-out queue that can be closed.
pub struct Injector<T: Linked> {
    queue: Mutex<Queue<T>>,
    /// `queue.chain.len()`, written under the lock.
    len: AtomicUsize,
}

struct Queue<T: Linked> {
    chain: Chain<T>,
    closed: bool,
}

impl<T: Linked> Injector<T> {
    /// An empty, open queue.
    pub fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                chain: Chain::new(),
                closed: false,
            }),
            len: AtomicUsize::new(0),
        }
    }

    /// How many entries are in it, or were a moment ago.
    ///
    /// A thread that goes to sleep looks here last; it and a pusher who looks for sleepers each need a `SeqCst` fence
    /// between their write and their look.
    #[inline]
    pub fn len(&self) -> usize {
        // ORDERING: a hint; who acts on it takes the lock, and who sleeps on it brings a fence.
        self.len.load(Relaxed)
    }

    /// Is nothing in it? As fresh as [`len`](Self::len).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn locked<R>(&self, change: impl FnOnce(&mut Queue<T>) -> R) -> R {
        let mut queue = self.queue.lock();
        let answer = change(&mut queue);
        // ORDERING: the lock orders it for those who take the lock; for `len` it is a hint.
        self.len.store(queue.chain.len(), Relaxed);
        answer
    }

    /// Puts an entry behind all others.
    ///
    /// # Errors
    /// The entry comes back if the queue is closed.
    pub fn push(&self, entry: T) -> Result<(), T> {
        self.locked(|queue| {
            if queue.closed {
                return Err(entry);
            }
            queue.chain.push_back(entry);
            Ok(())
        })
    }

    /// Puts a whole batch behind all others, under one lock.
    ///
    /// # Errors
    /// The batch comes back if the queue is closed.
    pub fn push_chain(&self, batch: Chain<T>) -> Result<(), Chain<T>> {
        self.locked(|queue| {
            if queue.closed {
                return Err(batch);
            }
            queue.chain.append(batch);
            Ok(())
        })
    }

    /// Takes the oldest entry.
    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        self.locked(|queue| queue.chain.pop_front())
    }

    /// Takes up to `count` of the oldest entries, under one lock.
    pub fn pop_chain(&self, count: usize) -> Chain<T> {
        if count == 0 || self.is_empty() {
            return Chain::new();
        }
        self.locked(|queue| queue.chain.split_front(count))
    }

    /// Refuses pushes from now on; returns whether this call closed it. What is in it stays.
    pub fn close(&self) -> bool {
        self.locked(|queue| !std::mem::replace(&mut queue.closed, true))
    }

    /// Has it been closed?
    pub fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }
}

impl<T: Linked> Default for Injector<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked> fmt::Debug for Injector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/injector.rs"]
mod tests;
