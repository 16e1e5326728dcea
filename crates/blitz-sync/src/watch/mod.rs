//! A channel that keeps the latest value: whoever watches sees changes, and may miss those in between.
//!
//! The value lies behind a lock; a word counts its versions. A receiver knows which version it saw last, so a change that
//! comes while it looks elsewhere is not lost.

mod receiver;
mod sender;

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::notify::Notify;

pub use receiver::Receiver;
pub use sender::Sender;

/// Errors of this channel, under the names that users know.
pub mod error {
    pub use super::{RecvError, SendError};
}

/// Which version the value has, and whether all senders are gone.
///
/// ```text
///  bit 0    CLOSED   the last sender is gone
///  bits 1…  the version; wraps
/// ```
struct Word(AtomicUsize);

const CLOSED: usize = 1;
const VERSION: usize = 2;

/// What a receiver has seen: a version.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen(usize);

impl Seen {
    /// One that is not `self`, so that the present value counts as new.
    fn before(self) -> Self {
        Self(self.0.wrapping_sub(VERSION))
    }
}

impl Word {
    fn version(&self) -> Seen {
        // ORDERING: Acquire pairs with the Release in `next_version`: who sees the number, and then locks, sees the value.
        Seen(self.0.load(Acquire) & !CLOSED)
    }

    fn is_closed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `close`: what the last sender did before is seen.
        self.0.load(Acquire) & CLOSED != 0
    }

    /// Under the value's lock.
    fn next_version(&self) {
        // ORDERING: Release pairs with the Acquire in `version`.
        self.0.fetch_add(VERSION, Release);
    }

    fn close(&self) {
        // ORDERING: Release pairs with the Acquire in `is_closed`.
        self.0.fetch_or(CLOSED, Release);
    }
}

struct Shared<T> {
    /// Poison is ignored: a change that panics is not announced, and what it left is what there is.
    value: RwLock<T>,
    word: Word,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Receivers wait here for a change.
    changed: Notify,
    /// Senders wait here for the last receiver's end.
    deserted: Notify,
}

impl<T> Shared<T> {
    fn new(value: T, receivers: usize) -> Arc<Self> {
        Arc::new(Self {
            value: RwLock::new(value),
            word: Word(AtomicUsize::new(0)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(receivers),
            changed: Notify::new(),
            deserted: Notify::new(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.value.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, and which version it is.
    fn look(&self) -> (RwLockReadGuard<'_, T>, Seen) {
        let value = self.read();
        // Under the lock, so it is the version of this very value.
        let version = self.word.version();
        (value, version)
    }

    fn count(counter: &AtomicUsize) -> usize {
        // ORDERING: Relaxed: a figure.
        counter.load(Relaxed)
    }

    fn enter(counter: &AtomicUsize) {
        // ORDERING: Relaxed: whoever enters has a member's handle, so the count is not zero or nobody waits for that.
        counter.fetch_add(1, Relaxed);
    }

    /// Answers whether the caller was the last.
    fn leave(counter: &AtomicUsize) -> bool {
        // ORDERING: AcqRel: the last one comes after all that the others did before they left.
        counter.fetch_sub(1, AcqRel) == 1
    }
}

/// A channel whose value is `init` at first; the receiver has seen that one.
///
/// # Examples
/// ```
/// use blitz_sync::watch;
/// # futures::executor::block_on(async {
/// let (sender, mut receiver) = watch::channel("off");
/// assert_eq!(*receiver.borrow(), "off");
/// sender.send("starting").expect("a receiver is there");
/// sender.send("on").expect("a receiver is there");
/// receiver.changed().await.expect("the sender is there");
/// assert_eq!(*receiver.borrow_and_update(), "on");
/// drop(sender);
/// assert!(receiver.changed().await.is_err());
/// # });
/// ```
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let shared = Shared::new(init, 1);
    let seen = shared.word.version();
    let receiver = Receiver::entered(Arc::clone(&shared), seen);
    (Sender::entered(shared), receiver)
}

/// A look at the value, which nobody can change meanwhile: keep it short, and not over an `.await`.
///
/// A sender that wants to change the value blocks its thread while this lives; and a second look on the same thread may
/// then wait for that sender, for ever.
pub struct Ref<'a, T> {
    value: RwLockReadGuard<'a, T>,
    has_changed: bool,
}

impl<T> Ref<'_, T> {
    /// Whether the receiver that gave this look had not marked this value as seen before. Always false from a sender.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ref")
            .field("value", &*self.value)
            .field("has_changed", &self.has_changed)
            .finish()
    }
}

/// There is no receiver; the value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl<T> Error for SendError<T> {}

/// There is no sender any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvError(());

impl RecvError {
    fn closed() -> Self {
        Self(())
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl Error for RecvError {}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Sender<u8>>();
    shared::<Receiver<u8>>();
};

#[cfg(all(test, loom))]
#[path = "../tests/loom_watch.rs"]
mod models;
