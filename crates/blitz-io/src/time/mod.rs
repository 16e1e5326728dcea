//! Sleeping, deadlines, intervals, and time that tests can stop.
//!
//! A wait ends at its exact deadline, never early, and usually within some microseconds after it: durations below a
//! millisecond are real. When several waits end by one turn of a driver, tasks are woken by deadline and, at the same
//! deadline, in the order in which they began to wait (a reset begins anew).
//!
//! Timers belong to the driver of the worker that polls them first; creating and dropping one that never fires, as most
//! timeouts do, touches nothing that another worker uses.
//!
//! For tests, [`pause`] stops the runtime's time on every flavour, [`advance`] moves it, and it jumps to the next
//! deadline by itself when everyone waits.

mod clock;
pub mod error;
mod instant;
mod interval;
mod sleep;
mod timeout;

pub use std::time::Duration;

pub use clock::{advance, pause, resume};
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub(crate) use timeout::poll_delay;
pub use timeout::{Timeout, timeout, timeout_at};
