//! A socket without its owner: messages out of bytes and bytes out of messages, and how it comes to its end.
//!
//! | life | what goes on |
//! |---|---|
//! | `Open` | messages go both ways |
//! | `Closing` | our close was said; what the peer still sends is received, until its own close comes or the time is over |
//! | `Leaving` | nothing is received any more: what waits is written, and the connection is ended as each end has to |
//! | `Ended` | nothing is left to do; `failed` says why, if that was not in good order |
//!
//! [`shared`] is what goes out for rooms.

mod shared;

use super::beat::{Beat, Due, Timer};
use super::tally::Tally;
use super::{Agreed, CloseCode, Config, Error, Message, Role, TrySendError, masks};
use crate::client::BoxStream;
use crate::conn::Stop;
use crate::{Handle, buffers};
use blitz_http_proto::ws::{Decoder, Encoder, Event};
use blitz_io::io::{AsyncReadExt, AsyncWrite};
use blitz_io::time::Instant;
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

pub(in crate::ws) use shared::Pumped;

/// Reads without a message before other tasks get their turn.
const READS_A_POLL: u32 = 32;
/// Room that a read wants at least.
const ROOM: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Closing,
    Leaving,
    Ended,
}

pub(super) struct State {
    io: BoxStream,
    role: Role,
    decoder: Decoder,
    encoder: Encoder,
    input: BytesMut,
    out: BytesMut,
    /// A frame of a room that is being written, before all in `out`.
    frame: Bytes,
    /// All of what was written has been flushed.
    flushed: bool,
    written: u64,
    /// The last ping that found no room for its answer.
    pong: Option<Bytes>,
    life: Life,
    /// The peer has closed, and said this.
    theirs: Option<(CloseCode, String)>,
    failed: Option<Error>,
    shut: bool,
    beat: Beat,
    /// For the end in good order.
    end_by: Timer,
    /// For a peer that takes nothing, and what was written when it began.
    stalled: Timer,
    stalled_at: Option<u64>,
    server: Option<(Handle, Stop)>,
    tally: Tally,
    close_timeout: Duration,
    buffer_bytes: usize,
    /// Bytes were written, or life went on, since somebody looked.
    pub(super) moved: bool,
    pub(super) turned: bool,
}

impl State {
    pub(super) fn new(io: BoxStream, role: Role, agreed: &Agreed, config: Config) -> State {
        let encoder = match role {
            Role::Server => Encoder::server(),
            Role::Client => Encoder::client(masks::masks()),
        };
        let params = agreed.deflate.as_ref();
        let deflate = config.deflate.unwrap_or_default();
        State {
            io,
            role,
            decoder: Decoder::new(role, config.limits).with_deflate(params),
            encoder: encoder.with_deflate(params, &deflate),
            input: BytesMut::new(),
            out: BytesMut::new(),
            frame: Bytes::new(),
            flushed: true,
            written: 0,
            pong: None,
            life: Life::Open,
            theirs: None,
            failed: None,
            shut: false,
            beat: Beat::new(config.ping_interval, config.pong_timeout),
            end_by: Timer::default(),
            stalled: Timer::default(),
            stalled_at: None,
            server: None,
            tally: Tally::default(),
            close_timeout: config.close_timeout,
            buffer_bytes: config.buffer_bytes.max(1),
            moved: false,
            turned: false,
        }
    }

    /// Says 1001 when this server ends.
    pub(super) fn ends_with(&mut self, server: Handle) {
        self.tally = Tally::of(server.clone());
        self.server = Some((server, Stop::default()));
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.beat.rtt()
    }

    pub(super) fn bytes_waiting(&self) -> usize {
        self.frame.len() + self.out.len()
    }

