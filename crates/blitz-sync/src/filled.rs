//! A place for a value that is put there once and then only looked at.

use std::cell::UnsafeCell;

use blitz_core::primitive::sync::atomic::AtomicBool;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Release};

/// Empty, and then full for good.
pub(crate) struct Filled<T> {
    is_full: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written once, by one who says that it is alone, and shared after that.
unsafe impl<T: Send + Sync> Sync for Filled<T> {}

impl<T> Filled<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: Option<T>) -> Self {
        Self {
            is_full: AtomicBool::new(value.is_some()),
            value: UnsafeCell::new(value),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(value: Option<T>) -> Self {
        Self {
            is_full: AtomicBool::new(value.is_some()),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `fill`.
        self.is_full.load(Acquire)
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if !self.is_full() {
            return None;
        }
        // SAFETY: it is full, so nobody writes any more.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// Puts the value in its place.
    ///
    /// # Safety
    /// It is empty, and nobody else fills it.
    pub(crate) unsafe fn fill(&self, value: T) {
        // SAFETY: nobody reads before the store below, and nobody else writes, as the caller says.
        unsafe { *self.value.get() = Some(value) };
        // ORDERING: Release pairs with the Acquire in `is_full`.
        self.is_full.store(true, Release);
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

#[cfg(all(test, loom))]
#[path = "tests/loom_filled.rs"]
mod models;
