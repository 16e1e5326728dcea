//! The inbox: any thread pushes, one worker takes all at once, oldest first.
//!
//! Pushers stack their entries on one word; the worker takes the whole stack with one exchange and turns it round.
//! Since single entries never leave, the stack has no ABA problem.

use super::chain::{next, set_next};
use super::{Chain, Linked};
use crate::primitive::sync::atomic::{AtomicPtr, Ordering::*};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

/// An unbounded queue to one worker, which can be closed.
///
/// ```text
///  word      means
///  null      open, empty
///  node      open, the newest entry
///  CLOSED    closed, empty (an address no entry has)
/// ```
pub struct Inbox<T: Linked> {
    newest: AtomicPtr<T::Node>,
    _owns: PhantomData<T>,
}

// SAFETY: entries pass from pushers to the taker; none is shared.
unsafe impl<T: Linked + Send> Send for Inbox<T> {}
// SAFETY: as above.
unsafe impl<T: Linked + Send> Sync for Inbox<T> {}

impl<T: Linked> Inbox<T> {
    /// An empty, open inbox.
    pub fn new() -> Self {
        Self {
            newest: AtomicPtr::new(null_mut()),
            _owns: PhantomData,
        }
    }

    /// The word of a closed inbox.
    fn closed() -> *mut T::Node {
        const {
            assert!(
                align_of::<T::Node>() > 1,
                "the address 1 marks a closed inbox"
            )
        };
        std::ptr::without_provenance_mut(1)
    }

    /// Puts an entry behind all others; returns whether the inbox was empty, so that its worker may be asleep.
    ///
    /// # Errors
    /// The entry comes back if the inbox is closed.
    pub fn push(&self, entry: T) -> Result<bool, T> {
        let node = entry.into_raw();
        // ORDERING: Acquire is not needed: nothing behind the pointer is read.
        let mut newest = self.newest.load(Relaxed);
        loop {
            if newest == Self::closed() {
                // SAFETY: just made by `into_raw`, and nobody else has seen it.
                return Err(unsafe { T::from_raw(node) });
            }
            // SAFETY: the entry is ours until the exchange succeeds, its link with it.
            unsafe { set_next::<T>(node, NonNull::new(newest)) };
            // ORDERING: Release pairs with the Acquire of `take`: the entry and its link are written before it is
            // seen. Pushes below it stay visible through this one, an exchange continuing their release sequences.
            match self
                .newest
                .compare_exchange_weak(newest, node.as_ptr(), Release, Relaxed)
            {
                Ok(_) => return Ok(newest.is_null()),
                Err(word) => newest = word,
            }
        }
    }

    /// Is nothing in it? A hint, unless the caller brings a `SeqCst` fence (see `Injector::len`).
    #[inline]
    pub fn is_empty(&self) -> bool {
        // ORDERING: a hint; `take` synchronises.
        // No entry has the address 0 or 1, the words of an empty inbox and a closed one.
        self.newest.load(Relaxed).addr() <= 1
    }

    /// Has it been closed?
    pub fn is_closed(&self) -> bool {
        // ORDERING: a hint; `push` decides.
        self.newest.load(Relaxed) == Self::closed()
    }

    /// Takes everything, oldest first.
    #[inline]
    pub fn take(&self) -> Chain<T> {
        if self.is_empty() {
            return Chain::new();
        }
        // Not empty, so not closed; and who closes takes everything as well.
        self.exchange(null_mut())
    }

    /// Refuses pushes from now on; takes everything that is in it.
    pub fn close(&self) -> Chain<T> {
        self.exchange(Self::closed())
    }

    fn exchange(&self, word: *mut T::Node) -> Chain<T> {
        let mut newest = if word.is_null() {
            // Not a blind swap: it would reopen an inbox that another thread has closed meanwhile.
            // ORDERING: Acquire pairs with the Release of each push that we take. The failed value is not used.
            let taken = self.newest.fetch_update(Acquire, Relaxed, |newest| {
                (newest != Self::closed()).then_some(word)
            });
            taken.unwrap_or(null_mut())
        } else {
            // ORDERING: as above.
            self.newest.swap(word, Acquire)
        };
        if newest == Self::closed() {
            newest = null_mut();
        }
        let Some(last) = NonNull::new(newest) else {
            return Chain::new();
        };
        // Turn it round: each entry's link leads to an older one.
        let (mut at, mut newer, mut len) = (last, None, 1);
        loop {
            // SAFETY: the exchange gave us every entry in the stack.
            let older = unsafe { next::<T>(at) };
            // SAFETY: as above.
            unsafe { set_next::<T>(at, newer) };
            newer = Some(at);
            let Some(older) = older else { break };
            at = older;
            len += 1;
        }
        // SAFETY: the loop has linked them from the oldest, `at`, to the newest, `last`.
        unsafe { Chain::from_ends(at, last, len) }
    }
}

impl<T: Linked> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl<T: Linked> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("is_empty", &self.is_empty())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/mpsc.rs"]
mod tests;
