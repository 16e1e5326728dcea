//! Many items at once, all of them in memory.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use blitz_core::primitive::sync::Mutex;
use blitz_core::waiting::{Resource, Site};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::Compute;
use crate::context;

/// Calls `f` with each item, on all of the CPU's threads, and gives the results in the items' order.
///
/// The items are collected there too, before the first call. For a row that does not fit in memory, or comes in piece by
/// piece, see [`Window`](super::Window) and [`parallel_map_stream`](super::parallel_map_stream).
///
/// # Cancel safety
/// Dropping the future stops the work between items: those not begun, and the results so far, are dropped.
///
/// # Panics
/// If this thread is in no runtime. If `f` panics, no further item begins, and the future panics with the payload of the
/// first to do so, once those under way have ended. Otherwise as [`compute`](crate::compute).
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() {
/// let lengths = blitz_io::cpu::parallel_map(["one", "three", ""], str::len).await;
/// assert_eq!(lengths, [3, 5, 0]);
/// # }
/// ```
#[track_caller]
pub fn parallel_map<I, F, R>(items: I, f: F) -> ParallelMap<R>
where
    I: IntoIterator + Send + 'static,
    I::Item: Send,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    let at = Location::caller();
    let stop = Stop::default();
    let seen = stop.clone();
    let whole = move || {
        let items: Vec<I::Item> = items.into_iter().collect();
        map(items, &f, &seen)
    };
    ParallelMap {
        whole: context::with_handle("parallel_map", |handle| handle.compute_as(whole, &SITE, at)),
        stop,
    }
}

/// What a task waits for that awaits one.
static SITE: Site = Site::new("cpu::parallel_map", Resource::None);

/// Runs on a thread of the crew, whose pool the parallel iterator uses.
fn map<T: Send, R: Send>(items: Vec<T>, f: &(impl Fn(T) -> R + Sync), stop: &Stop) -> Vec<R> {
    let first = Mutex::new(None);
    let each = |item: T| {
        if stop.is_set() {
            // Not a panic that anybody hears of: it unwinds this leaf, and the iterator drops what is left of it.
            resume_unwind(Box::new(Stopped));
        }
        match catch_unwind(AssertUnwindSafe(|| f(item))) {
            Ok(result) => result,
            Err(payload) => {
                stop.set();
                keep_first(&first, payload);
                resume_unwind(Box::new(Stopped))
            }
        }
    };
    // What a join of two panics gives is the left one's: our own mark perhaps, so the true one is kept aside.
    match catch_unwind(AssertUnwindSafe(|| {
        items.into_par_iter().map(each).collect()
    })) {
        Ok(results) => results,
        Err(payload) => resume_unwind(first.into_inner().unwrap_or(payload)),
    }
}

fn keep_first(first: &Mutex<Option<Box<dyn Any + Send>>>, payload: Box<dyn Any + Send>) {
    let mut place = first.lock();
    if place.is_none() {
        *place = Some(payload);
    } else {
        // Foreign code: dropped without the lock.
        drop(place);
        drop(payload);
    }
}

/// What a leaf unwinds with that stops because it was told to.
struct Stopped;

/// Tells the items not to begin any more.
#[derive(Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn set(&self) {
        // ORDERING: Relaxed: advice; an item that misses it runs, as if it had begun before.
        self.0.store(true, Relaxed);
    }

    #[inline]
    fn is_set(&self) -> bool {
        // ORDERING: Relaxed: as above.
        self.0.load(Relaxed)
    }
}

/// The future of a [`parallel_map`].
#[must_use = "dropped, it stops the work"]
pub struct ParallelMap<R> {
    whole: Compute<Vec<R>>,
    stop: Stop,
}

impl<R> ParallelMap<R> {
    /// Has it ended, so that awaiting it gives the results at once?
    pub fn is_finished(&self) -> bool {
        self.whole.is_finished()
    }
}

impl<R> Future for ParallelMap<R> {
    type Output = Vec<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<R>> {
        Pin::new(&mut self.whole).poll(cx)
    }
}

impl<R> Drop for ParallelMap<R> {
    fn drop(&mut self) {
        self.stop.set();
    }
}

impl<R> fmt::Debug for ParallelMap<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParallelMap").field(&self.whole).finish()
    }
}
