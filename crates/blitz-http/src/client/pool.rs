//! Connections that wait for their next exchange, and requests that wait for a connection.
//!
//! A request first gets a [`Lease`], which is its place among the connections to that server and among all; the lease may come with a
//! connection that was kept. Places are given in the order in which they were asked for. A connection that is kept is looked at when
//! it is taken, and dropped when it has waited too long.

use super::error::Kind;
use super::wire::Wire;
use blitz_io::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use blitz_io::time::{Instant, timeout_at};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

/// How many connections a client may have, and for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections to one server at a time; further requests wait in line. 256.
    pub connections_per_host_max: usize,
    /// Connections at a time. 2,048.
    pub connections_max: usize,
    /// Connections to one server that are kept while nobody uses them. 32.
    pub idle_per_host_max: usize,
    /// How long a connection is kept that nobody uses. 60 s: servers close theirs after 75 s or more, and a request that meets such a
    /// closing half-way fails.
    pub idle_timeout: Duration,
    /// How old a connection may become; after that, changes of a name's addresses are seen. 30 min.
    pub age_max: Duration,
    /// Exchanges that a connection may carry. No limit.
    pub exchanges_max: u32,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            connections_per_host_max: 256,
            connections_max: 2048,
            idle_per_host_max: 32,
            idle_timeout: Duration::from_secs(60),
            age_max: Duration::from_secs(30 * 60),
            exchanges_max: u32::MAX,
        }
    }
}

/// How a client's connections are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolState {
    /// Connections that carry an exchange, or are being opened.
    pub leased: usize,
    /// Connections that are kept.
    pub idle: usize,
    /// Requests that wait in line.
    pub waiting: usize,
    /// Connections that were opened, ever.
    pub opened: u64,
    /// Exchanges that found a kept connection, ever.
    pub reused: u64,
    /// Kept connections that were found closed, or with something said on them, ever.
    pub found_dead: u64,
}

/// Connections that are as good as each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// The proxy and its credentials, where there is one.
    pub(super) proxy: Option<String>,
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Pool {
    config: PoolConfig,
    total: Arc<Semaphore>,
    state: Mutex<State>,
    /// Nothing is kept any more: the reaper need not wait.
    emptied: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<Key, Place>,
    counts: PoolState,
    reaping: bool,
}

