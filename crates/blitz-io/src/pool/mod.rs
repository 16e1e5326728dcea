//! A pool of connections of any kind: to databases, to HTTP servers, to whatever is dear to make and can be used again.
//!
//! A [`Manager`] knows whether connections are any good, and [`Connect`] makes them; a [`Pool`] decides how many there are, who gets them in which
//! order, and how old they grow. Connections have a key (a server's address, say; or `()`), and limits hold for each key and for all
//! together. The names and numbers are HikariCP's: see [`Limits`].
//!
//! | part | what it is |
//! |---|---|
//! | `manage` | the door to what is pooled |
//! | `state` | what there is and who waits: the decisions, under one lock |
//! | `shared` | the lock, and the tasks that do what was decided |
//! | `acquire`, `lease`, `place` | the wait for a connection, the guard around one, and the right to make one |
//! | `config`, `error`, `metrics` | limits and times; why there was no connection; figures |

mod acquire;
mod config;
mod error;
mod lease;
mod manage;
mod metrics;
mod place;
mod shared;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use blitz_core::waiting::{Resource, Site, UNKNOWN};

use crate::context::call;
use crate::time::{Instant, timeout};
use lease::Slot;
use shared::Shared;
use state::{Phase, Wants};

pub use config::{Builder, Limits};
pub use error::{AcquireError, AcquirePhase, ConnectError, TimedOut};
pub use lease::Lease;
pub use manage::{Connect, Manager, OnReturn};
pub use metrics::{CloseReason, PoolMetrics};
pub use place::{Acquired, Place};

/// A pool of connections. It clones cheaply; all clones are the same pool.
///
/// - **Who waits longest is served first**, among those who want the same key. Where the total is reached, idle connections of other keys
///   make room, the longest idle first; and when one comes back, who waits longest goes first, whichever the key.
/// - **Connecting is nobody's.** It happens in tasks of the pool's runtime, as many as there are waiters and the limits allow. A waiter
///   that gives up takes nothing with it, and one that gets what another gave back does not wait for its own.
/// - **Unless its user wants to make it**: [`acquire_or_place`](Self::acquire_or_place) and [`place`](Self::place) give the right to do
///   so, within the same limits and the same line.
/// - **A server that is down** is tried by one connect at a time, after pauses that grow; who waits learns in its error why.
///
/// When the last clone and the last [`Lease`] are dropped, what is idle is dropped without a [leave](Manager::close); [`close`](Self::close) ends it in
/// good order.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use blitz_io::pool::{Connect, Manager, Pool};
///
/// struct Numbered(AtomicU32);
///
/// impl Manager for Numbered {
///     type Key = &'static str;
///     type Connection = u32;
///     type Error = Infallible;
/// }
///
/// impl Connect for Numbered {
///     async fn connect(&self, _: &&'static str) -> Result<u32, Infallible> {
///         Ok(self.0.fetch_add(1, Ordering::Relaxed))
///     }
/// }
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Numbered(AtomicU32::new(0))).max_per_key(1).build();
/// let first = pool.acquire(&"a").await?;
/// let other = pool.acquire(&"b").await?;
/// assert_eq!((*first, *other), (0, 1));
///
/// let waiter = blitz_io::spawn({
///     let pool = pool.clone();
///     async move { pool.acquire(&"a").await.map(|lease| *lease) }
/// });
/// drop(first);
/// assert_eq!(waiter.await??, 0);
/// # Ok(())
/// # }
/// ```
pub struct Pool<M: Manager> {
    shared: Arc<Shared<M>>,
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

static ACQUIRE: Site = Site::new("Pool::acquire", Resource::Number);

impl<M: Manager> Pool<M> {
    /// A builder for a pool of what `manager` makes.
    pub fn builder(manager: M) -> Builder<M> {
        Builder::new(manager)
    }

    /// A connection that there is, or the right to make one, once the limits allow it: for who has to make its connection itself. Waits
    /// in the same line as [`acquire`](Self::acquire), and gets what comes first.
    ///
    /// Use it for all of a key or for none: the pool's own pauses after failed [connects](Connect::connect) hold places up, too.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] at the deadline, and [`AcquireError::Closed`].
    ///
    /// # Panics
    /// Outside of a runtime, if there is a deadline.
    #[track_caller]
    pub fn acquire_or_place<'a>(
        &'a self,
        key: &'a M::Key,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Acquired<M>, AcquireError<M::Error>>> + Send + 'a {
        let place = Location::caller();
        call(
            &ACQUIRE,
            UNKNOWN,
            acquire::enter(&self.shared, key, Wants::AnyOrPlace, deadline, place),
        )
    }

    /// The right to make a connection though there may be one: for who does not trust those. Idle ones of its key go where they are all
    /// that keeps it from its place, and so does one that comes back while it is first in line.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// As [`acquire_or_place`](Self::acquire_or_place).
    ///
    /// # Panics
    /// As [`acquire_or_place`](Self::acquire_or_place).
    #[track_caller]
    pub fn place<'a>(
        &'a self,
        key: &'a M::Key,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Place<M>, AcquireError<M::Error>>> + Send + 'a {
        let place = Location::caller();
        call(&ACQUIRE, UNKNOWN, async move {
            match acquire::enter(&self.shared, key, Wants::Place, deadline, place).await? {
                Acquired::Place(place) => Ok(place),
                Acquired::Lease(_) => unreachable!("who wants a place gets no other"),
            }
        })
    }

