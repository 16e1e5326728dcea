//! The handshake of either end: bytes back and forth until both sides have keys, or one has said why not.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blitz_io_traits::{AsyncRead, AsyncWrite};
use pin_project_lite::pin_project;
use rustls::{Connection, ProtocolVersion};

use crate::error::TlsError;
use crate::session::{End, Session};
use crate::stream::TlsStream;

/// How long a handshake should be given, by [`Handshake::until`]: ten seconds.
///
/// This crate knows no clock, so the servers and clients above it put the deadline there.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes the peer may send in a handshake. An honest one needs a few KiB; with the longest chain of certificates that rustls
/// takes, some 64.
const BYTES_MAX: usize = 256 * 1024;

/// How often a poll may read.
const ROUNDS_MAX: u32 = 32;

/// The handshake of a session, as a future; it is made by [`TlsAcceptor::accept`](crate::TlsAcceptor::accept) and
/// [`TlsConnector::connect`](crate::TlsConnector::connect).
///
/// A handshake has no deadline by itself: give it one by [`until`](Handshake::until).
///
/// # Cancel safety
/// Polled by reference it can be left and taken up again. If it is dropped the session is lost, since a part of the handshake may have
/// been sent: the stream below goes with it, which closes the connection.
///
/// # Errors
/// The peer has been told why before the error is returned (an alert, RFC 8446 §6.2), except where it speaks plain HTTP. The error
/// gives the stream back. To drop it at once, with bytes of the peer unread in it, makes TCP reset the connection, and the peer may
/// then not read the alert; who cares shuts it down and reads on to the end.
///
/// # Panics
/// If it is polled after it has ended.
#[must_use = "futures do nothing unless awaited"]
pub struct Handshake<S> {
    state: State<S>,
}

enum State<S> {
    /// Begun.
    Going(Going<S>),
    /// It could not begin.
    Hopeless(TlsError, S),
    Over,
}

struct Going<S> {
    session: Session<S>,
    received: usize,
    /// The first bytes of the peer: they tell who knocks.
    first: Vec<u8>,
    /// It has failed, and the alert is on its way.
    failed: Option<TlsError>,
}

impl<S> Handshake<S> {
    pub(crate) fn new(stream: S, connection: Result<Connection, TlsError>) -> Self {
        let state = match connection {
            Ok(connection) => State::Going(Going {
                session: Session::new(stream, connection),
                received: 0,
                first: Vec::new(),
                failed: None,
            }),
            Err(error) => State::Hopeless(error, stream),
        };
        Handshake { state }
    }

