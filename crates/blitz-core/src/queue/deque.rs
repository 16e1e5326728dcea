//! The local queue: its owner pushes and takes, thieves take half at once; bounded; and the one-item slot beside it.
//!
//! A ring of slots with two counters that only grow. Entry number `i` stands in slot `i % capacity`, the queue holds
//! the numbers from `head` to `tail`. The owner alone writes slots and moves `tail`; whoever takes an entry, owner or
//! thief, moves `head` by a compare-exchange *after* it has read the slots, and owns what it read only if that
//! succeeds. So no thief is ever seen half way, and nobody waits for one.
//!
//! ```text
//!  move        who     head         tail          proves itself by
//!  push        owner                t -> t+1      head, read with Acquire, is above t - capacity
//!  pop         owner   h -> h+1                   the exchange of head
//!  steal       thief   h -> h+n                   the exchange of head; n is half of t - h, rounded up
//!  overflow    owner   h -> h+cap   t -> t+half   the exchange of head: it takes the whole queue (full: t = h+cap), then
//!                                                 publishes the older half again, which lies in the right slots already
//! ```
//!
//! The newer half leaves on overflow, so that a task at the front is not sent round for ever by newcomers
//! (tokio-rs/tokio#8029).
//!
//! A thief may read a slot that the owner writes meanwhile. Slots are atomics, so that is a race but no undefined
//! behaviour, and then `head` has moved, so the thief's exchange fails and it forgets what it read. On targets with
//! 32-bit counters a thief would have to sleep through exactly 2^32 entries to be deceived.

use super::{Chain, Entry, Linked};
use crate::pad::CachePadded;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

struct Ring<T: Entry> {
    head: CachePadded<AtomicUsize>,
    tail: CachePadded<AtomicUsize>,
    slots: Box<[AtomicPtr<T::Node>]>,
    _owns: PhantomData<T>,
}

// SAFETY: entries pass from owner to owner or thief; none is shared.
unsafe impl<T: Entry + Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Entry + Send> Sync for Ring<T> {}

impl<T: Entry> Ring<T> {
    #[inline(always)]
    fn slot(&self, number: usize) -> &AtomicPtr<T::Node> {
        // The capacity is a power of two.
        &self.slots[number & (self.slots.len() - 1)]
    }

    /// The entries between two readings of the counters; none if they do not fit each other.
    fn between(&self, head: usize, tail: usize) -> usize {
        let len = tail.wrapping_sub(head);
        if len <= self.slots.len() { len } else { 0 }
    }

    fn len(&self) -> usize {
        // ORDERING: a hint. If `head` is the newer reading, all that `tail` tells of has been taken.
        let head = self.head.load(Relaxed);
        // ORDERING: as above.
        self.between(head, self.tail.load(Relaxed))
    }
}

impl<T: Entry> Drop for Ring<T> {
    fn drop(&mut self) {
        // ORDERING: nobody else has the ring any more; the `Arc` ordered all that they did before this.
        let tail = self.tail.load(Relaxed);
        // ORDERING: as above.
        let mut head = self.head.load(Relaxed);
        while head != tail {
            // ORDERING: as above.
            if let Some(node) = NonNull::new(self.slot(head).load(Relaxed)) {
                // SAFETY: between `head` and `tail`, so it is in the queue, and nobody else takes it.
                drop(unsafe { T::from_raw(node) });
            }
            head = head.wrapping_add(1);
        }
    }
}

/// The owner's end of a local queue.
pub struct Owner<T: Entry> {
    ring: Arc<Ring<T>>,
    /// `ring.tail`, which only we write.
    tail: usize,
    /// `ring.head` as last read with Acquire: what is below it may be overwritten.
    head_seen: usize,
}

/// A thief's end of a local queue; clones cheaply.
pub struct Thief<T: Entry> {
    ring: Arc<Ring<T>>,
}

/// An empty queue for `capacity` entries.
///
/// # Panics
/// If `capacity` is not a power of two, or below 2.
pub fn deque<T: Entry>(capacity: usize) -> (Owner<T>, Thief<T>) {
    assert!(
        capacity.is_power_of_two() && capacity >= 2,
        "a local queue's capacity is a power of two, 2 or more"
    );
    let ring = Arc::new(Ring {
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
        slots: (0..capacity).map(|_| AtomicPtr::new(null_mut())).collect(),
        _owns: PhantomData,
    });
    (
        Owner {
            ring: Arc::clone(&ring),
            tail: 0,
            head_seen: 0,
        },
        Thief { ring },
    )
}

