//! A connection without its service: bytes in, requests out, responses in, bytes out. What is here knows no handler's types.

use super::file::Sending;
use super::out::Out;
use super::socket;
use super::standing::Standing;
use super::waits::Waits;
use super::watch::{Seen, Watch};
use crate::counters::{Phase, add};
use crate::handle::Seat;
use crate::incoming::{Channel, Demand, Incoming};
use crate::peer::Ends;
use crate::upgrade::{Offer, Upgraded};
use crate::{Body, Error, Handle, Request, buffers};
use blitz_http_proto::{
    BodyEncoder, Framing, HttpDate, ReceivedHead, RequestDecoder, RequestEvent,
};
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use blitz_io::time::Instant;
use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use http_body::Frame;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is written before it is known whether more follows; what a client that does not read may make us keep.
pub(super) const HIGH: usize = 64 * 1024;
/// Of a body that nobody wants, so much is read so that the connection can go on.
pub(super) const DISCARD_MAX: u64 = 256 * 1024;
/// After the last answer, so much is read before the connection is closed on a client that still sends.
const LINGER_MAX: u64 = 1024 * 1024;

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Serving,
    /// No request follows; what is to be written is.
    Flushing,
    /// The client is told that nothing follows.
    Ending,
    /// The client is given time to read the last answer, and to close.
    Lingering,
    Ended,
}

/// The request that is being served.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep: bool,
    /// Nothing more is to come of it: it has no body, and asks for no other protocol.
    pub(super) plain: bool,
    /// The client waits for `100 Continue`.
    pub(super) expects: bool,
    pub(super) offer: Option<Offer>,
    pub(super) channel: Option<Arc<Channel>>,
    pub(super) seen: Demand,
    pub(super) body_taken: bool,
    pub(super) discarded: u64,
    /// The body takes bytes that have not come.
    pub(super) starved: bool,
    /// There is nothing to learn by looking at the client.
    pub(super) unwatched: bool,
    /// The body was refused so.
    pub(super) refused: Option<StatusCode>,
    pub(super) head_sent: bool,
    pub(super) encoder: Option<BodyEncoder>,
    pub(super) upgrading: bool,
}

impl Turn {
    #[inline]
    pub(super) fn new(head: ReceivedHead, keep: bool, request: &Request) -> Turn {
        Turn {
            keep,
            plain: head.framing == Framing::None && !head.upgrade,
            expects: head.expects_continue,
            offer: None,
            channel: None,
            seen: Demand::None,
            body_taken: head.framing == Framing::None,
            discarded: 0,
            starved: false,
            unwatched: false,
            refused: None,
            head_sent: false,
            encoder: None,
            upgrading: false,
            version: request.version(),
            method: request.method().clone(),
        }
    }
}

/// A connection that is about to be served: whose it is, its place, and bytes that came already.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) ends: Ends,
    pub(crate) seat: Seat,
    pub(crate) ahead: BytesMut,
}

