//! What the tests poll with: a waker that counts, and a future that is polled by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Count {
    /// How often that was.
    pub(crate) fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// Polls once, with a waker that counts.
pub(crate) fn poll_counted<F: Future + ?Sized>(
    future: Pin<&mut F>,
    wakes: &Arc<Count>,
) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    future.poll(&mut Context::from_waker(&waker))
}

/// A future on its own task, polled by hand.
pub(crate) struct Hand<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    wakes: Arc<Count>,
}

impl<'a, T> Hand<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
        }
    }

    /// Polls once.
    pub(crate) fn poll(&mut self) -> Poll<T> {
        poll_counted(self.future.as_mut(), &self.wakes)
    }

    /// Polls once; the future must not be ready.
    #[track_caller]
    pub(crate) fn waits(&mut self) -> &mut Self {
        assert!(self.poll().is_pending(), "it should still wait");
        self
    }

    /// Polls once; the future must be ready.
    #[track_caller]
    pub(crate) fn done(&mut self) -> T {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it should be ready"),
        }
    }

    /// How often it was woken so far.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.wakes()
    }
}
