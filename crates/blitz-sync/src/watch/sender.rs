//! The side that changes the value.

use std::fmt;
use std::mem;
use std::sync::Arc;

use super::{Receiver, Ref, SendError, Shared};
use crate::called::called;
use crate::cooperative::cooperative;

/// Changes the value that receivers watch. Clones are cheap; the channel is closed when the last one goes.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A channel whose value is `init`, without a receiver: [`subscribe`](Self::subscribe) makes some.
    pub fn new(init: T) -> Self {
        Self::entered(Shared::new(init, 0))
    }

    /// A handle that is counted already.
    pub(super) fn entered(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Makes `value` the channel's, and wakes all receivers.
    ///
    /// # Errors
    /// The value comes back if there is no receiver; the channel's value stays what it was.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.receiver_count() == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value where it is, and wakes all receivers, if there are any.
    ///
    /// `modify` runs under the value's lock: it must be short, and not look at the channel.
    ///
    /// # Panics
    /// If `modify` does: receivers are not told then.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = blitz_sync::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    pub fn send_modify<F>(&self, modify: F)
    where
        F: FnOnce(&mut T),
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value where it is; wakes the receivers if `modify` says that it has changed it. Returns what it says.
    ///
    /// # Panics
    /// If `modify` does: receivers are not told then.
    pub fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let mut value = self.shared.write();
        if !modify(&mut value) {
            return false;
        }
        self.shared.word.next_version();
        drop(value);
        self.shared.changed.notify_waiters();
        true
    }

    /// Makes `value` the channel's, also without a receiver, and returns the one before.
    pub fn send_replace(&self, mut value: T) -> T {
        // The old value is dropped by the caller, not under the lock.
        self.send_modify(|old| mem::swap(old, &mut value));
        value
    }

    /// A look at the value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref {
            value: self.shared.read(),
            has_changed: false,
        }
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        called!("watch::Sender::closed", async move {
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

    /// A new receiver, which has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Shared::<T>::enter(&self.shared.receivers);
        let seen = self.shared.word.version();
        Receiver::entered(Arc::clone(&self.shared), seen)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        Shared::<T>::count(&self.shared.receivers)
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        Shared::<T>::count(&self.shared.senders)
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Shared::<T>::enter(&self.shared.senders);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if Shared::<T>::leave(&self.shared.senders) {
            self.shared.word.close();
            self.shared.changed.notify_waiters();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("value", &*self.shared.read())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}
