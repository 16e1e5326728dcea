//! One operation under way: by the ring, or on the blocking pool.

use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::primitive::sync::Mutex;
use blitz_driver::completion::{Op, Request};
use blitz_exec::task::JoinHandle;

use crate::context;

/// An operation under way. Begun when it is first polled on the ring, and at once on the pool.
pub(super) enum Job<D: Request> {
    Ring(Op<D>),
    Pool(JoinHandle<D::Output>),
}

impl<D: Request<Output: Send>> Job<D> {
    /// The operation that `op` makes for a driver.
    #[track_caller]
    pub(super) fn new(what: &'static str, op: impl FnOnce(&blitz_driver::Handle) -> Op<D>) -> Self {
        let op = op(&context::driver(what));
        if goes_by_ring(op.has_ring()) {
            Self::Ring(op)
        } else {
            Self::Pool(context::spawn_blocking(what, move || op.call()))
        }
    }
}

impl<D: Request> Future for Job<D> {
    type Output = io::Result<D::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ring(op) => Pin::new(op).poll(cx).map(Ok),
            Self::Pool(call) => Pin::new(call).poll(cx).map_err(of_pool),
        }
    }
}

/// Whether an operation that the ring can do is left to it: not where nobody may turn the ring, while the pool serves whoever waits.
pub(super) fn goes_by_ring(has_ring: bool) -> bool {
    has_ring && context::is_driven()
}

/// The operation that `op` makes for a driver, which gives its buffer back whatever happens: a pool that takes no more calls,
/// since the runtime shuts down, hands the operation back undone.
///
/// # Panics
/// If the buffer's own code does.
pub(super) async fn on_ring_or_pool<D>(
    what: &'static str,
    op: impl FnOnce(&blitz_driver::Handle) -> Op<D>,
) -> D::Output
where
    D: Request<Output: Send>,
{
    let op = op(&context::driver(what));
    if goes_by_ring(op.has_ring()) {
        return op.await;
    }
    let place = Arc::new(Mutex::new(Some(op)));
    let theirs = Arc::clone(&place);
    let call = context::spawn_blocking(what, move || {
        let op = theirs.lock().take();
        op.map(Op::call)
    });
    match call.await {
        Ok(Some(done)) => done,
        Ok(None) => unreachable!("who waits takes the operation back only when the call is over"),
        Err(error) => {
            let op = place.lock().take();
            match (op, error.try_into_panic()) {
                (_, Ok(payload)) => resume_unwind(payload),
                (Some(op), Err(error)) => op.refuse(of_pool(error)),
                (None, Err(_)) => unreachable!("a call that has begun cannot be cancelled"),
            }
        }
    }
}

/// The runtime has shut down under a call, or the call has panicked.
pub(super) fn of_pool(error: blitz_exec::task::JoinError) -> io::Error {
    io::Error::other(format!(
        "the blocking call behind this file operation did not end well: {error}"
    ))
}

/// What is done on the spot needs no runtime, but is refused where the ring and the pool would be: whether a call works must
/// not hang on what happens to be cached.
pub(super) fn check_runtime(what: &'static str) -> io::Result<()> {
    if !context::driver(what).is_shut_down() {
        return Ok(());
    }
    Err(io::Error::other(if context::explains_errors() {
        "the runtime that this file operation was made on has shut down"
    } else {
        // Where nothing is explained, this is what tokio says.
        "background task failed"
    }))
}

/// Runs `f` on the blocking pool.
pub(super) async fn on_pool<T, F>(what: &'static str, f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    context::spawn_blocking(what, f).await.map_err(of_pool)?
}
