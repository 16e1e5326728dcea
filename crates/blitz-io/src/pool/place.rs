//! A place among a pool's connections, for one that its holder makes.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use blitz_core::waiting;

use super::lease::{Lease, Slot};
use super::manage::Manager;
use super::metrics::ns;
use super::shared::Shared;
use super::state::Member;
use crate::time::Instant;

/// What [`Pool::acquire_or_place`](super::Pool::acquire_or_place) gives.
pub enum Acquired<M: Manager> {
    /// A connection that there was.
    Lease(Lease<M>),
    /// The right to make one.
    Place(Place<M>),
}

/// The right to make one connection and to have it in the pool. It counts as a connection that is being made; dropped, it is the next
/// one's.
///
/// For connections whose making belongs to who asked for it: with limits of time of its own, or with something to say about each step. How
/// they are made is the holder's affair, and a pool of nothing but places needs no [`Connect`](super::Connect).
///
/// # Examples
/// ```
/// use blitz_io::pool::{Acquired, Manager, Pool};
/// # struct Numbers;
/// # impl Manager for Numbers {
/// #     type Key = &'static str;
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// # }
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Numbers).build();
/// for expected in [1, 2] {
///     let lease = match pool.acquire_or_place(&"a", None).await? {
///         Acquired::Lease(lease) => lease,
///         Acquired::Place(place) => place.fill(7),
///     };
///     assert_eq!((*lease, lease.uses()), (7, expected));
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a place that is dropped goes to the next"]
pub struct Place<M: Manager> {
    shared: Arc<Shared<M>>,
    key: Arc<M::Key>,
    generation: u64,
    /// Since when somebody wanted a connection, and the line that asked.
    asked: (Instant, &'static Location<'static>),
    /// When the place was got.
    began: Instant,
    is_over: bool,
}

impl<M: Manager> Place<M> {
    pub(super) fn new(
        shared: Arc<Shared<M>>,
        key: Arc<M::Key>,
        generation: u64,
        asked: (Instant, &'static Location<'static>),
    ) -> Self {
        Self {
            shared,
            key,
            generation,
            asked,
            began: Instant::now(),
            is_over: false,
        }
    }

    /// Whom the connection is to lead to.
    pub fn key(&self) -> &M::Key {
        &self.key
    }

    /// The connection is there: it is the pool's from now on, and its maker has it first. Nothing is asked of the [`Manager`].
    pub fn fill(mut self, connection: M::Connection) -> Lease<M> {
        self.is_over = true;
        let now = Instant::now();
        let (shared, key) = (Arc::clone(&self.shared), Arc::clone(&self.key));
        let took = &shared.took;
        took.connect.record(ns(now.duration_since(self.began)));
        took.wait.record(ns(now.duration_since(self.asked.0)));
        let holder = (now, self.asked.1, waiting::current_task());
        let (holder, max_age) = shared.with(|state, work| {
            let holder = state.place_filled(&key, holder, work);
            (holder, state.limits.max_age)
        });
        let dies = shared.dies(now, max_age);
        let member = Member::new(connection, now, dies, self.generation);
        Lease::new(Slot::held(shared, key, member, holder))
    }
}

impl<M: Manager> Drop for Place<M> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared
                .with(|state, work| state.place_left(&self.key, work));
        }
    }
}

impl<M: Manager> fmt::Debug for Place<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl<M: Manager> fmt::Debug for Acquired<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease(lease) => fmt::Debug::fmt(lease, f),
            Self::Place(place) => fmt::Debug::fmt(place, f),
        }
    }
}
