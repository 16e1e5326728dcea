//! Values that are broadcast and values that are watched.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::produced::Produced;
use crate::sync::broadcast::{self, error::RecvError};
use crate::sync::watch;

/// Why an item of a [`BroadcastStream`] is none of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroadcastStreamRecvError {
    /// The stream was too slow, and has missed so many. The next item is the oldest value that is left.
    Lagged(u64),
}

impl fmt::Display for BroadcastStreamRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Lagged(missed) = self;
        write!(f, "the stream was too slow and has missed {missed} values")
    }
}

impl Error for BroadcastStreamRecvError {}

impl From<BroadcastStreamRecvError> for std::io::Error {
    fn from(error: BroadcastStreamRecvError) -> Self {
        Self::other(error)
    }
}

/// The values of a broadcast channel, until every sender is gone; an error for those that were missed.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, wrappers::BroadcastStream, wrappers::errors::BroadcastStreamRecvError};
/// use blitz_io::sync::broadcast;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = broadcast::channel(2);
/// for value in 1..=3 {
///     sender.send(value).unwrap();
/// }
/// drop(sender);
/// let all: Vec<_> = BroadcastStream::new(receiver).collect().await;
/// assert_eq!(all, [Err(BroadcastStreamRecvError::Lagged(1)), Ok(2), Ok(3)]);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct BroadcastStream<T> {
    values: Produced<Result<T, BroadcastStreamRecvError>>,
}

impl<T: Clone + Send + 'static> BroadcastStream<T> {
    /// Makes a stream of a receiver.
    pub fn new(mut receiver: broadcast::Receiver<T>) -> Self {
        let values = Produced::new(|hand| async move {
            loop {
                let item = match receiver.recv().await {
                    Ok(value) => Ok(value),
                    Err(RecvError::Lagged(missed)) => Err(BroadcastStreamRecvError::Lagged(missed)),
                    Err(RecvError::Closed) => return,
                };
                hand.give(item).await;
            }
        });
        Self { values }
    }
}

impl<T: Clone + Send + 'static> From<broadcast::Receiver<T>> for BroadcastStream<T> {
    fn from(receiver: broadcast::Receiver<T>) -> Self {
        Self::new(receiver)
    }
}

// The items are not pinned.
impl<T> Unpin for BroadcastStream<T> {}

impl<T: Clone + Send + 'static> Stream for BroadcastStream<T> {
    type Item = Result<T, BroadcastStreamRecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.values.poll_next(cx)
    }
}

/// The value of a watch channel, and each that it has when it is asked again, until every sender is gone.
///
/// Values that came and went between two polls are not given.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, wrappers::WatchStream};
/// use blitz_io::sync::watch;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = watch::channel("off");
/// let mut changes = WatchStream::from_changes(receiver.clone());
/// let mut values = WatchStream::new(receiver);
/// assert_eq!(values.next().await, Some("off"));
/// sender.send("on").unwrap();
/// assert_eq!(values.next().await, Some("on"));
/// assert_eq!(changes.next().await, Some("on"));
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct WatchStream<T> {
    values: Produced<T>,
}

impl<T: Clone + Send + Sync + 'static> WatchStream<T> {
    /// Makes a stream of the present value and those after it.
    pub fn new(receiver: watch::Receiver<T>) -> Self {
        Self::beginning(receiver, true)
    }

    /// Makes a stream of the values that the receiver has not seen.
    pub fn from_changes(receiver: watch::Receiver<T>) -> Self {
        Self::beginning(receiver, false)
    }

    fn beginning(mut receiver: watch::Receiver<T>, with_present: bool) -> Self {
        let values = Produced::new(|hand| async move {
            if with_present {
                let value = receiver.borrow_and_update().clone();
                hand.give(value).await;
            }
            while receiver.changed().await.is_ok() {
                let value = receiver.borrow_and_update().clone();
                hand.give(value).await;
            }
        });
        Self { values }
    }
}

impl<T: Clone + Send + Sync + 'static> From<watch::Receiver<T>> for WatchStream<T> {
    fn from(receiver: watch::Receiver<T>) -> Self {
        Self::new(receiver)
    }
}

impl<T> Unpin for WatchStream<T> {}

impl<T: Clone + Send + Sync + 'static> Stream for WatchStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.values.poll_next(cx)
    }
}
