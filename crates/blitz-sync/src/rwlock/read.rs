//! A guard that shares the value and borrows its lock.

use super::RwLock;
use crate::guard_traits::guard_traits;
use crate::hold::{Hold, Shared};
use crate::holders::Noted;
use crate::permits::Permits;

/// A [`RwLock`] shared with other readers, let go of on drop.
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    value: Shared<T>,
    hold: Hold<&'a Permits>,
}

guard_traits!(impl['a, T: ?Sized] RwLockReadGuard<'a, T> => T);

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The caller has a permit, noted so.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, noted: Noted) -> Self {
        Self {
            // SAFETY: the guard has the permit until it is dropped.
            value: unsafe { lock.value.shared() },
            hold: Hold::noted(&lock.permits, 1, noted),
        }
    }

    /// From a writer that is content with reading: `hold` has one permit.
    pub(super) fn downgraded(value: Shared<T>, hold: Hold<&'a Permits>) -> Self {
        Self { value, hold }
    }

    /// A guard of a part of the value. The lock is held as before.
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let Self { value, hold } = this;
        RwLockReadGuard {
            value: value.map(f),
            hold,
        }
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself if `f` finds no such part.
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Self { value, hold } = this;
        match value.try_map(f) {
            Ok(value) => Ok(RwLockReadGuard { value, hold }),
            Err(value) => Err(Self { value, hold }),
        }
    }
}
