//! A lock that many may share to read, or one has to write.

mod owned_read;
mod owned_write;
mod read;
mod write;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::blocking::block_on;
use crate::called::call;
use crate::hold::{Guarded, Value};
use crate::mutex::TryLockError;
use crate::permits::{Permits, never_closed};
use crate::spans::Spans;

pub use owned_read::OwnedRwLockReadGuard;
pub use owned_write::{OwnedRwLockMappedWriteGuard, OwnedRwLockWriteGuard};
pub use read::RwLockReadGuard;
pub use write::{RwLockMappedWriteGuard, RwLockWriteGuard};

/// The most readers that a lock admits at once, and as many as it admits if it is not told otherwise.
const READERS_MAX: u32 = u32::MAX >> 3;

/// A lock with many readers or one writer, whose guards may be held over an `.await`.
///
/// Who waits first is served first, readers and writers in one line: a writer that waits lets no later reader past, so
/// neither starves. A task that reads and asks to read again may therefore wait for itself, if a writer came in between.
///
/// # Examples
/// ```
/// use blitz_sync::RwLock;
/// # futures::executor::block_on(async {
/// let lock = RwLock::new(5);
/// {
///     let first = lock.read().await;
///     let second = lock.read().await;
///     assert_eq!(*first + *second, 10);
///     assert!(lock.try_write().is_err());
/// }
/// *lock.write().await += 1;
/// assert_eq!(*lock.read().await, 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    permits: Permits,
    readers_max: u32,
    value: Value<T>,
}

// SAFETY: a permit gives the value to be shared, all of them give it to one guard alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> Guarded for RwLock<T> {
    #[inline]
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

impl<T> RwLock<T> {
    /// A lock around `value`, free.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::with_max_readers(value, READERS_MAX)
    }

    /// A lock that admits so many readers at once.
    ///
    /// # Panics
    /// If that is 0 or above `u32::MAX >> 3`.
    #[track_caller]
    pub fn with_max_readers(value: T, max_reads: u32) -> Self {
        assert_ne!(max_reads, 0, "a RwLock may not be created with 0 readers");
        assert!(
            max_reads <= READERS_MAX,
            "a RwLock may not be created with more than {READERS_MAX} readers"
        );
        let all = max_reads as usize;
        Self {
            permits: Permits::new(all).told_of(Spans::rwlock(all, Location::caller())),
            readers_max: max_reads,
            value: Value::new(value),
        }
    }

    /// A lock around `value`, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new(value: T) -> Self {
        Self::const_with_max_readers(value, READERS_MAX)
    }

    /// A lock that admits so many readers at once, for a `static`.
    ///
    /// # Panics
    /// If that is 0 or above `u32::MAX >> 3`.
    #[cfg(not(loom))]
    pub const fn const_with_max_readers(value: T, max_reads: u32) -> Self {
        assert!(max_reads != 0, "a RwLock may not be created with 0 readers");
        assert!(
            max_reads <= READERS_MAX,
            "a RwLock may not be created with more than u32::MAX >> 3 readers"
        );
        Self {
            permits: Permits::new(max_reads as usize),
            readers_max: max_reads,
            value: Value::new(value),
        }
    }

    /// The value, out of its lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits to share the value.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        let call = call!("RwLock::read");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let wait = self.permits.acquire(1, call);
            if wait.await.is_err() {
                never_closed();
            }
            RwLockReadGuard::new(self, self.permits.note(1, call.at))
        })
    }

    /// Waits to share the value, with a guard that keeps the lock alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`read`](Self::read).
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> {
        let call = call!("RwLock::read_owned");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let wait = self.permits.acquire(1, call);
            if wait.await.is_err() {
                never_closed();
            }
            OwnedRwLockReadGuard::new(self)
        })
    }

    /// Waits to share the value, on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        block_on("RwLock::blocking_read", self.read())
    }

    /// Shares the value, if no writer has it or waits for it.
    ///
    /// # Errors
    /// If one does, or the lock admits no more readers.
    #[track_caller]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.try_acquire(1)?;
        let noted = self.permits.note(1, Location::caller());
        Ok(RwLockReadGuard::new(self, noted))
    }

    /// The same, with a guard that keeps the lock alive.
    ///
    /// # Errors
    /// As for [`try_read`](Self::try_read).
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        self.try_acquire(1)?;
        Ok(OwnedRwLockReadGuard::new(self))
    }

    /// Waits to have the value alone.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and lets those behind it through.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        let call = call!("RwLock::write");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let all = self.readers_max as usize;
            let wait = self.permits.acquire(all, call);
            if wait.await.is_err() {
                never_closed();
            }
            RwLockWriteGuard::new(self, self.permits.note(all, call.at))
        })
    }

    /// Waits to have the value alone, with a guard that keeps the lock alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`write`](Self::write).
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> {
        let call = call!("RwLock::write_owned");
        let operation = self.permits.spans().operation(call.site.what);
        operation.around(async move {
            let wait = self.permits.acquire(self.readers_max as usize, call);
            if wait.await.is_err() {
                never_closed();
            }
            OwnedRwLockWriteGuard::new(self)
        })
    }

    /// Waits to have the value alone, on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        block_on("RwLock::blocking_write", self.write())
    }

    /// Takes the value alone, if nobody has it or waits for it.
    ///
    /// # Errors
    /// If somebody does.
    #[track_caller]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.try_acquire(self.readers_max)?;
        let noted = self
            .permits
            .note(self.readers_max as usize, Location::caller());
        Ok(RwLockWriteGuard::new(self, noted))
    }

    /// The same, with a guard that keeps the lock alive.
    ///
    /// # Errors
    /// As for [`try_write`](Self::try_write).
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        self.try_acquire(self.readers_max)?;
        Ok(OwnedRwLockWriteGuard::new(self))
    }

    /// The value, while nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn try_acquire(&self, permits: u32) -> Result<(), TryLockError> {
        self.permits
            .try_acquire(permits as usize)
            .map_err(|_| TryLockError::held())
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(value) => out.field("data", &&*value),
            Err(_) => out.field("data", &format_args!("<locked>")),
        };
        out.finish()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<RwLock<u8>>();
    shared::<RwLockReadGuard<'_, u8>>();
    shared::<RwLockWriteGuard<'_, u8>>();
    shared::<RwLockMappedWriteGuard<'_, u8>>();
    shared::<OwnedRwLockReadGuard<u8, u8>>();
    shared::<OwnedRwLockWriteGuard<u8>>();
    shared::<OwnedRwLockMappedWriteGuard<u8, u8>>();
};
