//! One thread's hold on a driver, which another thread can end.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::flight::Left;

thread_local! {
    /// The grant of the driver that this thread holds, or null. Whoever sets it keeps the grant.
    static HERE: Cell<*const Grant> = const { Cell::new(ptr::null()) };
}

/// One thread's hold on a driver, from `bind` to `unbind`.
pub(crate) struct Grant {
    /// The driver's number.
    number: usize,
    /// Another thread has taken the driver: this one holds it no more, and cannot know.
    seized: AtomicBool,
    /// What of its thread's is in flight when the hold has ended.
    pub(crate) left: Arc<Left>,
}

impl Grant {
    pub(crate) fn of(number: usize) -> Arc<Self> {
        Arc::new(Self {
            number,
            seized: AtomicBool::new(false),
            left: Arc::default(),
        })
    }

    /// From now on its thread holds the driver no more.
    pub(crate) fn seize(&self) {
        // ORDERING: Relaxed: what the thread does with the driver it does under the driver's locks, and looks here after. If it
        // sees itself the holder still, its part comes before that of the new holder, who takes the same locks later.
        self.seized.store(true, Relaxed);
    }

    pub(crate) fn is_seized(&self) -> bool {
        // ORDERING: Relaxed: see `seize`.
        self.seized.load(Relaxed)
    }
}

/// This is the thread's grant from now on. It must live until the next call.
pub(crate) fn set_here(grant: *const Grant) {
    HERE.set(grant);
}

/// Whether this thread holds the driver of this number.
#[inline]
pub(crate) fn is_here(number: usize) -> bool {
    let here = HERE.get();
    // SAFETY: null, or a grant that whoever called `set_here` keeps.
    let grant = unsafe { here.as_ref() };
    grant.is_some_and(|grant| grant.number == number && !grant.is_seized())
}
