//! std's atomics, cells and locks, or loom's: the one file of this project that names either.
//!
//! Every hand-ordered structure takes its words from here, so that the same source runs under `--cfg loom`.

/// Shared pointers, locks and atomics.
pub mod sync {
    #[cfg(loom)]
    pub use loom::sync::{Arc, Condvar, atomic};
    #[cfg(not(loom))]
    pub use std::sync::{Arc, Condvar, atomic};

    #[cfg(loom)]
    use loom::sync as imp;
    #[cfg(not(loom))]
    use std::sync as imp;

    pub use imp::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// A lock whose poison is ignored: no user code runs under it, so a panic cannot leave it half changed.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(imp::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around `value`.
        #[cfg(not(loom))]
        pub const fn new(value: T) -> Self {
            Self(imp::Mutex::new(value))
        }

        /// A lock around `value`.
        #[cfg(loom)]
        pub fn new(value: T) -> Self {
            Self(imp::Mutex::new(value))
        }

        /// Waits for the lock.
        #[inline]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|poison| poison.into_inner())
        }

        /// Takes the lock if nobody holds it.
        #[inline]
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(std::sync::TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => None,
            }
        }

        /// The value, while nobody else can hold the lock.
        pub fn get_mut(&mut self) -> &mut T {
            self.0
                .get_mut()
                .unwrap_or_else(|poison| poison.into_inner())
        }

        /// The value, out of its lock.
        pub fn into_inner(self) -> T {
            self.0
                .into_inner()
                .unwrap_or_else(|poison| poison.into_inner())
        }
    }

    /// A lock for what is read often and written at its beginning and end; poison is ignored, as in [`Mutex`].
    #[derive(Debug, Default)]
    pub struct RwLock<T>(imp::RwLock<T>);

    impl<T> RwLock<T> {
        /// A lock around `value`.
        pub fn new(value: T) -> Self {
            Self(imp::RwLock::new(value))
        }

        /// Waits until nobody writes.
        #[inline]
        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(|poison| poison.into_inner())
        }

        /// Waits until nobody reads or writes.
        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(|poison| poison.into_inner())
        }
    }
}

/// Cells whose every access loom can see.
pub mod cell {
    #[cfg(loom)]
    pub use loom::cell::UnsafeCell;

    /// std's cell with loom's two doors: whoever holds the pointer argues for it at the call.
    #[cfg(not(loom))]
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    #[cfg(not(loom))]
    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer to read by.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer to write by.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }

        /// The value, out of its cell.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

#[cfg(loom)]
pub use loom::{hint, thread, thread_local};
#[cfg(not(loom))]
pub use std::{hint, thread, thread_local};

/// Declares a thread-local: `const`-initialised with std (its access is then a plain one), each model's own with loom.
#[cfg(not(loom))]
#[macro_export]
macro_rules! thread_local_const {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;) => {
        ::std::thread_local! {
            $(#[$attr])*
            $vis static $name: $type = const { $init };
        }
    };
}

/// Declares a thread-local: `const`-initialised with std (its access is then a plain one), each model's own with loom.
#[cfg(loom)]
#[macro_export]
macro_rules! thread_local_const {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;) => {
        ::loom::thread_local! {
            $(#[$attr])*
            $vis static $name: $type = $init;
        }
    };
}
