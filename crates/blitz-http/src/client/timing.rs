//! What a request does one after the other, how long each may take, and how long each took.

use super::error::Kind;
use blitz_io::time::{Instant, timeout_at};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What a request was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for its turn: other requests had all the connections that are allowed.
    Pool,
    /// A name was being resolved.
    Dns,
    /// A connection was being opened.
    Connect,
    /// A proxy was being asked to open one.
    Proxy,
    /// The TLS handshake was going on.
    Tls,
    /// The request was being sent.
    Send,
    /// The request was sent; the response's head had not come whole.
    Head,
    /// The response's body was coming.
    Body,
}

impl Phase {
    /// Its name in lower case: `pool`, `dns`, `connect`, `proxy`, `tls`, `send`, `head`, `body`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Pool => "pool",
            Phase::Dns => "dns",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::Head => "head",
            Phase::Body => "body",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long each phase may take. A limit of [`Duration::MAX`] is none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a place among the connections that are allowed. 30 s.
    pub pool: Duration,
    /// For a name's addresses. 10 s.
    pub dns: Duration,
    /// For a connection, over all the addresses of the name. 10 s.
    pub connect: Duration,
    /// For a proxy's consent. 10 s.
    pub proxy: Duration,
    /// For the TLS handshake. 10 s.
    pub tls: Duration,
    /// For the server to take more of the request. 60 s.
    pub send: Duration,
    /// For the whole head of the response, after the request was sent. 60 s.
    pub head: Duration,
    /// For more of the response's body, while somebody waits for it. 60 s.
    pub body_idle: Duration,
    /// For all of it, redirects, retries and the body included. One hour.
    pub total: Duration,
    /// How long a body with `Expect: 100-continue` is held back for a server that says nothing. 1 s.
    pub expect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            pool: Duration::from_secs(30),
            dns: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            proxy: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            send: Duration::from_secs(60),
            head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            total: Duration::from_secs(3600),
            expect: Duration::from_secs(1),
        }
    }
}

/// How long each phase took; none for what did not happen. Of several attempts, and of redirects, it is the last that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The wait for a place among the connections.
    pub pool: Option<Duration>,
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Opening the connection.
    pub connect: Option<Duration>,
    /// The proxy's consent.
    pub proxy: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// Sending the request.
    pub send: Option<Duration>,
    /// From the request's end to that of the response's head.
    pub head: Option<Duration>,
    /// From the head's end to that of the body, or to where it failed.
    pub body: Option<Duration>,
    /// All of it so far, redirects and retries included.
    pub total: Duration,
    /// Whether the connection was there before: it had carried a request, or was [made beforehand](super::Client::warm_up).
    pub reused: bool,
}

impl Timings {
    /// The phases that happened, in order.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Duration)> + use<> {
        [
            (Phase::Pool, self.pool),
            (Phase::Dns, self.dns),
            (Phase::Connect, self.connect),
            (Phase::Proxy, self.proxy),
            (Phase::Tls, self.tls),
            (Phase::Send, self.send),
            (Phase::Head, self.head),
            (Phase::Body, self.body),
        ]
        .into_iter()
        .filter_map(|(phase, took)| Some((phase, took?)))
    }

    fn slot(&mut self, phase: Phase) -> &mut Option<Duration> {
        match phase {
            Phase::Pool => &mut self.pool,
            Phase::Dns => &mut self.dns,
            Phase::Connect => &mut self.connect,
            Phase::Proxy => &mut self.proxy,
            Phase::Tls => &mut self.tls,
            Phase::Send => &mut self.send,
            Phase::Head => &mut self.head,
            Phase::Body => &mut self.body,
        }
    }
}

/// The clock of one request.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    started: Instant,
    since: Instant,
    pub(super) phase: Phase,
    pub(super) timings: Timings,
    pub(super) timeouts: Arc<Timeouts>,
    /// When all of it must be over.
    pub(super) deadline: Option<Instant>,
    attempts: u32,
}

impl Watch {
    pub(super) fn new(timeouts: Arc<Timeouts>) -> Watch {
        let now = Instant::now();
        Watch {
            started: now,
            since: now,
            phase: Phase::Pool,
            timings: Timings::default(),
            deadline: now.checked_add(timeouts.total),
            timeouts,
            attempts: 0,
        }
    }

    /// A new attempt: what the last one took counts in the total only.
    pub(super) fn begin(&mut self) {
        self.attempts += 1;
        if self.attempts == 1 {
            // Nothing has passed since it was made.
            return;
        }
        self.timings = Timings::default();
        self.phase = Phase::Pool;
        self.since = Instant::now();
    }

    /// The phase that was is over, another begins now, which is returned.
    pub(super) fn enter(&mut self, phase: Phase) -> Instant {
        let now = Instant::now();
        self.close(now);
        self.phase = phase;
        self.since = now;
        now
    }

    /// The phase that is took no time, and another begins.
    pub(super) fn skip_to(&mut self, phase: Phase) {
        self.close(self.since);
        self.phase = phase;
    }

    /// The phase that is took no time: what it waited for was there when it began.
    pub(super) fn stop_at_once(&mut self) {
        self.close(self.since);
    }

    /// The phase that is takes its time until now.
    pub(super) fn stop(&mut self) {
        self.close(Instant::now());
    }

    fn close(&mut self, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        *self.timings.slot(self.phase) = Some(took);
        self.timings.total = now.saturating_duration_since(self.started);
    }

    pub(super) fn limit(&self, phase: Phase) -> Duration {
        let limits = &self.timeouts;
        match phase {
            Phase::Pool => limits.pool,
            Phase::Dns => limits.dns,
            Phase::Connect => limits.connect,
            Phase::Proxy => limits.proxy,
            Phase::Tls => limits.tls,
            Phase::Send => limits.send,
            Phase::Head => limits.head,
            Phase::Body => limits.body_idle,
        }
    }

    /// When `phase` has to be over that begins now, and what to say if it is not.
    pub(super) fn until(&self, from: Instant, phase: Phase) -> (Option<Instant>, Kind) {
        let limit = self.limit(phase);
        let own = from.checked_add(limit);
        match (own, self.deadline) {
            (Some(own), Some(all)) if own <= all => (Some(own), Kind::Timeout { limit }),
            (Some(own), None) => (Some(own), Kind::Timeout { limit }),
            (_, all) => {
                let limit = self.timeouts.total;
                (all, Kind::TotalTimeout { limit })
            }
        }
    }

    /// Runs a phase: no longer than it may take, and no longer than all of it may.
    pub(super) async fn run<T>(
        &mut self,
        phase: Phase,
        future: impl Future<Output = Result<T, Kind>>,
    ) -> Result<T, Kind> {
        self.enter(phase);
        let (deadline, late) = self.until(self.since, phase);
        let answer = match deadline {
            Some(deadline) => timeout_at(deadline, future).await.unwrap_or(Err(late)),
            None => future.await,
        };
        self.stop();
        answer
    }
}
