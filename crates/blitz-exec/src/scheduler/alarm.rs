//! Wakes who watches the workers, when one of them leaves its wait.
//!
//! Whoever watches sleeps while every worker does. A worker that is awake again looks for it; who watches says that it sleeps
//! and then looks at the workers. Each passes a fence between its two steps, so one sees the other.

use std::fmt;

use blitz_core::primitive::sync::atomic::Ordering::{Relaxed, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicBool, fence};

/// Says whether anybody watches the workers who has fallen asleep, and wakes them.
pub struct Alarm {
    asleep: AtomicBool,
    ring: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Alarm {
    /// Nobody watches.
    pub fn none() -> Self {
        Self {
            asleep: AtomicBool::new(false),
            ring: None,
        }
    }

    /// Somebody who sleeps, and whom `ring` wakes. It is called on a worker's thread, and must be short.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            asleep: AtomicBool::new(true),
            ring: Some(Box::new(ring)),
        }
    }

    /// A worker is awake, and about to run tasks.
    #[inline]
    pub fn check(&self) {
        let Some(ring) = &self.ring else { return };
        // ORDERING: pairs with the fence in `sleep`: our wait has ended, and we look for who sleeps; or they look at us.
        fence(SeqCst);
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            ring();
        }
    }

    /// Who watches wants to sleep: `all_rest` says whether every worker does. False: it must stay awake. If it may sleep, the
    /// ring comes when a worker is awake.
    pub fn sleep(&self, all_rest: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Relaxed);
        // ORDERING: pairs with the fence in `check`.
        fence(SeqCst);
        all_rest() || !self.asleep.swap(false, Relaxed)
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("watches", &self.ring.is_some())
            .finish_non_exhaustive()
    }
}
