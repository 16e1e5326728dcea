//! The ring of the last values, and who has come how far.

use std::sync::Arc;

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;

use super::{SendError, TryRecvError};
use crate::notify::Notify;

/// What senders and receivers share.
///
/// A thread takes the tail's lock before a slot's, never after. No user's value is cloned or dropped under either.
pub(super) struct Shared<T> {
    slots: Box<[Mutex<Slot<T>>]>,
    tail: Mutex<Tail>,
    senders: AtomicUsize,
    weak_senders: AtomicUsize,
    /// Receivers wait here for a value.
    pub(super) sent: Notify,
    /// Senders wait here for the last receiver's end.
    pub(super) deserted: Notify,
}

struct Tail {
    /// The position of the next value; positions count from 0 and never repeat.
    position: u64,
    receivers: usize,
    is_closed: bool,
}

struct Slot<T> {
    /// Which value is here; one that is to come if it was never filled.
    position: u64,
    /// How many receivers have not had it yet.
    left: usize,
    /// Shared with receivers that clone the value at this moment. Empty when all have had it, kept for its memory.
    value: Option<Arc<Value<T>>>,
    /// Whether it may be shared.
    is_shared: bool,
}

impl<T> Slot<T> {
    /// Where the value is, if no receiver has hold of it.
    #[inline]
    fn own(&mut self) -> Option<&mut Option<T>> {
        let value = self.value.as_mut()?;
        if self.is_shared {
            let value = Arc::get_mut(value)?;
            self.is_shared = false;
            return Some(value.get_mut());
        }
        let value = Arc::as_ptr(value).cast_mut();
        // SAFETY: no receiver was given it since this slot alone had it, so it is reached through the slot only, which is borrowed.
        Some(unsafe { &mut *value }.get_mut())
    }

    /// The value, for one of several receivers.
    #[inline]
    fn share(&mut self) -> Option<Arc<Value<T>>> {
        self.is_shared = true;
        self.value.clone()
    }

    /// Puts a value here in place of another.
    #[inline]
    fn put(&mut self, value: T) -> Old<T> {
        if let Some(place) = self.own() {
            return Old::Value(place.replace(value));
        }
        self.is_shared = false;
        Old::Shared(self.value.replace(Arc::new(Mutex::new(Some(value)))))
    }
}

/// One value. Its lock is held while it is cloned, so that one that is not `Sync` is cloned by one thread at a time; the
/// channel is not locked meanwhile.
pub(super) type Value<T> = Mutex<Option<T>>;

/// What a receiver has got hold of.
pub(super) enum Held<T> {
    /// It was the last, and nobody else is cloning: the value itself.
    Last(T),
    /// To be cloned, without a lock.
    Shared(Arc<Value<T>>),
}

impl<T> Shared<T> {
    #[track_caller]
    pub(super) fn new(capacity: usize, receivers: usize) -> Self {
        assert!(capacity > 0, "broadcast channel capacity cannot be zero");
        assert!(
            capacity <= usize::MAX >> 1,
            "broadcast channel capacity exceeded `usize::MAX / 2`"
        );
        let len = capacity.next_power_of_two();
        let slots = (0..len as u64).map(|index| {
            Mutex::new(Slot {
                // As if one round before the first had filled it, and all had had it.
                position: index.wrapping_sub(len as u64),
                left: 0,
                value: None,
                is_shared: false,
            })
        });
        Self {
            slots: slots.collect(),
            tail: Mutex::new(Tail {
                position: 0,
                receivers,
                is_closed: false,
            }),
            senders: AtomicUsize::new(1),
            weak_senders: AtomicUsize::new(0),
            sent: Notify::new(),
            deserted: Notify::new(),
        }
    }

