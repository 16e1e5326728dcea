//! What a guard is made of: the permits it gives back, and the way to the value that they protect.
//!
//! A guard is a [`Hold`], which knows the lock and gives its permits back on drop, and beside it, where the guard stands
//! for a part of the value, an [`Exclusive`] or [`Shared`] pointer to that part. Guards themselves have no `Drop`, so turning
//! one into another is moving fields.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::holders::Noted;
use crate::permits::{InHand, Permits};

/// A lock: it has permits.
pub(crate) trait Guarded {
    fn permits(&self) -> &Permits;
}

impl Guarded for Permits {
    fn permits(&self) -> &Permits {
        self
    }
}

/// Permits that were taken from the lock that `L` leads to, given back on drop.
pub(crate) struct Hold<L>
where
    L: Deref<Target: Guarded>,
{
    lock: L,
    count: usize,
    noted: Noted,
}

impl<L> Hold<L>
where
    L: Deref<Target: Guarded>,
{
    /// The caller has taken `count` permits, for a guard that may go to any task.
    #[inline]
    pub(crate) fn new(lock: L, count: usize) -> Self {
        Self::noted(lock, count, None)
    }

    /// The caller has taken `count` permits, for a guard of its task, which is noted so.
    #[inline]
    pub(crate) fn noted(lock: L, count: usize, noted: Noted) -> Self {
        let hold = Self { lock, count, noted };
        hold.lock.permits().spans().locked(count);
        hold
    }

    #[inline]
    pub(crate) fn lock(&self) -> &L {
        &self.lock
    }

    /// Gives all but one back.
    pub(crate) fn keep_one(&mut self) {
        let rest = self.count - 1;
        self.count = 1;
        let permits = self.lock.permits();
        permits.keep(self.noted, 1);
        permits.release(rest);
        permits.spans().downgraded();
    }
}

impl<'a, T: Guarded + ?Sized> Hold<&'a T> {
    /// The same, without the type of the lock.
    pub(crate) fn into_permits(self) -> Hold<&'a Permits> {
        let hold = ManuallyDrop::new(self);
        Hold {
            lock: hold.lock.permits(),
            count: hold.count,
            noted: hold.noted,
        }
    }
}

impl<L> Drop for Hold<L>
where
    L: Deref<Target: Guarded>,
{
    #[inline]
    fn drop(&mut self) {
        let permits = self.lock.permits();
        permits.let_go(self.noted);
        // Told of before the next may have them, who is told of after that.
        let _in_hand = InHand {
            permits,
            count: self.count,
        };
        permits.spans().unlocked(self.count);
    }
}

/// The value of a lock. Whoever has its permits may ask for it.
pub(crate) struct Value<T: ?Sized>(UnsafeCell<T>);

// SAFETY: the value is reached by whoever has the permits: one thread at a time exclusively, or many who share it.
unsafe impl<T: ?Sized + Send> Send for Value<T> {}

impl<T> Value<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Value<T> {
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// A pointer for a guard that alone has the value.
    ///
    /// # Safety
    /// The guard keeps all permits as long as it keeps the pointer.
    #[inline]
    pub(crate) unsafe fn exclusive(&self) -> Exclusive<T> {
        Exclusive {
            // SAFETY: the address of a cell's inside is not null.
            value: unsafe { NonNull::new_unchecked(self.0.get()) },
            _value: PhantomData,
        }
    }

    /// A pointer for a guard that shares the value.
    ///
    /// # Safety
    /// The guard keeps a permit as long as it keeps the pointer.
    #[inline]
    pub(crate) unsafe fn shared(&self) -> Shared<T> {
        Shared {
            // SAFETY: the address of a cell's inside is not null.
            value: unsafe { NonNull::new_unchecked(self.0.get()) },
            _value: PhantomData,
        }
    }
}

/// A guard's way to a value that it alone has.
///
/// A pointer and not a reference: a reference would still promise to be the only one while its guard is being dropped, and
/// the next may have the lock by then.
pub(crate) struct Exclusive<T: ?Sized> {
    value: NonNull<T>,
    _value: PhantomData<*mut T>,
}

// SAFETY: it is used as `&mut T` is.
unsafe impl<T: ?Sized + Send> Send for Exclusive<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for Exclusive<T> {}

impl<T: ?Sized> Exclusive<T> {
    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the guard has the permits, and we are borrowed from the guard.
        unsafe { self.value.as_ref() }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: as above, mutably.
        unsafe { self.value.as_mut() }
    }

    /// The way to a part of the value.
    pub(crate) fn map<U: ?Sized>(mut self, part: impl FnOnce(&mut T) -> &mut U) -> Exclusive<U> {
        Exclusive {
            value: NonNull::from(part(self.get_mut())),
            _value: PhantomData,
        }
    }

    /// The way to a part of the value if there is one; else this way again.
    pub(crate) fn try_map<U: ?Sized>(
        mut self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<Exclusive<U>, Self> {
        match part(self.get_mut()).map(NonNull::from) {
            Some(value) => Ok(Exclusive {
                value,
                _value: PhantomData,
            }),
            None => Err(self),
        }
    }

    /// The way of one who only looks, to a part of the value if there is one; else this way again.
    pub(crate) fn try_share_map<U: ?Sized>(
        self,
        part: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<Shared<U>, Self> {
        match part(self.get()).map(NonNull::from) {
            Some(value) => Ok(Shared {
                value,
                _value: PhantomData,
            }),
            None => Err(self),
        }
    }

    /// The way of one who only looks.
    pub(crate) fn share(self) -> Shared<T> {
        Shared {
            value: self.value,
            _value: PhantomData,
        }
    }
}

/// A guard's way to a value that it shares.
pub(crate) struct Shared<T: ?Sized> {
    value: NonNull<T>,
    _value: PhantomData<*const T>,
}

// SAFETY: it is used as `&T` is.
unsafe impl<T: ?Sized + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for Shared<T> {}

impl<T: ?Sized> Shared<T> {
    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the guard has a permit, and we are borrowed from the guard.
        unsafe { self.value.as_ref() }
    }

    /// The way to a part of the value.
    pub(crate) fn map<U: ?Sized>(self, part: impl FnOnce(&T) -> &U) -> Shared<U> {
        Shared {
            value: NonNull::from(part(self.get())),
            _value: PhantomData,
        }
    }

    /// The way to a part of the value if there is one; else this way again.
    pub(crate) fn try_map<U: ?Sized>(
        self,
        part: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<Shared<U>, Self> {
        match part(self.get()).map(NonNull::from) {
            Some(value) => Ok(Shared {
                value,
                _value: PhantomData,
            }),
            None => Err(self),
        }
    }
}
