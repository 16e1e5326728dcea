//! What a server has done, and which of its limits fired.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a connection waits for; what a timeout is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// A head, the first byte of the first one included.
    Head,
    /// The next request.
    Idle,
    /// A request's body.
    Body,
    /// A request's body that comes too slowly.
    BodyRate,
    /// The handler.
    Handler,
    /// The client, to take its answer.
    Response,
    /// The client, that takes its answer too slowly.
    ResponseRate,
    /// The client's end of the connection, after the last answer.
    Linger,
    /// Another protocol has the connection.
    Upgraded,
    /// The handshake of TLS.
    Handshake,
    /// The header in which a proxy says for whom it connects.
    ProxyHeader,
}

const PHASES: usize = 11;

/// What is counted with every request is counted by threads apart, so that none waits for another's cache line.
const SHARES: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Share(AtomicU64);

#[derive(Debug, Default)]
pub(crate) struct Shares([Share; SHARES]);

// ORDERING: Relaxed: a number for people.
impl Shares {
    pub(crate) fn add(&self, count: u64) {
        // A thread that is ending counts with the first.
        let share = SHARE.try_with(|share| *share).unwrap_or(0);
        // ORDERING: a count.
        self.0[share].0.fetch_add(count, Relaxed);
    }

    fn sum(&self) -> u64 {
        // ORDERING: a count.
        self.0.iter().map(|share| share.0.load(Relaxed)).sum()
    }
}

thread_local! {
    /// The share in which this thread counts.
    static SHARE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // ORDERING: Relaxed: only the number counts.
        NEXT.fetch_add(1, Relaxed) % SHARES
    };
}

/// The counters of a server, all from its beginning.
#[derive(Debug, Default)]
pub struct Counters {
    timeouts: [AtomicU64; PHASES],
    pub(crate) connections: AtomicU64,
    requests: Shares,
    pub(crate) refused: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) paced: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) proxy_headers_refused: AtomicU64,
    pub(crate) gone: AtomicU64,
    sockets: SocketCounters,
}

// ORDERING: Relaxed throughout: these are numbers for people, and nothing is read by their order.
impl Counters {
    /// How often the time of a phase was exceeded.
    pub fn timeouts(&self, phase: Phase) -> u64 {
        // ORDERING: a count.
        self.timeouts[phase as usize].load(Relaxed)
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        // ORDERING: a count.
        self.connections.load(Relaxed)
    }

    /// Requests whose heads were taken.
    pub fn requests(&self) -> u64 {
        self.requests.sum()
    }

    /// Messages that were refused as malformed or too large.
    pub fn refused(&self) -> u64 {
        // ORDERING: a count.
        self.refused.load(Relaxed)
    }

    /// Handlers that panicked.
    pub fn panics(&self) -> u64 {
        // ORDERING: a count.
        self.panics.load(Relaxed)
    }

    /// Accepts that failed, for want of descriptors mostly.
    pub fn accept_errors(&self) -> u64 {
        // ORDERING: a count.
        self.accept_errors.load(Relaxed)
    }

    /// How often [`connections_max`](crate::Config::connections_max) made a listener wait.
    pub fn full(&self) -> u64 {
        // ORDERING: a count.
        self.full.load(Relaxed)
    }

    /// Connections that [`connections_per_second`](crate::Config::connections_per_second) made wait.
    pub fn paced(&self) -> u64 {
        // ORDERING: a count.
        self.paced.load(Relaxed)
    }

    /// Handshakes of TLS that failed, for another reason than their time.
    pub fn handshakes_failed(&self) -> u64 {
        // ORDERING: a count.
        self.handshakes_failed.load(Relaxed)
    }

    /// Connections of proxies that began without a PROXY header, or with one that is malformed.
    pub fn proxy_headers_refused(&self) -> u64 {
        // ORDERING: a count.
        self.proxy_headers_refused.load(Relaxed)
    }

    /// Clients that were seen to go away before their answer was there.
    pub fn gone(&self) -> u64 {
        // ORDERING: a count.
        self.gone.load(Relaxed)
    }

    /// What its WebSockets have done.
    pub fn sockets(&self) -> &SocketCounters {
        &self.sockets
    }

    pub(crate) fn add_requests(&self, count: u32) {
        self.requests.add(u64::from(count));
    }

    pub(crate) fn timed_out(&self, phase: Phase) {
        add(&self.timeouts[phase as usize]);
    }
}

/// The counters of a server's WebSockets, all from its beginning.
#[derive(Debug, Default)]
pub struct SocketCounters {
    pub(crate) opened: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) received: Shares,
    pub(crate) sent: Shares,
    pub(crate) dead: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) bytes_waiting: AtomicU64,
}

// ORDERING: Relaxed throughout, as above.
impl SocketCounters {
    /// Sockets that came about.
    pub fn opened(&self) -> u64 {
        // ORDERING: a count.
        self.opened.load(Relaxed)
    }

    /// Sockets that are there now.
    pub fn open(&self) -> u64 {
        // ORDERING: counts. Read in this order, so that who opens and closes in between is not missing.
        let closed = self.closed.load(Relaxed);
        // ORDERING: a count.
        self.opened.load(Relaxed).saturating_sub(closed)
    }

    /// Messages that came.
    pub fn received(&self) -> u64 {
        self.received.sum()
    }

    /// Messages that were given to sockets to be sent, those of rooms among them.
    pub fn sent(&self) -> u64 {
        self.sent.sum()
    }

    /// Sockets whose peers were taken for dead.
    pub fn dead(&self) -> u64 {
        // ORDERING: a count.
        self.dead.load(Relaxed)
    }

    /// Sockets that were closed because their peers were too slow for a room; see [`Slow::Disconnect`](crate::ws::Slow::Disconnect).
    pub fn slow(&self) -> u64 {
        // ORDERING: a count.
        self.slow.load(Relaxed)
    }

    /// Bytes that peers have not taken yet. No socket has more than [`buffer_bytes`](crate::ws::Config::buffer_bytes) and one message;
    /// what waits in the queues of rooms is not among them.
    pub fn bytes_waiting(&self) -> u64 {
        // ORDERING: a count.
        self.bytes_waiting.load(Relaxed)
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    // ORDERING: a count.
    counter.fetch_add(1, Relaxed);
}
