//! The ring of the last values, and who has come how far.

use std::sync::Arc;

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use super::slot::{Claim, Clones, Slot};
use super::{SendError, TryRecvError};
use crate::notify::Notify;

/// What senders and receivers share.
///
/// No user's value is cloned or dropped under the tail's lock.
pub(super) struct Shared<T> {
    slots: Box<[Slot<T>]>,
    senders: AtomicUsize,
    weak_senders: AtomicUsize,
    clones: Clones,
    /// Senders wait here for the last receiver's end.
    pub(super) deserted: Notify,
    /// On lines of its own: what is above is hardly ever written.
    tail: CachePadded<Tail<T>>,
    /// Receivers wait here for a value.
    pub(super) sent: CachePadded<Notify>,
}

struct Tail<T> {
    lock: Mutex<Locked<T>>,
    /// The position of the next value; positions count from 0 and never repeat. Changes under the lock.
    position: AtomicU64,
    /// Whether the last sender is gone.
    is_closed: AtomicBool,
}

struct Locked<T> {
    receivers: usize,
    /// Values whose slot was in a receiver's hands when they came.
    beside: Vec<Beside<T>>,
}

/// A value beside the ring.
struct Beside<T> {
    position: u64,
    /// How many receivers have not had it yet.
    left: usize,
    /// Its lock is held while it is cloned, so that one that is not `Sync` is cloned by one thread at a time; the channel is not locked
    /// meanwhile.
    value: Arc<Mutex<T>>,
}

impl<T> Tail<T> {
    #[inline]
    fn position(&self) -> u64 {
        // ORDERING: Relaxed: a value that is said to be there is looked for in its slot, by an Acquire, and then under the lock. Who finds
        // none and waits is told by the signal, which orders what the sender did before.
        self.position.load(Relaxed)
    }
}

impl<T> Locked<T> {
    fn beside(&self, position: u64) -> Option<usize> {
        self.beside
            .iter()
            .position(|beside| beside.position == position)
    }

