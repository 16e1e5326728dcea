//! One request and its response on one connection, driven by whoever waits for the response.
//!
//! Sending and receiving go on together: a server may answer before it has read everything, and a body may be made of what is
//! answered. Nothing here outlives its owner: dropped, the connection is closed.

use super::error::Kind;
use super::pool::Lease;
use super::timing::{Phase, Watch};
use crate::conn::out::Out;
use crate::{Body, Upgraded, buffers};
use blitz_http_proto::{
    BodyEncoder, Limits, ReceivedResponse, RequestHead, ResponseDecoder, ResponseEvent, Target,
};
use blitz_io::io::AsyncWrite;
use blitz_io::time::{Instant, Sleep, sleep_until};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes that wait to be sent before no more of the body is asked for.
const HIGH: usize = 64 * 1024;
/// Bytes after which a response counts as large.
const LARGE: u64 = 128 * 1024;
/// Writes before it is looked whether something came.
const WRITES_A_TURN: usize = 8;

/// What is told of heads that only inform.
pub(super) type Informed = Arc<dyn Fn(StatusCode, &HeaderMap) + Send + Sync>;

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: &'a Method,
    pub(super) target: Target<'a>,
    pub(super) headers: &'a HeaderMap,
    /// The body waits for `100 Continue`.
    pub(super) expects: bool,
    /// The connection is for this alone.
    pub(super) closes: bool,
    pub(super) to_proxy: bool,
    pub(super) body: Body,
    pub(super) informed: Option<Informed>,
}

/// An exchange that is going on.
pub(super) struct Exchange {
    wire: Lease,
    decoder: ResponseDecoder,
    out: Out,
    flushed: bool,
    body: Body,
    encoder: BodyEncoder,
    upload: Upload,
    answer: Answer,
    /// The connection goes on after this, as far as both sides have said.
    keep: bool,
    sent: u64,
    received: u64,
    waits: Waits,
    pub(super) watch: Watch,
    informed: Option<Informed>,
}

#[derive(Debug)]
enum Upload {
    /// The body waits for `100 Continue`, until then.
    Held(Option<Instant>),
    Going,
    /// All of it was handed over.
    Done,
    /// The server takes no more: what it answered may be there nevertheless.
    Refused(io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Head,
    Body,
    Ended,
}

/// What comes of an exchange behind its head.
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// How a turn of sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// It waits for the connection or the body, or there is nothing to do.
    Blocked,
    More,
}

impl Exchange {
    pub(super) fn new(wire: Lease, ask: Ask<'_>, limits: Limits, watch: Watch) -> Exchange {
        let mut decoder = ResponseDecoder::new(limits);
        decoder.asked(ask.method);
        let mut out = Out::default();
        let length = ask.body.size_hint().exact();
        let head = RequestHead {
            method: ask.method,
            target: ask.target,
            headers: ask.headers,
            length,
            to_proxy: ask.to_proxy,
        };
        let encoder = head.write(out.tail());
        let upload = if !encoder.sends() {
            Upload::Done
        } else if ask.expects {
            Upload::Held(Instant::now().checked_add(watch.timeouts.expect))
        } else {
            Upload::Going
        };
        Exchange {
            wire,
            decoder,
            out,
            flushed: false,
            body: ask.body,
            encoder,
            upload,
            answer: Answer::Head,
            keep: !ask.closes,
            sent: 0,
            received: 0,
            waits: Waits::default(),
            watch,
            informed: ask.informed,
        }
    }

    /// Whether nothing of the response has come.
    pub(super) fn is_unanswered(&self) -> bool {
        self.received == 0
    }

