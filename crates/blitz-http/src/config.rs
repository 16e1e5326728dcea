//! What a server allows: sizes, times and numbers, each with a default that holds on the open net.

use crate::Proxies;
use blitz_http_proto::Limits;
use std::time::Duration;

/// The limits of a server. The defaults are meant to be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Sizes of heads, targets and trailers. 64 KiB, 100 fields, 8 KiB. `body_bytes` counts for nothing here.
    pub limits: Limits,
    /// Bytes of a request's body, where a route says nothing else. 2 MiB.
    pub body_bytes: u64,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// Connections at a time; further ones wait, all but one of each socket in the kernel's queue. 65,536.
    pub connections_max: usize,
    /// Connections a second that are taken, after as many at once; further ones wait as those above
    /// [`connections_max`](Config::connections_max) do. 0, which is no limit.
    pub connections_per_second: u32,
    /// Requests of one connection; the last answer says `Connection: close`. As many as come.
    pub requests_max: u64,
    /// How old a connection may be: the first answer after that says `Connection: close`. A tenth less or more, by chance, so that
    /// connections that came together do not all leave together. As old as they get.
    pub connection_age: Duration,
    /// Whether answers carry `Date`. Yes.
    pub date: bool,
    /// Whether a client that has shut its sending side still gets its answer. Yes; if not, it is taken for one that went away, and its
    /// handler is dropped.
    pub half_close: bool,
    /// Proxies whose word is taken on where requests come from. None.
    pub proxies: Proxies,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            body_bytes: 2 * 1024 * 1024,
            timeouts: Timeouts::default(),
            connections_max: 65_536,
            connections_per_second: 0,
            requests_max: u64::MAX,
            connection_age: Duration::MAX,
            date: true,
            half_close: true,
            proxies: Proxies::default(),
        }
    }
}

/// How long the server waits for a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the handshake of TLS. 10 s.
    pub handshake: Duration,
    /// For the header in which a proxy says for whom it connects. 5 s.
    pub proxy_header: Duration,
    /// For a whole head, from its first byte; for the first head from the connection's beginning. 30 s.
    pub head: Duration,
    /// For the next request on a connection that was answered. 75 s.
    pub idle: Duration,
    /// For more of a request's body, while somebody waits for it. 60 s.
    pub body: Duration,
    /// For a handler to begin its answer; then it is dropped, and the answer is 503. As long as it takes: what it waits for is no client.
    pub handler: Duration,
    /// For the client to take more of an answer. 60 s.
    pub response: Duration,
    /// Bytes a second that a client has to send or take while the server waits for it, after
    /// [`rate_grace`](Timeouts::rate_grace). 240; 0 turns it off.
    pub rate_min: u32,
    /// How long a client may be slower than that. 5 s.
    pub rate_grace: Duration,
    /// For a client to close after the last answer, so that it is not lost to a reset. 2 s.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            handshake: blitz_tls::HANDSHAKE_TIMEOUT,
            proxy_header: Duration::from_secs(5),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(60),
            handler: Duration::MAX,
            response: Duration::from_secs(60),
            rate_min: 240,
            rate_grace: Duration::from_secs(5),
            linger: Duration::from_secs(2),
        }
    }
}
