//! A pool's figures.

use std::time::Duration;

use blitz_core::histogram::{Histogram, Layout, Snapshot};

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// [Discarded](super::Lease::discard), refused by [`on_return`](super::Manager::on_return) or
    /// [`is_usable`](super::Manager::is_usable), or returned by a thread that panicked.
    Broken,
    /// A [check](super::Manager::check), a [reset](super::Manager::reset) or
    /// [`before_acquire`](super::Manager::before_acquire) failed, or was cut off.
    CheckFailed,
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout)
    IdleTimeout,
    /// [`Limits::max_age`](super::Limits::max_age)
    MaxAge,
    /// It made room for another key, while the total is reached.
    Evicted,
    /// More than the limits allow, after a change of them; or more idle ones than they do.
    Surplus,
    /// [`Pool::retire`](super::Pool::retire)
    Retired,
    /// [Taken out](super::Lease::detach): it is not closed, but no longer the pool's.
    Detached,
    /// The pool was closed.
    Shutdown,
}

const REASONS: usize = CloseReason::Shutdown as usize + 1;

/// What is counted under the pool's lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) connects: u64,
    pub(super) created: u64,
    pub(super) connect_failures: u64,
    pub(super) direct: u64,
    pub(super) waited: u64,
    pub(super) timeouts: u64,
    pub(super) leaks: u64,
    pub(super) closed: [u64; REASONS],
}

/// How long things took.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) wait: Histogram,
    pub(super) connect: Histogram,
    pub(super) usage: Histogram,
}

impl Times {
    pub(super) fn new() -> Self {
        Self {
            wait: Histogram::new(Layout::NANOSECONDS),
            connect: Histogram::new(Layout::NANOSECONDS),
            usage: Histogram::new(Layout::NANOSECONDS),
        }
    }
}

pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A pool's figures at one moment: see [`Pool::metrics`](super::Pool::metrics).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// The pool's name.
    pub name: String,
    /// Connections that there are, those included that are being made.
    pub size: usize,
    /// Connections that somebody has.
    pub in_use: usize,
    /// Connections that nobody has.
    pub idle: usize,
    /// Connections that are being made.
    pub connecting: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// Keys of which there is a connection, or for which somebody waits.
    pub keys: usize,
    /// Attempts to connect.
    pub connects: u64,
    /// Those that succeeded.
    pub created: u64,
    /// Those that failed, in time or otherwise.
    pub connect_failures: u64,
    /// Acquires that took an idle connection at once.
    pub acquired_direct: u64,
    /// Acquires that waited, and got one.
    pub acquired_after_wait: u64,
    /// Acquires whose time was over first.
    pub timeouts: u64,
    /// Connections that were out for longer than [`Limits::leak_after`](super::Limits::leak_after).
    pub leaks: u64,
    pub(super) closed: [u64; REASONS],
    /// How long those waited that got a connection, in nanoseconds.
    pub wait_time: Snapshot,
    /// How long connecting took when it succeeded, in nanoseconds.
    pub connect_time: Snapshot,
    /// How long connections were out, in nanoseconds.
    pub usage_time: Snapshot,
}

impl PoolMetrics {
    /// Connections that were closed for one reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// Connections that were closed, for whichever reason.
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}