#[derive(Debug)]
pub(super) struct Core<I> {
    pub(super) io: Option<I>,
    pub(super) life: Life,
    pub(super) turn: Option<Turn>,
    pub(super) decoder: RequestDecoder,
    pub(super) input: BytesMut,
    pub(super) out: Out,
    /// What the kernel sends behind `out`.
    pub(super) file: Option<Box<Sending>>,
    pub(super) eof: bool,
    pub(super) blocked: bool,
    pub(super) unflushed: bool,
    pub(super) lingered: u64,
    pub(super) requests: u64,
    /// Those of them that the server has not counted yet.
    uncounted: u32,
    /// The date of the answers of this poll.
    pub(super) date: Option<HttpDate>,
    pub(super) waits: Waits,
    pub(super) handle: Handle,
    pub(super) ends: Ends,
    pub(super) seat: Option<Seat>,
    /// What the seat was told last.
    told: Option<Phase>,
    /// When the connection has become old.
    leaves: Option<Instant>,
    pub(super) watch: Option<Watch<I>>,
    /// While it is polled: the request that its client asks again.
    pub(super) standing: Option<Box<Standing>>,
    /// Its handler is looking at that one.
    pub(super) looks: bool,
    /// Why nothing can be read any more, while there are answers to be written.
    pub(super) failed: Option<io::Error>,
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Core<I> {
    pub(super) fn new(io: I, handle: &Handle, arrived: Arrived) -> Core<I> {
        Core {
            io: Some(io),
            life: Life::Serving,
            turn: None,
            decoder: RequestDecoder::new(handle.config().limits),
            input: arrived.ahead,
            out: Out::default(),
            file: None,
            eof: false,
            blocked: false,
            unflushed: false,
            lingered: 0,
            requests: 0,
            uncounted: 0,
            date: None,
            waits: Waits::default(),
            seat: Some(arrived.seat),
            told: None,
            handle: handle.clone(),
            ends: arrived.ends,
            leaves: old_at(handle.config().connection_age),
            watch: None,
            standing: None,
            looks: false,
            failed: None,
        }
    }

    /// Whether there is anything that a request could be made of, or an end that has to be seen.
    #[inline]
    pub(super) fn may_have_request(&self) -> bool {
        !self.input.is_empty() || self.eof
    }

    /// The next request, if all of its head is here: `true`, and `request`, which may have been used, is it.
    pub(super) fn next_request(&mut self, request: &mut Request) -> bool {
        let error = match self.decoder.decode_head(&mut self.input, request) {
            Ok(Some(head)) => {
                self.begin(head, request);
                return true;
            }
            Ok(None) if self.eof => match self.decoder.finish(&self.input) {
                Ok(()) => {
                    self.life = Life::Flushing;
                    return false;
                }
                Err(error) => error,
            },
            Ok(None) => return false,
            Err(error) => {
                add(&self.handle.counters().refused);
                // Views of what was read: they must not hold its memory.
                (*request.uri_mut(), *request.headers_mut()) = Default::default();
                error
            }
        };
        self.refuse(error.status(), &error.to_string());
        false
    }

    #[inline]
    fn begin(&mut self, head: ReceivedHead, request: &mut Request) {
        self.count_request();
        let keep = head.keep_alive && !self.leaves();
        self.name_client(request);
        let turn = self.turn.insert(Turn::new(head, keep, request));
        if head.upgrade {
            let (offer, wish) = Offer::new();
            turn.offer = Some(offer);
            request.extensions_mut().insert(wish);
            if turn.body_taken {
                self.decoder.pause();
            }
        }
        if !turn.body_taken {
            let length = match head.framing {
                Framing::Length(length) => Some(length),
                _ => None,
            };
            let channel = Channel::new(self.handle.config().body_bytes, length);
            turn.channel = Some(Arc::clone(&channel));
            if let Some(length) = length.filter(|_| !head.upgrade) {
                self.take_whole_body(length, &channel);
            }
            *request.body_mut() = Body::incoming(Incoming(channel));
        } else {
            // What was there is nothing: there is nothing to free.
            let nothing = Body::none(head.kept);
            std::mem::forget(std::mem::replace(request.body_mut(), nothing));
        }
    }

    /// If a body of `length` bytes is here and no larger than the server allows, it is given to its reader at once: nobody needs to ask for it.
    fn take_whole_body(&mut self, length: u64, channel: &Channel) {
        let is_here = usize::try_from(length).is_ok_and(|length| length <= self.input.len());
        if !is_here || length > self.handle.config().body_bytes {
            return;
        }
        self.decoder.set_body_limit(length);
        let Ok(Some(RequestEvent::Data(data))) = self.decoder.decode(&mut self.input) else {
            unreachable!("so many bytes are here, and a length is all that frames them");
        };
        let Ok(Some(RequestEvent::End)) = self.decoder.decode(&mut self.input) else {
            unreachable!("all of its bytes were here");
        };
        channel.whole(data);
        if let Some(turn) = &mut self.turn {
            (turn.body_taken, turn.expects) = (true, false);
        }
    }

    /// A request has begun.
    #[inline]
    pub(super) fn count_request(&mut self) {
        self.uncounted += 1;
        self.requests += 1;
        self.waits.begin_request();
    }

    /// Whether this request is the last one that is taken.
    fn leaves(&self) -> bool {
        self.requests >= self.handle.config().requests_max || self.is_old()
    }

    /// Whether the next request is the last one that is taken.
    #[inline]
    pub(super) fn is_last(&self) -> bool {
        self.requests.saturating_add(1) >= self.handle.config().requests_max || self.is_old()
    }

    #[inline]
    fn is_old(&self) -> bool {
        self.leaves.is_some_and(|at| Instant::now() >= at)
    }

    /// Gives the body's reader what it asks for, as far as it is here. `true` if that was anything.
    pub(super) fn pump(&mut self) -> bool {
        let Some(turn) = &mut self.turn else {
            return false;
        };
        turn.starved = false;
        if turn.body_taken {
            return false;
        }
        let Some(channel) = &turn.channel else {
            return false;
        };
        turn.seen = channel.demand();
        let Demand::Frame { limit } = turn.seen else {
            return false;
        };
        self.decoder.set_body_limit(limit);
        let event = self.decoder.decode(&mut self.input);
        let remaining = self.decoder.body().and_then(|body| body.remaining());
        match event {
            Ok(Some(RequestEvent::Data(data))) => channel.frame(Frame::data(data), remaining),
            Ok(Some(RequestEvent::Trailers(map))) => channel.frame(Frame::trailers(map), remaining),
            Ok(Some(RequestEvent::End)) => {
                channel.end();
                self.body_is_taken();
            }
            Ok(Some(RequestEvent::Head(_))) => unreachable!("a body has no head in it"),
            Ok(None) if self.eof => self.body_fails(blitz_http_proto::Error::truncated()),
            Ok(None) => {
                if std::mem::take(&mut turn.expects) && !turn.head_sent {
                    self.out
                        .tail()
                        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                turn.starved = true;
                return false;
            }
            Err(error) => self.body_fails(error),
        }
        true
    }

    fn body_is_taken(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.body_taken = true;
            if turn.offer.is_some() {
                self.decoder.pause();
            }
        }
    }

    fn body_fails(&mut self, error: blitz_http_proto::Error) {
        if !error.is_truncated() {
            add(&self.handle.counters().refused);
        }
        if let Some(turn) = &mut self.turn {
            turn.refused = Some(error.status());
            turn.body_taken = true;
            turn.keep = false;
            if let Some(channel) = &turn.channel {
                channel.fail(Error::message(error));
            }
        }
    }

    /// The answer is on its way, and the body may not have been read: sees to that. `true` while there is something to do at once.
    pub(super) fn after_answer(&mut self) -> bool {
        self.hear_of_refusal();
        let Some(turn) = &mut self.turn else {
            return false;
        };
        if turn.upgrading {
            return false;
        }
        if !turn.keep {
            self.life = Life::Flushing;
            return true;
        }
        if turn.body_taken {
            if turn.offer.is_some() {
                // It was not accepted: what follows is HTTP.
                self.decoder.resume();
            }
            self.turn = None;
            return true;
        }
        let gone = turn
            .channel
            .as_ref()
            .is_none_or(|channel| channel.demand() == Demand::Gone);
        if !gone {
            return self.pump();
        }
        turn.seen = Demand::Gone;
        self.decoder.set_body_limit(u64::MAX);
        match self.decoder.decode(&mut self.input) {
            Ok(Some(RequestEvent::Data(data))) => {
                turn.discarded += data.len() as u64;
                if turn.discarded > DISCARD_MAX {
                    self.life = Life::Flushing;
                }
            }
            Ok(Some(RequestEvent::End)) => self.body_is_taken(),
            Ok(Some(_)) => {}
            Ok(None) if !self.eof => {
                turn.starved = true;
                return false;
            }
            Ok(None) | Err(_) => self.life = Life::Flushing,
        }
        true
    }

    /// Tells the server how many requests were begun: once for many that came together.
    pub(super) fn count_requests(&mut self) {
        if self.uncounted > 0 {
            self.handle.counters().add_requests(self.uncounted);
            self.uncounted = 0;
        }
    }

    /// Writes what there is. `true` if anything went.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        self.blocked = false;
        if self.out.is_empty() && !self.unflushed {
            return Ok(false);
        }
        let Some(io) = &mut self.io else {
            return Ok(false);
        };
        // What is to go before the kernel is asked for something else is given to it now, and not with other connections' answers.
        let at_once = self.life != Life::Serving || self.file.is_some();
        let mut progress = false;
        while !self.out.is_empty() {
            let wrote = match socket::batched(io).filter(|_| at_once) {
                Some(io) => match io.poll_sent(cx)? {
                    Poll::Ready(()) => self.out.poll_write(io.get_mut(), cx),
                    Poll::Pending => Poll::Pending,
                },
                None => self.out.poll_write(io, cx),
            };
            match wrote {
                Poll::Ready(n) => self.waits.to_client.count(n?),
                Poll::Pending => {
                    self.blocked = true;
                    return Ok(progress);
                }
            }
            (progress, self.unflushed) = (true, true);
        }
        // Of these the driver takes care, and what became of it is asked before the connection waits.
        let flushed = match socket::batched(io) {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(io).poll_flush(cx),
        };
        match flushed {
            Poll::Ready(flushed) => {
                flushed?;
                self.unflushed = false;
                Ok(true)
            }
            Poll::Pending => {
                self.blocked = true;
                Ok(progress)
            }
        }
    }

