//! Guards that borrow their mutex.

use super::Mutex;
use crate::guard_traits::guard_traits;
use crate::hold::{Exclusive, Hold};
use crate::holders::Noted;
use crate::permits::Permits;

/// The lock of a [`Mutex`], let go of on drop.
#[must_use = "dropped at once, it unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) value: Exclusive<T>,
    hold: Hold<&'a Mutex<T>>,
}

guard_traits!(mut impl['a, T: ?Sized] MutexGuard<'a, T> => T);

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has the permit, noted so.
    #[inline]
    pub(super) fn new(lock: &'a Mutex<T>, noted: Noted) -> Self {
        Self {
            // SAFETY: the guard has the one permit until it is dropped.
            value: unsafe { lock.value.exclusive() },
            hold: Hold::noted(lock, 1, noted),
        }
    }

    /// A guard of a part of the value. The lock is held as before.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::{Mutex, MutexGuard};
    /// # futures::executor::block_on(async {
    /// let pair = Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(pair.lock().await, |pair| &mut pair.0);
    /// *number = 2;
    /// drop(number);
    /// assert_eq!(pair.lock().await.0, 2);
    /// # });
    /// ```
    pub fn map<U, F>(this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold } = this;
        MappedMutexGuard {
            value: value.map(f),
            hold: hold.into_permits(),
        }
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<U, F>(this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(MappedMutexGuard {
                value,
                hold: hold.into_permits(),
            }),
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The lock that this is of.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.hold.lock()
    }
}

/// The lock of a [`Mutex`], as a guard of a part of its value.
#[must_use = "dropped at once, it unlocks at once"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    value: Exclusive<T>,
    hold: Hold<&'a Permits>,
}

guard_traits!(mut impl['a, T: ?Sized] MappedMutexGuard<'a, T> => T);

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// A guard of a part of what this one guards.
    pub fn map<U, F>(this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold } = this;
        MappedMutexGuard {
            value: value.map(f),
            hold,
        }
    }

    /// A guard of a part of what this one guards, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<U, F>(this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(MappedMutexGuard { value, hold }),
            Err(value) => Err(Self { value, hold }),
        }
    }
}