    /// An idle connection, if there is one that [is usable](Manager::is_usable) and was known to work within
    /// [`check_after`](Builder::check_after). Never waits, and calls neither [`check`](Manager::check) nor
    /// [`before_acquire`](Manager::before_acquire).
    #[track_caller]
    pub fn try_acquire(&self, key: &M::Key) -> Option<Lease<M>> {
        let now = Instant::now();
        let holder = (now, Location::caller(), blitz_core::waiting::current_task());
        loop {
            let (key, member, holder) = self.shared.with(|state, work| {
                if state.phase != Phase::Open {
                    return None;
                }
                let check_after = self.shared.times.check_after;
                let is_fresh = |seen| now.duration_since(seen) <= check_after;
                let (key, member) = state.take_idle(key, now, is_fresh, work)?;
                let number = state.hold(holder, work);
                state.counters.direct += 1;
                Some((key, member, number))
            })?;
            let mut slot = Slot::held(Arc::clone(&self.shared), key, member, holder);
            if slot.is_usable(&self.shared) {
                return Some(Lease::new(slot));
            }
        }
    }

    /// The limits that hold now.
    pub fn limits(&self) -> Limits {
        self.shared.with(|state, _| state.limits.clone())
    }

    /// Sets other limits. Idle connections beyond them are closed at once, others when they come back; who may have one now gets it.
    /// [`max_age`](Limits::max_age) holds for connections that are made from now on.
    ///
    /// # Panics
    /// If [`Limits::max_per_key`] or [`Limits::max_total`] is 0.
    #[track_caller]
    pub fn set_limits(&self, limits: Limits) {
        limits.check();
        self.shared
            .with(|state, work| state.set_limits(limits, Instant::now(), work));
    }

    /// Closes all connections of a key that there are now: those that are idle at once, others when they come back. For whoever
    /// changed a password, or where a name leads to.
    pub fn retire(&self, key: &M::Key) {
        self.shared
            .with(|state, work| state.retire(Some(key), Instant::now(), work));
    }

    /// The same for all keys.
    pub fn retire_all(&self) {
        self.shared
            .with(|state, work| state.retire(None, Instant::now(), work));
    }

    /// Closes all that are idle now. Unlike [`retire_all`](Self::retire_all) it leaves those alone that somebody has.
    pub fn drop_idle(&self) {
        self.shared
            .with(|state, work| state.drop_idle(Instant::now(), work));
    }

    /// Hands out no connection, and makes none, until [`resume`](Self::resume): for a server that is being moved, or a password that is being
    /// changed. Who asks waits in line as ever, with the same deadlines; [`try_acquire`](Self::try_acquire) gives nothing. What is out stays
    /// good and may come back; what is idle stays, and is used again after that unless it is [retired](Self::retire_all).
    ///
    /// Nothing happens in a pool that is suspended already, or closed.
    ///
    /// ```
    /// # use blitz_io::pool::{Connect, Manager, Pool};
    /// # struct Numbers;
    /// # impl Manager for Numbers {
    /// #     type Key = ();
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// # }
    /// # impl Connect for Numbers {
    /// #     async fn connect(&self, _: &()) -> Result<u32, std::io::Error> { Ok(1) }
    /// # }
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(Numbers).build();
    /// pool.suspend();
    /// let waits = blitz_io::spawn({
    ///     let pool = pool.clone();
    ///     async move { pool.get().await.map(|lease| *lease) }
    /// });
    /// assert!(pool.is_suspended() && pool.try_acquire(&()).is_none());
    /// pool.retire_all();
    /// pool.resume();
    /// assert_eq!(waits.await??, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self) {
        self.shared.with(|state, work| state.suspend(work));
    }

    /// Goes on after [`suspend`](Self::suspend): who waits is served in order. Nothing happens in a pool that is not suspended.
    pub fn resume(&self) {
        self.shared
            .with(|state, work| state.resume(Instant::now(), work));
    }

    /// Whether the pool is [suspended](Self::suspend).
    pub fn is_suspended(&self) -> bool {
        self.shared.with(|state, _| state.phase == Phase::Suspended)
    }

