//! Timers: `blitz_io::time`.

pub use blitz_io::time::{
    Duration, Instant, Interval, MissedTickBehavior, Sleep, Timeout, advance, interval,
    interval_at, pause, resume, sleep, sleep_until, timeout, timeout_at,
};

/// What goes wrong with timers: `blitz_io::time::error`.
pub mod error {
    pub use blitz_io::time::error::{Elapsed, Error};
}
