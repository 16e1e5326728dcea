//! Other protocols over the same connection: Upgrade (RFC 9110 §7.8) and CONNECT.

use crate::counters::Phase;
use crate::handle::Seat;
use crate::{Error, Handle};
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_io::net::{BatchedStream, TcpStream};
use blitz_io::sync::{WaitForCancellationFutureOwned, oneshot};
use bytes::{Buf, Bytes};
use http::Extensions;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a stream is that was upgraded.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What most are is here, and not behind one more pointer and calls through a table.
enum Io {
    Tcp(BatchedStream),
    Other(Box<dyn Stream>),
}

impl Io {
    fn of<I: AsyncRead + AsyncWrite + Send + Unpin + 'static>(io: I) -> Io {
        let mut io = Some(io);
        let any: &mut dyn Any = &mut io;
        if let Some(batched) = any.downcast_mut::<Option<BatchedStream>>()
            && let Some(batched) = batched.take()
        {
            return Io::Tcp(batched);
        }
        if let Some(tcp) = any.downcast_mut::<Option<TcpStream>>()
            && let Some(tcp) = tcp.take()
        {
            return Io::Tcp(tcp.into_batched());
        }
        Io::Other(Box::new(io.expect("it is not of TCP")))
    }
}

/// Calls the same on whichever it is.
macro_rules! either {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io {
            Io::Tcp($stream) => $call,
            Io::Other($stream) => $call,
        }
    };
}

/// The connection, after its client and a handler agreed on another protocol.
///
/// Bytes that the client had sent already come first. A server that shuts down waits for it as for a connection, and at its
/// deadline ends it: reads and writes fail with `ConnectionAborted` from then on.
#[repr(C)]
pub struct Upgraded {
    // What each read and write needs comes first, and is together.
    seat: Option<Seat>,
    is_cut: bool,
    ahead: Bytes,
    /// Who reads, and who writes: they may be two tasks.
    reads: Cut,
    io: Io,
    writes: Cut,
}

/// A task that learns when the server cuts what was upgraded.
#[derive(Default)]
struct Cut {
    wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    waker: Option<Waker>,
}

impl Cut {
    /// Whether it is cut; if not, the task is woken when it is. A task that asks again costs nothing: all connections of the server would
    /// meet in the line of those who wait.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>, seat: &Seat) -> bool {
        if let Some(waker) = &self.waker
            && waker.will_wake(cx.waker())
        {
            // It will be, and then asks whether it was cut.
            return false;
        }
        self.poll_anew(cx, seat)
    }

    #[cold]
    fn poll_anew(&mut self, cx: &mut Context<'_>, seat: &Seat) -> bool {
        self.waker = Some(cx.waker().clone());
        let wait = self.wait.get_or_insert_with(|| Box::pin(seat.cut()));
        wait.as_mut().poll(cx).is_ready()
    }
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
            seat,
            is_cut: false,
            ahead,
            reads: Cut::default(),
            io: Io::of(io),
            writes: Cut::default(),
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

    /// Fails if the server has cut it.
    #[inline]
    fn is_whole(&mut self) -> io::Result<()> {
        if self.is_cut || self.seat.as_ref().is_some_and(Seat::is_cut) {
            return Err(self.ends());
        }
        Ok(())
    }

    #[cold]
    fn ends(&mut self) -> io::Error {
        self.is_cut = true;
        // The server need not wait for whoever still holds this.
        self.seat = None;
        io::ErrorKind::ConnectionAborted.into()
    }

    #[inline]
    fn poll_write_by(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Io, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.is_whole()?;
        let polled = write(&mut self.io, cx);
        if polled.is_pending()
            && let Some(seat) = &self.seat
            && self.writes.poll(cx, seat)
        {
            self.is_whole()?;
        }
        polled
    }
}

impl AsyncRead for Upgraded {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let n = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..n]);
            this.ahead.advance(n);
            return Poll::Ready(Ok(()));
        }
        this.is_whole()?;
        let polled = either!(&mut this.io, io => Pin::new(io).poll_read(cx, buf));
        if polled.is_pending()
            && let Some(seat) = &this.seat
            && this.reads.poll(cx, seat)
        {
            this.is_whole()?;
        }
        polled
    }
}

impl AsyncWrite for Upgraded {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(
            cx,
            |io, cx| either!(io, io => Pin::new(io).poll_write(cx, buf)),
        )
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.io, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.io, io => Pin::new(io).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(
            cx,
            |io, cx| either!(io, io => Pin::new(io).poll_write_vectored(cx, bufs)),
        )
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.io, io => io.is_write_vectored())
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
    upgrade_by(request.extensions_mut())
}

/// The same, by what a request has beside it.
pub(crate) fn upgrade_by(
    extensions: &mut Extensions,
) -> impl Future<Output = Result<Upgraded, Error>> + Send + use<> {
    let wish = extensions.remove::<Wish>();
    let receiver = wish.and_then(|wish| {
        let mut wish = wish.0.lock().unwrap_or_else(PoisonError::into_inner);
        wish.take()
    });
    async move {
        let receiver = receiver.ok_or_else(Error::no_upgrade)?;
        receiver.await.map_err(|_| Error::no_upgrade())
    }
}

#[cfg(test)]
mod tests {
    use super::Io;
    use blitz_io::io::duplex;
    use blitz_io::net::{TcpListener, TcpStream};

    /// One that batches already is not wrapped once more, nor hidden behind a table of calls.
    #[blitz_io::test]
    async fn a_tcp_stream_is_known_whatever_the_server_has_made_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let plain = TcpStream::connect(addr).await.unwrap();
        let short = TcpStream::connect(addr).await.unwrap().into_batched();
        assert!(matches!(Io::of(plain), Io::Tcp(_)));
        assert!(matches!(Io::of(short), Io::Tcp(_)));
        assert!(matches!(Io::of(duplex(1).0), Io::Other(_)));
    }
}
