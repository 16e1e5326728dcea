//! The side that sends.

use std::fmt;

use blitz_core::primitive::sync::Arc;

use super::ring::Shared;
use super::{Receiver, SendError};
use crate::called::called;
use crate::cooperative::cooperative;

/// Sends values to all receivers of a channel. Clones are cheap; the channel is closed when the last one goes.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A channel without a receiver: [`subscribe`](Self::subscribe) makes some.
    ///
    /// # Panics
    /// If `capacity` is 0 or above `usize::MAX / 2`.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::entered(Arc::new(Shared::new(capacity, 0)))
    }

    /// A handle that is counted already.
    pub(super) fn entered(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Sends `value` to all receivers there are. Never waits: the oldest value makes room, whether or not all have had it.
    ///
    /// Returns how many receivers there are; whether they will look at the value is theirs.
    ///
    /// # Errors
    /// The value comes back if there is no receiver.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.shared.send(value)
    }

    /// A new receiver, which gets what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        let next = self.shared.enter();
        Receiver::at(Arc::clone(&self.shared), next)
    }

    /// How many values some receiver has not had yet, and could still have.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether all receivers have had all values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers()
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        called!("broadcast::Sender::closed", async move {
            cooperative(async {
                loop {
                    // Made before the look: no end is missed between the two.
                    let deserted = self.shared.deserted.notified();
                    if self.receiver_count() == 0 {
                        return;
                    }
                    deserted.await;
                }
            })
            .await;
        })
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.shared, &*other.shared)
    }

    /// A handle that does not keep the channel open.
    #[must_use = "a weak handle that is dropped does nothing"]
    pub fn downgrade(&self) -> WeakSender<T> {
        self.shared.enter_weak();
        WeakSender {
            shared: Arc::clone(&self.shared),
        }
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak handles there are.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.enter_sender();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.leave_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

/// A [`Sender`] that does not keep its channel open.
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless the last one is gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.shared
            .try_enter_sender()
            .then(|| Sender::entered(Arc::clone(&self.shared)))
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak handles there are.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        self.shared.enter_weak();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.shared.leave_weak();
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}
