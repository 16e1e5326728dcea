//! A value that is made once, by a future, when it is first asked for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;

use blitz_core::primitive::thread;

use crate::acquire_error::TryAcquireError;
use crate::called::call;
use crate::filled::Filled;
use crate::hold::Hold;
use crate::permits::Permits;

/// A value that is made once, by whoever asks first; the others wait for it.
///
/// If the one who makes it fails, panics or is dropped, the next in line tries.
///
/// # Examples
/// ```
/// use blitz_sync::OnceCell;
///
/// static ANSWER: OnceCell<u32> = OnceCell::const_new();
///
/// # futures::executor::block_on(async {
/// assert_eq!(ANSWER.get(), None);
/// assert_eq!(ANSWER.get_or_init(|| async { 42 }).await, &42);
/// assert_eq!(ANSWER.get_or_init(|| async { 43 }).await, &42);
/// # });
/// ```
pub struct OnceCell<T> {
    value: Filled<T>,
    /// One, for who makes the value; closed once it is there.
    maker: Permits,
}

impl<T> OnceCell<T> {
    /// A cell without a value.
    pub fn new() -> Self {
        Self::new_with(None)
    }

    /// A cell that has the value if there is one.
    pub fn new_with(value: Option<T>) -> Self {
        let maker = Permits::new(1);
        if value.is_some() {
            maker.close();
        }
        Self {
            value: Filled::new(value),
            maker,
        }
    }

    /// A cell without a value, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            value: Filled::new(None),
            maker: Permits::new(1),
        }
    }

    /// A cell with a value, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new_with(value: T) -> Self {
        Self {
            value: Filled::new(Some(value)),
            maker: Permits::new_closed(),
        }
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.value.is_full()
    }

    /// The value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one, to change.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Puts `value` in, if nobody has made one or is about to. Waits for no task; for the moment at most that another thread's `set`
    /// takes to write its value, which is there when this says so.
    ///
    /// # Errors
    /// The value comes back, with the reason why it was not taken.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        // Closed before the value is there, which takes us a moment: see `value`.
        if self.maker.close_from(1) {
            // SAFETY: one alone has closed it while nobody had the permit.
            unsafe { self.value.fill(value) };
            return Ok(());
        }
        self.refuse(value)
    }

    #[cold]
    fn refuse(&self, value: T) -> Result<(), SetError<T>> {
        match self.maker.try_acquire(1) {
            // Whoever made the value has given up meanwhile.
            Ok(()) => {
                self.fill(Hold::new(&self.maker, 1), value);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(SetError::InitializingError(value)),
            Err(TryAcquireError::Closed) => {
                self.value();
                Err(SetError::AlreadyInitializedError(value))
            }
        }
    }

    /// The value of a cell whose maker is closed.
    fn value(&self) -> &T {
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            // It is being written at this moment, by `set`.
            thread::yield_now();
        }
    }

    /// The value; made by `f` if there is none. Others who ask meanwhile wait.
    ///
    /// # Cancel safety
    /// Dropped while it makes the value, it drops `f`'s future, and the next in line makes one. Dropped while it waits, it
    /// leaves the line.
    ///
    /// # Panics
    /// As `f` does; the cell stays empty then.
    #[track_caller]
    pub fn get_or_init<F, Fut>(&self, f: F) -> impl Future<Output = &T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let make = || async { Ok::<T, std::convert::Infallible>(f().await) };
        let made = self.get_or_try_init(make);
        async move {
            match made.await {
                Ok(value) => value,
                Err(never) => match never {},
            }
        }
    }

    /// The value; made by `f` if there is none, which may fail. Others who ask meanwhile wait.
    ///
    /// # Cancel safety
    /// As for [`get_or_init`](Self::get_or_init).
    ///
    /// # Errors
    /// What `f` returns; the cell stays empty, and the next in line tries.
    ///
    /// # Panics
    /// As `f` does; the cell stays empty then.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::OnceCell;
    /// # futures::executor::block_on(async {
    /// let cell = OnceCell::new();
    /// assert!(cell.get_or_try_init(|| async { Err("not yet") }).await.is_err());
    /// assert_eq!(cell.get_or_try_init(|| async { Ok::<_, &str>(1) }).await, Ok(&1));
    /// # });
    /// ```
    #[track_caller]
    pub fn get_or_try_init<E, F, Fut>(&self, f: F) -> impl Future<Output = Result<&T, E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let at = Location::caller();
        async move {
            if let Some(value) = self.get() {
                return Ok(value);
            }
            // The wait alone: what `f` waits for says so itself.
            let turn = self.maker.acquire(1, call!(at, "OnceCell::get_or_init"));
            if turn.await.is_ok() {
                // Given back if `f` fails, panics or is dropped.
                let turn = Hold::noted(&self.maker, 1, self.maker.note(1, at));
                let value = f().await?;
                self.fill(turn, value);
            }
            Ok(self.value())
        }
    }

    /// The caller has the maker's one permit.
    fn fill(&self, turn: Hold<&Permits>, value: T) {
        // SAFETY: whoever has the permit is alone, and it was to be had because the cell is empty.
        unsafe { self.value.fill(value) };
        if !self.maker.close_from(0) {
            // Somebody waits.
            self.maker.close();
        }
        drop(turn);
    }

    /// Takes the value out; the cell is empty again.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// The value, out of its cell.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell")
            .field("value", &self.get())
            .finish()
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self::new_with(Some(value))
    }
}

/// Why [`OnceCell::set`] did not take the value, which comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is a value already.
    AlreadyInitializedError(T),
    /// Somebody is making one.
    InitializingError(T),
}

impl<T> SetError<T> {
    /// Whether there was a value already.
    pub fn is_already_init_err(&self) -> bool {
        matches!(self, Self::AlreadyInitializedError(_))
    }

    /// Whether somebody was making one.
    pub fn is_initializing_err(&self) -> bool {
        matches!(self, Self::InitializingError(_))
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitializedError(_) => "the cell has a value already",
            Self::InitializingError(_) => "the cell's value is being made",
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<OnceCell<u8>>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_once.rs"]
mod models;
