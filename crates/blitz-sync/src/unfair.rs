//! A lock that goes to whoever comes when it is free, for tasks and for threads.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_core::primitive::sync::atomic::AtomicBool;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use blitz_core::primitive::thread;

use crate::TryLockError;
use crate::blocking::{assert_may_block, block_on};
use crate::guard_traits::guard_traits;
use crate::hold::{Exclusive, Value};
use crate::waiters::{Wait, WaiterQueue};

/// So often a thread that finds the lock taken lets others run and looks again, before it sleeps. It does not spin in between: a
/// look takes the lock's cache line from whoever works under it, and the longer it looks away, the more the others get done.
const LOOKS: u32 = 8;

/// Whether somebody holds the lock, and who waits for it.
struct Lock {
    is_taken: AtomicBool,
    waiters: WaiterQueue,
}

impl Lock {
    #[inline]
    fn try_take(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `give`: what was done under the lock is seen by the next who has it.
        self.is_taken
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    #[inline]
    fn give(&self) {
        // ORDERING: SeqCst, mine before yours: the lock is free from here on, and then we look who waits for that. Release is in it.
        self.is_taken.swap(false, SeqCst);
        self.waiters.wake_one_after_change();
    }

    fn is_taken(&self) -> bool {
        // ORDERING: Relaxed: a glance, or after the fence of one who waits (`Wait::stand`).
        self.is_taken.load(Relaxed)
    }
}

/// A lock around a value, for tasks of any executor and for threads, without an order among those who wait.
///
/// Who lets go of it does not hand it over: whoever comes first takes it, a running task or thread before one that has to be
/// woken. So a lock that is fought for changes hands without a sleep in between, many times faster than one that is
/// served in order ([`Mutex`](crate::Mutex)); but nobody is promised a turn. One that was woken and came too late is the next to
/// be woken.
///
/// Unlike std's it may be held over an `.await`, is not poisoned, and is waited for by tasks without holding up their thread.
///
/// # Examples
/// ```
/// use blitz_sync::UnfairMutex;
/// # futures::executor::block_on(async {
/// static COUNT: UnfairMutex<u32> = UnfairMutex::new(0);
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| *COUNT.blocking_lock() += 1);
///     }
/// });
/// assert_eq!(*COUNT.lock().await, 4);
/// # });
/// ```
pub struct UnfairMutex<T: ?Sized> {
    lock: Lock,
    value: Value<T>,
}

// SAFETY: a guard, and so the value, is with one thread at a time.
unsafe impl<T: ?Sized + Send> Sync for UnfairMutex<T> {}
// As for `Mutex`: a panic under the lock leaves the value as it was then, for whoever comes next.
impl<T: ?Sized> UnwindSafe for UnfairMutex<T> {}
impl<T: ?Sized> RefUnwindSafe for UnfairMutex<T> {}

impl<T> UnfairMutex<T> {
    /// A lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self {
            lock: Lock {
                is_taken: AtomicBool::new(false),
                waiters: WaiterQueue::new(),
            },
            value: Value::new(value),
        }
    }

    /// A lock around `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self {
            lock: Lock {
                is_taken: AtomicBool::new(false),
                waiters: WaiterQueue::new(),
            },
            value: Value::new(value),
        }
    }

    /// The value, out of its lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> UnfairMutex<T> {
    /// Waits for the lock.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line; if it had been woken and has not seen it, the next in line is woken instead.
    pub async fn lock(&self) -> UnfairMutexGuard<'_, T> {
        Locking {
            lock: &self.lock,
            wait: Wait::new(&self.lock.waiters),
        }
        .await;
        self.guard()
    }

    /// Takes the lock if it is free, whoever waits.
    ///
    /// # Errors
    /// If it is held.
    #[inline]
    pub fn try_lock(&self) -> Result<UnfairMutexGuard<'_, T>, TryLockError> {
        if self.lock.try_take() {
            Ok(self.guard())
        } else {
            Err(TryLockError::held())
        }
    }

    /// Waits for the lock on a thread that runs no tasks: first awake for a moment, then asleep in the same line as the tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_lock(&self) -> UnfairMutexGuard<'_, T> {
        let what = "UnfairMutex::blocking_lock";
        assert_may_block(what);
        for _ in 0..LOOKS {
            if !self.lock.is_taken() && self.lock.try_take() {
                return self.guard();
            }
            thread::yield_now();
        }
        block_on(what, self.lock())
    }

    /// The value, while nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The caller has taken the lock.
    #[inline]
    fn guard(&self) -> UnfairMutexGuard<'_, T> {
        UnfairMutexGuard {
            // SAFETY: the guard has the lock until it is dropped.
            value: unsafe { self.value.exclusive() },
            _hold: Hold(&self.lock),
        }
    }
}

impl<T: Default> Default for UnfairMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for UnfairMutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for UnfairMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UnfairMutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(_) => shown.field("data", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

/// Lets go of the lock on drop.
struct Hold<'a>(&'a Lock);

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give();
    }
}

/// The lock of an [`UnfairMutex`], let go of on drop.
#[must_use = "dropped at once, it unlocks at once"]
pub struct UnfairMutexGuard<'a, T: ?Sized> {
    value: Exclusive<T>,
    _hold: Hold<'a>,
}

guard_traits!(mut impl['a, T: ?Sized] UnfairMutexGuard<'a, T> => T);

pin_project_lite::pin_project! {
    /// Waits for the lock; ready, it is the caller's.
    struct Locking<'a> {
        lock: &'a Lock,
        #[pin]
        wait: Wait<&'a WaiterQueue>,
    }
}

impl Future for Locking<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let coop = ready!(budget::poll_proceed(cx));
        while this.wait.as_mut().is_turn(cx.waker()) {
            if this.lock.try_take() {
                coop.made_progress();
                return Poll::Ready(());
            }
            if this
                .wait
                .as_mut()
                .stand(cx.waker(), || this.lock.is_taken())
            {
                break;
            }
        }
        Poll::Pending
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<UnfairMutex<std::cell::Cell<u8>>>();
    shared::<UnfairMutexGuard<'_, u8>>();
    sent::<UnfairMutexGuard<'_, std::cell::Cell<u8>>>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_unfair.rs"]
mod models;
