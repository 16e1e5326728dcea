//! Guards that keep their mutex alive.

use std::marker::PhantomData;
use std::sync::Arc;

use super::Mutex;
use crate::guard_traits::guard_traits;
use crate::hold::{Exclusive, Hold};

/// The lock of a [`Mutex`] that it keeps alive, let go of on drop.
#[must_use = "dropped at once, it unlocks at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    value: Exclusive<T>,
    hold: Hold<Arc<Mutex<T>>>,
}

guard_traits!(mut impl[T: ?Sized] OwnedMutexGuard<T> => T);

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The caller has the permit.
    pub(super) fn new(lock: Arc<Mutex<T>>) -> Self {
        Self {
            // SAFETY: the guard has the one permit, and the lock, until it is dropped.
            value: unsafe { lock.value.exclusive() },
            hold: Hold::new(lock, 1),
        }
    }

    /// A guard of a part of the value. The lock is held as before.
    pub fn map<U, F>(this: Self, f: F) -> OwnedMappedMutexGuard<T, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold } = this;
        OwnedMappedMutexGuard::of(value.map(f), hold)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<U, F>(this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(OwnedMappedMutexGuard::of(value, hold)),
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The lock that this is of.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        this.hold.lock()
    }
}

/// The lock of a [`Mutex`] of `T` that it keeps alive, as a guard of a part `U` of its value.
///
/// It is shared with other threads only where the whole value may be.
/// ```compile_fail
/// # use blitz_sync::{Mutex, OwnedMutexGuard};
/// # use std::{cell::Cell, sync::Arc};
/// fn share<T: Sync>(_: T) {}
/// let guard = Arc::new(Mutex::new((Cell::new(0), 0))).try_lock_owned().unwrap();
/// share(OwnedMutexGuard::map(guard, |value| &mut value.1));
/// ```
#[must_use = "dropped at once, it unlocks at once"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T> {
    value: Exclusive<U>,
    hold: Hold<Arc<Mutex<T>>>,
    _whole: PhantomData<Exclusive<T>>,
}

guard_traits!(mut impl[T: ?Sized, U: ?Sized] OwnedMappedMutexGuard<T, U> => U);

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    /// `hold` has the one permit of the lock that `value` leads into.
    fn of(value: Exclusive<U>, hold: Hold<Arc<Mutex<T>>>) -> Self {
        Self {
            value,
            hold,
            _whole: PhantomData,
        }
    }

    /// A guard of a part of what this one guards.
    pub fn map<S, F>(this: Self, f: F) -> OwnedMappedMutexGuard<T, S>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> &mut S,
    {
        let Self { value, hold, .. } = this;
        OwnedMappedMutexGuard::of(value.map(f), hold)
    }

    /// A guard of a part of what this one guards, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<S, F>(this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, S>, Self>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> Option<&mut S>,
    {
        let Self { value, hold, .. } = this;
        match value.try_map(f) {
            Ok(value) => Ok(OwnedMappedMutexGuard::of(value, hold)),
            Err(value) => Err(Self::of(value, hold)),
        }
    }
}
