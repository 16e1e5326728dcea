//! Accepting: one task a listener.

use crate::counters::add;
use crate::{BoxError, Connection, Handle, Peer, Request};
use blitz_io::io::{AsyncRead, AsyncWrite};
use blitz_io::net::TcpListener;
#[cfg(unix)]
use blitz_io::net::UnixListener;
use blitz_io::sync::{OwnedSemaphorePermit, Semaphore};
use blitz_io::time::sleep;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tower_service::Service;

/// Where connections come from.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection that came.
enum Stream {
    Tcp(blitz_io::net::TcpStream, Peer),
    #[cfg(unix)]
    Unix(blitz_io::net::UnixStream),
}

/// How long to wait when no connection can be accepted, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Listener {
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            // One that has none is not listening.
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(_) => None,
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, addr) = ready!(listener.poll_accept(cx))?;
                // Answers are written whole, and a client should not wait for what would be joined to them. A stream that
                // takes no options is broken, as its first read will say.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().unwrap_or(addr);
                Poll::Ready(Ok(Stream::Tcp(stream, Peer::new(addr, local))))
            }
            #[cfg(unix)]
            Listener::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok(Stream::Unix(stream)))
            }
        }
    }
}

/// Accepts until the server ends, and then what has connected already.
pub(super) async fn run<S, B>(
    listener: Listener,
    service: S,
    handle: Handle,
    permits: Arc<Semaphore>,
) where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut wait = BACK_OFF.0;
    let stopping = handle.clone().stopping_token();
    loop {
        let Some(Ok(permit)) = stopping
            .run_until_cancelled(Arc::clone(&permits).acquire_owned())
            .await
        else {
            return;
        };
        let accepted = stopping
            .run_until_cancelled(poll_fn(|cx| listener.poll_accept(cx)))
            .await;
        let accepted = match accepted {
            Some(accepted) => accepted,
            None => match poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
                Poll::Ready(accepted) => accepted,
                Poll::Pending => return,
            },
        };
        match accepted {
            Ok(stream) => {
                wait = BACK_OFF.0;
                add(&handle.counters().connections);
                match stream {
                    Stream::Tcp(stream, peer) => {
                        spawn(stream, peer, service.clone(), &handle, permit);
                    }
                    #[cfg(unix)]
                    Stream::Unix(stream) => {
                        spawn(stream, Peer::default(), service.clone(), &handle, permit);
                    }
                }
            }
            // The client went away in between.
            Err(error) if is_the_clients(error.kind()) => {}
            Err(error) => {
                drop(permit);
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

fn is_the_clients(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn spawn<I, S, B>(io: I, peer: Peer, service: S, handle: &Handle, permit: OwnedSemaphorePermit)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = http::Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let connection = Connection::new(io, service, handle, peer);
    let number = connection.seat_number();
    let task = blitz_io::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a connection failed"
            );
        }
        drop(permit);
    });
    handle.can_abort(number, task.abort_handle());
}
