//! Streams that know the time: none is silent for long, none is too fast, none comes in crumbs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blitz_core::budget;
use futures_core::Stream;
use pin_project_lite::pin_project;

use super::super::turn::Turn;
use super::Fuse;
use crate::time::error::Elapsed;
use crate::time::{Interval, Sleep, poll_delay, sleep};

pin_project! {
    /// The stream of [`StreamExt::timeout`](crate::stream::StreamExt::timeout).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Timeout<S> {
        #[pin]
        stream: Fuse<S>,
        // None once it has told, until an item comes.
        #[pin]
        delay: Option<Sleep>,
        duration: Duration,
    }
}

impl<S> Timeout<S> {
    #[track_caller]
    pub(in crate::stream) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream: Fuse::new(stream),
            delay: Some(sleep(duration)),
            duration,
        }
    }
}

impl<S: Stream> Stream for Timeout<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let had_budget = budget::has_remaining();
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            let next = item.is_some().then(|| sleep(*this.duration));
            this.delay.set(next);
            return Poll::Ready(item.map(Ok));
        }
        let Some(delay) = this.delay.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let elapsed = ready!(poll_delay(had_budget, delay, cx));
        this.delay.set(None);
        Poll::Ready(Some(elapsed))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // At most one error before each item, and one before the end.
        let (low, high) = self.stream.size_hint();
        let high = high.and_then(|high| high.checked_mul(2)?.checked_add(1));
        (low, high)
    }
}

pin_project! {
    /// The stream of [`StreamExt::timeout_repeating`](crate::stream::StreamExt::timeout_repeating).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TimeoutRepeating<S> {
        #[pin]
        stream: Fuse<S>,
        interval: Interval,
    }
}

impl<S> TimeoutRepeating<S> {
    pub(in crate::stream) fn new(stream: S, interval: Interval) -> Self {
        Self {
            stream: Fuse::new(stream),
            interval,
        }
    }
}

impl<S: Stream> Stream for TimeoutRepeating<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let had_budget = budget::has_remaining();
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            if item.is_some() {
                this.interval.reset();
            }
            return Poll::Ready(item.map(Ok));
        }
        // A stream that uses up the budget in each poll would keep the ticks from ever being looked at.
        let tick = if had_budget && !budget::has_remaining() {
            budget::with_unconstrained(|| this.interval.poll_tick(cx))
        } else {
            this.interval.poll_tick(cx)
        };
        tick.map(|_| Some(Err(Elapsed::new())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.stream.size_hint().0, None)
    }
}

pin_project! {
    /// The stream of [`StreamExt::throttle`](crate::stream::StreamExt::throttle).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Throttle<S> {
        #[pin]
        stream: S,
        // What is left to wait since the last item.
        #[pin]
        delay: Option<Sleep>,
        duration: Duration,
    }
}

impl<S> Throttle<S> {
    pub(in crate::stream) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream,
            delay: None,
            duration,
        }
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream inside, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream inside, as fast as it is.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Stream> Stream for Throttle<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if let Some(delay) = this.delay.as_mut().as_pin_mut() {
            ready!(delay.poll(cx));
            this.delay.set(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        if item.is_some() && !this.duration.is_zero() {
            this.delay.set(Some(sleep(*this.duration)));
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

pin_project! {
    /// The stream of [`StreamExt::chunks_timeout`](crate::stream::StreamExt::chunks_timeout).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct ChunksTimeout<S>
    where
        S: Stream,
    {
        #[pin]
        stream: Fuse<S>,
        // From the first item of a chunk on.
        #[pin]
        delay: Option<Sleep>,
        duration: Duration,
        items: Vec<S::Item>,
        items_max: usize,
    }
}

impl<S: Stream> ChunksTimeout<S> {
    #[track_caller]
    pub(in crate::stream) fn new(stream: S, items_max: usize, duration: Duration) -> Self {
        assert!(
            items_max > 0,
            "a chunk of `chunks_timeout` holds at least one item: `max_size` is 0"
        );
        Self {
            stream: Fuse::new(stream),
            delay: None,
            duration,
            items: Vec::new(),
            items_max,
        }
    }

    /// Takes the items of the chunk that was begun; the next that comes begins another.
    pub fn into_remainder(self: Pin<&mut Self>) -> Vec<S::Item> {
        let mut this = self.project();
        this.delay.set(None);
        std::mem::take(this.items)
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        let had_budget = budget::has_remaining();
        let mut turn = Turn::default();
        while turn.poll_item(cx).is_ready() {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if this.items.is_empty() {
                        this.delay.set(Some(sleep(*this.duration)));
                    }
                    this.items.push(item);
                    if this.items.len() >= *this.items_max {
                        this.delay.set(None);
                        return Poll::Ready(Some(std::mem::take(this.items)));
                    }
                }
                Poll::Ready(None) => {
                    this.delay.set(None);
                    let rest = std::mem::take(this.items);
                    return Poll::Ready((!rest.is_empty()).then_some(rest));
                }
                Poll::Pending => break,
            }
        }
        let Some(delay) = this.delay.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        // Its time is over, which is no error here.
        let _elapsed: Result<(), Elapsed> = ready!(poll_delay(had_budget, delay, cx));
        this.delay.set(None);
        Poll::Ready(Some(std::mem::take(this.items)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.stream.size_hint();
        let inside = self.items.len();
        (
            low.saturating_add(inside).div_ceil(self.items_max),
            high.and_then(|high| high.checked_add(inside)),
        )
    }
}
