//! hyper's timeouts, kept by the timers of blitz-io.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use blitz_io::time;
use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;

/// A timer for hyper's builders. Without one hyper's timeouts (`header_read_timeout`, `keep_alive_interval`) do not run.
///
/// It knows the runtime's time, which tests stop and move.
///
/// # Panics
/// `sleep` and `sleep_until` panic outside of a runtime.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BlitzTimer {}

impl BlitzTimer {
    /// A timer for whichever runtime it is used on.
    pub const fn new() -> Self {
        Self {}
    }
}

impl Timer for BlitzTimer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(BlitzSleep {
            sleep: time::sleep(duration),
        })
    }

    #[track_caller]
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(BlitzSleep {
            sleep: time::sleep_until(deadline.into()),
        })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<BlitzSleep>() {
            Some(ours) => ours.project().sleep.reset(new_deadline.into()),
            // Of another timer.
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

pin_project! {
    /// A sleep of [`BlitzTimer`].
    ///
    /// # Cancel safety
    /// Safe: a dropped one is taken off the timers.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    #[derive(Debug)]
    pub struct BlitzSleep {
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for BlitzSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl Sleep for BlitzSleep {}