    /// Whether all that was to be written has gone.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty() && !self.unflushed && self.file.is_none()
    }

    /// Reads, where bytes are needed. `true` if something came, or the end.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let wanted = match (&self.turn, self.life) {
            // Requests whose answers nobody takes wait in the kernel.
            (None, Life::Serving) => self.out.len() < HIGH,
            (Some(turn), Life::Serving) => turn.starved,
            (_, Life::Lingering) => true,
            _ => false,
        };
        let Some(io) = self.io.as_mut().filter(|_| wanted && !self.eof) else {
            return Ok(false);
        };
        if self.input.capacity() == 0 {
            self.input = buffers::take();
        } else if self.input.capacity() - self.input.len() < 1024 {
            self.input.reserve(buffers::SIZE);
        }
        let Poll::Ready(n) = pin!(io.read_buf(&mut self.input)).poll(cx) else {
            return Ok(false);
        };
        let n = match n {
            Ok(n) => n,
            // What was asked before is answered: to a client of TLS, say, that ended without saying so.
            Err(error) if self.turn.is_none() && !self.is_flushed() => {
                self.failed = Some(error);
                0
            }
            Err(error) => return Err(error),
        };
        self.eof = n == 0;
        if self.turn.is_some() {
            self.waits.from_client.count(n);
        }
        if self.life == Life::Lingering {
            self.input.clear();
            self.lingered += n as u64;
        }
        Ok(true)
    }

    /// The steps after the last answer. `true` if one was taken.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match self.life {
            Life::Flushing if self.is_flushed() => match self.is_sent(cx)? {
                true => self.life = Life::Ending,
                false => return Ok(false),
            },
            Life::Ending => {
                let Some(io) = &mut self.io else {
                    return Ok(false);
                };
                match Pin::new(io).poll_shutdown(cx) {
                    Poll::Ready(end) => end?,
                    Poll::Pending => return Ok(false),
                }
                self.input.clear();
                self.life = Life::Lingering;
            }
            Life::Lingering if self.eof || self.lingered > LINGER_MAX => self.life = Life::Ended,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the connection waits for now.
    pub(super) fn phase(&self) -> Phase {
        match (self.life, &self.turn) {
            (Life::Ending | Life::Lingering | Life::Ended, _) => Phase::Linger,
            _ if self.blocked => Phase::Response,
            (_, Some(turn)) if turn.starved => Phase::Body,
            (_, Some(_)) => Phase::Handler,
            (_, None) if self.input.is_empty() && self.requests > 0 => Phase::Idle,
            (_, None) => Phase::Head,
        }
    }

    /// Waits, and answers or ends when that takes too long. `true` if it did.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let phase = self.phase();
        if let Some(seat) = self.seat.as_ref().filter(|_| self.told != Some(phase)) {
            // Memory of its own, which a busy connection has no other reason to touch.
            seat.is_in(phase);
            self.told = Some(phase);
        }
        let timeouts = &self.handle.config().timeouts;
        let begun = self.turn.as_ref().is_some_and(|turn| turn.head_sent);
        let timed = match phase {
            // An answer that has begun takes its time, as an upgraded stream does.
            Phase::Handler if begun => Phase::Upgraded,
            phase => phase,
        };
        let Poll::Ready(fired) = self.waits.poll(cx, timed, self.requests, timeouts) else {
            if self.input.is_empty() && self.input.capacity() > 0 {
                buffers::give(std::mem::take(&mut self.input));
            }
            self.out.release();
            return false;
        };
        self.handle.counters().timed_out(fired);
        match fired {
            Phase::Idle => self.life = Life::Flushing,
            // Nothing was said, so there is nothing to answer.
            Phase::Head if self.input.is_empty() => self.life = Life::Flushing,
            Phase::Head => self.refuse(StatusCode::REQUEST_TIMEOUT, ""),
            Phase::Body | Phase::BodyRate => {
                let sent = self.turn.as_ref().is_some_and(|turn| turn.head_sent);
                self.give_up_body();
                if sent {
                    self.life = Life::Ended;
                } else {
                    self.refuse(StatusCode::REQUEST_TIMEOUT, "");
                }
            }
            Phase::Handler => {
                self.give_up_body();
                self.refuse(StatusCode::SERVICE_UNAVAILABLE, "");
            }
            _ => self.life = Life::Ended,
        }
        true
    }

    /// Whether the client has gone away while its answer is being made; if not, the task is woken when it does, as far as that can be known.
    pub(super) fn client_is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(watch), Some(io), Some(turn)) = (self.watch, &mut self.io, &mut self.turn) else {
            return false;
        };
        // A read or a write that waits hears of it by itself.
        if turn.unwatched || turn.starved || self.blocked {
            return false;
        }
        let Poll::Ready(seen) = watch(io, cx) else {
            return false;
        };
        turn.unwatched = true;
        match seen {
            Seen::Data => false,
            Seen::End => !self.handle.config().half_close,
            Seen::Gone => true,
        }
    }

    /// Tells the body's reader that the connection is of no use any more.
    pub(super) fn give_up_body(&mut self) {
        if let Some(turn) = &mut self.turn
            && !turn.body_taken
        {
            turn.body_taken = true;
            if let Some(channel) = &turn.channel {
                channel.fail(Error::gone());
            }
        }
    }

    /// The connection is about to poll its service.
    pub(super) fn poll_begins(&mut self) {
        self.date = None;
        if let Some(channel) = self.turn.as_ref().and_then(|turn| turn.channel.as_ref()) {
            channel.poll_begins();
        }
    }

    /// The connection is about to wait. `true` if a body's reader has asked for something meanwhile.
    pub(super) fn poll_ends(&mut self, cx: &Context<'_>) -> bool {
        match &mut self.turn {
            Some(Turn {
                channel: Some(channel),
                seen,
                body_taken: false,
                ..
            }) => {
                let now = channel.poll_ends(cx.waker());
                std::mem::replace(seen, now) != now
            }
            _ => false,
        }
    }

    /// Between two requests, with nothing begun.
    pub(super) fn is_between(&self) -> bool {
        self.life == Life::Serving && self.turn.is_none() && self.input.is_empty()
    }
}

/// When a connection that begins now is as old as it may be: a tenth sooner or later.
fn old_at(age: Duration) -> Option<Instant> {
    if age == Duration::MAX {
        return None;
    }
    // The standard library's source of chance, between 0.9 and 1.1.
    let chance = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    let age = Duration::try_from_secs_f64(age.as_secs_f64() * (0.9 + chance / 5.0));
    Instant::now().checked_add(age.ok()?)
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Core<I> {
    /// Hands the stream to who asked for another protocol, once the head that says so is gone. `true` if that is done.
    #[inline]
    pub(super) fn hand_over(&mut self) -> bool {
        if !self.turn.as_ref().is_some_and(|turn| turn.upgrading) || !self.is_flushed() {
            return false;
        }
        let Some(turn) = &mut self.turn else {
            return false;
        };
        if let (Some(offer), Some(mut io)) = (turn.offer.take(), self.io.take()) {
            socket::forget_task(&mut io);
            let seat = self.seat.take();
            offer.accept(Upgraded::new(
                io,
                std::mem::take(&mut self.input).freeze(),
                seat,
            ));
        }
        self.life = Life::Ended;
        true
    }
}
