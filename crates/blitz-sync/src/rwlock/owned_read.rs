//! A guard that shares the value and keeps its lock alive.

use std::sync::Arc;

use super::RwLock;
use crate::guard_traits::guard_traits;
use crate::hold::{Hold, Shared};

/// A [`RwLock`] of `T` shared with other readers and kept alive, as a guard of its value or of a part `U` of it.
#[must_use = "dropped at once, it unlocks at once"]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T> {
    value: Shared<U>,
    hold: Hold<Arc<RwLock<T>>>,
}

guard_traits!(impl[T: ?Sized, U: ?Sized] OwnedRwLockReadGuard<T, U> => U);

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The caller has a permit.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self {
            // SAFETY: the guard has the permit, and the lock, until it is dropped.
            value: unsafe { lock.value.shared() },
            hold: Hold::new(lock, 1),
        }
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    /// From a writer that is content with reading: `hold` has one permit.
    pub(super) fn downgraded(value: Shared<U>, hold: Hold<Arc<RwLock<T>>>) -> Self {
        Self { value, hold }
    }

    /// A guard of a part of what this one guards. The lock is held as before.
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, V>
    where
        F: FnOnce(&U) -> &V,
    {
        let Self { value, hold } = this;
        OwnedRwLockReadGuard {
            value: value.map(f),
            hold,
        }
    }

    /// A guard of a part of what this one guards, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, V: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockReadGuard<T, V>, Self>
    where
        F: FnOnce(&U) -> Option<&V>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(OwnedRwLockReadGuard { value, hold }),
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The lock that this is of.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.hold.lock()
    }
}