    /// Whether nothing of the request has left.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent == 0
    }

    /// Whether the connection was there before: the server may have been about to close it.
    pub(super) fn is_reused(&self) -> bool {
        self.watch.timings.reused
    }

    pub(super) fn peer(&self) -> Option<std::net::SocketAddr> {
        self.wire.peer
    }

    /// Whether all of the request has left.
    fn is_sent(&self) -> bool {
        matches!(self.upload, Upload::Done) && self.out.is_empty() && self.flushed
    }

    /// The response's head.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ReceivedResponse, Kind>> {
        loop {
            return Poll::Ready(match self.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(kind)) => Err(kind),
                Poll::Ready(Ok(ResponseEvent::Head(head))) => {
                    self.answer = Answer::Body;
                    self.keep &= head.keep_alive;
                    self.waits.since = None;
                    if self.watch.phase == Phase::Send {
                        self.watch.enter(Phase::Head);
                    }
                    self.watch.enter(Phase::Body);
                    if let Upload::Held(_) = self.upload {
                        // It was answered without its body, which is not sent any more.
                        self.upload = Upload::Refused(io::ErrorKind::Other.into());
                        self.keep = false;
                    }
                    Ok(head)
                }
                // Nothing else comes before a head.
                Poll::Ready(Ok(_)) => continue,
            });
        }
    }

    /// More of the response.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Kind>> {
        if self.answer == Answer::Ended {
            return Poll::Ready(Ok(Piece::End));
        }
        match self.poll_event(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(kind)) => Poll::Ready(Err(kind)),
            Poll::Ready(Ok(event)) => {
                self.waits.since = None;
                Poll::Ready(Ok(match event {
                    ResponseEvent::Data(data) => Piece::Data(data),
                    ResponseEvent::Trailers(fields) => Piece::Trailers(fields),
                    _ => {
                        self.end();
                        Piece::End
                    }
                }))
            }
        }
    }

    fn end(&mut self) {
        if self.answer != Answer::Ended {
            self.answer = Answer::Ended;
            self.watch.stop();
        }
    }

    /// Takes to the end what has come already, without waiting, so that a response that is there does not cost its connection.
    pub(super) fn settle(&mut self) -> bool {
        while self.answer == Answer::Body {
            match self.decoder.decode(&mut self.wire.input) {
                Ok(Some(ResponseEvent::End)) => self.end(),
                Ok(Some(ResponseEvent::Data(_) | ResponseEvent::Trailers(_))) => {}
                _ => return false,
            }
        }
        self.answer == Answer::Ended
    }

    /// Gives the connection back, for another exchange if it may carry one.
    pub(super) fn give_back(mut self) {
        let clean = self.answer == Answer::Ended
            && self.keep
            && self.is_sent()
            && self.wire.input.is_empty();
        if clean {
            self.out.release();
            self.wire.release();
            self.wire.served += 1;
            self.wire.is_clean = true;
        }
    }

    /// The connection for another protocol, with what has come of it. It is no HTTP connection any more, and counts as none.
    pub(super) fn into_upgraded(self) -> Upgraded {
        let wire = self.wire.detach();
        Upgraded::new(wire.io, wire.input.freeze(), None)
    }

    /// Sends what there is. An error is the body's: that the connection fails is found by reading.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<Sent, Kind> {
        let mut writes = 0;
        loop {
            while matches!(self.upload, Upload::Going) && self.out.len() < HIGH {
                let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                    break;
                };
                self.take(frame)?;
            }
            if self.out.is_empty() {
                break;
            }
            if writes == WRITES_A_TURN {
                return Ok(Sent::More);
            }
            writes += 1;
            match self.out.poll_write(&mut self.wire.io, cx) {
                Poll::Pending => return Ok(Sent::Blocked),
                Poll::Ready(Ok(n)) => {
                    self.sent += n as u64;
                    self.flushed = false;
                    self.waits.since = None;
                }
                Poll::Ready(Err(error)) => {
                    self.refused(error);
                    return Ok(Sent::Blocked);
                }
            }
        }
        if !self.flushed && !matches!(self.upload, Upload::Refused(_)) {
            match Pin::new(&mut self.wire.io).poll_flush(cx) {
                Poll::Pending => return Ok(Sent::Blocked),
                Poll::Ready(Ok(())) => self.flushed = true,
                Poll::Ready(Err(error)) => self.refused(error),
            }
        }
        if self.watch.phase == Phase::Send && self.is_sent() {
            self.waits.since = Some(self.watch.enter(Phase::Head));
            self.out.release();
        }
        Ok(Sent::Blocked)
    }

    fn refused(&mut self, error: io::Error) {
        self.keep = false;
        self.out = Out::default();
        self.body = Body::empty();
        self.upload = Upload::Refused(error);
        if self.watch.phase == Phase::Send {
            self.watch.enter(Phase::Head);
            self.waits.since = None;
        }
    }

    /// The next frame of the request's body goes out.
    fn take(
        &mut self,
        frame: Option<Result<http_body::Frame<Bytes>, crate::Error>>,
    ) -> Result<(), Kind> {
        match frame
            .transpose()
            .map_err(|error| Kind::Upload(error.into()))?
        {
            None => self.finish(None),
            Some(frame) => match frame.into_data() {
                Ok(data) if data.is_empty() => Ok(()),
                Ok(data) => {
                    let before = self.encoder.before(data.len(), self.out.tail());
                    before.map_err(Kind::UploadLength)?;
                    self.out.push(data);
                    self.encoder.after(self.out.tail());
                    Ok(())
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().ok();
                    self.finish(trailers.as_ref())
                }
            },
        }
    }

    fn finish(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Kind> {
        let finished = self.encoder.finish(trailers, self.out.tail());
        finished.map_err(Kind::UploadLength)?;
        self.upload = Upload::Done;
        Ok(())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseEvent, Kind>> {
        loop {
            let sent = self.send(cx)?;
            match self.decoder.decode(&mut self.wire.input) {
                Err(error) => return Poll::Ready(Err(Kind::Message(error))),
                Ok(Some(ResponseEvent::Informational(head))) => {
                    if head.status == StatusCode::CONTINUE
                        && let Upload::Held(_) = self.upload
                    {
                        self.upload = Upload::Going;
                    }
                    if let Some(informed) = &self.informed {
                        informed(head.status, &head.headers);
                    }
                    continue;
                }
                Ok(Some(event)) => return Poll::Ready(Ok(event)),
                Ok(None) => {}
            }
            match self.wire.poll_read(cx, expected(self.received)) {
                Poll::Ready(Ok(0)) => self.ended()?,
                Poll::Ready(Ok(n)) => self.received += n as u64,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.failed(error))),
                Poll::Pending if sent == Sent::More => {}
                Poll::Pending => {
                    if self.wire.input.is_empty() {
                        self.wire.release();
                    }
                    if !self.wait(cx)? {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// The server will send no more.
    fn ended(&mut self) -> Result<(), Kind> {
        self.keep = false;
        match self.decoder.finish(&self.wire.input) {
            // The body ended so.
            Ok(true) => Ok(()),
            Ok(false) => Err(Kind::Closed),
            Err(_) if self.received == 0 => Err(self.closed()),
            Err(error) => Err(Kind::Message(error)),
        }
    }

    fn closed(&mut self) -> Kind {
        match std::mem::replace(&mut self.upload, Upload::Done) {
            Upload::Refused(error) if error.kind() != io::ErrorKind::Other => Kind::Io(error),
            _ => Kind::Closed,
        }
    }

    fn failed(&mut self, error: io::Error) -> Kind {
        self.keep = false;
        Kind::of_io(error, Kind::Io)
    }

    /// Nothing moves. `true` if that has lasted long enough for something to be done.
    fn wait(&mut self, cx: &mut Context<'_>) -> Result<bool, Kind> {
        let since = *self.waits.since.get_or_insert_with(Instant::now);
        if let Upload::Held(until) = self.upload
            && self.out.is_empty()
        {
            let now = Instant::now();
            let deadline = self.watch.deadline;
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(self.watch.until(since, Phase::Send).1);
            }
            let next = [until, deadline].into_iter().flatten().min();
            if until.is_some_and(|until| until <= now) || self.waits.poll(cx, next) {
                self.upload = Upload::Going;
                return Ok(true);
            }
            return Ok(false);
        }
        let (until, late) = match self.watch.phase {
            // Who waits for the request's own body does not wait for the server.
            Phase::Send if self.out.is_empty() && self.flushed => {
                let limit = self.watch.timeouts.total;
                (self.watch.deadline, Kind::TotalTimeout { limit })
            }
            phase => self.watch.until(since, phase),
        };
        if self.waits.poll(cx, until) {
            return Err(late);
        }
        Ok(false)
    }
}

/// How much to read at a time: a response that was large so far goes on in large pieces.
fn expected(received: u64) -> usize {
    if received < LARGE {
        buffers::SIZE
    } else {
        4 * buffers::SIZE
    }
}

/// The timer of an exchange. It is set only where it would fire too late: one that fires early costs a look.
#[derive(Debug, Default)]
struct Waits {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Since when nothing has moved.
    since: Option<Instant>,
}

impl Waits {
    /// Whether `until` has come. If not, the task is woken then.
    fn poll(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> bool {
        let Some(until) = until else {
            return false;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() > until || sleep.is_elapsed() {
            sleep.as_mut().reset(until);
        }
        // Early: it is set anew, and then pending.
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= until {
                return true;
            }
            sleep.as_mut().reset(until);
        }
        false
    }
}