    /// Closes the pool: nobody gets a connection any more, who waits is told, what is idle is closed, and what is out is waited for, no longer
    /// than `grace`. Gives the number of connections that are out even then; their holders can see it by [`Lease::revoked`], and
    /// they are closed when they come back.
    ///
    /// # Cancel safety
    /// The pool is closed from the first poll on. The wait may be begun anew.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn close(&self, grace: Duration) -> usize {
        let shared = &self.shared;
        shared.with(|state, work| state.close_all(Instant::now(), work));
        let drained =
            shared.until(|state| (state.sizes().total == 0 && state.closing == 0).then_some(()));
        if timeout(grace, drained).await.is_ok() {
            return 0;
        }
        let out = shared.with(|state, _| state.sizes().in_use);
        shared.revoked.cancel();
        out
    }

    /// Whether the pool was closed, or its runtime has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.with(|state, _| state.phase == Phase::Closed)
    }

    /// What made the connections.
    pub fn manager(&self) -> &M {
        &self.shared.manager
    }

    /// The figures of this moment.
    pub fn metrics(&self) -> PoolMetrics {
        let (sizes, counters) = self
            .shared
            .with(|state, _| (state.sizes(), state.counters.clone()));
        let took = &self.shared.took;
        PoolMetrics {
            name: self.shared.name.clone(),
            size: sizes.total,
            in_use: sizes.in_use,
            idle: sizes.idle,
            connecting: sizes.connecting,
            waiting: sizes.waiting,
            keys: sizes.keys,
            connects: counters.connects,
            created: counters.created,
            connect_failures: counters.connect_failures,
            acquired_direct: counters.direct,
            acquired_after_wait: counters.waited,
            timeouts: counters.timeouts,
            leaks: counters.leaks,
            closed: counters.closed,
            wait_time: took.wait.snapshot(),
            connect_time: took.connect.snapshot(),
            usage_time: took.usage.snapshot(),
        }
    }

    /// Who has a connection now: since when, and the line that asked for it; the longest first.
    pub fn holders(&self) -> Vec<(Duration, &'static Location<'static>)> {
        let now = Instant::now();
        self.shared.with(|state, _| {
            let holders = state.holders.values();
            holders
                .map(|holder| (now.duration_since(holder.since), holder.place))
                .collect()
        })
    }
}

impl<M: Connect> Pool<M> {
    /// From now on it makes connections by itself.
    fn connects(&self) {
        self.shared.dial.get_or_init(|| {
            self.shared.with(|state, _| state.connects = true);
            shared::dial
        });
    }

    /// Waits for a connection of this key, for as long as [`acquire_timeout`](Builder::acquire_timeout) says.
    ///
    /// # Cancel safety
    /// Safe. Dropping it leaves the line, and what was to be given to it goes to the next. A connection that is being
    /// [checked](Manager::check) for it at that moment is closed.
    ///
    /// # Errors
    /// See [`AcquireError`].
    ///
    /// # Panics
    /// Outside of a runtime, if there is a timeout.
    #[track_caller]
    pub fn acquire<'a>(
        &'a self,
        key: &'a M::Key,
    ) -> impl Future<Output = Result<Lease<M>, AcquireError<M::Error>>> + Send + 'a {
        let place = Location::caller();
        self.connects();
        call(&ACQUIRE, UNKNOWN, async move {
            let deadline = self.shared.times.acquire;
            let deadline = deadline.and_then(|timeout| Instant::now().checked_add(timeout));
            acquire::acquire(&self.shared, key, deadline, place).await
        })
    }

    /// The same with a deadline of the caller's.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn acquire_until<'a>(
        &'a self,
        key: &'a M::Key,
        deadline: Instant,
    ) -> impl Future<Output = Result<Lease<M>, AcquireError<M::Error>>> + Send + 'a {
        let place = Location::caller();
        self.connects();
        call(
            &ACQUIRE,
            UNKNOWN,
            acquire::acquire(&self.shared, key, Some(deadline), place),
        )
    }

    /// Makes as many idle connections of this key as [`Limits::min_idle`] says, and waits until they are there: for programs that would
    /// rather not start than start without.
    ///
    /// # Cancel safety
    /// Safe: the connections are made nevertheless.
    ///
    /// # Errors
    /// The first failure to connect, whether it may be transient or not. [`AcquireError::TimedOut`] after
    /// [`acquire_timeout`](Builder::acquire_timeout).
    pub async fn warm_up(&self, key: &M::Key) -> Result<(), AcquireError<M::Error>> {
        self.connects();
        let shared = &self.shared;
        let began = Instant::now();
        shared.with(|state, work| state.keep_warm(key, work));
        let warm = shared.until(|state| state.warmth(key));
        let Some(limit) = shared.times.acquire else {
            return warm.await;
        };
        timeout(limit, warm).await.unwrap_or_else(|_| {
            Err(AcquireError::TimedOut(TimedOut {
                waited: began.elapsed(),
                phase: AcquirePhase::Wait,
                last: None,
            }))
        })
    }
}

impl<M: Connect<Key = ()>> Pool<M> {
    /// [`acquire`](Self::acquire) where all connections lead to the same.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<Lease<M>, AcquireError<M::Error>>> + Send {
        self.acquire(&())
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.shared.with(|state, _| state.sizes());
        f.debug_struct("Pool")
            .field("name", &self.shared.name)
            .field("in_use", &sizes.in_use)
            .field("idle", &sizes.idle)
            .field("connecting", &sizes.connecting)
            .field("waiting", &sizes.waiting)
            .finish_non_exhaustive()
    }
}
