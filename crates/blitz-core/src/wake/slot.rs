//! One waiting task, woken from any thread.
//!
//! A [`WakeSlot`] is where a future that waits meets the driver that delivers. The future stores
//! its waker, then looks at the event; the driver publishes the event, then calls
//! [`wake`](WakeSlot::wake). Whichever comes second sees the other, so no wake is lost.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Waker;

use crate::primitive::cell::UnsafeCell;
use crate::primitive::hint;
use crate::primitive::sync::atomic::AtomicU8;
use crate::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const IDLE: u8 = 0;
const STORING: u8 = 0b01;
const TAKING: u8 = 0b10;

/// The slot's lock: who may touch the waker.
///
/// ```text
///  bit 0  STORING   the task writes its waker
///  bit 1  TAKING    a driver takes it, or came while the task was STORING
///
///  from             move           to               who moved, and what it does then
///  IDLE             begin_store    STORING          task: writes its waker
///  otherwise        begin_store    no move          task: an event or another task is here, polls again
///  STORING          end_store      IDLE             task: sleeps
///  STORING|TAKING   end_store      STORING|TAKING   task: takes its waker back, then unlock
///  STORING|TAKING   unlock         IDLE             task: polls again
///  IDLE             begin_take     TAKING           driver: takes the waker, then end_take
///  TAKING           end_take       IDLE             driver: calls the waker
///  otherwise        begin_take     adds TAKING      driver: leaves it to the other side
/// ```
struct Word(AtomicU8);

enum Store {
    Proceed,
    Busy,
}

impl Word {
    fn begin_store(&self) -> Store {
        // ORDERING: Acquire pairs with `end_take` and `unlock`: we see the slot as they left it, and
        // each event whose `begin_take` came before. Relaxed if it fails: we are polled again.
        match self.0.compare_exchange(IDLE, STORING, Acquire, Relaxed) {
            Ok(_) => Store::Proceed,
            Err(_) => Store::Busy,
        }
    }

    /// True if the waker may stay; false if an event came meanwhile and the task is to take it back.
    fn end_store(&self) -> bool {
        // ORDERING: Release pairs with the Acquire in `begin_take`, which then reads our waker. Relaxed
        // if it fails: the waker is still ours, and the next `begin_store` sees the event.
        self.0
            .compare_exchange(STORING, IDLE, Release, Relaxed)
            .is_ok()
    }

    fn unlock(&self) {
        // ORDERING: Release pairs with the Acquire in `begin_take` and `begin_store`. A swap, not a store:
        // a store would cut off the drivers that left, whose events the next `begin_store` must see.
        self.0.swap(IDLE, Release);
    }

    /// True if the caller is to take the waker.
    fn begin_take(&self) -> bool {
        // ORDERING: Acquire pairs with `end_store`: we see its waker. Release pairs with the Acquire in
        // `begin_store`: the task sees the event published before this call.
        self.0.fetch_or(TAKING, AcqRel) == IDLE
    }

    fn end_take(&self) {
        // ORDERING: Release pairs with the Acquire in `begin_store` and `begin_take`, which then see the
        // slot empty. A swap for the same reason as in `unlock`.
        self.0.swap(IDLE, Release);
    }
}

/// One waiting task at most, and the door by which any thread wakes it.
///
/// One task at a time is meant to [`register`](Self::register); any number of threads may
/// [`wake`](Self::wake).
///
/// # Examples
/// ```
/// use std::task::Waker;
/// use blitz_core::wake::WakeSlot;
///
/// let slot = WakeSlot::new();
/// slot.register(Waker::noop());
/// assert!(slot.take().is_some());
/// assert!(slot.take().is_none());
/// ```
pub struct WakeSlot {
    word: Word,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker is `Send`, and the word lets one thread at a time reach it.
unsafe impl Send for WakeSlot {}
// SAFETY: as above: every access to the cell is between a move that takes the word and one that leaves it.
unsafe impl Sync for WakeSlot {}

// No foreign code runs while the word is held: no panic leaves it half done.
impl UnwindSafe for WakeSlot {}
impl RefUnwindSafe for WakeSlot {}

impl WakeSlot {
    /// An empty slot.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            word: Word(AtomicU8::new(IDLE)),
            waker: UnsafeCell::new(None),
        }
    }

    /// An empty slot.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            word: Word(AtomicU8::new(IDLE)),
            waker: UnsafeCell::new(None),
        }
    }

    /// Leaves `waker` to be woken by the next event, in place of the one left before.
    ///
    /// Look at the event *after* this call: one that came before may have found the slot empty. If an
    /// event comes while this runs, `waker` is woken at once.
    /// If two tasks register at the same instant, the later one is woken at once and tries again; after
    /// that the slot belongs to whoever registered last.
    pub fn register(&self, waker: &Waker) {
        // Cloned before the word is taken: a waker is foreign code.
        let mine = waker.clone();
        match self.word.begin_store() {
            Store::Busy => {
                // Whoever is inside is about to leave: the next poll should find the slot free.
                hint::spin_loop();
                mine.wake();
            }
            Store::Proceed => {
                // SAFETY: `begin_store` moved IDLE -> STORING, so no other thread is in the slot.
                let old = self.waker.with_mut(|slot| unsafe { (*slot).replace(mine) });
                if self.word.end_store() {
                    drop(old);
                    return;
                }
                // SAFETY: `end_store` failed, so the word is still STORING and the slot still ours.
                let mine = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                self.word.unlock();
                drop(old);
                if let Some(mine) = mine {
                    mine.wake();
                }
            }
        }
    }

    /// Wakes the task that registered last, if it has not been woken since.
    ///
    /// Publish the event before this call.
    #[inline]
    pub fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }

    /// The waker that [`wake`](Self::wake) would call, for callers that hold a lock and wake after it.
    ///
    /// Returns `None` if nobody waits, or if the task was registering and wakes itself.
    pub fn take(&self) -> Option<Waker> {
        if !self.word.begin_take() {
            return None;
        }
        // SAFETY: `begin_take` moved IDLE -> TAKING, so no other thread is in the slot.
        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
        self.word.end_take();
        waker
    }
}

impl Default for WakeSlot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WakeSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeSlot").finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<WakeSlot>();
};
