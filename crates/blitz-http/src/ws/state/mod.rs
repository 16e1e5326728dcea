//! A socket without its owner: messages out of bytes and bytes out of messages, and how it comes to its end.
//!
//! | life | what goes on |
//! |---|---|
//! | `Open` | messages go both ways |
//! | `Closing` | our close was said; what the peer still sends is received, until its own close comes or the time is over |
//! | `Leaving` | nothing is received any more: what waits is written, and the connection is ended as each end has to |
//! | `Ended` | nothing is left to do; `failed` says why, if that was not in good order |
//!
//! What waits to be written is in [`out`]; [`shared`] is what goes out for rooms.

mod out;
mod shared;

use super::beat::{Beat, Due, Timer};
use super::outbox::Wire;
use super::tally::Tally;
use super::{Agreed, CloseCode, Config, Error, Message, Role, Slow, TrySendError, masks};
use crate::conn::Stop;
use crate::{Handle, Upgraded, buffers};
use blitz_http_proto::ws::{Decoder, Encoder, Event};
use blitz_io::io::{AsyncWrite, poll_read_buf};
use blitz_io::time::Instant;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use out::Out;
pub(in crate::ws) use shared::Pumped;

/// Reads without a message before other tasks get their turn.
const READS_A_POLL: u32 = 32;
/// Room that a read wants at least.
const ROOM: usize = 1024;
/// Room for what stands around a payload, and for the sign that there was no more.
const SLACK: usize = 512;
/// Room that a frame gets because it announces to be long, before its sender has shown that it is.
const TRUSTED: usize = 4 * buffers::SIZE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Closing,
    Leaving,
    Ended,
}

/// What each message needs stands together and first: with thousands of sockets, each line of the processor's cache is one that is not there.
#[repr(C)]
pub(super) struct State {
    /// Dropped before the connection: a server that has waited for that has counted this.
    tally: Tally,
    io: Upgraded,
    input: BytesMut,
    /// How long the last message was.
    usual: usize,
    /// The buffer has grown beyond what is kept.
    is_large: bool,
    life: Life,
    shut: bool,
    /// Bytes were written, or life went on, since somebody looked.
    pub(super) moved: bool,
    pub(super) turned: bool,
    buffer_bytes: usize,
    /// Who was told to be woken for all that is no bytes.
    watches: Option<Waker>,
    /// The last ping that found no room for its answer.
    pong: Option<Box<Bytes>>,
    /// What was written when a peer began to take nothing.
    stalled_at: Option<u64>,
    decoder: Decoder,
    encoder: Encoder,
    out: Out,
    beat: Beat,
    stop: Stop,
    role: Role,
    /// The peer has closed, and said this.
    theirs: Option<(CloseCode, String)>,
    failed: Option<Error>,
    /// For the end in good order.
    end_by: Timer,
    /// For a peer that takes nothing.
    stalled: Timer,
    close_timeout: Duration,
    pub(super) parts: Parts,
}

/// What a socket was made with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) agreed: Agreed,
    pub(super) slow: Slow,
    pub(super) wire: Wire,
}

impl State {
    pub(super) fn new(io: Upgraded, role: Role, parts: Parts, config: Config) -> State {
        let encoder = match role {
            Role::Server => Encoder::server(),
            Role::Client => Encoder::client(masks::masks()),
        };
        let params = parts.agreed.deflate.as_ref();
        let deflate = config.deflate.unwrap_or_default();
        State {
            decoder: Decoder::new(role, config.limits).with_deflate(params),
            encoder: encoder.with_deflate(params, &deflate),
            out: Out::new(io.is_write_vectored()),
            io,
            role,
            input: BytesMut::new(),
            usual: 0,
            is_large: false,
            pong: None,
            life: Life::Open,
            theirs: None,
            failed: None,
            shut: false,
            beat: Beat::new(config.ping_interval, config.pong_timeout),
            end_by: Timer::default(),
            stalled: Timer::default(),
            stalled_at: None,
            watches: None,
            stop: Stop::default(),
            tally: Tally::default(),
            close_timeout: config.close_timeout,
            buffer_bytes: config.buffer_bytes.max(1),
            moved: false,
            turned: false,
            parts,
        }
    }