    /// Fails with [`TlsError::TimedOut`] if `deadline` ends first; the runtime's `sleep` is one.
    ///
    /// # Examples
    /// A client that says nothing:
    /// ```
    /// use blitz_io::time::sleep;
    /// use blitz_tls::{HANDSHAKE_TIMEOUT, TlsAcceptor, TlsError};
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let identity = blitz_tls::Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    /// # let runtime = blitz_io::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    /// # runtime.block_on(async {
    /// let acceptor = TlsAcceptor::builder(identity).build()?;
    /// let (_client, stream) = blitz_io::io::duplex(1024);
    /// let failed = acceptor.accept(stream).until(sleep(HANDSHAKE_TIMEOUT)).await.unwrap_err();
    /// assert!(matches!(failed.error(), TlsError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn until<D: Future<Output = ()>>(self, deadline: D) -> HandshakeUntil<S, D> {
        HandshakeUntil {
            handshake: self,
            deadline,
        }
    }

    /// Begins with bytes of the peer that the caller has read from the stream already, to see what they are.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, duplex};
    /// use blitz_tls::{TlsAcceptor, TlsError};
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let identity = blitz_tls::Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    /// # futures::executor::block_on(async {
    /// let acceptor = TlsAcceptor::builder(identity).build()?;
    /// let (mut client, mut stream) = duplex(1024);
    /// client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    /// let mut first = [0; 3];
    /// stream.read_exact(&mut first).await?;
    /// let failed = acceptor.accept(stream).having_read(&first).await.unwrap_err();
    /// assert!(matches!(failed.error(), TlsError::PlainHttp));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn having_read(mut self, bytes: &[u8]) -> Self {
        if let State::Going(going) = &mut self.state {
            going.session.has_read(bytes);
        }
        self
    }

    /// The stream below; none once it has ended.
    pub fn get_ref(&self) -> Option<&S> {
        match &self.state {
            State::Going(going) => Some(going.session.io()),
            State::Hopeless(_, stream) => Some(stream),
            State::Over => None,
        }
    }

    fn give_up(&mut self, error: TlsError) -> HandshakeError<S> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Going(going) => HandshakeError {
                error,
                stream: going.session.into_io(),
            },
            State::Hopeless(_, stream) => HandshakeError { error, stream },
            State::Over => panic!("a handshake was polled after it had ended"),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Handshake<S> {
    type Output = Result<TlsStream<S>, HandshakeError<S>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.get_mut();
        let outcome = match &mut me.state {
            State::Going(going) => ready!(going.poll(cx)),
            State::Hopeless(error, _) => Err(std::mem::replace(error, TlsError::TimedOut)),
            State::Over => panic!("a handshake was polled after it had ended"),
        };
        Poll::Ready(match outcome {
            Ok(()) => match std::mem::replace(&mut me.state, State::Over) {
                State::Going(going) => Ok(TlsStream::new(going.session)),
                _ => unreachable!("only what goes on can succeed"),
            },
            Err(error) => Err(me.give_up(error)),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Going<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        for _ in 0..ROUNDS_MAX {
            if let Some(error) = self.failed.take_if(|error| speaks_http(error)) {
                return Poll::Ready(Err(error));
            }
            let sent = self.session.poll_send_all(cx);
            if self.failed.is_some() {
                // Whether the alert could be sent changes nothing: the error is why we sent it.
                let _ = ready!(sent);
                return Poll::Ready(Err(self.failed.take().expect("it has failed")));
            }
            let is_done = !self.session.tls().is_handshaking();
            if is_done && self.has_only_tickets() {
                // Tickets are a gift. Nobody waits until a client that sends, and does not read yet, has room for them; and of
                // one that left without them there may still be a request to read.
                return Poll::Ready(Ok(()));
            }
            match sent {
                Poll::Ready(Ok(())) if is_done => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.reason_for(error, cx))),
                Poll::Pending if is_done => return Poll::Pending,
                // What cannot be sent does not stop the reading: the peer may wait for the same, with a flight of its own.
                Poll::Ready(Ok(())) | Poll::Pending => ready!(self.poll_receive(cx)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether all that a done handshake may have left to send is tickets: at a server's end of TLS 1.3.
    fn has_only_tickets(&self) -> bool {
        let tls = self.session.tls();
        matches!(tls, Connection::Server(_))
            && tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Reads once; sets `failed` if that ends the handshake.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (received, first) = (&mut self.received, &mut self.first);
        let answer = ready!(self.session.poll_receive(cx, 0, |bytes| {
            *received += bytes.len();
            let room = FIRST_MAX - first.len();
            first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }));
        self.failed = match (answer, self.session.end()) {
            (Err(error), _) => Some(TlsError::Io(error)),
            (Ok(()), Some(End::Failed(error))) => Some(self.explained(error.clone())),
            _ if !self.session.tls().is_handshaking() => None,
            (Ok(()), Some(End::Clean | End::Truncated)) => Some(TlsError::Closed {
                received: self.received,
            }),
            (Ok(()), None) if self.received > BYTES_MAX => {
                Some(TlsError::TooLong { limit: BYTES_MAX })
            }
            (Ok(()), None) => None,
        };
        Poll::Ready(())
    }

    /// Why nothing could be sent: a peer that refuses us says so before it closes.
    fn reason_for(&mut self, error: io::Error, cx: &mut Context<'_>) -> TlsError {
        if self.poll_receive(cx).is_ready()
            && let Some(reason @ TlsError::Refused(_)) = self.failed.take()
        {
            return reason;
        }
        TlsError::Io(error)
    }

    /// rustls's error, or who it is that does not speak TLS.
    fn explained(&self, error: rustls::Error) -> TlsError {
        match TlsError::from(error) {
            TlsError::NotTls | TlsError::Protocol(_) if is_http(&self.first) => TlsError::PlainHttp,
            error => error,
        }
    }
}

/// How many of the first bytes are kept.
const FIRST_MAX: usize = 8;

/// How a request or an answer of HTTP begins. No record of TLS begins with a letter of these.
fn is_http(first: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 11] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"PATCH ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
        b"PRI ",
        b"HTTP/",
    ];
    // What came so far may be shorter.
    first.len() >= 3
        && BEGINNINGS
            .iter()
            .any(|beginning| first.starts_with(&beginning[..beginning.len().min(first.len())]))
}

fn speaks_http(error: &TlsError) -> bool {
    matches!(error, TlsError::PlainHttp)
}

pin_project! {
    /// A handshake with a deadline; made by [`Handshake::until`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct HandshakeUntil<S, D> {
        handshake: Handshake<S>,
        #[pin]
        deadline: D,
    }
}

impl<S, D> Future for HandshakeUntil<S, D>
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: Future<Output = ()>,
{
    type Output = Result<TlsStream<S>, HandshakeError<S>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        if let Poll::Ready(outcome) = Pin::new(&mut *me.handshake).poll(cx) {
            return Poll::Ready(outcome);
        }
        ready!(me.deadline.poll(cx));
        Poll::Ready(Err(me.handshake.give_up(TlsError::TimedOut)))
    }
}

/// A handshake that failed: why, and the stream below.
pub struct HandshakeError<S> {
    error: TlsError,
    stream: S,
}

impl<S> HandshakeError<S> {
    /// Why.
    pub fn error(&self) -> &TlsError {
        &self.error
    }

    /// Why, without the stream, which is dropped.
    pub fn into_error(self) -> TlsError {
        self.error
    }

    /// The stream below, to close it in good order, or to answer in clear who speaks plain HTTP.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Both.
    pub fn into_parts(self) -> (TlsError, S) {
        (self.error, self.stream)
    }
}

impl<S> fmt::Debug for HandshakeError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Display for HandshakeError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S> Error for HandshakeError<S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<S> From<HandshakeError<S>> for TlsError {
    fn from(failed: HandshakeError<S>) -> Self {
        failed.error
    }
}

impl<S> From<HandshakeError<S>> for io::Error {
    fn from(failed: HandshakeError<S>) -> Self {
        failed.error.into()
    }
}

impl<S> fmt::Debug for Handshake<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl<S, D> fmt::Debug for HandshakeUntil<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeUntil").finish_non_exhaustive()
    }
}
