//! How answers begin: a handler's head, or an answer of our own.

use super::core::{Core, DISCARD_MAX, Life};
use super::out::Out;
use crate::counters::add;
use crate::incoming::Demand;
use crate::reply::Said;
use crate::{Answer, Body, spare};
use blitz_http_proto::{BodyEncoder, Error, Framing, HttpDate, ResponseHead, WrittenHeads};
use blitz_io::io::{AsyncRead, AsyncWrite};
use blitz_sys::cpu::unix_seconds;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use std::cell::{Cell, RefCell};

impl<I> Core<I> {
    /// Writes a response's head, and takes its map of fields back.
    #[inline]
    pub(super) fn respond<B>(&mut self, response: &mut Response<B>, length: Option<u64>) {
        let status = response.status();
        self.write_head(status, response.headers(), length);
        spare::give_map(response.headers_mut());
    }

    /// Whoever reads a body that came whole may have found it larger than it allows.
    #[inline]
    pub(super) fn hear_of_refusal(&mut self) {
        let Some(turn) = &mut self.turn else { return };
        let channel = turn.channel.as_ref().filter(|_| turn.body_taken);
        if turn.refused.is_none() && channel.is_some_and(|channel| channel.is_refused()) {
            add(&self.handle.counters().refused);
            turn.refused = Some(Error::body_too_large().status());
            turn.keep = false;
        }
    }

