//! Requests, taken out of what a client sends.

use crate::error::Kind;
use crate::head::{Bounds, ReceivedRequest, Scan, parse_request, parse_request_at_once};
use crate::{BodyDecoder, BodyEvent, Error, Limits};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method};

/// What comes of a client.
#[derive(Debug)]
// A head goes from hand to hand once, and boxing it would cost an allocation for each request.
#[allow(clippy::large_enum_variant)]
pub enum RequestEvent {
    /// A request's head.
    Head(ReceivedRequest),
    /// Some of its body, never empty.
    Data(Bytes),
    /// The fields behind its body.
    Trailers(HeaderMap),
    /// The request is whole; the next head may follow.
    End,
}

/// A server's side of the stream: requests, one behind the other.
///
/// Every request is a [`Head`](RequestEvent::Head), then its data and trailers if any, then an [`End`](RequestEvent::End).
/// After an error it stays at that error.
#[derive(Clone, Debug, Default)]
pub struct RequestDecoder {
    limits: Limits,
    state: State,
    scan: Scan,
    /// Empty lines before a request line.
    empty_lines: u8,
    /// The request that is on its way asks for a tunnel.
    connect: bool,
    spare: HeaderMap,
    bodies_looked_at: u64,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Head,
    Body(BodyDecoder),
    /// A request for another protocol is whole: what follows is not HTTP until the caller says so.
    Paused,
    Failed(Error),
}

/// Some clients send an empty line behind a body (RFC 9112 §2.2).
const EMPTY_LINES_MAX: u8 = 2;

impl RequestDecoder {
    /// A decoder that refuses what is larger than `limits`.
    pub fn new(limits: Limits) -> RequestDecoder {
        RequestDecoder {
            limits,
            ..RequestDecoder::default()
        }
    }

    /// The next event that `input` has, or `None` where it takes more bytes, or where it is
    /// [`paused`](RequestDecoder::is_paused). What the event was made of has left `input`.
    ///
    /// # Errors
    /// When what comes is no request, or too large. The same error comes ever after.
    #[inline]
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<RequestEvent>, Error> {
        let answer = self.advance(input);
        if let Err(error) = answer {
            self.state = State::Failed(error);
        }
        answer
    }

    #[inline]
    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<RequestEvent>, Error> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Paused => Ok(None),
            State::Head => self.head(input),
            State::Body(body) => {
                let Some(event) = body.decode(input, &self.limits)? else {
                    return Ok(None);
                };
                Ok(Some(match event {
                    BodyEvent::Data(data) => RequestEvent::Data(data),
                    BodyEvent::Trailers(fields) => RequestEvent::Trailers(fields),
                    BodyEvent::End => {
                        self.bodies_looked_at += body.looked_at();
                        self.state = if self.connect {
                            State::Paused
                        } else {
                            State::Head
                        };
                        RequestEvent::End
                    }
                }))
            }
        }
    }

    #[inline]
    fn head(&mut self, input: &mut BytesMut) -> Result<Option<RequestEvent>, Error> {
        while input.starts_with(b"\r\n") {
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(Kind::RequestLine.into());
            }
            input.advance(2);
            self.scan.begin();
        }
        // Something else than HTTP is known by its first byte, and need not wait for a line's end that never comes.
        match input.first() {
            Some(byte) if !is_token(*byte) && *byte != b'\r' && *byte != b'\n' => {
                return Err(Kind::RequestLine.into());
            }
            _ => {}
        }
        let len = input.len();
        // What ends with an empty line has a whole head in it. If that is not read at once, it is searched for below and found or
        // refused in this call: no head is tried twice, however much comes.
        let is_whole = self.scan.is_at_the_beginning()
            && input.ends_with(b"\r\n\r\n")
            && input.first().is_some_and(|byte| is_token(*byte));
        if is_whole && let Some(read) = parse_request_at_once(input, &self.limits, &mut self.spare)
        {
            self.scan.looked_at_once(len - input.len());
            let request = read?;
            self.begin(&request);
            return Ok(Some(RequestEvent::Head(request)));
        }
        let bounds = Bounds::request(&self.limits);
        let Some(end) = self.scan.end(input, &bounds)? else {
            debug_assert!(!is_whole, "an empty line ends a head");
            return Ok(None);
        };
        let head = input.split_to(end).freeze();
        let request = parse_request(&head, &self.limits, std::mem::take(&mut self.spare))?;
        self.begin(&request);
        Ok(Some(RequestEvent::Head(request)))
    }

    #[inline]
    fn begin(&mut self, request: &ReceivedRequest) {
        self.empty_lines = 0;
        self.connect = request.method == Method::CONNECT;
        self.state = State::Body(BodyDecoder::new(request.framing));
    }

    /// Raises or lowers the limit of the body that is on its way, and of those that follow.
    pub fn set_body_limit(&mut self, bytes: u64) {
        self.limits.body_bytes = bytes;
    }

    /// Holds back what follows the request that is whole, until it is known whether it is HTTP: a request for another protocol
    /// is answered first.
    ///
    /// CONNECT does that by itself. Call it between an `End` and the next head.
    pub fn pause(&mut self) {
        if matches!(self.state, State::Head) {
            self.state = State::Paused;
        }
    }

    /// Whether what follows is held back.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused)
    }

    /// What follows is HTTP after all.
    pub fn resume(&mut self) {
        if self.is_paused() {
            self.state = State::Head;
        }
    }

    /// The client will send no more: whether that is between two requests.
    ///
    /// # Errors
    /// When a request is cut off; `input` is what of it has not been taken.
    pub fn finish(&mut self, input: &[u8]) -> Result<(), Error> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Head if !input.is_empty() => Err(Kind::Truncated.into()),
            State::Head | State::Paused => Ok(()),
            State::Body(body) => body.finish(),
        }
    }

    /// The body that is on its way, if one is.
    pub fn body(&self) -> Option<&BodyDecoder> {
        match &self.state {
            State::Body(body) => Some(body),
            _ => None,
        }
    }

    /// Lends a map's memory to the next head.
    pub fn recycle(&mut self, mut headers: HeaderMap) {
        if headers.capacity() > self.spare.capacity() {
            headers.clear();
            self.spare = headers;
        }
    }

    /// Takes the memory back that was lent and not used.
    pub fn take_spare(&mut self) -> HeaderMap {
        std::mem::take(&mut self.spare)
    }

    /// How many bytes of heads, trailers and chunk grammar were looked at for where they end, ever: never more than came.
    ///
    /// A head whose end is known is then read, once. One that came whole is read without the search first; only if it is not as most
    /// are (it has more than 32 fields, say, or is to be refused) is it searched and read after that as if it had come in pieces, so that
    /// the work for a byte has a bound that neither the pieces nor the length of the head change.
    pub fn looked_at(&self) -> u64 {
        let body = match &self.state {
            State::Body(body) => body.looked_at(),
            _ => 0,
        };
        self.scan.looked_at() + self.bodies_looked_at + body
    }
}

/// A character of a method or a field's name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
