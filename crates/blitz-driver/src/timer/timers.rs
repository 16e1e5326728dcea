//! The wheel behind its lock, and what the driver asks of it.

use std::fmt;
use std::task::{Poll, Waker};
use std::time::Duration;

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::AtomicU64;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::slab::Key;
use blitz_core::wake::WakeBatch;

use super::wheel::Wheel;
use crate::clock::{Clock, Sleeper};

/// No deadline: also what a timer has that lies beyond 584 years.
const NEVER: u64 = u64::MAX;

/// The driver has shut down, so its timers fire no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown;

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime that this timer belongs to is shutting down")
    }
}

impl std::error::Error for Shutdown {}

/// What [`Timers::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The deadline has passed already: nothing was registered.
    Elapsed,
    /// Registered under this key, until [`Timers::remove`].
    Pending {
        /// The timer's place.
        key: Key,
        /// The driver sleeps past this deadline: it must be unparked.
        unpark: bool,
    },
}

/// What [`Timers::reset`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It had fired before and nothing changed: to wait again it must be removed and inserted again.
    TooLate,
    /// It fired by this.
    Fired,
    /// It waits for the new deadline.
    Pending {
        /// The driver sleeps past this deadline: it must be unparked.
        unpark: bool,
    },
}

/// All timers of one driver. Any thread may call anything here.
pub struct Timers {
    state: Mutex<State>,
    /// Never later than the earliest deadline: what a turn looks at before it takes the lock.
    next: AtomicU64,
    /// Until when the driver sleeps; 0 while it is awake or needs no unpark. Set under the lock, cleared by the driver without it.
    sleeps_until: AtomicU64,
}

struct State {
    wheel: Wheel<Waker>,
    shutdown: bool,
}

