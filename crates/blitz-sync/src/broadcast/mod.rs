//! A channel whose every value goes to every receiver.
//!
//! The last values lie in a ring; each receiver knows how far it has come. A receiver that is slower than the ring is long
//! misses values, and is told how many. A value leaves the ring when the last receiver has it, which then gets it
//! without a copy.
//!
//! Values are cloned without a lock of the channel's, one receiver at a time where they lie; a value that comes while the one in
//! its place is being cloned lies beside the ring, so no sender waits, and else nothing is allocated. A clone may use the channel; but
//! if it receives the value that is being cloned, by another receiver, it waits for itself.

mod receiver;
mod ring;
mod sender;
mod slot;

use std::error::Error;
use std::fmt;

use blitz_core::primitive::sync::Arc;

use ring::Shared;

pub use receiver::Receiver;
pub use sender::{Sender, WeakSender};

/// Errors of this channel, under the names that users know.
pub mod error {
    pub use super::{RecvError, SendError, TryRecvError};
}

/// A channel that keeps the last `capacity` values at least, for receivers that are slow.
///
/// # Panics
/// If `capacity` is 0 or above `usize::MAX / 2`.
///
/// # Examples
/// ```
/// use blitz_sync::broadcast;
/// # futures::executor::block_on(async {
/// let (sender, mut first) = broadcast::channel(16);
/// let mut second = sender.subscribe();
/// assert_eq!(sender.send("to both"), Ok(2));
/// assert_eq!(first.recv().await, Ok("to both"));
/// assert_eq!(second.recv().await, Ok("to both"));
/// drop(sender);
/// assert!(first.recv().await.is_err());
/// # });
/// ```
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(capacity, 1));
    let receiver = Receiver::at(Arc::clone(&shared), 0);
    (Sender::entered(shared), receiver)
}

/// There is no receiver; the value comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl<T: fmt::Debug> Error for SendError<T> {}

/// Why there is no value, and none will come in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// Every sender is gone, and everything was received.
    Closed,
    /// The receiver was too slow, and has missed so many. The next call gives the oldest value that is left.
    Lagged(u64),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("channel closed"),
            Self::Lagged(missed) => write!(f, "channel lagged by {missed}"),
        }
    }
}

impl Error for RecvError {}

/// Why there is no value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// Every sender is gone, and everything was received.
    Closed,
    /// The receiver was too slow, and has missed so many. The next call gives the oldest value that is left.
    Lagged(u64),
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("channel empty"),
            Self::Closed => f.write_str("channel closed"),
            Self::Lagged(missed) => write!(f, "channel lagged by {missed}"),
        }
    }
}

impl Error for TryRecvError {}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    shared::<Sender<std::cell::Cell<u8>>>();
    shared::<WeakSender<std::cell::Cell<u8>>>();
    shared::<Receiver<std::cell::Cell<u8>>>();
};

#[cfg(all(test, loom))]
#[path = "../tests/loom_broadcast.rs"]
mod models;
