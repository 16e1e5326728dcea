//! A lock that tasks wait for.

mod guard;
mod owned;

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::blocking::block_on;
use crate::called::call;
use crate::hold::{Guarded, Value};
use crate::permits::{Permits, never_closed};
use crate::spans::Spans;

pub use guard::{MappedMutexGuard, MutexGuard};
pub use owned::{OwnedMappedMutexGuard, OwnedMutexGuard};

/// A lock whose guard may be held over an `.await`.
///
/// Who waits first is served first: a lock that is let go of goes to the task in front, not to whoever asks next. It is not
/// poisoned by a panic. For data alone, which is never held over an `.await`, `std::sync::Mutex` is the quicker one.
///
/// # Examples
/// ```
/// use blitz_sync::Mutex;
/// # futures::executor::block_on(async {
/// let count = Mutex::new(0);
/// *count.lock().await += 1;
/// assert!(count.try_lock().is_ok());
/// let guard = count.lock().await;
/// assert!(count.try_lock().is_err());
/// assert_eq!(*guard, 1);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    permits: Permits,
    value: Value<T>,
}

// SAFETY: the one permit gives the value to one guard at a time, on whichever thread that is.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> Guarded for Mutex<T> {
    #[inline]
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

/// The lock is held by somebody.
#[derive(Debug)]
pub struct TryLockError(());

impl TryLockError {
    pub(crate) fn held() -> Self {
        Self(())
    }
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operation would block")
    }
}

impl Error for TryLockError {}

impl<T> Mutex<T> {
    /// A lock around `value`, free.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self {
            permits: Permits::new(1).told_of(Spans::mutex(Location::caller())),
            value: Value::new(value),
        }
    }

    /// The same, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new(value: T) -> Self {
        Self {
            permits: Permits::new(1),
            value: Value::new(value),
        }
    }

    /// The value, out of its lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and the lock goes to the next.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        let call = call!("Mutex::lock");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let wait = self.permits.acquire(1, call);
            if wait.await.is_err() {
                never_closed();
            }
            MutexGuard::new(self, self.permits.note(1, call.at))
        })
    }

    /// Waits for the lock, with a guard that keeps it alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`lock`](Self::lock).
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> {
        let call = call!("Mutex::lock_owned");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let wait = self.permits.acquire(1, call);
            if wait.await.is_err() {
                never_closed();
            }
            OwnedMutexGuard::new(self)
        })
    }

    /// Waits for the lock on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    ///
    /// # Examples
    /// ```
    /// let value = blitz_sync::Mutex::new(1);
    /// *value.blocking_lock() += 1;
    /// assert_eq!(value.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        block_on("Mutex::blocking_lock", self.lock())
    }

    /// The same, with a guard that keeps the lock alive.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        block_on("Mutex::blocking_lock_owned", self.lock_owned())
    }

    /// Takes the lock if it is free and nobody waits for it.
    ///
    /// # Errors
    /// If it is not.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        match self.permits.try_acquire(1) {
            Ok(()) => {
                let noted = self.permits.note(1, Location::caller());
                Ok(MutexGuard::new(self, noted))
            }
            Err(_) => Err(TryLockError::held()),
        }
    }

    /// The same, with a guard that keeps the lock alive.
    ///
    /// # Errors
    /// If it is held.
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        match self.permits.try_acquire(1) {
            Ok(()) => Ok(OwnedMutexGuard::new(self)),
            Err(_) => Err(TryLockError::held()),
        }
    }

    /// The value, while nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(value) => out.field("data", &&*value),
            Err(_) => out.field("data", &format_args!("<locked>")),
        };
        out.finish()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Mutex<std::cell::Cell<u8>>>();
    shared::<MutexGuard<'_, u8>>();
    shared::<MappedMutexGuard<'_, u8>>();
    shared::<OwnedMutexGuard<u8>>();
    shared::<OwnedMappedMutexGuard<u8, u8>>();
};

#[cfg(all(test, loom))]
#[path = "../tests/loom_locks.rs"]
mod models;