impl Timers {
    /// No timers.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                wheel: Wheel::new(),
                shutdown: false,
            }),
            next: AtomicU64::new(NEVER),
            sleeps_until: AtomicU64::new(0),
        }
    }

    /// Registers `waker` to be woken once, at `deadline` (nanoseconds as by [`clock::to_ns`](crate::clock::to_ns)) or a little later.
    ///
    /// # Errors
    /// If the driver has shut down.
    pub fn insert(&self, deadline: u64, waker: &Waker) -> Result<Inserted, Shutdown> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.shutdown {
            drop(state);
            return Err(Shutdown);
        }
        match state.wheel.insert(deadline, waker) {
            Ok(key) => {
                let unpark = self.sooner(&state, deadline);
                Ok(Inserted::Pending { key, unpark })
            }
            Err(waker) => {
                drop(state);
                drop(waker);
                Ok(Inserted::Elapsed)
            }
        }
    }

    /// Ready once the timer has fired; until then `waker` is the one to be woken.
    pub fn poll(&self, key: Key, waker: &Waker) -> Poll<Result<(), Shutdown>> {
        let mut fresh = None;
        loop {
            let mut state = self.state.lock();
            if state.shutdown {
                return Poll::Ready(Err(Shutdown));
            }
            let Some(slot) = state.wheel.payload_mut(key) else {
                return Poll::Ready(Ok(()));
            };
            if slot.will_wake(waker) {
                return Poll::Pending;
            }
            // No foreign code under the lock: clone without it, and drop the old one without it.
            if let Some(fresh) = fresh.take() {
                let old = std::mem::replace(slot, fresh);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(waker.clone());
        }
    }

    /// True once the timer has fired.
    pub fn is_elapsed(&self, key: Key) -> bool {
        self.state.lock().wheel.payload_mut(key).is_none()
    }

    /// Moves the timer to `deadline`, as if it were registered anew; if that has passed it fires at once.
    pub fn reset(&self, key: Key, deadline: u64) -> Reset {
        let mut state = self.state.lock();
        if state.wheel.payload_mut(key).is_none() {
            return Reset::TooLate;
        }
        match state.wheel.reset(key, deadline) {
            None => Reset::Pending {
                unpark: self.sooner(&state, deadline),
            },
            Some(waker) => {
                drop(state);
                waker.wake();
                Reset::Fired
            }
        }
    }

    /// Forgets the timer, fired or not.
    pub fn remove(&self, key: Key) {
        let waker = self.state.lock().wheel.remove(key);
        drop(waker);
    }

    /// How many timers are registered, fired ones that their owners have not seen yet included.
    pub fn len(&self) -> usize {
        self.state.lock().wheel.len()
    }

    /// How many timers are registered, and the bytes that the wheel and its entries take.
    pub fn usage(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.wheel.len(), state.wheel.bytes())
    }

    /// True if there is no timer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The earliest deadline of all that have not fired, or a moment before it (see the wheel's file).
    pub fn next_deadline(&self) -> Option<u64> {
        let mut state = self.state.lock();
        Some(self.refresh(&mut state)).filter(|&ns| ns != NEVER)
    }

    /// Before the driver waits, after its [`Sleeper::fall_asleep`]: how long it may, `None` for without limit.
    ///
    /// On a paused clock timers set no limit; if everyone sleeps time jumps, timers fire, and the answer is zero.
    /// From here until [`end_wait`](Self::end_wait) an earlier timer from another thread asks for an unpark: on a paused
    /// clock, too, since a thread of no runtime does not sleep with the others and so has nobody else look at its timer.
    pub fn begin_wait(
        &self,
        clock: &Clock,
        sleeper: &Sleeper,
        limit: Option<Duration>,
    ) -> Option<Duration> {
        let mut state = self.state.lock();
        let next = self.refresh(&mut state);
        // ORDERING: Relaxed: an insert reads it under the lock, so it comes before (and we saw its deadline) or after.
        self.sleeps_until.store(next, Relaxed);
        drop(state);
        if clock.is_paused() {
            let moved = clock.try_auto_advance(sleeper);
            return if moved { Some(Duration::ZERO) } else { limit };
        }
        if next == NEVER {
            return limit;
        }
        let wait = Duration::from_nanos(next.saturating_sub(clock.now_ns()));
        Some(limit.map_or(wait, |limit| limit.min(wait)))
    }

    /// After the driver's wait, and in each turn that does not wait: fires what is due. Returns how many fired.
    #[inline]
    pub fn end_wait(&self, clock: &Clock) -> usize {
        // ORDERING: Relaxed: an insert that still reads the old value asks for an unpark too many.
        if self.sleeps_until.load(Relaxed) != 0 {
            self.sleeps_until.store(0, Relaxed);
        }
        match self.next.load(Relaxed) {
            NEVER => 0,
            next => {
                let now = clock.now_ns();
                if next > now { 0 } else { self.fire(now) }
            }
        }
    }

    /// Fires every timer due at `now`, in order. Returns how many.
    pub fn fire(&self, now: u64) -> usize {
        let mut fired = 0;
        let mut batch = WakeBatch::new();
        loop {
            let mut state = self.state.lock();
            state.wheel.advance(now);
            while !batch.is_full() {
                let Some(waker) = state.wheel.pop_due() else {
                    break;
                };
                batch.push(waker);
            }
            let more = batch.is_full();
            if !more {
                self.refresh(&mut state);
            }
            drop(state);
            fired += batch.len();
            batch.wake_all();
            if !more {
                return fired;
            }
        }
    }

    /// Wakes everyone who waits, and fires nothing any more: who polls or registers is told [`Shutdown`].
    pub fn shutdown(&self) {
        self.state.lock().shutdown = true;
        self.fire(NEVER);
    }

    /// Notes a new deadline. Returns true if the driver sleeps past it.
    #[inline]
    fn sooner(&self, _locked: &State, deadline: u64) -> bool {
        // ORDERING: Relaxed: written under the lock only; whoever reads without it looks again before it sleeps.
        if deadline < self.next.load(Relaxed) {
            self.next.store(deadline, Relaxed);
        }
        let past = deadline < self.sleeps_until.load(Relaxed);
        if past {
            self.sleeps_until.store(0, Relaxed);
        }
        past
    }

    /// Brings `next` up to date.
    #[inline]
    fn refresh(&self, state: &mut State) -> u64 {
        // ORDERING: Relaxed, here and below: written under the lock. It is never later than the earliest deadline: there is none.
        if self.next.load(Relaxed) == NEVER {
            return NEVER;
        }
        let next = state.wheel.next_deadline().unwrap_or(NEVER);
        self.next.store(next, Relaxed);
        next
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
