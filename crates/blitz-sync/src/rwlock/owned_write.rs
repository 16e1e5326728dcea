//! Guards that have the value alone and keep its lock alive.

use std::sync::Arc;

use super::{OwnedRwLockReadGuard, RwLock};
use crate::guard_traits::guard_traits;
use crate::hold::{Exclusive, Hold};

/// A [`RwLock`] that one writer has and keeps alive, let go of on drop.
#[must_use = "dropped at once, it unlocks at once"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    value: Exclusive<T>,
    hold: Hold<Arc<RwLock<T>>>,
}

guard_traits!(mut impl[T: ?Sized] OwnedRwLockWriteGuard<T> => T);

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The caller has all permits.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        let all = lock.readers_max as usize;
        Self {
            // SAFETY: the guard has all permits, and the lock, until it is dropped.
            value: unsafe { lock.value.exclusive() },
            hold: Hold::new(lock, all),
        }
    }

    /// A guard of a part of the value. The lock is held as before.
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold } = this;
        OwnedRwLockMappedWriteGuard {
            value: value.map(f),
            hold,
        }
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, U: ?Sized>(
        this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(OwnedRwLockMappedWriteGuard { value, hold }),
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The same guard under the type of one that was mapped.
    pub fn into_mapped(this: Self) -> OwnedRwLockMappedWriteGuard<T> {
        Self::map(this, |value| value)
    }

    /// Goes on as a reader, without letting go in between: no other writer comes first.
    pub fn downgrade(self) -> OwnedRwLockReadGuard<T> {
        let Self { value, mut hold } = self;
        hold.keep_one();
        OwnedRwLockReadGuard::downgraded(value.share(), hold)
    }

    /// Goes on as a reader of a part of the value.
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let Self { value, mut hold } = this;
        let value = value.share().map(f);
        hold.keep_one();
        OwnedRwLockReadGuard::downgraded(value, hold)
    }

    /// Goes on as a reader of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, still the writer's, if `f` finds no such part.
    pub fn try_downgrade_map<F, U: ?Sized>(
        this: Self,
        f: F,
    ) -> Result<OwnedRwLockReadGuard<T, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Self { value, mut hold } = this;
        match value.try_share_map(f) {
            Ok(value) => {
                hold.keep_one();
                Ok(OwnedRwLockReadGuard::downgraded(value, hold))
            }
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The lock that this is of.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.hold.lock()
    }
}

/// A [`RwLock`] of `T` that one writer has and keeps alive, as a guard of a part `U` of its value.
#[must_use = "dropped at once, it unlocks at once"]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T> {
    value: Exclusive<U>,
    hold: Hold<Arc<RwLock<T>>>,
}

guard_traits!(mut impl[T: ?Sized, U: ?Sized] OwnedRwLockMappedWriteGuard<T, U> => U);

impl<T: ?Sized, U: ?Sized> OwnedRwLockMappedWriteGuard<T, U> {
    /// A guard of a part of what this one guards.
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, V>
    where
        F: FnOnce(&mut U) -> &mut V,
    {
        let Self { value, hold } = this;
        OwnedRwLockMappedWriteGuard {
            value: value.map(f),
            hold,
        }
    }

    /// A guard of a part of what this one guards, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, V: ?Sized>(
        this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, V>, Self>
    where
        F: FnOnce(&mut U) -> Option<&mut V>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(OwnedRwLockMappedWriteGuard { value, hold }),
            Err(value) => Err(Self { value, hold }),
        }
    }

    /// The lock that this is of.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.hold.lock()
    }
}
