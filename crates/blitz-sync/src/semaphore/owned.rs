//! Permits that keep their semaphore alive.

use std::sync::Arc;
use std::{fmt, mem};

use super::Semaphore;

/// Permits of a [`Semaphore`] that keep it alive, given back on drop.
#[must_use = "dropped at once, it gives its permits back"]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    // More than one request can take: permits are merged.
    count: usize,
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, count: u32) -> Self {
        Self {
            semaphore,
            count: count as usize,
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
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "merging permits from different semaphore instances"
        );
        self.count += mem::take(&mut other.count);
    }

    /// Gives `count` of the permits away as a value of their own; `None` if there are not so many.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        Some(Self {
            semaphore: Arc::clone(&self.semaphore),
            count,
        })
    }

    /// How many permits this is.
    pub fn num_permits(&self) -> usize {
        self.count
    }

    /// The semaphore that they are of.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

impl Drop for OwnedSemaphorePermit {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.permits.release(self.count);
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit")
            .field("permits", &self.count)
            .finish_non_exhaustive()
    }
}
