//! The side that watches.

use std::fmt;
use std::sync::Arc;

use super::{RecvError, Ref, Seen, Shared};
use crate::called::called;
use crate::cooperative::cooperative;

/// Watches the value of a channel. A clone has seen what the original has.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: Seen,
}

impl<T> Receiver<T> {
    /// A handle that is counted already.
    pub(super) fn entered(shared: Arc<Shared<T>>, seen: Seen) -> Self {
        Self { shared, seen }
    }

    /// A look at the value, which stays as new as it was.
    pub fn borrow(&self) -> Ref<'_, T> {
        let (value, version) = self.shared.look();
        Ref {
            value,
            has_changed: version != self.seen,
        }
    }

    /// A look at the value, which is marked as seen: [`changed`](Self::changed) waits for the next.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let (value, version) = self.shared.look();
        let has_changed = version != self.seen;
        self.seen = version;
        Ref { value, has_changed }
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    /// If there is no sender any more.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        if self.is_closed() {
            return Err(RecvError::closed());
        }
        Ok(self.shared.word.version() != self.seen)
    }

    /// Whether there is no sender any more.
    pub fn is_closed(&self) -> bool {
        self.shared.word.is_closed()
    }

    /// Marks the present value as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.word.version().before();
    }

    /// Marks the present value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.word.version();
    }

    /// Waits for a value that this receiver has not seen, and marks it as seen.
    ///
    /// # Cancel safety
    /// Safe: a value is marked in the poll that says so.
    ///
    /// # Errors
    /// If there is no sender any more, and the last value was seen.
    #[track_caller]
    pub fn changed(&mut self) -> impl Future<Output = Result<(), RecvError>> {
        called!("watch::Receiver::changed", async move {
            cooperative(wait_changed(&self.shared, &mut self.seen)).await
        })
    }

    /// Waits until the value is as `is_wanted` says, and returns it, marked as seen. The present value is asked first, seen
    /// or not.
    ///
    /// `is_wanted` runs under the value's lock: it must be short, and not look at the channel.
    ///
    /// # Cancel safety
    /// Safe: dropped, the last value that was asked about is marked as seen, no other.
    ///
    /// # Errors
    /// If there is no sender any more, and the last value is not as wanted.
    ///
    /// # Panics
    /// If `is_wanted` does.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::watch;
    /// # futures::executor::block_on(async {
    /// let (sender, mut receiver) = watch::channel(1);
    /// let (_, found) = futures::join!(
    ///     async { sender.send_modify(|value| *value += 10) },
    ///     async { *receiver.wait_for(|value| *value > 10).await.expect("the sender is there") },
    /// );
    /// assert_eq!(found, 11);
    /// # });
    /// ```
    #[track_caller]
    pub fn wait_for(
        &mut self,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> impl Future<Output = Result<Ref<'_, T>, RecvError>> {
        called!("watch::Receiver::wait_for", async move {
            let Self { shared, seen } = self;
            let shared: &Shared<T> = shared;
            cooperative(async move {
                let mut is_last = false;
                loop {
                    {
                        let (value, version) = shared.look();
                        let has_changed = version != *seen;
                        *seen = version;
                        // The value of a closed channel is asked once more: it may have come just before the end.
                        if (!is_last || has_changed) && is_wanted(&value) {
                            return Ok(Ref { value, has_changed });
                        }
                    }
                    if is_last {
                        return Err(RecvError::closed());
                    }
                    is_last = wait_changed(shared, seen).await.is_err();
                }
            })
            .await
        })
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// Waits for a version that is not `seen`, and makes it so.
async fn wait_changed<T>(shared: &Shared<T>, seen: &mut Seen) -> Result<(), RecvError> {
    loop {
        // Made before the look: no change is missed between the two.
        let changed = shared.changed.notified();
        // The end before the version: a value that came just before it is not passed by.
        let is_closed = shared.word.is_closed();
        let version = shared.word.version();
        if version != *seen {
            *seen = version;
            return Ok(());
        }
        if is_closed {
            return Err(RecvError::closed());
        }
        changed.await;
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Shared::<T>::enter(&self.shared.receivers);
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if Shared::<T>::leave(&self.shared.receivers) {
            self.shared.deserted.notify_waiters();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("value", &*self.shared.read())
            .field("has_changed", &(self.shared.word.version() != self.seen))
            .finish_non_exhaustive()
    }
}
