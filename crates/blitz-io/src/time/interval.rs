//! Ticks, one period apart.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::waiting::{self, Resource, Site, UNKNOWN};
use blitz_driver::Timer;
use blitz_driver::clock::to_ns;

use super::Instant;
use super::sleep::poll_timer;
use crate::context::{self, call};

/// A tick that comes later than this is missed (or later than its period, if that is shorter).
const TOLERANCE: Duration = Duration::from_millis(5);

static TICK: Site = Site::new("Interval::poll_tick", Resource::Deadline);

/// Ticks every `period`, for the first time at once.
///
/// Ticks are due at the start plus whole multiples of the period, so that lateness does not add up; what happens when one
/// is missed is [set](Interval::set_missed_tick_behavior).
///
/// # Panics
/// If `period` is zero, or outside of a runtime.
///
/// # Examples
/// ```
/// use blitz_io::time::{interval, Duration, Instant};
///
/// #[blitz_io::main]
/// async fn main() {
///     let start = Instant::now();
///     let mut ticks = interval(Duration::from_millis(2));
///     ticks.tick().await; // at once
///     ticks.tick().await;
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new("time::interval", Instant::now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
/// If `period` is zero, or outside of a runtime.
///
/// # Examples
/// ```
/// use blitz_io::time::{interval_at, Duration, Instant};
///
/// #[blitz_io::main]
/// async fn main() {
///     let start = Instant::now() + Duration::from_millis(3);
///     let mut ticks = interval_at(start, Duration::from_millis(2));
///     assert_eq!(ticks.tick().await, start);
///     assert_eq!(ticks.tick().await, start + Duration::from_millis(2));
/// }
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new("time::interval_at", start, period)
}

/// What an [`Interval`] does when a tick comes too late: by more than 5 ms, or than its period if that is shorter.
///
/// With a period of 50 ms and the second tick taken 120 ms late:
///
/// ```text
/// due      0    50   100  150  200  250  300  350
/// Burst    0    170  170  170  200  250  300  350     catches up, keeps the grid
/// Delay    0    170  220  270  320  370               starts anew from the late tick
/// Skip     0    170  200  250  300  350               drops what was missed, keeps the grid
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Missed ticks follow one another at once until the interval has caught up.
    #[default]
    Burst,
    /// The next tick is due one period after the late one.
    Delay,
    /// Missed ticks are dropped; the next is due at the next multiple of the period.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick after the one that was due at `due` and taken at `now` is due.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let next = match self {
            Self::Burst => due.checked_add(period),
            Self::Delay => now.checked_add(period),
            Self::Skip => {
                // Less than a period, so it fits.
                let into_period = now.duration_since(due).as_nanos() % period.as_nanos();
                let secs = (into_period / 1_000_000_000) as u64;
                let nanos = (into_period % 1_000_000_000) as u32;
                now.checked_add(period - Duration::new(secs, nanos))
            }
        };
        next.unwrap_or_else(Instant::far_future)
    }
}

/// Ticks, one period apart; made by [`interval`](interval()) and [`interval_at`].
///
/// It allocates nothing, neither when made nor when it ticks.
pub struct Interval {
    /// When the next tick is due.
    due: Instant,
    timer: Timer,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    #[track_caller]
    fn new(what: &'static str, start: Instant, period: Duration) -> Self {
        assert!(period > Duration::ZERO, "`period` must be non-zero.");
        Self {
            due: start,
            timer: Timer::new(context::time_driver(what)),
            period,
            missed: MissedTickBehavior::default(),
        }
    }

    /// Waits for the next tick and returns the moment at which it was due.
    ///
    /// # Cancel safety
    /// Safe. A tick is taken in the poll that returns it: a dropped `tick` has taken none.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::time::{interval, Duration};
    ///
    /// #[blitz_io::main]
    /// async fn main() {
    ///     let mut ticks = interval(Duration::from_millis(1));
    ///     let first = ticks.tick().await;
    ///     assert_eq!(ticks.tick().await, first + Duration::from_millis(1));
    /// }
    /// ```
    #[track_caller]
    pub fn tick(&mut self) -> impl Future<Output = Instant> {
        static CALL: Site = Site::new("Interval::tick", Resource::Deadline);
        call(&CALL, UNKNOWN, async move {
            poll_fn(|cx| self.poll_tick(cx)).await
        })
    }

    /// Ready with the moment at which a tick was due once it is; until then the task of the latest call is woken by it.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let progress = ready!(budget::poll_proceed(cx));
        let deadline = to_ns(self.due.into_std());
        if poll_timer(&mut self.timer, deadline, cx).is_pending() {
            waiting::note(&TICK, deadline, None);
            return Poll::Pending;
        }
        progress.made_progress();
        let due = self.due;
        let now = Instant::now();
        self.due = if now.duration_since(due) > TOLERANCE.min(self.period) {
            self.missed.next(due, now, self.period)
        } else {
            MissedTickBehavior::Burst.next(due, now, self.period)
        };
        // It has fired, so this only forgets that: the next poll registers.
        self.timer.reset(to_ns(self.due.into_std()));
        Poll::Ready(due)
    }

    /// The next tick is due one period from now, whatever the missed-tick behaviour.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::time::{interval, Duration, Instant};
    ///
    /// #[blitz_io::main]
    /// async fn main() {
    ///     let mut ticks = interval(Duration::from_millis(3));
    ///     let before = Instant::now();
    ///     ticks.reset(); // the first tick no longer comes at once
    ///     assert!(ticks.tick().await >= before + Duration::from_millis(3));
    /// }
    /// ```
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// The next tick is due now; those after it count from here.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// The next tick is due `after` from now; those after it count from there.
    pub fn reset_after(&mut self, after: Duration) {
        let due = Instant::now().checked_add(after);
        self.reset_at(due.unwrap_or_else(Instant::far_future));
    }

    /// The next tick is due at `deadline`; those after it count from there.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.due = deadline;
        self.timer.reset(to_ns(deadline.into_std()));
    }

    /// What happens when a tick is missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets what happens when a tick is missed.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::time::{interval, Duration, MissedTickBehavior};
    ///
    /// #[blitz_io::main]
    /// async fn main() {
    ///     let mut ticks = interval(Duration::from_millis(5));
    ///     ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ///     assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Skip);
    /// }
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("due", &self.due)
            .field("period", &self.period)
            .field("missed_tick_behavior", &self.missed)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    shared::<Interval>();
};