#[derive(Debug)]
struct Place {
    permits: Arc<Semaphore>,
    /// The one that was used last is at the back.
    idle: VecDeque<Idle>,
    /// Leases, and requests that wait for one.
    users: usize,
}

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Arc<Pool> {
        let cap = |n: usize| n.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Pool {
            total: Arc::new(Semaphore::new(cap(config.connections_max))),
            config: PoolConfig {
                connections_per_host_max: cap(config.connections_per_host_max),
                connections_max: cap(config.connections_max),
                ..config
            },
            state: Mutex::default(),
            emptied: Arc::new(Notify::new()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> PoolState {
        let state = self.state();
        let idle = state.places.values().map(|place| place.idle.len()).sum();
        PoolState {
            idle,
            ..state.counts
        }
    }

    /// A place among the connections to `key`, and a connection if one was kept that may be used.
    ///
    /// Cancel-safe: who is dropped in line has taken nothing.
    pub(super) async fn lease(
        self: &Arc<Self>,
        key: Key,
        fresh: bool,
    ) -> Result<(Lease, Option<Wire>), Kind> {
        let mut user = User::new(self, key);
        let closed = |_| Kind::Closed;
        let permit = Arc::clone(&user.permits).acquire_owned().await;
        let of_host = permit.map_err(closed)?;
        let of_all = Arc::clone(&self.total)
            .acquire_owned()
            .await
            .map_err(closed)?;
        user.takes_place();
        let lease = Lease {
            user,
            _permits: (of_host, of_all),
        };
        while !fresh && let Some(mut wire) = self.take(&lease.user.key) {
            let clean = poll_fn(|cx| Poll::Ready(wire.poll_is_clean(cx))).await;
            let mut state = self.state();
            if clean {
                state.counts.reused += 1;
                drop(state);
                return Ok((lease, Some(wire)));
            }
            state.counts.found_dead += 1;
        }
        drop(self.make_room());
        Ok((lease, None))
    }

    /// The connection to `key` that was used last, unless it is too old by now.
    fn take(&self, key: &Key) -> Option<Wire> {
        let now = Instant::now();
        let mut old = VecDeque::new();
        let mut state = self.state();
        let place = state.places.get_mut(key)?;
        let newest = place.idle.pop_back()?;
        if !self.is_old(&newest, now) {
            drop(state);
            return Some(newest.wire);
        }
        // It was used last, so those before it are no better, or they are younger than they are old in use; those the reaper takes.
        old.push_back(newest);
        let usable = place.idle.iter().rposition(|idle| !self.is_old(idle, now));
        let keep = usable.map_or(0, |at| at + 1);
        old.extend(place.idle.drain(keep..));
        let wire = place.idle.pop_back().map(|idle| idle.wire);
        drop(state);
        drop(old);
        wire
    }

    fn is_old(&self, idle: &Idle, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) >= self.config.idle_timeout
            || self.is_used_up(&idle.wire, now)
    }

    fn is_used_up(&self, wire: &Wire, now: Instant) -> bool {
        now.saturating_duration_since(wire.opened) >= self.config.age_max
            || wire.served >= self.config.exchanges_max
    }

    /// A connection will be opened: where all of them would be too many then, the one goes that nobody has used for longest.
    fn make_room(&self) -> Option<Idle> {
        let mut state = self.state();
        state.counts.opened += 1;
        let idle: usize = state.places.values().map(|place| place.idle.len()).sum();
        if idle + state.counts.leased <= self.config.connections_max {
            return None;
        }
        let fronts = state
            .places
            .values_mut()
            .filter(|place| !place.idle.is_empty());
        let oldest = fronts.min_by_key(|place| place.idle[0].since)?;
        oldest.idle.pop_front()
    }

    fn give_back(self: &Arc<Self>, key: &Key, wire: Wire) {
        let now = Instant::now();
        if self.is_used_up(&wire, now) || self.config.idle_per_host_max == 0 {
            return;
        }
        let mut too_many = None;
        let mut reap = false;
        let mut state = self.state();
        if let Some(place) = state.places.get_mut(key) {
            place.idle.push_back(Idle { wire, since: now });
            if place.idle.len() > self.config.idle_per_host_max {
                too_many = place.idle.pop_front();
            }
            reap = !std::mem::replace(&mut state.reaping, true);
        }
        drop(state);
        drop(too_many);
        if reap {
            self.reap_later();
        }
    }

    /// Sees to it that what is kept is not kept for ever.
    fn reap_later(self: &Arc<Self>) {
        let Ok(runtime) = blitz_io::runtime::Handle::try_current() else {
            // Outside of a runtime nobody can wait; the next one that gives something back will.
            self.state().reaping = false;
            return;
        };
        let emptied = Arc::clone(&self.emptied);
        runtime.spawn(reap(
            Arc::downgrade(self),
            emptied,
            self.config.idle_timeout,
        ));
    }

    /// Drops what is too old. Says when to look again, if there is anything left to look at.
    fn reap(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut old = Vec::new();
        let mut next = None;
        let mut state = self.state();
        state.places.retain(|_, place| {
            for at in (0..place.idle.len()).rev() {
                if self.is_old(&place.idle[at], now) {
                    old.extend(place.idle.remove(at));
                }
            }
            let times = place.idle.iter().map(|idle| idle.since);
            next = next.into_iter().chain(times).min();
            place.users > 0 || !place.idle.is_empty()
        });
        let next = next.and_then(|since: Instant| since.checked_add(self.config.idle_timeout));
        state.reaping = next.is_some();
        drop(state);
        drop(old);
        next
    }

    /// Drops the connections that nobody uses.
    pub(super) fn drop_idle(&self) {
        let mut idle = Vec::new();
        let mut state = self.state();
        for place in state.places.values_mut() {
            idle.extend(place.idle.drain(..));
        }
        drop(state);
        drop(idle);
        self.emptied.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.emptied.notify_one();
    }
}

async fn reap(pool: Weak<Pool>, emptied: Arc<Notify>, first: Duration) {
    let guard = Reaping(pool);
    let Some(mut next) = Instant::now().checked_add(first) else {
        return;
    };
    loop {
        // Either way it looks.
        let _ = timeout_at(next, emptied.notified()).await;
        let Some(pool) = guard.0.upgrade() else {
            return;
        };
        match pool.reap() {
            Some(then) => next = then,
            None => return,
        }
    }
}

/// A reaper whose runtime ends before it must be followed by another.
struct Reaping(Weak<Pool>);

impl Drop for Reaping {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.state().reaping = false;
        }
    }
}

/// Who has a place in line or among the connections.
#[derive(Debug)]
struct User {
    pool: Arc<Pool>,
    key: Key,
    permits: Arc<Semaphore>,
    has_place: bool,
}

impl User {
    fn new(pool: &Arc<Pool>, key: Key) -> User {
        let mut state = pool.state();
        state.counts.waiting += 1;
        let place = state.places.entry(key.clone()).or_insert_with(|| Place {
            permits: Arc::new(Semaphore::new(pool.config.connections_per_host_max)),
            idle: VecDeque::new(),
            users: 0,
        });
        place.users += 1;
        let permits = Arc::clone(&place.permits);
        drop(state);
        User {
            pool: Arc::clone(pool),
            key,
            permits,
            has_place: false,
        }
    }

    fn takes_place(&mut self) {
        let mut state = self.pool.state();
        state.counts.waiting -= 1;
        state.counts.leased += 1;
        self.has_place = true;
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if self.has_place {
            state.counts.leased -= 1;
        } else {
            state.counts.waiting -= 1;
        }
        if let Some(place) = state.places.get_mut(&self.key) {
            place.users -= 1;
            if place.users == 0 && place.idle.is_empty() {
                state.places.remove(&self.key);
            }
        }
    }
}

/// A place among the connections.
#[derive(Debug)]
pub(super) struct Lease {
    user: User,
    /// Given back after the count, by the order of the fields.
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Lease {
    /// The connection is free again, and clean.
    pub(super) fn give_back(self, wire: Wire) {
        let pool = Arc::clone(&self.user.pool);
        pool.give_back(&self.user.key, wire);
    }
}
