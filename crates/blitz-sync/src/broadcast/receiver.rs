//! The side that receives.

use std::fmt;

use blitz_core::primitive::sync::Arc;

use super::ring::{Held, Shared};
use super::{RecvError, TryRecvError};
use crate::blocking::block_on;
use crate::called::called;
use crate::cooperative::cooperative;

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
        called!("broadcast::Receiver::recv", async move {
            let Self { shared, next } = self;
            let held = cooperative(async {
                loop {
                    // A look without a place to wait in: mostly it is all that is needed.
                    if let Some(result) = take(shared, next) {
                        return result;
                    }
                    // Made before the look: no value is missed between the two.
                    let sent = shared.sent.notified();
                    if let Some(result) = take(shared, next) {
                        return result;
                    }
                    // No value is held here: the future may go where values may not.
                    sent.await;
                }
            });
            held.await.map(value)
        })
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// If there is none, and why.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.take(&mut self.next).map(value)
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

/// The next value, or the reason why it does not come; `None` if one has to wait.
#[inline]
fn take<T>(shared: &Shared<T>, next: &mut u64) -> Option<Result<Held<T>, RecvError>> {
    Some(match shared.take(next) {
        Ok(held) => Ok(held),
        Err(TryRecvError::Closed) => Err(RecvError::Closed),
        Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
        Err(TryRecvError::Empty) => return None,
    })
}

/// A receiver's own copy, made without a lock of the channel's.
fn value<T: Clone>(held: Held<T>) -> T {
    match held {
        Held::Last(value) => value,
        Held::Shared(shared) => match &*shared.lock() {
            Some(value) => value.clone(),
            None => unreachable!("a value stays while somebody shares it"),
        },
    }
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