    /// Whether something waits to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.bytes_waiting() > 0 || !self.flushed
    }

    fn has_room(&self) -> bool {
        self.bytes_waiting() < self.buffer_bytes
    }

    pub(super) fn theirs(&self) -> Option<(CloseCode, String)> {
        self.theirs.clone()
    }

    fn goes_on(&mut self, life: Life) {
        self.life = life;
        self.turned = true;
    }

    fn fails(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.goes_on(Life::Ended);
    }

    /// The peer does not answer, or takes nothing.
    fn is_dead(&mut self) {
        self.tally.dead();
        self.fails(Error::dead());
    }

    /// Sees to it that there is a buffer to write into.
    fn has_out(&mut self) {
        if self.out.capacity() == 0 {
            self.out = buffers::take();
        }
    }

    /// The next message; `None` when the socket has ended, after an error if there was one. `writes` is woken when more can be written.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        writes: &Waker,
    ) -> Poll<Option<Result<Message, Error>>> {
        let mut reads = 0;
        loop {
            match self.life {
                Life::Open => {}
                // However much it has to say before.
                Life::Closing if self.end_by.poll(cx).is_pending() => {}
                Life::Closing => {
                    self.fails(Error::no_close());
                    continue;
                }
                Life::Leaving => {
                    ready!(self.poll_leave(cx, writes));
                    self.goes_on(Life::Ended);
                    continue;
                }
                Life::Ended => return Poll::Ready(self.failed.take().map(Err)),
            }
            match self.decoder.decode(&mut self.input) {
                Ok(Some(Event::Message(message))) => {
                    self.tally.received();
                    if self.is_writing() {
                        // Pongs do not wait until all that has come was received. That it fails is found by reading.
                        let _ = self.poll_out(&mut Context::from_waker(writes));
                    }
                    return Poll::Ready(Some(Ok(message)));
                }
                Ok(Some(Event::Ping(payload))) => {
                    self.answer(payload);
                    continue;
                }
                Ok(Some(Event::Pong(payload))) => {
                    self.beat.pong(&payload);
                    continue;
                }
                Ok(Some(Event::Close(why))) => {
                    self.is_closed_by_peer(why);
                    continue;
                }
                Err(error) => {
                    self.say_close(Some((error.close_code(), error.reason())));
                    self.failed.get_or_insert(Error::peer(error));
                    self.leave();
                    continue;
                }
                Ok(None) => {}
            }
            if reads < READS_A_POLL {
                reads += 1;
                match self.poll_read(cx) {
                    Poll::Ready(Ok(0)) => {
                        self.fails(Error::cut());
                        continue;
                    }
                    Poll::Ready(Ok(_)) => {
                        self.beat.hears();
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        self.fails(Error::io(error));
                        continue;
                    }
                    Poll::Pending => self.release(),
                }
            } else {
                cx.waker().wake_by_ref();
            }
            if let Poll::Ready(Err(error)) = self.poll_out(&mut Context::from_waker(writes)) {
                self.fails(Error::io(error));
                continue;
            }
            if !self.poll_time(cx) {
                return Poll::Pending;
            }
            if let Poll::Ready(Err(error)) = self.poll_out(&mut Context::from_waker(writes)) {
                self.fails(Error::io(error));
            }
        }
    }

    /// Looks at the clock and at the server. `true` if something is to be done about it.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.life != Life::Open {
            return false;
        }
        if let Some((handle, stop)) = &mut self.server
            && stop.poll(cx, handle)
        {
            self.begin_close(CloseCode::GOING_AWAY, "");
            return true;
        }
        match self.beat.poll(cx, self.written, self.bytes_waiting()) {
            Poll::Pending => false,
            Poll::Ready(Due::Dead) => {
                self.is_dead();
                true
            }
            Poll::Ready(Due::Ping(payload)) => {
                self.has_out();
                self.encoder.ping(&payload, &mut self.out);
                true
            }
        }
    }

    /// Answers a ping. A peer that pings and takes no answers gets the last one only, so that answers are bounded.
    fn answer(&mut self, payload: Bytes) {
        if self.has_room() {
            self.has_out();
            self.encoder.pong(&payload, &mut self.out);
        } else {
            self.pong = Some(payload);
        }
    }

    fn is_closed_by_peer(&mut self, why: Option<(CloseCode, String)>) {
        let code = why.as_ref().map(|(code, _)| (*code, ""));
        self.say_close(code);
        self.theirs = why;
        self.leave();
    }

    /// Says close, once.
    fn say_close(&mut self, why: Option<(CloseCode, &str)>) {
        if self.life == Life::Open {
            self.has_out();
            self.encoder.close(why, &mut self.out);
            self.end_by.arm(Instant::now(), self.close_timeout);
        }
    }

    /// Begins the end, if it has not begun.
    pub(super) fn begin_close(&mut self, code: CloseCode, reason: &str) {
        if self.life == Life::Open {
            self.say_close(Some((code, reason)));
            self.goes_on(Life::Closing);
        }
    }

    fn leave(&mut self) {
        // What came behind a close is nobody's, and neither is what comes behind a fault.
        self.input.clear();
        self.goes_on(Life::Leaving);
    }

    /// Ends the connection; ready when there is nothing to do or to wait for any more.
    fn poll_leave(&mut self, cx: &mut Context<'_>, writes: &Waker) -> Poll<()> {
        // However long the peer sends on.
        if self.end_by.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let in_order = self.failed.is_none();
        if !self.shut {
            let mut writes = Context::from_waker(writes);
            // Who does not take our close need not have it.
            if ready!(self.poll_out(&mut writes)).is_err() {
                return Poll::Ready(());
            }
            // A client leaves it to the server to end the connection first (RFC 6455 §7.1.1).
            let ends = !in_order || self.role == Role::Server;
            if ends && ready!(Pin::new(&mut self.io).poll_shutdown(&mut writes)).is_err() {
                return Poll::Ready(());
            }
            self.shut = true;
        }
        if in_order && self.role == Role::Server {
            return Poll::Ready(());
        }
        // A connection that is closed on bytes that nobody has read is reset, and our close may be lost with it.
        for _ in 0..READS_A_POLL {
            self.input.clear();
            match ready!(self.poll_read(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            self.input = buffers::take();
        } else if self.input.capacity() - self.input.len() < ROOM {
            self.input.reserve(buffers::SIZE);
        }
        pin!(self.io.read_buf(&mut self.input)).poll(cx)
    }

    /// Gives the buffer back, if nothing is in it.
    fn release(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.input));
        }
    }

    /// Writes all that waits.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_write_all(cx);
        self.tally.waits(match polled {
            Poll::Pending => self.bytes_waiting(),
            Poll::Ready(_) => 0,
        });
        polled
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.has_room()
                && let Some(payload) = self.pong.take()
            {
                self.has_out();
                self.encoder.pong(&payload, &mut self.out);
            }
            let is_frame = !self.frame.is_empty();
            let bytes = if is_frame {
                &self.frame[..]
            } else {
                &self.out[..]
            };
            if bytes.is_empty() {
                break;
            }
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if is_frame {
                self.frame.advance(n);
            } else {
                self.out.advance(n);
            }
            self.written += n as u64;
            (self.flushed, self.moved) = (false, true);
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            (self.flushed, self.moved) = (true, true);
        }
        if self.out.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.out));
        }
        // The room's others need it, and this one does not.
        self.frame = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Whether there is room for a message.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.life != Life::Open {
            return Poll::Ready(Err(Error::closed()));
        }
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_flush(cx) {
            Poll::Pending if self.has_room() => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    /// Takes a message to be written.
    pub(super) fn start_send(&mut self, message: &Message) -> Result<(), Error> {
        if self.life != Life::Open {
            return Err(Error::closed());
        }
        self.tally.sent();
        self.has_out();
        self.encoder.message(message, &mut self.out);
        Ok(())
    }

    /// Takes a message if there is room, and writes what the connection takes at once.
    pub(super) fn try_send(
        &mut self,
        message: Message,
        writes: &Waker,
    ) -> Result<(), TrySendError> {
        let mut writes = Context::from_waker(writes);
        if self.life == Life::Open && !self.has_room() {
            // That it fails is found by who sends or receives next.
            let _ = self.poll_out(&mut writes);
            if !self.has_room() {
                return Err(TrySendError::full(message));
            }
        }
        if self.start_send(&message).is_err() {
            return Err(TrySendError::closed(message));
        }
        // As above.
        let _ = self.poll_out(&mut writes);
        Ok(())
    }

    /// Writes all that was taken, for as long as the peer takes some of it.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.life == Life::Ended && self.is_writing() {
            return Poll::Ready(Err(Error::closed()));
        }
        if let Poll::Ready(done) = self.poll_out(cx) {
            self.stalled_at = None;
            self.stalled.disarm();
            return Poll::Ready(done.map_err(Error::io));
        }
        let Some(patience) = self.beat.patience() else {
            return Poll::Pending;
        };
        if self.stalled_at != Some(self.written) {
            self.stalled_at = Some(self.written);
            self.stalled.arm(Instant::now(), patience);
        }
        ready!(self.stalled.poll(cx));
        self.is_dead();
        Poll::Ready(Err(Error::dead()))
    }

    /// Receives to the end, and keeps nothing of it.
    pub(super) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        writes: &Waker,
    ) -> Poll<Result<(), Error>> {
        loop {
            match ready!(self.poll_next(cx, writes)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("role", &self.role)
            .field("life", &self.life)
            .field("buffered", &self.bytes_waiting())
            .field("rtt", &self.rtt())
            .finish_non_exhaustive()
    }
}