    /// Takes a receiver's share of a value beside the ring.
    fn take_beside(&mut self, position: u64) -> Option<Arc<Mutex<T>>> {
        let at = self.beside(position)?;
        let beside = &mut self.beside[at];
        beside.left -= 1;
        Some(if beside.left == 0 {
            self.beside.swap_remove(at).value
        } else {
            Arc::clone(&beside.value)
        })
    }
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
        // As if one round before the first had filled it, and all had had it.
        let slots = (0..len as u64).map(|index| Slot::new(index.wrapping_sub(len as u64)));
        Self {
            slots: slots.collect(),
            senders: AtomicUsize::new(1),
            weak_senders: AtomicUsize::new(0),
            clones: Clones::new(),
            deserted: Notify::new(),
            tail: CachePadded::new(Tail {
                lock: Mutex::new(Locked {
                    receivers,
                    beside: Vec::new(),
                }),
                position: AtomicU64::new(0),
                is_closed: AtomicBool::new(false),
            }),
            sent: CachePadded::new(Notify::new()),
        }
    }

    #[inline]
    fn slot(&self, position: u64) -> &Slot<T> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    /// The position of the oldest value that is kept when the next comes at `end`.
    fn oldest(&self, end: u64) -> u64 {
        end.saturating_sub(self.slots.len() as u64)
    }

    /// Puts a value in the ring. Returns how many receivers will get it.
    #[inline]
    pub(super) fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let mut locked = self.tail.lock.lock();
        let receivers = locked.receivers;
        if receivers == 0 {
            return Err(SendError(value));
        }
        let position = self.tail.position();
        let slot = self.slot(position);
        let unwanted = if slot.is_empty() && locked.beside.is_empty() {
            slot.fill(position, receivers, value);
            None
        } else {
            self.displace(&mut locked, position, value)
        };
        // ORDERING: Relaxed: see `Tail::position`.
        self.tail.position.store(position + 1, Relaxed);
        drop(locked);
        self.sent.notify_waiters();
        if let Some(unwanted) = unwanted {
            unwanted.go(&self.clones);
        }
        Ok(receivers)
    }

    /// Puts a value in the place of another, or beside the ring. Returns what is to be dropped after the lock.
    #[inline(never)]
    fn displace(&self, locked: &mut Locked<T>, position: u64, value: T) -> Option<Unwanted<T>> {
        let receivers = locked.receivers;
        let mut unwanted = Unwanted {
            old: None,
            beside: None,
            is_waited: false,
        };
        if !locked.beside.is_empty() {
            let gone = position.wrapping_sub(self.slots.len() as u64);
            unwanted.beside = (locked.beside(gone)).map(|at| locked.beside.swap_remove(at));
        }
        match self.slot(position).displace(position, receivers, value) {
            Ok(old) => unwanted.old = old,
            Err(busy) => {
                unwanted.is_waited = busy.is_waited;
                locked.beside.push(Beside {
                    position,
                    left: receivers,
                    value: Arc::new(Mutex::new(busy.value)),
                });
            }
        }
        Some(unwanted)
    }

    /// The value at `next`, which moves on, if it is there and nobody else has hold of it.
    #[inline]
    pub(super) fn take_at_once(&self, next: &mut u64) -> Option<T>
    where
        T: Clone,
    {
        match self.slot(*next).claim(*next, &self.clones) {
            Claim::Last(value) => {
                *next += 1;
                Some(value)
            }
            Claim::Clone(cloning) => {
                // Before the clone, which may panic: the share is had.
                *next += 1;
                Some(cloning.cloned())
            }
            Claim::Busy | Claim::Missing => None,
        }
    }

    /// The value at `next`, which moves on; or where the oldest one is, if that is gone.
    pub(super) fn take(&self, next: &mut u64) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        let slot = self.slot(*next);
        let mut is_second = false;
        loop {
            match slot.claim(*next, &self.clones) {
                Claim::Last(value) => {
                    *next += 1;
                    return Ok(value);
                }
                Claim::Clone(cloning) => {
                    *next += 1;
                    return Ok(cloning.cloned());
                }
                Claim::Busy => self.clones.wait(slot),
                Claim::Missing => {
                    self.look(next)?;
                    if is_second && let Some(value) = self.take_beside(next)? {
                        return Ok(value);
                    }
                    // It came between the two looks, or lies beside the ring.
                    is_second = true;
                }
            }
        }
    }

    /// Why there is no value at `next` in the ring; `Ok` if there is one. Only a look.
    fn look(&self, next: &mut u64) -> Result<(), TryRecvError> {
        let position = *next;
        // ORDERING: Acquire pairs with the Release in `leave_sender`: whoever sees the end sees the last value's position, too.
        let is_closed = self.tail.is_closed.load(Acquire);
        let end = self.tail.position();
        // Less if the last one's sender has not come so far as to say that it is there.
        if end <= position {
            return Err(if is_closed {
                TryRecvError::Closed
            } else {
                TryRecvError::Empty
            });
        }
        let oldest = self.oldest(end);
        if oldest > position {
            *next = oldest;
            return Err(TryRecvError::Lagged(oldest - position));
        }
        Ok(())
    }

    /// The value at `next`, if it lies beside the ring.
    #[cold]
    #[inline(never)]
    fn take_beside(&self, next: &mut u64) -> Result<Option<T>, TryRecvError>
    where
        T: Clone,
    {
        // Under this lock no value comes.
        let mut locked = self.tail.lock.lock();
        self.look(next)?;
        let Some(value) = locked.take_beside(*next) else {
            return Ok(None);
        };
        drop(locked);
        *next += 1;
        match Arc::try_unwrap(value) {
            Ok(value) => Ok(Some(value.into_inner())),
            Err(value) => Ok(Some(value.lock().clone())),
        }
    }

    /// A new receiver, which gets what is sent from now on. Returns its position.
    pub(super) fn enter(&self) -> u64 {
        let mut locked = self.tail.lock.lock();
        locked.receivers += 1;
        self.tail.position()
    }

    /// A receiver goes, having come to `next`: what it has not had is not kept for it any more.
    pub(super) fn leave(&self, next: u64) {
        let mut locked = self.tail.lock.lock();
        locked.receivers -= 1;
        let (end, is_last) = (self.tail.position(), locked.receivers == 0);
        drop(locked);
        // Who waits for it finds the values gone too; it is woken also if a value's drop panics.
        let _told = is_last.then(|| Deserted(&self.deserted));
        for position in self.oldest(end).max(next)..end {
            // Dropped without the lock.
            drop(self.waive(position));
        }
    }

    /// Gives up a receiver's share of the value at `position`. Returns what is to be dropped.
    fn waive(&self, position: u64) -> (Option<T>, Option<Arc<Mutex<T>>>) {
        let mut locked = self.tail.lock.lock();
        // Missed.
        if self.oldest(self.tail.position()) > position {
            return (None, None);
        }
        match self.slot(position).waive(position) {
            Some(value) => (value, None),
            None => (None, locked.take_beside(position)),
        }
    }

    /// How many values some receiver has not had.
    pub(super) fn len(&self) -> usize {
        let locked = self.tail.lock.lock();
        let end = self.tail.position();
        (self.oldest(end)..end)
            .rev()
            .take_while(|&position| match self.slot(position).left(position) {
                Some(left) => left != 0,
                None => locked.beside(position).is_some(),
            })
            .count()
    }

    /// How many values a receiver that has come to `next` has not had.
    pub(super) fn ahead_of(&self, next: u64) -> usize {
        // The last one may be had before its sender says that it is there.
        self.tail.position().saturating_sub(next) as usize
    }

    pub(super) fn receivers(&self) -> usize {
        self.tail.lock.lock().receivers
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed: whoever asks for a value looks again.
        self.tail.is_closed.load(Relaxed)
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
            // In the order of those who went before, who had the lock.
            let locked = self.tail.lock.lock();
            // ORDERING: Release pairs with the Acquire in `look`.
            self.tail.is_closed.store(true, Release);
            drop(locked);
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

/// What a new value has displaced.
struct Unwanted<T> {
    old: Option<T>,
    beside: Option<Beside<T>>,
    /// Others wait for a clone of the old value, which is not to be had any more.
    is_waited: bool,
}

impl<T> Unwanted<T> {
    /// Out of the lock.
    #[inline(never)]
    fn go(self, clones: &Clones) {
        if self.is_waited {
            clones.tell();
        }
        drop(self.beside);
        drop(self.old);
    }
}
