//! Permits that borrow their semaphore.

use std::{fmt, mem, ptr};

use super::Semaphore;
use crate::holders::Noted;

/// Permits of a [`Semaphore`], given back on drop.
#[must_use = "dropped at once, it gives its permits back"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    // More than one request can take: permits are merged.
    count: usize,
    noted: Noted,
}

impl<'a> SemaphorePermit<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, count: u32, noted: Noted) -> Self {
        Self {
            semaphore,
            count: count as usize,
            noted,
        }
    }

    /// Keeps the permits for good: they do not go back.
    pub fn forget(mut self) {
        self.semaphore.permits.open_up();
        self.count = 0;
    }

    /// Takes `other`'s permits in.
    ///
    /// # Panics
    /// If the two are not of one semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            ptr::eq(self.semaphore, other.semaphore),
            "merging permits from different semaphore instances"
        );
        self.count += mem::take(&mut other.count);
        self.semaphore.permits.keep(self.noted, self.count);
    }

    /// Gives `count` of the permits away as a value of their own; `None` if there are not so many.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        let permits = &self.semaphore.permits;
        permits.keep(self.noted, self.count);
        Some(Self {
            semaphore: self.semaphore,
            count,
            noted: permits.split(self.noted, count),
        })
    }

    /// The semaphore that they are of.
    pub fn semaphore(&self) -> &Semaphore {
        self.semaphore
    }

    /// How many permits this is.
    pub fn num_permits(&self) -> usize {
        self.count
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        let permits = &self.semaphore.permits;
        permits.let_go(self.noted);
        permits.release(self.count);
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("permits", &self.count)
            .finish_non_exhaustive()
    }
}
