//! A counter of permits that tasks take, hold and give back.

mod owned;
mod permit;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::acquire_error::{AcquireError, TryAcquireError};
use crate::blocking::block_on;
use crate::called::call;
use crate::permits::{self, Permits};
use crate::spans::Spans;

pub use owned::OwnedSemaphorePermit;
pub use permit::SemaphorePermit;

/// A counter of permits: whoever finds none waits, first come, first served.
///
/// A request for many stands in front of later ones for few, and gathers permits as they come; so a large request is not
/// starved by small ones. Permits that are dropped go to the one in front, not to whoever asks next.
///
/// # Examples
/// No more than two at a time:
/// ```
/// use blitz_sync::Semaphore;
/// # futures::executor::block_on(async {
/// let seats = Semaphore::new(2);
/// let first = seats.acquire().await.expect("nobody closes it");
/// let second = seats.acquire().await.expect("nobody closes it");
/// assert!(seats.try_acquire().is_err());
/// drop(first);
/// assert!(seats.try_acquire().is_ok());
/// # drop(second);
/// # });
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    /// The most permits that a semaphore can have: `usize::MAX >> 3`.
    pub const MAX_PERMITS: usize = permits::MAX;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        assert!(
            permits <= Self::MAX_PERMITS,
            "a semaphore may not have more than MAX_PERMITS permits ({})",
            Self::MAX_PERMITS
        );
        let spans = Spans::semaphore(permits, Location::caller());
        Self {
            permits: Permits::new(permits).told_of(spans),
        }
    }

    /// The same, for a `static`.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[cfg(not(loom))]
    pub const fn const_new(permits: usize) -> Self {
        assert!(
            permits <= Self::MAX_PERMITS,
            "a semaphore may not have more than MAX_PERMITS permits"
        );
        Self {
            permits: Permits::new(permits),
        }
    }

    /// How many permits are free.
    pub fn available_permits(&self) -> usize {
        self.permits.available()
    }

    /// Adds `count` new permits.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS); then none was added.
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        assert!(
            self.permits.add(count),
            "adding {count} permits would overflow MAX_PERMITS ({})",
            Self::MAX_PERMITS
        );
    }

    /// Takes up to `count` free permits away for good. Returns how many that was.
    pub fn forget_permits(&self, count: usize) -> usize {
        self.permits.forget(count)
    }

    /// Waits for one permit.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and takes nothing.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let call = call!("Semaphore::acquire");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            self.permits.acquire(1, call).await?;
            let noted = self.permits.note(1, call.at);
            Ok(SemaphorePermit::new(self, 1, noted))
        })
    }

    /// Waits for `count` permits at once.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and what it had gathered goes to those behind it.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::Semaphore;
    /// # futures::executor::block_on(async {
    /// let semaphore = Semaphore::new(5);
    /// let permit = semaphore.acquire_many(3).await.expect("nobody closes it");
    /// assert_eq!((permit.num_permits(), semaphore.available_permits()), (3, 2));
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire_many(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let call = call!("Semaphore::acquire_many");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            self.permits.acquire(count as usize, call).await?;
            let noted = self.permits.note(count as usize, call.at);
            Ok(SemaphorePermit::new(self, count, noted))
        })
    }

    /// Waits for a permit on a thread that runs no tasks.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on("Semaphore::blocking_acquire", self.acquire())
    }

    /// Waits for `count` permits at once on a thread that runs no tasks.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on("Semaphore::blocking_acquire_many", self.acquire_many(count))
    }

    /// Takes a permit if one is free and nobody waits for it.
    ///
    /// # Errors
    /// [`NoPermits`](TryAcquireError::NoPermits) if not, [`Closed`](TryAcquireError::Closed) if the semaphore is.
    #[track_caller]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if they are free and nobody waits.
    ///
    /// # Errors
    /// As for [`try_acquire`](Self::try_acquire).
    #[track_caller]
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.permits.try_acquire(count as usize)?;
        let noted = self.permits.note(count as usize, Location::caller());
        Ok(SemaphorePermit::new(self, count, noted))
    }

    /// Waits for one permit, which keeps the semaphore alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    #[track_caller]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let call = call!("Semaphore::acquire_owned");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            self.permits.acquire(1, call).await?;
            Ok(OwnedSemaphorePermit::new(self, 1))
        })
    }

    /// Waits for `count` permits, which keep the semaphore alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`acquire_many`](Self::acquire_many).
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let call = call!("Semaphore::acquire_many_owned");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            self.permits.acquire(count as usize, call).await?;
            Ok(OwnedSemaphorePermit::new(self, count))
        })
    }

    /// Waits on a thread that runs no tasks for a permit, which keeps the semaphore alive instead of borrowing it.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on("Semaphore::blocking_acquire_owned", self.acquire_owned())
    }

    /// Waits on a thread that runs no tasks for `count` permits, which keep the semaphore alive instead of borrowing it.
    ///
    /// # Errors
    /// If the semaphore is closed, before or meanwhile.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on(
            "Semaphore::blocking_acquire_many_owned",
            self.acquire_many_owned(count),
        )
    }

    /// Takes a permit that keeps the semaphore alive, if one is free and nobody waits for it.
    ///
    /// # Errors
    /// As for [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes `count` permits that keep the semaphore alive, if they are free and nobody waits.
    ///
    /// # Errors
    /// As for [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.permits.try_acquire(count as usize)?;
        Ok(OwnedSemaphorePermit::new(self, count))
    }

    /// Closes the semaphore: who waits is told, who asks later too. Permits that are held stay what they are.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.close();
    /// assert_eq!(semaphore.try_acquire().err(), Some(TryAcquireError::Closed));
    /// ```
    pub fn close(&self) {
        self.permits.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.permits.available())
            .field("closed", &self.permits.is_closed())
            .finish()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Semaphore>();
    shared::<SemaphorePermit<'_>>();
    shared::<OwnedSemaphorePermit>();
};
