//! Requests, taken out of what a client sends.

use crate::characters::is_token;
use crate::error::Kind;
use crate::head::{
    Bounds, Guess, HeadMark, KnownHead, ReceivedHead, ReceivedRequest, Scan, check_request_line,
    parse_request, parse_request_again, parse_request_at_once,
};
use crate::{BodyDecoder, BodyEvent, Error, Framing, Limits, taken};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Request};

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
    guess: Guess,
    /// Empty lines before a request line.
    empty_lines: u8,
    /// The request that is on its way asks for a tunnel.
    connect: bool,
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
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<RequestEvent>, Error> {
        let answer = self.advance(input);
        if let Err(error) = answer {
            self.state = State::Failed(error);
        }
        answer
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<RequestEvent>, Error> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Paused => Ok(None),
            State::Head => {
                let mut request = Request::new(());
                let Some(head) = self.head(input, &mut request)? else {
                    return Ok(None);
                };
                self.state = State::Body(BodyDecoder::new(head.framing));
                Ok(Some(RequestEvent::Head(head.with(request))))
            }
            State::Body(body) => {
                let Some(event) = body.decode(input, &self.limits)? else {
                    return Ok(None);
                };
                Ok(Some(match event {
                    BodyEvent::Data(data) => RequestEvent::Data(data),
                    BodyEvent::Trailers(fields) => RequestEvent::Trailers(fields),
                    BodyEvent::End => {
                        self.bodies_looked_at += body.looked_at();
                        self.state = self.between();
                        RequestEvent::End
                    }
                }))
            }
        }
    }

    /// The next head, as [`decode`](RequestDecoder::decode) gives it but with what it says in `request`, which is a new one or one that has
    /// come of this before: method, target, version and fields are this head's then, whatever they were; extensions and body are left alone.
    ///
    /// The request is whole then if its framing is [`Framing::None`]: no [`End`](RequestEvent::End) follows. Between two requests only;
    /// elsewhere it is `None`. What is in `request` means nothing unless there was a head. A request that was answered is best used again with
    /// all that it said if the head was [`kept`](ReceivedHead::kept): of one like it nothing needs to be written then.
    ///
    /// # Errors
    /// As [`decode`](RequestDecoder::decode).
    ///
    /// ```
    /// use blitz_http_proto::{Framing, RequestDecoder};
    /// use bytes::BytesMut;
    ///
    /// let mut decoder = RequestDecoder::default();
    /// let mut input = BytesMut::from(&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n"[..]);
    /// for expected in ["/a", "/b"] {
    ///     let mut request = http::Request::new(());
    ///     let head = decoder.decode_head(&mut input, &mut request)?.expect("a whole head");
    ///     assert_eq!((request.uri().path(), head.framing), (expected, Framing::None));
    ///     assert_eq!(request.headers().len(), 1);
    /// }
    /// # Ok::<(), blitz_http_proto::Error>(())
    /// ```
    #[inline]
    pub fn decode_head<B>(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request<B>,
    ) -> Result<Option<ReceivedHead>, Error> {
        match &self.state {
            State::Head => {}
            State::Failed(error) => return Err(*error),
            State::Paused | State::Body(_) => return Ok(None),
        }
        let answer = self.head(input, request);
        match &answer {
            Ok(None) => {}
            Ok(Some(head)) if head.framing != Framing::None => {
                self.state = State::Body(BodyDecoder::new(head.framing));
            }
            Ok(Some(_)) if self.connect => self.state = State::Paused,
            Ok(Some(_)) => {}
            Err(error) => self.state = State::Failed(*error),
        }
        answer
    }

    /// The mark of the head that came last, if its client had sent its fields before.
    #[inline]
    pub fn mark(&self) -> Option<HeadMark> {
        self.guess.mark()
    }

    /// The head that was read last, if that was [kept whole](crate::Kept::All) and is a whole request, of which nothing more is to come. Ask right
    /// behind such a head: of another this says nothing.
    pub fn known(&self) -> Option<KnownHead> {
        let known = self.guess.known()?;
        let head = known.head();
        (head.framing == Framing::None && !head.upgrade).then_some(known)
    }

    /// Takes the next head off `input` if it is `known`, and its client sent that last: `true` then, and what [`decode_head`] would have given
    /// is what was made of `known` before. Otherwise nothing has happened, and the head is for [`decode_head`] to read.
    ///
    /// [`decode_head`]: RequestDecoder::decode_head
    ///
    /// ```
    /// use blitz_http_proto::RequestDecoder;
    /// use bytes::BytesMut;
    ///
    /// let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    /// let (mut decoder, mut input) = (RequestDecoder::default(), BytesMut::new());
    /// let mut request = http::Request::new(());
    /// let known = loop {
    ///     input.extend_from_slice(head);
    ///     decoder.decode_head(&mut input, &mut request)?.expect("a whole head");
    ///     if let Some(known) = decoder.known() {
    ///         break known;
    ///     }
    /// };
    /// input.extend_from_slice(head);
    /// assert!(decoder.decode_known(&mut input, &known) && input.is_empty());
    /// input.extend_from_slice(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    /// assert!(!decoder.decode_known(&mut input, &known));
    /// # Ok::<(), blitz_http_proto::Error>(())
    /// ```
    #[inline]
    pub fn decode_known(&mut self, input: &mut BytesMut, known: &KnownHead) -> bool {
        if !matches!(self.state, State::Head) || !self.scan.is_at_the_beginning() {
            return false;
        }
        let Some(len) = known.begins(input, &self.limits, self.guess) else {
            return false;
        };
        taken::skip(input, len);
        self.scan.looked_at_once(len);
        (self.empty_lines, self.connect) = (0, false);
        true
    }

    /// What comes behind a request that is whole.
    fn between(&self) -> State {
        if self.connect {
            State::Paused
        } else {
            State::Head
        }
    }

    #[inline]
    fn head<B>(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request<B>,
    ) -> Result<Option<ReceivedHead>, Error> {
        if !begins_with_token(input) {
            self.before_line(input)?;
        }
        let len = input.len();
        let mut read = None;
        // Each head is compared once and, where it ends what is here, tried at once; if it is not read then, it is searched for below, from
        // where the search has come, however much comes.
        if self.scan.is_at_the_beginning() && begins_with_token(input) {
            read = parse_request_again(input, &self.limits, &mut self.guess, request);
            if read.is_none() && input.ends_with(b"\r\n\r\n") {
                empty(request);
                read = parse_request_at_once(input, &self.limits, &mut self.guess, request);
            }
        }
        let head = match read {
            Some(read) => {
                self.scan.looked_at_once(len - input.len());
                read?
            }
            None => match self.searched(input, empty(request))? {
                Some(head) => head,
                None => return Ok(None),
            },
        };
        self.empty_lines = 0;
        self.connect = *request.method() == Method::CONNECT;
        Ok(Some(head))
    }

    /// What comes before a head or in place of one.
    #[cold]
    fn before_line(&mut self, input: &mut BytesMut) -> Result<(), Error> {
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
                Err(Kind::RequestLine.into())
            }
            _ => Ok(()),
        }
    }

    /// A head that comes in pieces, or is not as most are: its end is searched for.
    #[inline(never)]
    fn searched<B>(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request<B>,
    ) -> Result<Option<ReceivedHead>, Error> {
        let bounds = Bounds::request(&self.limits);
        // Or by its first line: `SSH-2.0-x` is followed by nothing before it is answered.
        if let Some(end) = self.scan.first_line(input, &bounds)? {
            check_request_line(&input[..end], &self.limits)?;
        }
        let Some(end) = self.scan.end(input, &bounds)? else {
            return Ok(None);
        };
        let head = input.split_to(end).freeze();
        parse_request(&head, &self.limits, &mut self.guess, request).map(Some)
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

    /// How many bytes of heads, trailers and chunk grammar were looked at for where they end, ever: never more than came.
    ///
    /// A head whose end is known is then read, once, and its first line before that, once. What its client sent before is compared with it,
    /// once. One that came whole is read without the search first; only if it is not as most are (it has more than 32 fields, say, or is to be refused) is it searched and read after that as if
    /// it had come in pieces, so that the work for a byte has a bound that neither the pieces nor the length of the head change.
    pub fn looked_at(&self) -> u64 {
        let body = match &self.state {
            State::Body(body) => body.looked_at(),
            _ => 0,
        };
        self.scan.looked_at() + self.bodies_looked_at + body
    }
}

#[cfg(test)]
impl RequestDecoder {
    pub(crate) fn guess(&self) -> Guess {
        self.guess
    }

    /// Takes another's guess over.
    pub(crate) fn guess_of(&mut self, other: &RequestDecoder) {
        self.guess = other.guess;
    }
}

/// Takes the fields out of a request that has been used.
fn empty<B>(request: &mut Request<B>) -> &mut Request<B> {
    if !request.headers().is_empty() {
        request.headers_mut().clear();
    }
    request
}

#[inline]
fn begins_with_token(input: &[u8]) -> bool {
    input.first().is_some_and(|byte| is_token(*byte))
}