impl<T: Entry> Owner<T> {
    /// Another thief's end.
    pub fn thief(&self) -> Thief<T> {
        Thief {
            ring: Arc::clone(&self.ring),
        }
    }

    /// How many entries it can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    /// How many entries are in it; thieves may take some at any moment.
    #[inline]
    pub fn len(&self) -> usize {
        // ORDERING: a hint: thieves only make it smaller.
        self.tail.wrapping_sub(self.ring.head.load(Relaxed))
    }

    /// Is nothing in it? A `true` stays true until the owner pushes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many entries there is room; thieves only make it larger.
    pub fn room(&mut self) -> usize {
        // ORDERING: Acquire pairs with the exchange in `steal_into`: slots below `head` have been read.
        self.head_seen = self.ring.head.load(Acquire);
        self.capacity() - self.tail.wrapping_sub(self.head_seen)
    }

    #[inline]
    fn has_room(&mut self) -> bool {
        self.tail.wrapping_sub(self.head_seen) < self.capacity() || self.room() > 0
    }

    /// Writes a slot that `has_room` has shown to be free, not yet published.
    #[inline]
    fn write(&self, number: usize, entry: T) {
        // ORDERING: `publish` releases it.
        self.ring
            .slot(number)
            .store(entry.into_raw().as_ptr(), Relaxed);
    }

    #[inline]
    fn publish(&mut self, tail: usize) {
        self.tail = tail;
        // ORDERING: Release pairs with the Acquire of `tail` in `steal_into`: slots, and what their entries point to.
        self.ring.tail.store(tail, Release);
    }

    /// Puts an entry behind all others.
    ///
    /// # Errors
    /// The entry comes back if the queue is full.
    #[inline]
    pub fn try_push(&mut self, entry: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(entry);
        }
        self.write(self.tail, entry);
        self.publish(self.tail.wrapping_add(1));
        Ok(())
    }

    /// Takes the oldest entry.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        // ORDERING: the slots are ours already; the exchange decides.
        let mut head = self.ring.head.load(Relaxed);
        loop {
            if head == self.tail {
                return None;
            }
            // ORDERING: we wrote it ourselves.
            let node = self.ring.slot(head).load(Relaxed);
            // ORDERING: Relaxed: no slot is freed by it for us (`head_seen` stays), and what it frees for no one else
            // needs no release. It continues the release sequence of the thieves' exchanges.
            match self
                .ring
                .head
                .compare_exchange_weak(head, head.wrapping_add(1), Relaxed, Relaxed)
            {
                // SAFETY: `head` moved over its number by us: it is ours alone.
                Ok(_) => return NonNull::new(node).map(|node| unsafe { T::from_raw(node) }),
                Err(now) => head = now,
            }
        }
    }
}

impl<T: Linked> Owner<T> {
    /// Puts an entry behind all others.
    ///
    /// Returns `None`, or, if the queue was full, the newer half of it with `entry` at the end: a batch for the injector.
    #[inline]
    #[must_use = "the batch that did not fit must go elsewhere"]
    pub fn push(&mut self, entry: T) -> Option<Chain<T>> {
        match self.try_push(entry) {
            Ok(()) => None,
            Err(entry) => self.overflow(entry),
        }
    }

    #[cold]
    fn overflow(&mut self, entry: T) -> Option<Chain<T>> {
        let capacity = self.capacity();
        let head = self.tail.wrapping_sub(capacity);
        // ORDERING: Relaxed: `has_room` has just read this very value with Acquire, so every steal before is done with
        // its slots; and a thief that sees the new head with an older tail finds nothing between them.
        if self
            .ring
            .head
            .compare_exchange(head, self.tail, Relaxed, Relaxed)
            .is_err()
        {
            // A thief made room.
            return match self.try_push(entry) {
                Ok(()) => None,
                Err(_) => unreachable!("only the owner fills its queue"),
            };
        }
        self.head_seen = self.tail;
        // All is ours now. The newer half goes; the older half is where it must be: one lap on, the same slots.
        let half = capacity / 2;
        let mut batch = Chain::new();
        for number in half..capacity {
            // ORDERING: we wrote it ourselves.
            if let Some(node) =
                NonNull::new(self.ring.slot(head.wrapping_add(number)).load(Relaxed))
            {
                // SAFETY: the exchange gave us every entry, and these are not published again.
                batch.push_back(unsafe { T::from_raw(node) });
            }
        }
        batch.push_back(entry);
        self.publish(self.tail.wrapping_add(half));
        Some(batch)
    }