    /// Says 1001 when this server ends.
    pub(super) fn ends_with(&mut self, server: Handle) {
        self.tally = Tally::of(server);
        self.watches = None;
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.beat.rtt()
    }

    pub(super) fn bytes_waiting(&self) -> usize {
        self.out.len()
    }

    /// Whether something waits to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.out.is_writing()
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

    /// Payloads that were written from where they were. Only what is shared keeps them: who holds the lock drops them without it, for they
    /// may be anything.
    pub(super) fn spent(&mut self) -> Vec<Bytes> {
        self.out.spent()
    }

    /// From now on it is behind a lock, or not any more.
    pub(super) fn is_shared(&mut self, is_shared: bool) {
        self.out.keeps_spent = is_shared;
    }

    /// The next message; `None` when the socket has ended, after an error if there was one. `writes` is woken when more can be written.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        writes: &Waker,
    ) -> Poll<Option<Result<Message, Error>>> {
        let mut reads = 0;
        loop {
            if self.life != Life::Open
                && let Some(ended) = ready!(self.poll_ending(cx, writes))
            {
                return Poll::Ready(ended.map(Err));
            }
            if !self.input.is_empty() {
                match self.decoder.decode(&mut self.input) {
                    Ok(Some(Event::Message(message))) => {
                        self.tally.received();
                        self.usual = message.payload().len();
                        if self.is_writing() {
                            // Pongs do not wait until all that has come was received. That it fails is found by reading.
                            let _ = self.poll_out(&mut Context::from_waker(writes));
                        }
                        return Poll::Ready(Some(Ok(message)));
                    }
                    Ok(None) => {}
                    other => {
                        self.takes_other(other);
                        continue;
                    }
                }
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
            if self.has_to_write()
                && let Poll::Ready(Err(error)) = self.poll_out(&mut Context::from_waker(writes))
            {
                self.fails(Error::io(error));
                continue;
            }
            if self.is_quiet(cx) || !self.poll_time(cx) {
                return Poll::Pending;
            }
            if let Poll::Ready(Err(error)) = self.poll_out(&mut Context::from_waker(writes)) {
                self.fails(Error::io(error));
            }
        }
    }

    /// Goes on with the end that has begun. `None` if the peer may send still; else how it was, if it was not in good order.
    #[cold]
    fn poll_ending(&mut self, cx: &mut Context<'_>, writes: &Waker) -> Poll<Option<Option<Error>>> {
        loop {
            match self.life {
                Life::Open => return Poll::Ready(None),
                // However much it has to say before.
                Life::Closing if self.end_by.poll(cx).is_pending() => return Poll::Ready(None),
                Life::Closing => self.fails(Error::no_close()),
                Life::Leaving => {
                    ready!(self.poll_leave(cx, writes));
                    self.goes_on(Life::Ended);
                }
                Life::Ended => return Poll::Ready(Some(self.failed.take())),
            }
        }
    }

    /// Takes what is no message.
    #[cold]
    fn takes_other(&mut self, decoded: Result<Option<Event>, blitz_http_proto::ws::Error>) {
        match decoded {
            Ok(Some(Event::Ping(payload))) => self.answer(payload),
            Ok(Some(Event::Pong(payload))) => self.beat.pong(&payload),
            Ok(Some(Event::Close(why))) => self.is_closed_by_peer(why),
            Ok(_) => {}
            Err(error) => {
                self.say_close(Some((error.close_code(), error.reason())));
                self.failed.get_or_insert(Error::peer(error));
                self.leave();
            }
        }
    }

    /// Whether this task has looked at the clock and the server, and neither has called since.
    #[inline]
    fn is_quiet(&self, cx: &Context<'_>) -> bool {
        self.watches
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
            && !self.beat.has_rung()
            && !self.tally.server().is_some_and(Handle::is_stopping)
    }

    /// Looks at the clock and at the server. `true` if something is to be done about it.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.life != Life::Open {
            return false;
        }
        self.watches = Some(cx.waker().clone());
        if let Some(server) = self.tally.server()
            && self.stop.poll(cx, server)
        {
            self.begin_close(CloseCode::GOING_AWAY, "");
            return true;
        }
        match self.beat.poll(cx, self.out.written(), self.bytes_waiting()) {
            Poll::Pending => false,
            Poll::Ready(Due::Dead) => {
                self.is_dead();
                true
            }
            Poll::Ready(Due::Ping(payload)) => {
                self.encoder.ping(&payload, self.out.buffer());
                true
            }
        }
    }

    /// Answers a ping. A peer that pings and takes no answers gets the last one only, so that answers are bounded.
    fn answer(&mut self, payload: Bytes) {
        if self.has_room() {
            self.encoder.pong(&payload, self.out.buffer());
        } else {
            self.pong = Some(Box::new(payload));
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
            self.encoder.close(why, self.out.buffer());
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
        let wanted = match usize::try_from(self.decoder.missing()).unwrap_or(usize::MAX) {
            // The next message is as long as the last, for all that is known.
            0 => self.usual.saturating_add(SLACK).min(2 * buffers::SIZE),
            missing => missing
                .saturating_add(SLACK)
                .min(self.input.len().max(TRUSTED)),
        };
        let wanted = wanted.max(ROOM);
        if self.input.capacity() - self.input.len() < wanted {
            self.make_room(wanted);
        }
        poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input)
    }

    /// Makes room behind what is there, in a larger buffer if need be.
    fn make_room(&mut self, wanted: usize) {
        if self.input.capacity() == 0 && wanted <= buffers::SIZE {
            self.input = buffers::take();
            return;
        }
        if self.input.try_reclaim(wanted) {
            return;
        }
        let size = self.input.len() + wanted;
        if size > 2 * buffers::SIZE {
            self.input.reserve(wanted);
            self.is_large = true;
            return;
        }
        let mut buffer = buffers::take_of(size.max(buffers::SIZE));
        buffer.extend_from_slice(&self.input);
        self.reads_into(buffer);
    }

    /// Gives the buffer back for another, but for one that has grown: what is there may be a small view of it.
    fn reads_into(&mut self, other: BytesMut) {
        let before = std::mem::replace(&mut self.input, other);
        if !std::mem::take(&mut self.is_large) {
            buffers::give(before);
        }
    }

    /// Gives the buffer back, if little or nothing is in it: a peer that stops within a frame holds no more than some times what it has sent.
    #[inline]
    fn release(&mut self) {
        if self.input.is_empty() && !self.is_large {
            buffers::give(std::mem::take(&mut self.input));
            return;
        }
        self.release_most();
    }

    fn release_most(&mut self) {
        if self.input.capacity() >= ROOM && self.input.len() <= self.input.capacity() / 4 {
            let left = match self.input.is_empty() {
                true => BytesMut::new(),
                false => BytesMut::from(&self.input[..]),
            };
            self.reads_into(left);
        }
    }

    /// Whether `poll_out` has anything to do.
    #[inline]
    fn has_to_write(&self) -> bool {
        self.is_writing() || self.pong.is_some()
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

    #[inline]
    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.pong.is_some() && self.has_room() {
                self.answers_last();
            }
            if self.out.len() == 0 {
                break;
            }
            ready!(self.out.poll_write(cx, &mut self.io))?;
            self.moved = true;
        }
        if self.out.is_writing() {
            ready!(self.out.poll_flush(cx, &mut self.io))?;
            self.moved = true;
        }
        self.out.release();
        Poll::Ready(Ok(()))
    }

    /// Answers the ping that had to wait.
    #[cold]
    fn answers_last(&mut self) {
        if let Some(payload) = self.pong.take() {
            self.encoder.pong(&payload, self.out.buffer());
        }
    }

    /// Takes the message once there is room, and writes it.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), Error>> {
        if message.is_some() {
            ready!(self.poll_ready(cx))?;
        }
        if let Some(message) = message.take() {
            drop(self.start_send(message).map_err(Error::unsent)?);
        }
        self.poll_flush(cx)
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

    /// Takes a message to be written, and gives back of it what is not needed any more; or all of it, if the socket is closed.
    pub(super) fn start_send(&mut self, message: Message) -> Result<Option<Bytes>, Message> {
        if self.life != Life::Open {
            return Err(message);
        }
        self.tally.sent();
        Ok(self.takes(message))
    }

    /// The same; a long one goes from where it is.
    fn takes(&mut self, message: Message) -> Option<Bytes> {
        if self.out.takes_apart(message.payload().len())
            && self.encoder.head_alone(&message, self.out.buffer())
        {
            self.out.then(message.into_payload());
            return None;
        }
        self.encoder.message(&message, self.out.buffer());
        Some(message.into_payload())
    }

    /// Takes a message if there is room, and writes what the connection takes at once. What is not needed of it any more comes back.
    pub(super) fn try_send(
        &mut self,
        message: Message,
        writes: &Waker,
    ) -> Result<Option<Bytes>, TrySendError> {
        let mut writes = Context::from_waker(writes);
        if self.life == Life::Open && !self.has_room() {
            // That it fails is found by who sends or receives next.
            let _ = self.poll_out(&mut writes);
            if !self.has_room() {
                return Err(TrySendError::full(message));
            }
        }
        let left = self.start_send(message).map_err(TrySendError::closed)?;
        // As above.
        let _ = self.poll_out(&mut writes);
        Ok(left)
    }

    /// Writes all that was taken, for as long as the peer takes some of it.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.life == Life::Ended && self.is_writing() {
            return Poll::Ready(Err(Error::closed()));
        }
        if let Poll::Ready(done) = self.poll_out(cx) {
            if self.stalled_at.take().is_some() {
                self.stalled.disarm();
            }
            return Poll::Ready(done.map_err(Error::io));
        }
        let Some(patience) = self.beat.patience() else {
            return Poll::Pending;
        };
        if self.stalled_at != Some(self.out.written()) {
            self.stalled_at = Some(self.out.written());
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

#[cfg(test)]
mod tests {
    use super::*;
    use blitz_io::io::{AsyncWriteExt, DuplexStream, duplex};

    fn socket() -> (State, DuplexStream) {
        let (ours, theirs) = duplex(1 << 20);
        let io = Upgraded::new(ours, Bytes::new(), None);
        let parts = Parts {
            agreed: Agreed::default(),
            slow: Slow::Latest,
            wire: Wire::Plain,
        };
        let state = State::new(io, Role::Server, parts, Config::default());
        (state, theirs)
    }

    /// A client's message of so many bytes.
    fn message(len: usize) -> BytesMut {
        let mut wire = BytesMut::new();
        Encoder::client(|| [1, 2, 3, 4]).message(&Message::binary(vec![0; len]), &mut wire);
        wire
    }

    fn poll(state: &mut State) -> Option<usize> {
        match state.poll_next(&mut Context::from_waker(Waker::noop()), Waker::noop()) {
            Poll::Ready(Some(Ok(message))) => Some(message.payload().len()),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => None,
        }
    }

    /// Ten thousand silent sockets are ten thousand of these.
    #[test]
    fn a_socket_is_small() {
        let size = size_of::<State>();
        assert!(size <= 1024, "{size} bytes");
    }

    #[blitz_io::test(start_paused = true)]
    async fn who_stops_within_a_frame_holds_little_of_a_buffer() {
        let (mut state, mut peer) = socket();
        let wire = message(100_000);
        let mut sent = 0;
        for upto in [1, 2, 20, 300, 3000, 20_000, 50_000, 100_013] {
            peer.write_all(&wire[sent..upto]).await.expect("sent");
            sent = upto;
            assert_eq!(poll(&mut state), None);
            let holds = state.input.capacity();
            let trusted = if upto <= 3000 { 0 } else { TRUSTED + 2 * SLACK };
            let most = (4 * upto).max(upto + trusted);
            assert!(holds <= most, "{holds} bytes for {upto}");
        }
        peer.write_all(&wire[sent..]).await.expect("sent");
        assert_eq!(poll(&mut state), Some(100_000));
        assert_eq!(poll(&mut state), None);
        assert_eq!(state.input.capacity(), 0, "and then nothing");
    }

    /// The second time it is known how long they are.
    #[blitz_io::test(start_paused = true)]
    async fn a_frame_of_the_usual_length_comes_by_one_read() {
        let (mut state, mut peer) = socket();
        let wire = message(16 * 1024);
        for _ in 0..3 {
            peer.write_all(&wire).await.expect("sent");
            assert_eq!(poll(&mut state), Some(16 * 1024));
            assert_eq!(poll(&mut state), None);
        }
        peer.write_all(&wire).await.expect("sent");
        let read = state.poll_read(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(read, Poll::Ready(Ok(n)) if n == wire.len()));
    }
}
