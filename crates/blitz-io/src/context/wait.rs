//! The wait of a thread in `block_on` that has no driver, as paused time sees it.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use blitz_driver::Clock;
use blitz_driver::clock::{Member, Sleeper};
use blitz_exec::scheduler::Wait;

use super::presence::Presence;

/// A thread's wait; while it lives, paused time does not jump before the thread sleeps.
pub(crate) struct ThreadWait {
    shared: Arc<Shared>,
    clock: Clock,
    _presence: Presence,
}

struct Shared {
    sleeper: Sleeper,
    thread: Thread,
}

impl ThreadWait {
    pub(crate) fn new(clock: &Clock) -> Self {
        let shared = Arc::new(Shared {
            sleeper: Sleeper::new(),
            thread: thread::current(),
        });
        let presence = Presence::waiting(clock, Arc::<Shared>::clone(&shared));
        Self {
            shared,
            clock: clock.clone(),
            _presence: presence,
        }
    }
}

impl Wait for ThreadWait {
    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.shared))
    }

    fn wait(&self) {
        let sleeper = &self.shared.sleeper;
        if !self.clock.fall_asleep(sleeper) || self.clock.try_auto_advance(sleeper) {
            return;
        }
        // The standard library's token may be anybody's, so the sleeper's word decides.
        while sleeper.is_asleep() {
            thread::park();
        }
        sleeper.wake_up();
    }
}

impl Shared {
    fn notify(&self) {
        if self.sleeper.notify() {
            self.thread.unpark();
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

impl Member for Shared {
    fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }

    fn unpark(&self) {
        self.notify();
    }
}
