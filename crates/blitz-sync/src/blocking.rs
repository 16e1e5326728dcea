//! A thread that waits for a future: the `blocking_` methods.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use blitz_core::budget;

struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// One for all waits of this thread, so that a wait allocates nothing.
    static WAKER: Waker = Waker::from(Arc::new(Unparker(thread::current())));
}

/// # Panics
/// On a thread that runs tasks, which would all stop, and on one that computes; `what` is the method's name.
#[track_caller]
pub(crate) fn assert_may_block(what: &str) {
    assert!(
        budget::entered() != budget::Entered::Computing,
        "`{what}` was called in a computation (`blitz_io::compute` and its kin): its thread is one of the few that compute, and \
         a processor would idle while it waits; if all of them waited, nothing would go on. Remedies: `.await` what it needs \
         before, and what comes of it after, in the async code that awaits the computation; or use a `try_` method; or use \
         `spawn_blocking` for code that waits."
    );
    assert!(
        !budget::is_entered(),
        "Cannot block the current thread from within a runtime: `{what}` was called on a thread that runs tasks, which \
         would all stop while it waits. Remedies: use the async method and `.await` it; or call it in `spawn_blocking`."
    );
}

/// Polls `future` on this thread, which sleeps meanwhile.
///
/// # Panics
/// As [`assert_may_block`].
#[track_caller]
pub(crate) fn block_on<F: Future>(what: &str, future: F) -> F::Output {
    let mut future = pin!(future);
    block_on_until(what, None, future.as_mut()).expect("without a deadline it ends with the future")
}

/// The same, up to `deadline`; `None` if the future is not ready by then.
#[track_caller]
pub(crate) fn block_on_until<F: Future>(
    what: &str,
    deadline: Option<Instant>,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    assert_may_block(what);
    // A thread that is ending has no thread-locals any more.
    let waker = WAKER
        .try_with(Waker::clone)
        .unwrap_or_else(|_| Waker::from(Arc::new(Unparker(thread::current()))));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        let Some(deadline) = deadline else {
            thread::park();
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
