//! A socket, whole.

use super::outbox::Wire;
use super::split::{self, Receiver, Sender};
use super::state::{Parts, State};
use super::{Agreed, CloseCode, Config, DeflateParams, Error, Message, Role, TrySendError};
use crate::Upgraded;
use blitz_io::io::{AsyncRead, AsyncWrite};
use blitz_io::stream::Stream;
use bytes::Bytes;
use futures_sink::Sink;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A WebSocket: messages both ways, over a connection whose ends have agreed on it.
///
/// As a `Stream` it gives what [`recv`](WebSocket::recv) does, as a `Sink` it takes messages, and writes them when it is flushed.
///
/// While it is being received from, pings are answered and sent, and a close is answered; so a socket that only sends should be
/// [split](WebSocket::split), and its [`Receiver`] polled. One that is dropped without [`close`](WebSocket::close) ends without a word.
#[derive(Debug)]
pub struct WebSocket {
    /// Behind a box, for it is moved into and out of futures, which keep room for each such step.
    state: Box<State>,
}

impl WebSocket {
    /// A socket over any stream, whose ends have agreed already; [`accept`](super::accept) and [`connect`](super::connect) are what
    /// one wants elsewhere. `config.deflate` counts only where compression was agreed on.
    ///
    /// # Panics
    /// When it is received from outside of a runtime, whose clock it needs.
    pub fn over<I>(io: I, role: Role, agreed: Agreed, config: Config) -> WebSocket
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let upgraded = Upgraded::new(io, Bytes::new(), None);
        WebSocket::over_upgraded(upgraded, role, agreed, config)
    }

    pub(super) fn over_upgraded(
        io: Upgraded,
        role: Role,
        agreed: Agreed,
        config: Config,
    ) -> WebSocket {
        let deflate = config.deflate.unwrap_or_default();
        let parts = Parts {
            slow: config.slow,
            wire: Wire::of(role, agreed.deflate.as_ref(), &deflate),
            agreed,
        };
        WebSocket::of(Box::new(State::new(io, role, parts, config)))
    }

    pub(super) fn of(state: Box<State>) -> WebSocket {
        WebSocket { state }
    }

    /// A server's, which ends with the server.
    pub(super) fn of_server(upgraded: Upgraded, agreed: Agreed, config: Config) -> WebSocket {
        let server = upgraded.server().cloned();
        let mut socket = WebSocket::over_upgraded(upgraded, Role::Server, agreed, config);
        if let Some(server) = server {
            socket.state.ends_with(server);
        }
        socket
    }

    /// The next message; `None` when both ends have closed.
    ///
    /// After [`close_reason`](WebSocket::close_reason) or an error there is nothing more.
    ///
    /// # Cancel safety
    /// Safe: a message leaves the socket in the poll that returns it.
    ///
    /// # Errors
    /// When the connection fails or ends without a close, when the peer breaks the protocol or a limit (it has been told by then),
    /// and when it is silent for too long.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + Send {
        let state = &mut *self.state;
        poll_fn(move |cx| {
            let writes = cx.waker();
            state.poll_next(cx, writes).map(Option::transpose)
        })
    }

    /// Sends a message, and returns when it is written.
    ///
    /// # Cancel safety
    /// A dropped call has sent all of the message or nothing: where it waited for room, nothing; where it waited for the connection
    /// to take the message, that goes out with what is sent or received next.
    ///
    /// # Errors
    /// When the socket is closed, the connection fails, or the peer takes nothing for [`Config::ping_interval`] and
    /// [`Config::pong_timeout`] together.
    pub fn send(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let (state, mut message) = (&mut *self.state, Some(message));
        poll_fn(move |cx| state.poll_send(cx, &mut message))
    }

    /// Sends a message if there is room for it, without waiting.
    ///
    /// What the connection does not take at once goes out with what is sent or received next. There is room as long as fewer than
    /// [`Config::buffer_bytes`] wait.
    ///
    /// # Errors
    /// When there is no room, or the socket is closed; the message comes back. That the connection fails, who receives learns.
    pub fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        self.state.try_send(message, Waker::noop()).map(drop)
    }

    /// Closes in good order: says so, drops the messages that still come, and returns when the peer has closed too, or
    /// [`Config::close_timeout`] is over. Where the peer has closed already, it waits for nothing but the connection's end.
    ///
    /// Of a reason no more than 123 bytes are sent.
    ///
    /// # Cancel safety
    /// Safe: a close that was begun goes on with the next call, or the next [`recv`](WebSocket::recv).
    ///
    /// # Errors
    /// When the peer does not close in time, or the connection ended otherwise.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.state.begin_close(code, reason);
        poll_fn(|cx| {
            let writes = cx.waker();
            self.state.poll_end(cx, writes)
        })
        .await
    }

    /// Why the peer has closed, if it has and says so.
    pub fn close_reason(&self) -> Option<(CloseCode, String)> {
        self.state.theirs()
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.state.parts.agreed.protocol.as_deref()
    }

    /// The compression that was agreed on.
    pub fn deflate(&self) -> Option<&DeflateParams> {
        self.state.parts.agreed.deflate.as_ref()
    }

    /// How long the last ping and its pong took together; none before the first.
    pub fn rtt(&self) -> Option<Duration> {
        self.state.rtt()
    }

    /// Bytes that wait to be written.
    pub fn bytes_waiting(&self) -> usize {
        self.state.bytes_waiting()
    }

    /// Two halves, for two tasks; [`Sender::reunite`] makes them one again.
    pub fn split(self) -> (Sender, Receiver) {
        split::halves(self.state)
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let writes = cx.waker();
        self.state.poll_next(cx, writes)
    }
}

/// Closing it closes in good order, with code 1000.
impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.state.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.state
            .start_send(message)
            .map(drop)
            .map_err(Error::unsent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.state.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.state.begin_close(CloseCode::NORMAL, "");
        let writes = cx.waker();
        self.state.poll_end(cx, writes)
    }
}