    /// Puts as much of a batch behind all others as there is room for; the rest stays in `batch`.
    pub fn push_chain(&mut self, batch: &mut Chain<T>) {
        let room = self.room();
        let mut tail = self.tail;
        for entry in batch.split_front(room) {
            self.write(tail, entry);
            tail = tail.wrapping_add(1);
        }
        self.publish(tail);
    }
}

impl<T: Entry> Thief<T> {
    /// How many entries are in it, or were a moment ago.
    #[inline]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Is nothing in it? As fresh as [`len`](Self::len).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes half of what is there, the older half and the larger if it is odd.
    ///
    /// Returns the oldest entry; the others stand in `into`, in order. Takes fewer if `into` has not enough room.
    pub fn steal_into(&self, into: &mut Owner<T>) -> Option<T> {
        let room = into.room();
        // ORDERING: Relaxed: the exchange tells whether it was the newest. With an older `tail` beside it there is less to
        // take, or nothing.
        let mut head = self.ring.head.load(Relaxed);
        loop {
            // ORDERING: Acquire pairs with `publish`: the slots, and what their entries point to.
            let tail = self.ring.tail.load(Acquire);
            let len = self.ring.between(head, tail);
            let count = (len - len / 2).min(room + 1);
            if count == 0 {
                return None;
            }
            // ORDERING: the Acquire of `tail` shows them; the exchange tells whether they were still these.
            let first = self.ring.slot(head).load(Relaxed);
            for i in 1..count {
                // ORDERING: as above.
                let node = self.ring.slot(head.wrapping_add(i)).load(Relaxed);
                // Beyond `into.tail`, hence not published: written anew if the exchange fails.
                // ORDERING: `publish` releases it.
                into.ring
                    .slot(into.tail.wrapping_add(i - 1))
                    .store(node, Relaxed);
            }
            // ORDERING: Release pairs with the Acquire in `room`: our reads of the slots are before their reuse.
            match self
                .ring
                .head
                .compare_exchange(head, head.wrapping_add(count), Release, Relaxed)
            {
                Ok(_) => {
                    into.publish(into.tail.wrapping_add(count - 1));
                    // SAFETY: `head` moved over its number by us: it is ours alone.
                    return NonNull::new(first).map(|node| unsafe { T::from_raw(node) });
                }
                Err(now) => head = now,
            }
        }
    }
}

impl<T: Entry> Clone for Thief<T> {
    fn clone(&self) -> Self {
        Self {
            ring: Arc::clone(&self.ring),
        }
    }
}

impl<T: Entry> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T: Entry> fmt::Debug for Thief<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thief")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// One entry that its owner puts and takes, and a thief may take.
pub struct LifoSlot<T: Entry> {
    node: AtomicPtr<T::Node>,
    _owns: PhantomData<T>,
}

// SAFETY: the entry passes from owner to owner or thief; it is not shared.
unsafe impl<T: Entry + Send> Send for LifoSlot<T> {}
// SAFETY: as above.
unsafe impl<T: Entry + Send> Sync for LifoSlot<T> {}

impl<T: Entry> LifoSlot<T> {
    /// An empty slot.
    pub fn new() -> Self {
        Self {
            node: AtomicPtr::new(null_mut()),
            _owns: PhantomData,
        }
    }

    /// Is an entry in it, or was a moment ago?
    #[inline]
    pub fn is_some(&self) -> bool {
        // ORDERING: a hint; `take` decides.
        !self.node.load(Relaxed).is_null()
    }

    /// Puts an entry in; returns the one that it displaced.
    #[inline]
    pub fn put(&self, entry: T) -> Option<T> {
        // ORDERING: Release pairs with the Acquire in `take`: what the entry points to. Acquire: a displaced entry may
        // come from another thread.
        let old = self.node.swap(entry.into_raw().as_ptr(), AcqRel);
        // SAFETY: the swap took it out: it is ours alone.
        NonNull::new(old).map(|node| unsafe { T::from_raw(node) })
    }

    /// Takes the entry out, if there is one.
    #[inline]
    pub fn take(&self) -> Option<T> {
        if !self.is_some() {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `put`.
        let old = self.node.swap(null_mut(), Acquire);
        // SAFETY: the swap took it out: it is ours alone.
        NonNull::new(old).map(|node| unsafe { T::from_raw(node) })
    }
}

impl<T: Entry> Default for LifoSlot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Entry> Drop for LifoSlot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T: Entry> fmt::Debug for LifoSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoSlot")
            .field("is_some", &self.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/deque.rs"]
mod tests;
