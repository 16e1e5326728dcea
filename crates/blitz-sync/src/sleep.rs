//! The one thing that this crate cannot do alone: wait until some time has passed. A runtime lends it its timers.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

/// A wait for some time. It is `Sync` so that what waits with it is, where all else in it is.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

static HOOK: OnceLock<fn(Duration) -> Sleep> = OnceLock::new();

/// Says how to sleep, for all of the process; the first who says so is heard.
///
/// `sleep` panics on a thread that is in no runtime.
pub fn set_sleep_hook(sleep: fn(Duration) -> Sleep) {
    // The first one stays: every runtime of this process says the same.
    let _ = HOOK.set(sleep);
}

/// Waits for `future` as long as `limit`; `None` if it was not ready by then.
///
/// # Panics
/// If there is no runtime that has timers; `what` is the method's name.
pub(crate) async fn within<F: Future>(
    what: &str,
    limit: Duration,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let Some(sleep) = HOOK.get() else {
        panic!(
            "there is no reactor running: `{what}` has to wait, and there is no Blitz runtime, whose timer it needs. Remedies: call \
             it in a task of one; or, under another executor, race the method without a timeout against that one's timer."
        );
    };
    let mut sleep = sleep(limit);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}
