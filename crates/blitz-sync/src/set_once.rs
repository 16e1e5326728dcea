//! A value that is set once, and that tasks wait for.

use std::error::Error;
use std::fmt;
use std::pin::pin;

use blitz_core::primitive::sync::atomic::AtomicBool;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;

use crate::called::called;
use crate::filled::Filled;
use crate::notify::Notify;

/// A value that is set once; whoever needs it may wait.
///
/// # Examples
/// ```
/// use blitz_sync::SetOnce;
///
/// static CONFIG: SetOnce<&str> = SetOnce::const_new();
///
/// # futures::executor::block_on(async {
/// assert!(CONFIG.set("fast").is_ok());
/// assert_eq!(CONFIG.set("slow").unwrap_err().0, "slow");
/// assert_eq!(CONFIG.wait().await, &"fast");
/// # });
/// ```
pub struct SetOnce<T> {
    /// Somebody sets the value, or has.
    claimed: AtomicBool,
    value: Filled<T>,
    is_set: Notify,
}

impl<T> SetOnce<T> {
    /// One without a value.
    pub fn new() -> Self {
        Self::new_with(None)
    }

    /// One that has the value if there is one.
    pub fn new_with(value: Option<T>) -> Self {
        Self {
            claimed: AtomicBool::new(value.is_some()),
            value: Filled::new(value),
            is_set: Notify::new(),
        }
    }

    /// One without a value, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            value: Filled::new(None),
            is_set: Notify::const_new(),
        }
    }

    /// One with a value, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new_with(value: T) -> Self {
        Self {
            claimed: AtomicBool::new(true),
            value: Filled::new(Some(value)),
            is_set: Notify::const_new(),
        }
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.value.is_full()
    }

    /// The value, if it is set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value and wakes all who wait for it.
    ///
    /// # Errors
    /// The value comes back if another one was set, or is being set at this moment.
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        // ORDERING: Relaxed: it only says who is first; the value is published by `Filled`.
        if self.claimed.swap(true, Relaxed) {
            return Err(SetOnceError(value));
        }
        // SAFETY: the swap lets one in, and it is empty.
        unsafe { self.value.fill(value) };
        self.is_set.notify_waiters();
        Ok(())
    }

    /// Waits until the value is set.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = &T> {
        called!("SetOnce::wait", async move {
            loop {
                if let Some(value) = self.get() {
                    return value;
                }
                // From here on no notification is missed.
                let notified = pin!(self.is_set.notified());
                if let Some(value) = self.get() {
                    return value;
                }
                notified.await;
            }
        })
    }

    /// The value, if it is set.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOnce")
            .field("value", &self.get())
            .finish()
    }
}

impl<T: Clone> Clone for SetOnce<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> Self {
        Self::new_with(Some(value))
    }
}

/// There was a value already; the new one comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is set already")
    }
}

impl<T: fmt::Debug> Error for SetOnceError<T> {}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<SetOnce<u8>>();
};