    fn slot(&self, position: u64) -> &Mutex<Slot<T>> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    /// Puts a value in the ring. Returns how many receivers will get it.
    pub(super) fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let mut tail = self.tail.lock();
        let receivers = tail.receivers;
        if receivers == 0 {
            return Err(SendError(value));
        }
        let mut slot = self.slot(tail.position).lock();
        slot.position = tail.position;
        slot.left = receivers;
        // What was here and is not wanted any more is dropped after the locks.
        let old = slot.put(value);
        drop(slot);
        tail.position += 1;
        drop(tail);
        self.sent.notify_waiters();
        drop(old);
        Ok(receivers)
    }

    /// The value at `next`, which moves on; or where the oldest one is, if that is gone.
    pub(super) fn take(&self, next: &mut u64) -> Result<Held<T>, TryRecvError> {
        loop {
            if let Some(held) = self.hold(*next) {
                *next += 1;
                return Ok(held);
            }
            // Under this lock no value comes.
            let tail = self.tail.lock();
            if tail.position == *next {
                return Err(if tail.is_closed {
                    TryRecvError::Closed
                } else {
                    TryRecvError::Empty
                });
            }
            let oldest = tail.position.saturating_sub(self.slots.len() as u64);
            if oldest > *next {
                let missed = oldest - *next;
                *next = oldest;
                return Err(TryRecvError::Lagged(missed));
            }
            // It came between the two looks.
        }
    }

    /// Takes a receiver's share of the value at `position`, if it is there.
    fn hold(&self, position: u64) -> Option<Held<T>> {
        let mut slot = self.slot(position).lock();
        if slot.position != position {
            return None;
        }
        slot.left -= 1;
        if slot.left != 0 {
            return slot.share().map(Held::Shared);
        }
        // The memory stays, if nobody else is cloning.
        if let Some(value) = slot.own() {
            return value.take().map(Held::Last);
        }
        slot.value.take().map(Held::Shared)
    }

    /// A new receiver, which gets what is sent from now on. Returns its position.
    pub(super) fn enter(&self) -> u64 {
        let mut tail = self.tail.lock();
        tail.receivers += 1;
        tail.position
    }

    /// A receiver goes, having come to `next`: what it has not had is not kept for it any more.
    pub(super) fn leave(&self, mut next: u64) {
        let mut tail = self.tail.lock();
        tail.receivers -= 1;
        let (end, is_last) = (tail.position, tail.receivers == 0);
        drop(tail);
        // Who waits for it finds the values gone too; it is woken also if a value's drop panics.
        let _told = is_last.then(|| Deserted(&self.deserted));
        while next < end {
            match self.take(&mut next) {
                // Dropped here, without a lock.
                Ok(held) => drop(held),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    /// How many values some receiver has not had.
    pub(super) fn len(&self) -> usize {
        let tail = self.tail.lock();
        let oldest = tail.position.saturating_sub(self.slots.len() as u64);
        (oldest..tail.position)
            .rev()
            .take_while(|position| self.slot(*position).lock().left != 0)
            .count()
    }

    /// How many values a receiver that has come to `next` has not had.
    pub(super) fn ahead_of(&self, next: u64) -> usize {
        (self.tail.lock().position - next) as usize
    }

    pub(super) fn receivers(&self) -> usize {
        self.tail.lock().receivers
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tail.lock().is_closed
    }

    // Senders.

    pub(super) fn senders(&self) -> usize {
        // ORDERING: Relaxed: a figure. Who sees that a sender has gone finds what it sent, since the tail's lock was let go of
        // before that.
        self.senders.load(Relaxed)
    }

    pub(super) fn weak_senders(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.load(Relaxed)
    }

    pub(super) fn enter_sender(&self) {
        // ORDERING: Relaxed: whoever enters has a sender, so the count is not zero.
        self.senders.fetch_add(1, Relaxed);
    }

    /// From a weak handle: false if the last sender is gone.
    pub(super) fn try_enter_sender(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below, which publishes nothing.
        let mut count = self.senders.load(Relaxed);
        while count != 0 {
            match self
                .senders
                .compare_exchange_weak(count, count + 1, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => count = seen,
            }
        }
        false
    }

    pub(super) fn leave_sender(&self) {
        // ORDERING: Relaxed: who is the last is a matter of the count alone; all else is under the tail's lock, in which those
        // who went before were before.
        if self.senders.fetch_sub(1, Relaxed) == 1 {
            self.tail.lock().is_closed = true;
            self.sent.notify_waiters();
        }
    }

    pub(super) fn enter_weak(&self) {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.fetch_add(1, Relaxed);
    }

    pub(super) fn leave_weak(&self) {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.fetch_sub(1, Relaxed);
    }
}

/// Tells, when it is dropped, that no receiver is left.
struct Deserted<'a>(&'a Notify);

impl Drop for Deserted<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// What a new value took the place of, on its way out of the locks.
#[allow(dead_code, reason = "its drop is all that is wanted of it")]
enum Old<T> {
    Value(Option<T>),
    Shared(Option<Arc<Value<T>>>),
}
