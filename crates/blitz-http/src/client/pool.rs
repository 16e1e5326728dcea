//! The connections of a client: the pool is [`blitz_io::pool`], and here is what is particular to HTTP.
//!
//! Who asks makes its connection itself, in a [place](pool::Place) of the pool: each step has the request's own limits of time and is told in
//! its timings, and who is dropped takes its half-made connection along. A connection that is kept is looked at when it is taken.

use super::error::Kind;
use super::wire::Wire;
use blitz_io::pool::{self, Acquired, Manager, OnReturn};
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

/// How many connections a client may have, and for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections to one server at a time, those that are kept included; further requests wait in line. 256.
    pub connections_per_host_max: usize,
    /// Connections at a time, those that are kept included: where another is wanted, the one goes that nobody has used for longest. 2,048.
    pub connections_max: usize,
    /// Connections to one server that are kept while nobody uses them. 32.
    pub idle_per_host_max: usize,
    /// How long a connection is kept that nobody uses. 60 s: servers close theirs after 75 s or more, and a request that meets such a
    /// closing half-way fails.
    pub idle_timeout: Duration,
    /// How old a connection may become, or up to a tenth less by chance, so that those that were made together do not go together; after
    /// that, changes of a name's addresses are seen. 30 min.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) tls: bool,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    /// The proxy and its credentials, where there is one.
    pub(super) proxy: Option<String>,
    pub(super) socket: Option<PathBuf>,
}

/// In few pieces: it is done several times a request.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.host.as_bytes());
        state.write_u32(u32::from(self.port) << 1 | u32::from(self.tls));
        if let Some(proxy) = &self.proxy {
            proxy.hash(state);
        }
        if let Some(socket) = &self.socket {
            socket.hash(state);
        }
    }
}

/// A connection that is somebody's. It goes back when it is dropped, if it was said to be clean.
///
/// The connection is boxed: it goes from hand to hand many times a request.
pub(super) type Lease = pool::Lease<Wires>;

/// Knows whether a connection may carry another exchange.
pub(super) struct Wires {
    exchanges_max: u32,
    found_dead: AtomicU64,
}

impl Manager for Wires {
    type Key = Key;
    type Connection = Box<Wire>;
    type Error = Infallible;
    const TAKES_LEAVE: bool = false;

    fn is_usable(&self, _: &Key, wire: &mut Box<Wire>) -> bool {
        wire.is_clean = false;
        // Nobody has to be woken: whoever uses it says so anew.
        let silent = wire.poll_is_silent(&mut Context::from_waker(Waker::noop()));
        if !silent {
            // ORDERING: Relaxed. It is a figure, and nothing hangs on it.
            self.found_dead.fetch_add(1, Ordering::Relaxed);
        }
        silent
    }

    fn on_return(&self, _: &Key, wire: &mut Box<Wire>) -> OnReturn {
        if wire.is_clean && wire.served < self.exchanges_max {
            OnReturn::Keep
        } else {
            OnReturn::Discard
        }
    }
}

/// A client's pool. It is made when it is used for the first time: a client may come to be outside of every runtime.
pub(super) struct Pool {
    config: PoolConfig,
    pool: OnceLock<pool::Pool<Wires>>,
    reused: AtomicU64,
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Pool {
        Pool {
            config: PoolConfig {
                connections_per_host_max: config.connections_per_host_max.max(1),
                connections_max: config.connections_max.max(1),
                ..config
            },
            pool: OnceLock::new(),
            reused: AtomicU64::new(0),
        }
    }

    fn pool(&self) -> &pool::Pool<Wires> {
        self.pool.get_or_init(|| {
            let config = &self.config;
            let wires = Wires {
                exchanges_max: config.exchanges_max,
                found_dead: AtomicU64::new(0),
            };
            pool::Pool::builder(wires)
                .name("http client")
                .max_per_key(config.connections_per_host_max)
                .max_total(config.connections_max)
                .max_idle_per_key(config.idle_per_host_max)
                .idle_timeout(config.idle_timeout)
                .max_age(config.age_max)
                // What a connection is worth is seen by a look, and how long a request waits is told in its timings.
                .keepalive(None)
                .check_after(Duration::MAX)
                .slow_acquire(None)
                .build()
        })
    }

    pub(super) fn counts(&self) -> PoolState {
        let Some(pool) = self.pool.get() else {
            return PoolState::default();
        };
        let metrics = pool.metrics();
        PoolState {
            leased: metrics.in_use + metrics.connecting,
            idle: metrics.idle,
            waiting: metrics.waiting,
            opened: metrics.connects,
            // ORDERING: Relaxed, both. They are figures, and nothing hangs on them.
            reused: self.reused.load(Ordering::Relaxed),
            found_dead: pool.manager().found_dead.load(Ordering::Relaxed),
        }
    }

    /// How many connections to one server may be idle.
    pub(super) fn idle_max(&self) -> usize {
        let config = &self.config;
        let all = config.connections_per_host_max.min(config.connections_max);
        config.idle_per_host_max.min(all)
    }

    /// A connection to `key` that was kept and may be used, if there is one.
    pub(super) fn kept(&self, key: &Key) -> Option<Lease> {
        let kept = self.pool.get()?.try_acquire(key)?;
        // ORDERING: Relaxed. It is a figure, and nothing hangs on it.
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(kept)
    }

    /// The same or a place to make one, when there is one or the other; a place for sure where it has to be `fresh`.
    ///
    /// Cancel-safe: who is dropped in line has taken nothing.
    pub(super) async fn acquire(&self, key: &Key, fresh: bool) -> Result<Acquired<Wires>, Kind> {
        let pool = self.pool();
        let acquired = if fresh {
            pool.place(key, None).await.map(Acquired::Place)
        } else {
            pool.acquire_or_place(key, None).await
        };
        // Without a deadline there is no other error than that it is closed.
        let acquired = acquired.map_err(|_| Kind::Closed)?;
        if let Acquired::Lease(_) = acquired {
            // ORDERING: Relaxed. It is a figure, and nothing hangs on it.
            self.reused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(acquired)
    }

    /// Drops the connections that nobody uses.
    pub(super) fn drop_idle(&self) {
        if let Some(pool) = self.pool.get() {
            pool.drop_idle();
        }
    }
}
