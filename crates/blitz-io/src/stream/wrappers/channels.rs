//! Receivers of `mpsc` channels.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::wraps;
use crate::sync::mpsc::{Receiver, UnboundedReceiver};

/// The values of a bounded channel, until every sender is gone.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, wrappers::ReceiverStream};
/// use blitz_io::sync::mpsc;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = mpsc::channel(2);
/// sender.send(1).await.unwrap();
/// drop(sender);
/// assert_eq!(ReceiverStream::new(receiver).collect::<Vec<_>>().await, [1]);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ReceiverStream<T> {
    inner: Receiver<T>,
}

/// The values of an unbounded channel, until every sender is gone.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct UnboundedReceiverStream<T> {
    inner: UnboundedReceiver<T>,
}

wraps! {
    [T] ReceiverStream<T>, of Receiver<T>;
    [T] UnboundedReceiverStream<T>, of UnboundedReceiver<T>;
}

impl<T> ReceiverStream<T> {
    /// Lets nothing more be sent; what was sent still comes.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> UnboundedReceiverStream<T> {
    /// Lets nothing more be sent; what was sent still comes.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> Stream for ReceiverStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.inner.poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.inner.len();
        if !self.inner.is_closed() {
            return (len, None);
        }
        // What is in there, and what room that was given out before may send yet.
        let used = self.inner.max_capacity() - self.inner.capacity();
        (len, Some(used.max(len)))
    }
}

impl<T> Stream for UnboundedReceiverStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.inner.poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.inner.len();
        (len, self.inner.is_closed().then_some(len))
    }
}
