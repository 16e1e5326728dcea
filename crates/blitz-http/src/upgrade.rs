//! Other protocols over the same connection: Upgrade (RFC 9110 §7.8) and CONNECT.

use crate::counters::Phase;
use crate::handle::Seat;
use crate::{Error, Handle};
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_io::sync::oneshot;
use bytes::{Buf, Bytes};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// What a stream is that was upgraded.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The connection, after its client and a handler agreed on another protocol.
///
/// Bytes that the client had sent already come first. A server that shuts down waits for it as for a connection, and at its
/// deadline ends it: reads and writes fail with `ConnectionAborted` from then on.
pub struct Upgraded {
    io: Box<dyn Stream>,
    ahead: Bytes,
    seat: Option<Seat>,
    cut: Option<Pin<Box<blitz_io::sync::WaitForCancellationFutureOwned>>>,
}

impl Upgraded {
    pub(crate) fn new<I>(io: I, ahead: Bytes, seat: Option<Seat>) -> Upgraded
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if let Some(seat) = &seat {
            seat.is_in(Phase::Upgraded);
        }
        Upgraded {
            io: Box::new(io),
            ahead,
            cut: seat.as_ref().map(|seat| Box::pin(seat.cut())),
            seat,
        }
    }

    /// The bytes that came ahead and have not been read.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// The server whose connection it was, if it was one's.
    pub(crate) fn server(&self) -> Option<&Handle> {
        self.seat.as_ref().map(Seat::server)
    }

    /// Fails if the server has ended; if not, the task is woken when it does.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let cut = self.cut.as_mut();
        if cut.is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            self.seat = None;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..n]);
            self.ahead.advance(n);
            return Poll::Ready(Ok(()));
        }
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}

/// The connection's side of an upgrade that may be.
#[derive(Debug)]
pub(crate) struct Offer(oneshot::Sender<Upgraded>);

/// The handler's side, among the extensions of the request.
#[derive(Clone, Debug)]
pub(crate) struct Wish(Arc<Mutex<Option<oneshot::Receiver<Upgraded>>>>);

impl Offer {
    pub(crate) fn new() -> (Offer, Wish) {
        let (sender, receiver) = oneshot::channel();
        (Offer(sender), Wish(Arc::new(Mutex::new(Some(receiver)))))
    }

    pub(crate) fn accept(self, upgraded: Upgraded) {
        // Who does not wait for it any more has it closed.
        drop(self.0.send(upgraded));
    }
}

/// Takes the connection over, once the handler has answered with `101 Switching Protocols`, or a success to CONNECT.
///
/// Call it in the handler, answer, and await what it returned in a task of its own: it is ready only after the answer was sent.
///
/// # Cancel safety
/// **Not safe**: if the future is dropped the connection is closed.
///
/// # Errors
/// When the request asked for nothing, when the handler answered otherwise, or the connection ended before.
pub fn upgrade<B>(
    request: &mut http::Request<B>,
) -> impl Future<Output = Result<Upgraded, Error>> + Send + use<B> {
    let wish = request.extensions_mut().remove::<Wish>();
    let receiver = wish.and_then(|wish| {
        let mut wish = wish.0.lock().unwrap_or_else(PoisonError::into_inner);
        wish.take()
    });
    async move {
        let receiver = receiver.ok_or_else(Error::no_upgrade)?;
        receiver.await.map_err(|_| Error::no_upgrade())
    }
}
