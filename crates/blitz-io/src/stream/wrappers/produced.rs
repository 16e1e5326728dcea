//! Items that an async function produces: for what has no poll of its own.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// The items of a future that gives them by a [`Hand`] and ends when there are no more. It is allocated once.
pub(super) struct Produced<T> {
    /// In a lock that nobody takes, so that the stream can be shared as its parts cannot.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    hand: Hand<T>,
}

/// Gives items from within the future.
pub(super) struct Hand<T>(Arc<Mutex<Option<T>>>);

impl<T> Hand<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives an item; goes on when the stream is asked for the next.
    pub(super) async fn give(&self, item: T) {
        let before = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(item);
        debug_assert!(before.is_none(), "the one before was taken");
        drop(before);
        let mut was_asked = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut was_asked, true) {
                Poll::Ready(())
            } else {
                // No wake: the item is there, and whoever takes it polls again.
                Poll::Pending
            }
        })
        .await;
    }
}

impl<T> Produced<T> {
    pub(super) fn new<F>(produce: impl FnOnce(Hand<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hand = Hand(Arc::new(Mutex::new(None)));
        let future = produce(Hand(Arc::clone(&hand.0)));
        Self {
            future: Mutex::new(Some(Box::pin(future))),
            hand,
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let future = self
            .future
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(running) = future else {
            return Poll::Ready(None);
        };
        if running.as_mut().poll(cx).is_ready() {
            *future = None;
            return Poll::Ready(None);
        }
        match self.hand.take() {
            Some(item) => Poll::Ready(Some(item)),
            None => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Produced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Produced").finish_non_exhaustive()
    }
}