    fn write_head(&mut self, status: StatusCode, headers: &HeaderMap, length: Option<u64>) {
        let stopping = self.handle.is_stopping();
        let date = self.date();
        self.hear_of_refusal();
        let Some(turn) = &mut self.turn else { return };
        if let Some(status) = turn.refused.filter(|_| status.is_server_error()) {
            return self.answer(status, "");
        }
        let connected = turn.method == Method::CONNECT && status.is_success();
        let switched = status == StatusCode::SWITCHING_PROTOCOLS;
        if (switched && (turn.offer.is_none() || !turn.body_taken))
            || (status.is_informational() && !switched)
        {
            tracing::error!(
                status = status.as_u16(),
                "a handler gave a status that ends no request"
            );
            return self.answer(StatusCode::INTERNAL_SERVER_ERROR, "");
        }
        turn.upgrading = (switched || connected) && turn.body_taken;
        let left = self.decoder.body().map_or(Some(0), |body| body.remaining());
        let read = turn
            .channel
            .as_ref()
            .is_some_and(|channel| channel.demand() != Demand::Gone);
        // The body is going to be read while the answer goes out, so the client must not wait for the answer's end.
        if read && std::mem::take(&mut turn.expects) {
            self.out
                .tail()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let much = left.is_some_and(|left| left > DISCARD_MAX);
        let unread = !turn.body_taken && !read && (turn.expects || much);
        // A tunnel that was refused may have been used already.
        let refused_tunnel = turn.method == Method::CONNECT && !connected;
        let keep = turn.keep && !stopping && !unread && !refused_tunnel;
        let head = ResponseHead {
            status,
            headers,
            method: &turn.method,
            version: turn.version,
            length,
            keep_alive: keep,
            date,
        };
        let (encoder, keep) = write(&head, self.out.tail());
        turn.keep = keep;
        turn.head_sent = true;
        turn.encoder = Some(encoder);
        self.unflushed = true;
    }

    /// Tells the client something before its answer, if it knows what that is.
    pub(super) fn inform(&mut self, fields: &HeaderMap) {
        let Some(turn) = self.turn.as_ref().filter(|turn| !turn.head_sent) else {
            return;
        };
        if turn.version < Version::HTTP_11 {
            return;
        }
        ResponseHead {
            status: StatusCode::EARLY_HINTS,
            headers: fields,
            method: &turn.method,
            version: turn.version,
            length: None,
            keep_alive: true,
            date: None,
        }
        .write(self.out.tail());
        self.unflushed = true;
    }

    /// The date, where the server sends one: asked for once in a poll, whose answers go together.
    fn date(&mut self) -> Option<HttpDate> {
        if !self.handle.config().date {
            return None;
        }
        Some(*self.date.get_or_insert_with(now))
    }

    /// A response of our own, whole.
    pub(super) fn answer(&mut self, status: StatusCode, why: &str) {
        let mut status = status;
        let date = self.date();
        self.hear_of_refusal();
        let (method, version, keep) = match &self.turn {
            Some(turn) if turn.head_sent => return,
            Some(turn) => {
                if let Some(refused) = turn.refused {
                    status = refused;
                }
                let keep = turn.keep && (turn.body_taken || !turn.expects);
                (turn.method.clone(), turn.version, keep)
            }
            None => (Method::GET, Version::HTTP_11, false),
        };
        let text = match why {
            "" => status.canonical_reason().unwrap_or_default(),
            why => why,
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        let (encoder, keep) = ResponseHead {
            status,
            headers: &headers,
            method: &method,
            version,
            length: Some(text.len() as u64 + 1),
            keep_alive: keep && !self.handle.is_stopping(),
            date,
        }
        .write(self.out.tail());
        if encoder.sends() {
            self.out.push(Bytes::copy_from_slice(text.as_bytes()));
            self.out.push(Bytes::from_static(b"\n"));
        }
        self.unflushed = true;
        if let Some(turn) = &mut self.turn {
            turn.keep = keep;
            turn.head_sent = true;
            turn.encoder = Some(BodyEncoder::new(Framing::None));
        }
    }

    /// Answers what is no request, and takes no other.
    pub(super) fn refuse(&mut self, status: StatusCode, why: &str) {
        if let Some(turn) = &mut self.turn {
            turn.keep = false;
        }
        self.answer(status, why);
        self.life = Life::Flushing;
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Core<I> {
    /// Sends a response whose body is here: head and body at once. `true` while there is something to do at once.
    #[inline]
    pub(super) fn respond_whole(&mut self, response: &mut Response<Body>) -> bool {
        let Some(bytes) = response.body_mut().take_whole() else {
            return true;
        };
        if self.respond_plainly(response, &bytes) {
            spare::give_map(response.headers_mut());
            return true;
        }
        self.respond(response, Some(bytes.len() as u64));
        self.send_whole(bytes)
    }

    /// Whether nothing more is to come of the request whose turn it is.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.plain)
    }

    /// Sends an answer that is as most are, and was said before, behind which the connection goes on; to the request that stands if none has its
    /// turn. `false` if it is another; nothing has been done then.
    #[inline]
    pub(super) fn say(&mut self, answer: &Answer) -> bool {
        let Said::Typed { status, kind, body } = &answer.0 else {
            return false;
        };
        let (Some(date), Some(bytes), false) =
            (self.date(), body.whole(), self.handle.is_stopping())
        else {
            return false;
        };
        if let Some(turn) = &self.turn {
            let is_usual = turn.plain
                && turn.keep
                && turn.version == Version::HTTP_11
                && turn.method != Method::HEAD;
            if !is_usual {
                return false;
            }
        }
        let out = self.out.tail();
        let said = WRITTEN.try_with(|written| {
            let mut written = written.borrow_mut();
            written.write_typed(*status, kind, bytes.len() as u64, date, out)
        });
        // A thread that is ending has written nothing.
        if !said.unwrap_or(false) {
            return false;
        }
        self.out.push_bytes(bytes);
        self.unflushed = true;
        if self.turn.is_some() {
            self.turn = None;
        }
        true
    }

    /// Sends a short answer to a request of which nothing more is to come, behind which the connection may go on: as most are. `false` if
    /// it is none such; nothing has been done then.
    #[inline]
    fn respond_plainly(&mut self, response: &Response<Body>, bytes: &Bytes) -> bool {
        let (date, stopping) = (self.date(), self.handle.is_stopping());
        let Some(turn) = &mut self.turn else {
            return false;
        };
        let status = response.status();
        if !turn.plain || !turn.keep || stopping || status.is_informational() {
            return false;
        }
        let head = ResponseHead {
            status,
            headers: response.headers(),
            method: &turn.method,
            version: turn.version,
            length: Some(bytes.len() as u64),
            keep_alive: true,
            date,
        };
        let (encoder, keep) = write(&head, self.out.tail());
        if encoder.sends() {
            self.out.push_bytes(bytes);
        }
        self.unflushed = true;
        if keep {
            self.turn = None;
        } else {
            (turn.keep, turn.head_sent) = (false, true);
            self.life = Life::Flushing;
        }
        true
    }

    /// Sends a body that is here, behind its head.
    #[inline]
    pub(super) fn send_whole(&mut self, bytes: Bytes) -> bool {
        let encoder = self.turn.as_mut().and_then(|turn| turn.encoder.as_mut());
        // Where nothing is sent, nobody is told what it would have been.
        if let Some(encoder) = encoder.filter(|encoder| encoder.sends()) {
            if encoder.framing() == Framing::Length(bytes.len() as u64) {
                self.out.push_bytes(&bytes);
            } else if let Err(error) = framed(encoder, &mut self.out, bytes) {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a response's body failed"
                );
                self.life = Life::Flushing;
                return true;
            }
        }
        self.after_answer()
    }
}

/// Writes a body whose framing is not just its bytes, or is to be refused.
#[inline(never)]
fn framed(encoder: &mut BodyEncoder, out: &mut Out, bytes: Bytes) -> Result<(), Error> {
    encoder.before(bytes.len(), out.tail())?;
    if !bytes.is_empty() {
        out.push(bytes);
        encoder.after(out.tail());
    }
    encoder.finish(None, out.tail())
}

thread_local! {
    /// The second that was written last.
    static DATE: Cell<(u64, HttpDate)> = Cell::new((0, HttpDate::from_unix(0)));
    /// Heads that this thread has written.
    static WRITTEN: RefCell<WrittenHeads> = const { RefCell::new(WrittenHeads::new()) };
}

/// Writes a head, from what this thread has written before if it was the same.
#[inline]
fn write(head: &ResponseHead<'_>, out: &mut BytesMut) -> (BodyEncoder, bool) {
    match WRITTEN.try_with(|written| written.borrow_mut().write(head, out)) {
        Ok(written) => written,
        // A thread that is ending keeps nothing.
        Err(_) => head.write(out),
    }
}

/// The moment, written once a second and thread.
fn now() -> HttpDate {
    let second = unix_seconds();
    let kept = DATE.try_with(|date| {
        let (of, text) = date.get();
        if of == second {
            return text;
        }
        let text = HttpDate::from_unix(second);
        date.set((second, text));
        text
    });
    // A thread that is ending keeps nothing.
    kept.unwrap_or_else(|_| HttpDate::from_unix(second))
}
