//! Values that a task carries from poll to poll.

use std::any::type_name;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares task-local values, each a [`LocalKey`](crate::task::LocalKey).
///
/// # Examples
/// ```
/// blitz_io::task_local! {
///     /// Which request the task serves.
///     static REQUEST: u64;
///     static NAME: &'static str;
/// }
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let seen = REQUEST.scope(7, async { REQUEST.get() }).await;
/// assert_eq!(seen, 7);
/// assert!(NAME.try_with(|_| ()).is_err());
/// # }
/// ```
///
/// A value comes with its scope and not with its declaration:
/// ```compile_fail
/// blitz_io::task_local! {
///     static REQUEST: u64 = 7; // a task-local has no value outside of a scope: …
/// }
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $crate::__task_local_inner!($(#[$attr])* $vis $name, $t);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty) => {
        $crate::__task_local_inner!($(#[$attr])* $vis $name, $t);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "a task-local has no value outside of a scope: declare `static ",
            ::core::stringify!($name),
            "` without one, and give it by `scope` or `sync_scope`"
        ));
    };
    ($($other:tt)*) => {
        ::core::compile_error!("a task-local is declared as `static NAME: Type;`, with attributes and `pub` before it");
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __task_local_inner {
    ($(#[$attr:meta])* $vis:vis $name:ident, $t:ty) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::std::option::Option<$t>> = const {
                    ::std::cell::RefCell::new(::std::option::Option::None)
                };
            }
            $crate::task::LocalKey::__new(&VALUE)
        };
    };
}

/// The key of a task-local value, made by [`task_local!`](crate::task_local).
///
/// A value belongs to a [`scope`](Self::scope), not to a spawned task: a task spawned inside does not inherit it.
pub struct LocalKey<T: 'static> {
    value: &'static thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(value: &'static thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { value }
    }

    /// Polls `future` with `value` under this key.
    ///
    /// # Panics
    /// The future that is returned panics if it is polled while this key's value is borrowed by [`with`](Self::with) or
    /// [`try_with`](Self::try_with).
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
            _pinned: PhantomPinned,
        }
    }

    /// Calls `f` with `value` under this key.
    ///
    /// # Panics
    /// If `f` does, or if called while the value is borrowed by [`with`](Self::with).
    #[track_caller]
    pub fn sync_scope<F: FnOnce() -> R, R>(&'static self, value: T, f: F) -> R {
        let mut value = Some(value);
        match self.inside(&mut value, f) {
            Ok(output) => output,
            Err(error) => error.panic(),
        }
    }

    /// Puts `value` in place for the time of `f`, and takes it out again.
    fn inside<R>(&'static self, value: &mut Option<T>, f: impl FnOnce() -> R) -> Result<R, Denied> {
        /// Swaps back, also when `f` panics.
        struct Back<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);

        impl<T: 'static> Drop for Back<'_, T> {
            fn drop(&mut self) {
                // A value that is still borrowed, or a thread that ends, keeps it: there is nobody to tell.
                let _ = self.0.swap(self.1);
            }
        }

        self.swap(value)?;
        let _back = Back(self, value);
        Ok(f())
    }

    fn swap(&'static self, value: &mut Option<T>) -> Result<(), Denied> {
        let swapped = self.value.try_with(|slot| match slot.try_borrow_mut() {
            Ok(mut slot) => {
                mem::swap(&mut *slot, value);
                Ok(())
            }
            Err(_) => Err(Denied::Borrowed),
        });
        swapped.unwrap_or(Err(Denied::ThreadEnds))
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    /// If there is none: this is outside of every scope.
    #[track_caller]
    pub fn with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> R {
        match self.try_with(f) {
            Ok(output) => output,
            Err(_) => panic!(
                "cannot access a task-local of type `{}` outside of its scope",
                type_name::<T>()
            ),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    /// If there is none: this is outside of every scope.
    pub fn try_with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> Result<R, AccessError> {
        let output = self
            .value
            .try_with(|slot| slot.try_borrow().ok().and_then(|slot| slot.as_ref().map(f)));
        output.ok().flatten().ok_or(AccessError { _private: () })
    }

    /// A copy of the value.
    ///
    /// # Panics
    /// If there is none: this is outside of every scope.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// If there is none: this is outside of every scope.
    pub fn try_get(&'static self) -> Result<T, AccessError>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

/// Why a scope could not be entered.
enum Denied {
    Borrowed,
    ThreadEnds,
}

impl Denied {
    #[track_caller]
    fn panic(self) -> ! {
        match self {
            Denied::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local is borrowed")
            }
            Denied::ThreadEnds => panic!(
                "cannot enter a task-local scope while the thread's locals are being destroyed"
            ),
        }
    }
}

pin_project! {
    /// A future with a task-local value: see [`LocalKey::scope`].
    pub struct TaskLocalFuture<T: 'static, F> {
        key: &'static LocalKey<T>,
        value: Option<T>,
        #[pin]
        future: Option<F>,
        // Never `Unpin`, whatever `F` is: it may come to hold places in itself.
        #[pin]
        _pinned: PhantomPinned,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let mut future = this.future;
            // What the future drops may look at the value.
            if future.is_some() {
                // Where the key cannot be reached any more, the future is dropped by its own field, without the value.
                let _ = this.key.inside(this.value, || future.set(None));
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out of a future that has ended. `None` if it was taken before.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut future = this.future;
        let polled = this.key.inside(this.value, || {
            let polled = future.as_mut().as_pin_mut().map(|future| future.poll(cx));
            if matches!(polled, Some(Poll::Ready(_))) {
                future.set(None);
            }
            polled
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("`TaskLocalFuture` polled after completion"),
            Err(denied) => denied.panic(),
        }
    }
}

impl<T: 'static + fmt::Debug, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture")
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// There is no value: the call was outside of every scope.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AccessError {
    _private: (),
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task-local value not set")
    }
}

impl Error for AccessError {}
