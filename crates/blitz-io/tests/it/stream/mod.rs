//! `blitz_io::stream`: the methods against what iterators do, the map, the times, and the wrappers.

mod fused;
mod laws;
mod map;
mod timed;
mod wrappers;

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io::stream::Stream;

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&count));
        (count, waker)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Gives each `Some`; at each `None` it is pending once, and wakes at once. Asked after its end, it panics.
#[derive(Clone, Debug)]
pub(crate) struct Script<T> {
    steps: Option<VecDeque<Option<T>>>,
}

impl<T> Script<T> {
    pub(crate) fn new(steps: impl IntoIterator<Item = Option<T>>) -> Self {
        Self {
            steps: Some(steps.into_iter().collect()),
        }
    }
}

impl<T> Unpin for Script<T> {}

impl<T> Stream for Script<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let steps = self.steps.as_mut().expect("nobody asks after the end");
        match steps.pop_front() {
            Some(Some(item)) => Poll::Ready(Some(item)),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.steps = None;
                Poll::Ready(None)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let steps = self.steps.iter().flatten();
        let left = steps.filter(|step| step.is_some()).count();
        (left, Some(left))
    }
}

/// All items of a stream that is always ready or wakes; each hint must have been right, and each pending poll must wake.
pub(crate) fn drive<S: Stream>(stream: S) -> Vec<S::Item> {
    let mut stream = pin!(stream);
    let (mut items, mut hints) = (Vec::new(), Vec::new());
    let (count, waker) = Count::new();
    loop {
        hints.push((items.len(), stream.size_hint()));
        let woken = count.get();
        match stream.as_mut().poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => break,
            Poll::Pending => assert!(count.get() > woken, "pending, and nobody was woken"),
        }
    }
    for (before, (low, high)) in hints {
        let left = items.len() - before;
        assert!(low <= left, "{low} were promised, and {left} came");
        assert!(
            high.is_none_or(|high| left <= high),
            "{left} came, and at most {high:?} were promised"
        );
    }
    items
}

/// What a future comes to that is ready or wakes.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (count, waker) = Count::new();
    loop {
        let woken = count.get();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => assert!(count.get() > woken, "pending, and nobody was woken"),
        }
    }
}
