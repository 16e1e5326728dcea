//! How large a pool is, and how long things may take in it.

use std::time::Duration;

use super::manage::Manager;
use super::state::Member;
use super::{Pool, shared};
use crate::context;
use crate::time::Instant;

/// How many connections there may be, and for how long: what can be changed while the pool runs.
///
/// The names and most numbers are HikariCP's.
///
/// # Examples
/// ```
/// use blitz_io::pool::{Manager, Pool};
/// # struct Echo;
/// # impl Manager for Echo {
/// #     type Key = ();
/// #     type Connection = u8;
/// #     type Error = std::io::Error;
/// # }
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let pool = Pool::builder(Echo).max_per_key(4).build();
/// let mut limits = pool.limits();
/// limits.max_per_key = 20;
/// pool.set_limits(limits);
/// assert_eq!(pool.limits().max_per_key, 20);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections of one key, those that are being made included. Default: 10.
    pub max_per_key: usize,
    /// Connections of all keys together. Default: 100.
    pub max_total: usize,
    /// So many idle ones of each key are kept, from the key's first use on. They are replaced when they grow too old, and do not
    /// fall to `idle_timeout`. It is for pools that [connect](super::Connect) themselves. Default: 0.
    pub min_idle: usize,
    /// No more than these stay idle of each key; one that comes back beyond is closed. Default: no limit of its own.
    pub max_idle_per_key: usize,
    /// An idle connection that nobody wanted for so long is closed. Default: 10 minutes.
    pub idle_timeout: Option<Duration>,
    /// A connection older than this is closed as soon as nobody has it; each a little earlier by chance (up to a tenth), so that those
    /// that were made together do not go together. Default: 30 minutes.
    pub max_age: Option<Duration>,
    /// An idle connection is checked so often. Default: 2 minutes.
    pub keepalive: Option<Duration>,
    /// Whoever has had a connection for longer is told of in the log, with the line that asked for it: once, as a warning. Default: never.
    pub leak_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_per_key: 10,
            max_total: 100,
            min_idle: 0,
            max_idle_per_key: usize::MAX,
            idle_timeout: Some(Duration::from_secs(600)),
            max_age: Some(Duration::from_secs(1800)),
            keepalive: Some(Duration::from_secs(120)),
            leak_after: None,
        }
    }
}

fn earliest<const N: usize>(moments: [Option<Instant>; N]) -> Option<Instant> {
    moments.into_iter().flatten().min()
}

impl Limits {
    #[track_caller]
    pub(super) fn check(&self) {
        assert!(
            self.max_per_key > 0 && self.max_total > 0,
            "pool: max_per_key and max_total must be 1 at least, or nobody gets a connection"
        );
    }

    pub(super) fn is_idle_for_too_long<C>(&self, member: &Member<C>, now: Instant) -> bool {
        self.idle_timeout
            .is_some_and(|timeout| now.duration_since(member.idle_since) >= timeout)
    }

    /// When an idle one is to be checked: not all at the same time.
    pub(super) fn check_due<C>(&self, member: &Member<C>) -> Option<Instant> {
        let every = self.keepalive?;
        let earlier = every / 128 * (member.stamp % 16) as u32;
        member.seen.checked_add(every - earlier)
    }

    /// When the keeper has to do something about an idle one.
    pub(super) fn due<C>(&self, member: &Member<C>) -> Option<Instant> {
        let idle = self
            .idle_timeout
            .and_then(|timeout| member.idle_since.checked_add(timeout));
        earliest([idle, self.due_of_kept(member)])
    }

    /// The same for one that is kept however long it is idle.
    pub(super) fn due_of_kept<C>(&self, member: &Member<C>) -> Option<Instant> {
        earliest([member.dies, self.check_due(member)])
    }

    /// The least time between two looks of the keeper.
    pub(super) fn grain(&self) -> Duration {
        let all = [
            self.idle_timeout,
            self.max_age,
            self.keepalive,
            self.leak_after,
        ];
        let least = all.into_iter().flatten().min().unwrap_or(Duration::MAX);
        (least / 64).clamp(Duration::from_millis(1), Duration::from_secs(1))
    }
}

