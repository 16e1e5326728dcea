//! One request and its response on one connection, driven by whoever waits for the response.
//!
//! Sending and receiving go on together: a server may answer before it has read everything, and a body may be made of what is
//! answered. Nothing here outlives its owner: dropped, the connection is closed.

use super::error::Kind;
use super::pool::Lease;
use super::timing::{Phase, Watch};
use crate::conn::out::Out;
use crate::{Body, Upgraded, buffers};
use blitz_http_proto::{BodyEncoder, Limits, ReceivedResponse, RequestHead, ResponseEvent, Target};
use blitz_io::io::AsyncWrite;
use blitz_io::time::Instant;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes that wait to be sent before no more of the body is asked for.
const HIGH: usize = 64 * 1024;
/// The most that a read asks for.
const READ_MAX: usize = 512 * 1024;
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
    /// Of these, what had come when the head was whole.
    with_head: u64,
    /// What the next read asks for.
    reading: usize,
    /// Since when nothing has moved.
    since: Option<Instant>,
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
    pub(super) fn new(mut wire: Lease, ask: Ask<'_>, limits: Limits, watch: Watch) -> Exchange {
        wire.decoder.set_limits(limits);
        wire.decoder.asked(ask.method);
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
            out,
            flushed: false,
            body: ask.body,
            encoder,
            upload,
            answer: Answer::Head,
            keep: !ask.closes,
            sent: 0,
            received: 0,
            with_head: 0,
            reading: buffers::SIZE,
            since: None,
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
                    self.since = None;
                    self.with_head = self.received;
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
                self.since = None;
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
            if self.received == self.with_head {
                self.watch.stop_at_once();
            } else {
                self.watch.stop();
            }
        }
    }

    fn decode(&mut self) -> Result<Option<ResponseEvent>, blitz_http_proto::Error> {
        let wire = &mut **self.wire;
        wire.decoder.decode(&mut wire.input)
    }

    /// Takes to the end what has come already, without waiting, so that a response that is there does not cost its connection.
    pub(super) fn settle(&mut self) -> bool {
        while self.answer == Answer::Body {
            match self.decode() {
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
                    self.since = None;
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
            self.since = Some(self.watch.enter(Phase::Head));
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
            self.since = None;
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
            match self.decode() {
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
            match self.wire.poll_read(cx, self.reading) {
                Poll::Ready(Ok(0)) => self.ended()?,
                Poll::Ready(Ok(n)) => {
                    self.received += n as u64;
                    self.reading = reading(self.reading, n);
                }
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
        let wire = &mut **self.wire;
        match wire.decoder.finish(&wire.input) {
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
        let since = *self.since.get_or_insert_with(Instant::now);
        if let Upload::Held(until) = self.upload
            && self.out.is_empty()
        {
            let now = Instant::now();
            let deadline = self.watch.deadline;
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(self.watch.until(since, Phase::Send).1);
            }
            let next = [until, deadline].into_iter().flatten().min();
            if until.is_some_and(|until| until <= now) || self.wire.poll_late(cx, next) {
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
        if self.wire.poll_late(cx, until) {
            return Err(late);
        }
        Ok(false)
    }
}

/// How much to read at a time after a read of `offered` bytes brought `n`. What comes faster than it is read is taken in few large pieces: each read
/// has a price, the most of it for waking the server. What trickles in is not worth the memory.
fn reading(offered: usize, n: usize) -> usize {
    if n >= offered {
        (4 * offered).min(READ_MAX)
    } else if n < offered / 8 {
        (offered / 4).max(buffers::SIZE)
    } else {
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::{READ_MAX, reading};
    use crate::buffers;

    #[test]
    fn reads_grow_with_what_comes_and_shrink_again() {
        let mut offered = buffers::SIZE;
        let mut all = vec![offered];
        while offered < READ_MAX {
            offered = reading(offered, offered);
            all.push(offered);
        }
        assert_eq!(all, [16, 64, 256, 512].map(|kib| kib * 1024));
        assert_eq!(reading(READ_MAX, READ_MAX), READ_MAX);
        assert_eq!(reading(READ_MAX, READ_MAX / 2), READ_MAX);
        for _ in 0..4 {
            offered = reading(offered, 1000);
        }
        assert_eq!(offered, buffers::SIZE);
    }
}
