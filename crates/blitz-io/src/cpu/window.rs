//! An endless row of items, in order, a bounded number of them at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site};

use super::Compute;
use crate::context::{self, Handle};

/// Computes a row of items side by side and gives the results in the items' order, with a bound on how many there are at once.
///
/// It is for work that comes in by `.await`: read a piece, [`push`](Self::push) it, take the oldest result, and while that
/// goes on the others are computed. What it holds is `limit` items or results and no more, however long the row is. With
/// about twice as many as there are CPU threads, none of them waits. Pieces should be worth a trip: 50 µs of work or more.
///
/// Dropping it cancels what has not begun.
///
/// # Examples
/// ```
/// use blitz_io::cpu::Window;
/// # #[blitz_io::main]
/// # async fn main() {
/// let mut sum = 0;
/// let mut window = Window::new(4, |chunk: Vec<u64>| chunk.iter().sum::<u64>());
/// for start in (0..1_000).step_by(100) {
///     let chunk = (start..start + 100).collect(); // read from a file, say
///     if let Some(part) = window.push(chunk).await {
///         sum += part;
///     }
/// }
/// while let Some(part) = window.next().await {
///     sum += part;
/// }
/// assert_eq!(sum, 499_500);
/// # }
/// ```
pub struct Window<F, R> {
    handle: Handle,
    f: Arc<F>,
    calls: VecDeque<Compute<R>>,
    limit: usize,
    at: &'static Location<'static>,
}

/// What a task waits for that awaits an item.
static SITE: Site = Site::new("cpu::Window", Resource::None);

// The calls are futures that need no pinning, and the closure is behind a pointer.
impl<F, R> Unpin for Window<F, R> {}

impl<F, R: Send + 'static> Window<F, R> {
    /// A window of `limit` items, each of which `f` computes.
    ///
    /// # Panics
    /// If `limit` is 0, or if this thread is in no runtime.
    #[track_caller]
    pub fn new<T>(limit: usize, f: F) -> Self
    where
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        assert!(limit > 0, "a window must have room for an item");
        Self {
            handle: context::handle("Window::new"),
            f: Arc::new(f),
            calls: VecDeque::with_capacity(limit),
            limit,
            at: Location::caller(),
        }
    }

    /// Starts an item. If `limit` are inside with it, waits for the oldest and returns its result; `None` while there is room
    /// for one more.
    ///
    /// # Cancel safety
    /// Safe. The item has been started when the wait begins, and the result that it waits for stays inside: one more than
    /// before, so take it by [`next`](Self::next).
    ///
    /// # Panics
    /// If the oldest item's computation did; otherwise as [`compute`](super::compute).
    pub async fn push<T>(&mut self, item: T) -> Option<R>
    where
        T: Send + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        self.start(item);
        if self.has_room() {
            return None;
        }
        self.next().await
    }

    /// Waits for the oldest item and returns its result; `None` if nothing is inside.
    ///
    /// # Cancel safety
    /// Safe: the result stays inside until it is returned.
    ///
    /// # Panics
    /// As [`push`](Self::push).
    pub async fn next(&mut self) -> Option<R> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Starts an item, whether there is room or not.
    pub(super) fn start<T>(&mut self, item: T)
    where
        T: Send + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        let f = Arc::clone(&self.f);
        let call = self.handle.compute_as(move || f(item), &SITE, self.at);
        self.calls.push_back(call);
    }

    pub(super) fn has_room(&self) -> bool {
        self.calls.len() < self.limit
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<R>> {
        // Taken out for the poll: if that panics, the next one goes on with the item after.
        let Some(mut oldest) = self.calls.pop_front() else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut oldest).poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => {
                self.calls.push_front(oldest);
                Poll::Pending
            }
        }
    }

    /// How many items, computed or not, are inside.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl<F, R> fmt::Debug for Window<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("limit", &self.limit)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}