/// How long things may take.
#[derive(Clone, Debug)]
pub(super) struct Times {
    pub(super) acquire: Option<Duration>,
    pub(super) connect: Duration,
    pub(super) check: Duration,
    pub(super) check_after: Duration,
    pub(super) slow_acquire: Option<Duration>,
    pub(super) backoff: (Duration, Duration),
}

/// Builds a [`Pool`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<M> {
    manager: M,
    pub(super) limits: Limits,
    pub(super) times: Times,
    pub(super) name: String,
}

impl<M: Manager> Builder<M> {
    pub(super) fn new(manager: M) -> Self {
        Self {
            manager,
            limits: Limits::default(),
            times: Times {
                acquire: Some(Duration::from_secs(30)),
                connect: Duration::from_secs(10),
                check: Duration::from_secs(5),
                check_after: Duration::from_millis(500),
                slow_acquire: Some(Duration::from_millis(500)),
                backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            },
            name: "pool".to_owned(),
        }
    }

    /// Its name in logs and figures. Default: `pool`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// All limits at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// See [`Limits::max_per_key`].
    pub fn max_per_key(mut self, connections: usize) -> Self {
        self.limits.max_per_key = connections;
        self
    }

    /// See [`Limits::max_total`].
    pub fn max_total(mut self, connections: usize) -> Self {
        self.limits.max_total = connections;
        self
    }

    /// See [`Limits::min_idle`].
    pub fn min_idle(mut self, connections: usize) -> Self {
        self.limits.min_idle = connections;
        self
    }

    /// See [`Limits::max_idle_per_key`].
    pub fn max_idle_per_key(mut self, connections: usize) -> Self {
        self.limits.max_idle_per_key = connections;
        self
    }

    /// See [`Limits::idle_timeout`].
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.idle_timeout = timeout.into();
        self
    }

    /// See [`Limits::max_age`].
    pub fn max_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.limits.max_age = age.into();
        self
    }

    /// See [`Limits::keepalive`].
    pub fn keepalive(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.limits.keepalive = every.into();
        self
    }

    /// See [`Limits::leak_after`].
    pub fn leak_after(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.limits.leak_after = after.into();
        self
    }

    /// How long [`Pool::acquire`] waits, checks included; `None`: for ever. Default: 30 seconds.
    pub fn acquire_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.times.acquire = timeout.into();
        self
    }

    /// How long one [`connect`](super::Connect::connect) may take. Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.times.connect = timeout;
        self
    }

    /// How long one [`Manager::check`], [`reset`](Manager::reset) or [`close`](Manager::close) may take. Default: 5 seconds.
    pub fn check_timeout(mut self, timeout: Duration) -> Self {
        self.times.check = timeout;
        self
    }

    /// A connection is [checked](Manager::check) before it is handed out if it was last known to work longer ago than this. Default:
    /// 500 ms.
    pub fn check_after(mut self, idle: Duration) -> Self {
        self.times.check_after = idle;
        self
    }

    /// A warning is logged when a connection took longer to get; `None`: never. Default: 500 ms.
    pub fn slow_acquire(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.times.slow_acquire = threshold.into();
        self
    }

    /// The pause after a failed connect, and what it grows to by doubling while they go on to fail; each is shortened by chance, to
    /// half at least. Default: 100 ms and 10 s.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.times.backoff = (first, longest.max(first));
        self
    }

    /// Builds the pool on the runtime of this thread. It makes no connection yet: see [`Pool::warm_up`].
    ///
    /// # Panics
    /// Outside of a runtime; if [`Limits::max_per_key`] or [`Limits::max_total`] is 0.
    #[track_caller]
    pub fn build(self) -> Pool<M> {
        self.limits.check();
        let handle = context::handle("pool::Builder::build");
        shared::start(self.manager, self.limits, self.times, self.name, handle)
    }
}
