//! Time that tests stop and move.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::clock::Clock;

use crate::context::{self, call};

/// The present of this thread's runtime, or real time outside of one.
#[cold]
pub(super) fn now() -> std::time::Instant {
    match context::clock() {
        Some(clock) => clock.now(),
        None => std::time::Instant::now(),
    }
}

/// Stops the time of the current runtime where it is.
///
/// From then on [`Instant::now`](super::Instant::now) gives the same moment on every thread of the runtime, until
/// [`advance`] or [`resume`], or until everyone waits. It works on every flavour. Timers of real time, such as those of the
/// kernel or of other threads, go on.
///
/// # Auto-advance
/// When all workers are parked, no wake is under way and no blocking call ([`spawn_blocking`](crate::task::spawn_blocking),
/// [`block_in_place`](crate::task::block_in_place)) runs, time jumps to the earliest deadline of all timers: a test that
/// sleeps an hour takes no time, and timers fire one instant after the other, in order. Outside events that the kernel
/// has ready are delivered before. A runtime with workers of its own does this only while a thread is in `block_on`.
///
/// # Panics
/// If time is paused already, or outside of a runtime.
///
/// # Examples
/// ```
/// use blitz_io::time::{self, Duration, Instant};
///
/// #[blitz_io::main(flavor = "current_thread")]
/// async fn main() {
///     time::pause();
///     let start = Instant::now();
///     time::sleep(Duration::from_secs(3600)).await;
///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// }
/// ```
#[track_caller]
pub fn pause() {
    if clock("time::pause").pause().is_err() {
        panic!(
            "time is already frozen: `time::pause` or `start_paused` came before; call `time::resume` first"
        );
    }
}

/// Lets the time of the current runtime run again, from the moment it shows.
///
/// # Panics
/// If time is not paused, or outside of a runtime.
///
/// # Examples
/// ```
/// use blitz_io::time::{self, Duration, Instant};
///
/// #[blitz_io::main(flavor = "current_thread", start_paused = true)]
/// async fn main() {
///     let start = Instant::now();
///     time::advance(Duration::from_secs(60)).await;
///     time::resume();
///     assert!(start.elapsed() >= Duration::from_secs(60));
/// }
/// ```
#[track_caller]
pub fn resume() {
    if clock("time::resume").resume().is_err() {
        panic!("time is not frozen: call `time::pause` before `time::resume`");
    }
}

/// Moves the paused time of the current runtime on by `duration`, and yields once.
///
/// Every timer whose deadline is not after the new time fires before this function yields, in order of their deadlines,
/// and finds that one time: to see each at its own, [`sleep`](super::sleep()) instead and let time advance by itself.
///
/// # Cancel safety
/// Time has moved by the first poll; a dropped `advance` only saves the yield.
///
/// # Panics
/// If time is not paused, outside of a runtime, or if the new time cannot be represented.
///
/// # Examples
/// ```
/// use blitz_io::time::{self, Duration, Instant};
///
/// #[blitz_io::main(flavor = "current_thread", start_paused = true)]
/// async fn main() {
///     let start = Instant::now();
///     time::advance(Duration::from_millis(1500)).await;
///     assert_eq!(start.elapsed(), Duration::from_millis(1500));
/// }
/// ```
#[track_caller]
pub fn advance(duration: Duration) -> impl Future<Output = ()> {
    static CALL: Site = Site::new("time::advance", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let clock = clock("time::advance");
        assert!(
            clock.now().checked_add(duration).is_some(),
            "overflow when adding duration to instant"
        );
        if clock.advance(duration).is_err() {
            panic!("time is not frozen: call `time::pause` before `time::advance`");
        }
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    })
}

#[track_caller]
fn clock(what: &'static str) -> Clock {
    context::with_handle(what, |handle| handle.clock().clone())
}
