//! Guards that have the value alone and borrow its lock.

use std::marker::PhantomData;

use super::{RwLock, RwLockReadGuard};
use crate::guard_traits::guard_traits;
use crate::hold::{Exclusive, Hold};
use crate::holders::Noted;
use crate::permits::Permits;

/// A [`RwLock`] that one writer has, let go of on drop.
///
/// It goes to another thread only if the lock may be shared with one: as a reader there, after [`downgrade`](Self::downgrade), it
/// would meet readers here.
/// ```compile_fail
/// # use blitz_sync::RwLock;
/// fn send<T: Send>(_: T) {}
/// let lock = RwLock::new(std::cell::Cell::new(0));
/// send(lock.try_write().unwrap());
/// ```
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    value: Exclusive<T>,
    hold: Hold<&'a Permits>,
    _lock: PhantomData<&'a RwLock<T>>,
}

guard_traits!(mut impl['a, T: ?Sized] RwLockWriteGuard<'a, T> => T);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The caller has all permits, noted so.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, noted: Noted) -> Self {
        Self {
            // SAFETY: the guard has all permits until it is dropped.
            value: unsafe { lock.value.exclusive() },
            hold: Hold::noted(&lock.permits, lock.readers_max as usize, noted),
            _lock: PhantomData,
        }
    }

    /// A guard of a part of the value. The lock is held as before.
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold, .. } = this;
        RwLockMappedWriteGuard::of(value.map(f), hold)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold, .. } = this;
        match value.try_map(f) {
            Ok(value) => Ok(RwLockMappedWriteGuard::of(value, hold)),
            Err(value) => Err(Self {
                value,
                hold,
                _lock: PhantomData,
            }),
        }
    }

    /// The same guard under the type of one that was mapped.
    pub fn into_mapped(this: Self) -> RwLockMappedWriteGuard<'a, T> {
        Self::map(this, |value| value)
    }

    /// Goes on as a reader, without letting go in between: no other writer comes first.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::RwLock;
    /// # futures::executor::block_on(async {
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write().await;
    /// *writer = 2;
    /// let reader = writer.downgrade();
    /// assert_eq!((*reader, *lock.read().await), (2, 2));
    /// # });
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let Self {
            value, mut hold, ..
        } = self;
        hold.keep_one();
        RwLockReadGuard::downgraded(value.share(), hold)
    }

    /// Goes on as a reader of a part of the value.
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let Self {
            value, mut hold, ..
        } = this;
        let value = value.share().map(f);
        hold.keep_one();
        RwLockReadGuard::downgraded(value, hold)
    }

    /// Goes on as a reader of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, still the writer's, if `f` finds no such part.
    pub fn try_downgrade_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Self {
            value, mut hold, ..
        } = this;
        match value.try_share_map(f) {
            Ok(value) => {
                hold.keep_one();
                Ok(RwLockReadGuard::downgraded(value, hold))
            }
            Err(value) => Err(Self {
                value,
                hold,
                _lock: PhantomData,
            }),
        }
    }
}

/// A [`RwLock`] that one writer has, as a guard of a part of its value.
///
/// It goes to another thread where the guard that it was made of would, as far as its part says that.
/// ```compile_fail
/// # use blitz_sync::{RwLock, RwLockWriteGuard};
/// fn send<T: Send>(_: T) {}
/// let lock = RwLock::new(std::cell::Cell::new(0));
/// send(RwLockWriteGuard::into_mapped(lock.try_write().unwrap()));
/// ```
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized> {
    value: Exclusive<T>,
    hold: Hold<&'a Permits>,
    _lock: PhantomData<&'a RwLock<T>>,
}

guard_traits!(mut impl['a, T: ?Sized] RwLockMappedWriteGuard<'a, T> => T);

impl<'a, T: ?Sized> RwLockMappedWriteGuard<'a, T> {
    /// `hold` has all permits of the lock that `value` leads into.
    fn of(value: Exclusive<T>, hold: Hold<&'a Permits>) -> Self {
        Self {
            value,
            hold,
            _lock: PhantomData,
        }
    }

    /// A guard of a part of what this one guards.
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let Self { value, hold, .. } = this;
        RwLockMappedWriteGuard::of(value.map(f), hold)
    }

    /// A guard of a part of what this one guards, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Self { value, hold, .. } = this;
        match value.try_map(f) {
            Ok(value) => Ok(RwLockMappedWriteGuard::of(value, hold)),
            Err(value) => Err(Self::of(value, hold)),
        }
    }
}
