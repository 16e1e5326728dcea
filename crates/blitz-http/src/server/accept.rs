//! Accepting: one task a socket.

use super::door::Door;
use super::listener::{Socket, Stream};
use crate::conn::Arrived;
use crate::conn::watch::{self, Watch};
use crate::counters::add;
use crate::handle::Seat;
use crate::peer::Ends;
use crate::{BoxError, Connection, Handle, Request};
use blitz_io::io::{AsyncRead, AsyncWrite};
use blitz_io::sync::{OwnedSemaphorePermit, Semaphore};
use blitz_io::task::AbortHandle;
use blitz_io::time::{Instant, sleep, sleep_until};
use bytes::BytesMut;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tower_service::Service;

/// How long to wait when no connection can be accepted, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What the sockets of a server share.
#[derive(Clone)]
pub(super) struct Serving<S> {
    pub(super) service: S,
    pub(super) handle: Handle,
    pub(super) permits: Arc<Semaphore>,
    pub(super) pace: Arc<Pace>,
    /// Connections stay on the worker that accepts them.
    pub(super) stay: bool,
}

/// Accepts until the server ends, and then what has connected already.
pub(super) async fn run<S, B>(socket: Socket, door: Door, serving: Serving<S>)
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let handle = &serving.handle;
    let mut wait = BACK_OFF.0;
    let stopping = handle.clone().stopping_token();
    loop {
        let accepted = stopping
            .run_until_cancelled(poll_fn(|cx| socket.poll_accept(cx)))
            .await;
        let accepted = match accepted {
            Some(accepted) => accepted,
            None => match poll_fn(|cx| Poll::Ready(socket.poll_accept(cx))).await {
                Poll::Ready(accepted) => accepted,
                Poll::Pending => return,
            },
        };
        match accepted {
            Ok((stream, peer)) => {
                wait = BACK_OFF.0;
                // It is asked for now and not before: a socket at which nobody knocks must not keep a place from the others.
                let permit = permit(&serving.permits, handle);
                let Some(permit) = stopping.run_until_cancelled(permit).await else {
                    return;
                };
                let pace = serving.pace.wait(handle);
                if stopping.run_until_cancelled(pace).await.is_none() {
                    return;
                }
                add(&handle.counters().connections);
                let mut ends = Ends::new(peer);
                ends.more = stream.extensions();
                serving.begin(stream, ends, &door, permit);
            }
            // The client went away in between.
            Err(error) if is_the_clients(error.kind()) => {}
            Err(error) => {
                add(&handle.counters().accept_errors);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    ?wait,
                    "cannot accept"
                );
                // Descriptors come back when connections end: asking again at once would only heat the room.
                if stopping.run_until_cancelled(sleep(wait)).await.is_none() {
                    return;
                }
                wait = (wait * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// The right to one more connection, when there is one.
async fn permit(permits: &Arc<Semaphore>, handle: &Handle) -> OwnedSemaphorePermit {
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return permit;
    }
    add(&handle.counters().full);
    let permit = Arc::clone(permits).acquire_owned().await;
    permit.expect("nobody closes it")
}

/// How many connections come in a second, over all sockets of a server.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the next may come, if they come as fast as they may.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits until one more may come.
    async fn wait(&self, handle: &Handle) {
        let rate = handle.config().connections_per_second;
        if rate == 0 {
            return;
        }
        let now = Instant::now();
        let at = self.take(now, rate);
        if at > now {
            add(&handle.counters().paced);
            sleep_until(at).await;
        }
    }

    /// When the one that came at `now` may be served. What was not used of the last second may be used now.
    fn take(&self, now: Instant, rate: u32) -> Instant {
        const SECOND: Duration = Duration::from_secs(1);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(SECOND - SECOND / rate).unwrap_or(now);
        let at = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(at + SECOND / rate);
        at
    }
}

fn is_the_clients(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

impl<S, B> Serving<S>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Serves a connection in a task of its own.
    fn begin(&self, stream: Stream, ends: Ends, door: &Door, permit: OwnedSemaphorePermit) {
        let handle = &self.handle;
        let seat = handle.seat(ends.peer);
        let number = seat.number;
        let abort = match stream {
            _ if door.speaks_tls() => {
                let (door, service, handle) = (door.clone(), self.service.clone(), handle.clone());
                let entered = door.enter_by_tls(stream, ends, service, handle, seat);
                self.spawn(entered, permit)
            }
            Stream::Tcp(stream) => {
                let (stream, watch) = (stream.into_batched(), watch::tcp);
                self.begin_in_clear(stream, watch, ends, seat, door, permit)
            }
            #[cfg(unix)]
            Stream::Unix(stream) => {
                self.begin_in_clear(stream, watch::unix, ends, seat, door, permit)
            }
        };
        handle.can_abort(number, abort);
    }

    fn begin_in_clear<I>(
        &self,
        stream: I,
        watch: Watch<I>,
        ends: Ends,
        seat: Seat,
        door: &Door,
        permit: OwnedSemaphorePermit,
    ) -> AbortHandle
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (service, handle) = (self.service.clone(), &self.handle);
        if door.is_open() {
            let ahead = BytesMut::new();
            let arrived = Arrived { ends, seat, ahead };
            let connection = Connection::arrived(stream, service, handle, arrived);
            return self.spawn(connection.watched(watch), permit);
        }
        let door = door.clone();
        let entered = door.enter(stream, watch, ends, service, handle.clone(), seat);
        self.spawn(entered, permit)
    }

    fn spawn(
        &self,
        connection: impl Future<Output = io::Result<()>> + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) -> AbortHandle {
        let served = async move {
            if let Err(error) = connection.await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a connection failed"
                );
            }
            drop(permit);
        };
        match self.stay {
            true => blitz_io::task::spawn_local(served).abort_handle(),
            false => blitz_io::spawn(served).abort_handle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::{Config, Handle};
    use blitz_io::time::Instant;
    use std::time::Duration;

    #[test]
    fn as_many_as_a_second_has_come_at_once_and_then_one_by_one() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let after = |ms| begun + Duration::from_millis(ms);
        let waits = |now: Instant| pace.take(now, 4).saturating_duration_since(now).as_millis();
        let burst: Vec<_> = (0..6).map(|_| waits(begun)).collect();
        assert_eq!(burst, [0, 0, 0, 0, 250, 500]);
        // Those two were served at 500; what a pause saves is one second's and no more.
        assert_eq!(waits(after(500)), 250);
        let later: Vec<_> = (0..6).map(|_| waits(after(60_000))).collect();
        assert_eq!(later, [0, 0, 0, 0, 250, 500]);
    }

    #[blitz_io::test(start_paused = true)]
    async fn who_comes_too_soon_waits_and_is_counted() {
        let config = Config {
            connections_per_second: 1,
            ..Config::default()
        };
        let (pace, handle) = (Pace::default(), Handle::new(config));
        let begun = Instant::now();
        for (waited, counted) in [(0, 0), (1, 1), (2, 2)] {
            pace.wait(&handle).await;
            let seconds = begun.elapsed().as_secs();
            assert_eq!((seconds, handle.counters().paced()), (waited, counted));
        }
        blitz_io::time::sleep(Duration::from_secs(1)).await;
        pace.wait(&handle).await;
        let seconds = begun.elapsed().as_secs();
        assert_eq!((seconds, handle.counters().paced()), (3, 2));
    }
}
