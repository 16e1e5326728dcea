//! The side that receives.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_core::primitive::sync::Arc;

use super::ring::Shared;
use super::{RecvError, TryRecvError};
use crate::blocking::block_on;
use crate::called::called;
use crate::notify::Notified;

/// Receives all values that are sent from the moment it is made, in order.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The position of the value that it gets next.
    next: u64,
}

impl<T> Receiver<T> {
    /// A receiver that is counted already.
    pub(super) fn at(shared: Arc<Shared<T>>, next: u64) -> Self {
        Self { shared, next }
    }

    /// How many values were sent that this receiver has not had, those included that it has missed without knowing yet.
    pub fn len(&self) -> usize {
        self.shared.ahead_of(self.next)
    }

    /// Whether this receiver has had all values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every sender is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.shared, &*other.shared)
    }

    /// How many senders there are.
    pub fn sender_strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak handles there are.
    pub fn sender_weak_count(&self) -> usize {
        self.shared.weak_senders()
    }
}

impl<T: Clone> Receiver<T> {
    /// A new receiver of the same channel, which gets what is sent from now on.
    pub fn resubscribe(&self) -> Self {
        let next = self.shared.enter();
        Self::at(Arc::clone(&self.shared), next)
    }

    /// Waits for the next value.
    ///
    /// # Cancel safety
    /// Safe: a value is taken in the poll that returns it.
    ///
    /// # Errors
    /// If every sender is gone and everything was received; or if values were missed, and how many.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::broadcast::{self, error::RecvError};
    /// # futures::executor::block_on(async {
    /// let (sender, mut receiver) = broadcast::channel(2);
    /// for value in 1..=3 {
    ///     sender.send(value).expect("a receiver is there");
    /// }
    /// assert_eq!(receiver.recv().await, Err(RecvError::Lagged(1)));
    /// assert_eq!(receiver.recv().await, Ok(2));
    /// # });
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        let Self { shared, next } = self;
        called!(
            "broadcast::Receiver::recv",
            Recv {
                shared: &**shared,
                next,
                sent: None,
            }
        )
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// If there is none, and why.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.take(&mut self.next)
    }

    /// Waits for the next value on a thread that runs no tasks.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        block_on("broadcast::Receiver::blocking_recv", self.recv())
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Receiver::recv`].
    struct Recv<'a, T> {
        shared: &'a Shared<T>,
        next: &'a mut u64,
        // Where it waits, once it has found nothing.
        #[pin]
        sent: Option<Notified<'a>>,
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let coop = ready!(budget::poll_proceed(cx));
        let at_once = if self.sent.is_none() {
            let this = self.as_mut().project();
            this.shared.take_at_once(this.next)
        } else {
            None
        };
        let result = match at_once {
            Some(value) => Ok(value),
            None => ready!(self.poll_waiting(cx)),
        };
        coop.made_progress();
        Poll::Ready(result)
    }
}

impl<T: Clone> Recv<'_, T> {
    /// For who has found nothing in the ring.
    #[cold]
    #[inline(never)]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let mut this = self.project();
        loop {
            if let Some(sent) = this.sent.as_mut().as_pin_mut() {
                ready!(sent.poll(cx));
                this.sent.set(None);
            }
            // A look without a place to wait in: mostly it is all that is needed.
            if let Some(result) = take(this.shared, this.next) {
                return Poll::Ready(result);
            }
            // Made before the look: no value is missed between the two.
            this.sent.set(Some(this.shared.sent.notified()));
            if let Some(result) = take(this.shared, this.next) {
                // Not in line yet.
                this.sent.set(None);
                return Poll::Ready(result);
            }
        }
    }
}

/// The next value, or the reason why it does not come; `None` if one has to wait.
fn take<T: Clone>(shared: &Shared<T>, next: &mut u64) -> Option<Result<T, RecvError>> {
    Some(match shared.take(next) {
        Ok(value) => Ok(value),
        Err(TryRecvError::Closed) => Err(RecvError::Closed),
        Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
        Err(TryRecvError::Empty) => return None,
    })
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.leave(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
