//! What a sleep holds: its place among the timers of a driver.

use std::fmt;
use std::task::{Context, Poll};

use blitz_core::slab::Key;

use crate::shared::Handle;
use crate::timer::{Inserted, Reset, Shutdown};

// Not registered yet, or not any more. No slab gives these keys.
const UNREGISTERED: Key = Key::from_raw(u64::MAX);
/// The same, and the deadline lay ahead when the timer was made: no need to look at the clock.
const AHEAD: Key = Key::from_raw(u64::MAX - 1);
const ELAPSED: Key = Key::from_raw(u64::MAX - 2);

/// A timer that registers with a driver at its first [`poll`](Self::poll), and is forgotten when dropped.
pub struct Timer {
    home: Handle,
    key: Key,
}

impl Timer {
    /// A timer of `home`'s runtime. It will register with the driver of the thread that polls it first, if that belongs
    /// to the same runtime, and with `home` otherwise.
    #[inline]
    pub fn new(home: Handle) -> Self {
        Self {
            home,
            key: UNREGISTERED,
        }
    }

    /// The same for a deadline that lies ahead now: the first poll need not look at the clock, and always registers.
    #[inline]
    pub fn ahead(home: Handle) -> Self {
        Self { home, key: AHEAD }
    }

    /// Ready once `deadline` has passed, which must be the same in each poll until [`reset`](Self::reset).
    ///
    /// # Errors
    /// If the driver has shut down before.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: u64) -> Poll<Result<(), Shutdown>> {
        match self.key {
            AHEAD => self.register(cx, deadline),
            UNREGISTERED => {
                if deadline > self.home.clock().now_ns() {
                    return self.register(cx, deadline);
                }
                self.key = ELAPSED;
                Poll::Ready(Ok(()))
            }
            ELAPSED => Poll::Ready(Ok(())),
            key => {
                let polled = self.home.timers().poll(key, cx.waker());
                if let Poll::Ready(Ok(())) = polled {
                    self.forget();
                    self.key = ELAPSED;
                }
                polled
            }
        }
    }

    /// True once it has fired and until it is reset.
    pub fn is_elapsed(&self) -> bool {
        match self.key {
            UNREGISTERED | AHEAD => false,
            ELAPSED => true,
            key => self.home.timers().is_elapsed(key),
        }
    }

    /// From now on it waits for `deadline`. Whoever polled it last is woken then, if it had not fired yet;
    /// otherwise it registers again at the next poll.
    pub fn reset(&mut self, deadline: u64) {
        match self.key {
            UNREGISTERED | AHEAD | ELAPSED => self.key = UNREGISTERED,
            key => match self.home.timers().reset(key, deadline) {
                Reset::Pending { unpark: true } => self.home.unpark(),
                Reset::Pending { unpark: false } | Reset::Fired => {}
                Reset::TooLate => {
                    self.forget();
                    self.key = UNREGISTERED;
                }
            },
        }
    }

    /// The driver that keeps it, or will.
    #[inline]
    pub fn home(&self) -> &Handle {
        &self.home
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>, deadline: u64) -> Poll<Result<(), Shutdown>> {
        crate::current::with(|current| {
            if !current.same_as(&self.home) && current.is_sibling(&self.home) {
                self.home = current.clone();
            }
        });
        match self.home.timers().insert(deadline, cx.waker()) {
            Ok(Inserted::Pending { key, unpark }) => {
                self.key = key;
                if unpark {
                    self.home.unpark();
                }
                Poll::Pending
            }
            Ok(Inserted::Elapsed) => {
                self.key = ELAPSED;
                Poll::Ready(Ok(()))
            }
            Err(shutdown) => Poll::Ready(Err(shutdown)),
        }
    }

    fn forget(&mut self) {
        if self.key < ELAPSED {
            self.home.timers().remove(self.key);
        }
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.key {
            UNREGISTERED | AHEAD => "unregistered",
            ELAPSED => "elapsed",
            _ => "registered",
        };
        f.debug_struct("Timer").field("state", &state).finish()
    }
}
