//! Responses, taken out of what a server sends.

use crate::error::Kind;
use crate::head::{Asked, Bounds, Framing, ReceivedResponse, Repeated, Scan, parse_response};
use crate::{BodyDecoder, BodyEvent, Error, Limits, taken};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use std::collections::VecDeque;

/// What comes of a server.
#[derive(Debug)]
// As of requests.
#[allow(clippy::large_enum_variant)]
pub enum ResponseEvent {
    /// A head that only informs, such as `100 Continue` or `103 Early Hints`; the response is yet to come.
    Informational(ReceivedResponse),
    /// A response's head.
    Head(ReceivedResponse),
    /// Some of its body, never empty.
    Data(Bytes),
    /// The fields behind its body.
    Trailers(HeaderMap),
    /// The response is whole; the next may follow.
    End,
    /// From here on the stream belongs to another protocol, the next of its bytes included.
    Tunnel,
}

/// A client's side of the stream: responses, in the order of what was [`asked`](ResponseDecoder::asked).
#[derive(Clone, Debug, Default)]
pub struct ResponseDecoder {
    limits: Limits,
    state: State,
    scan: Scan,
    asked: Line,
    repeated: Repeated,
    informed: u32,
    bodies_looked_at: u64,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Head,
    Body(BodyDecoder),
    BeforeTunnel,
    Tunnel,
    Failed(Error),
}

/// What was asked and not answered yet. Mostly that is one, which needs no memory of its own.
#[derive(Clone, Debug, Default)]
struct Line {
    first: Option<Asked>,
    others: VecDeque<Asked>,
}

impl Line {
    fn push(&mut self, asked: Asked) {
        if self.first.is_none() {
            self.first = Some(asked);
        } else {
            self.others.push_back(asked);
        }
    }

    fn pop(&mut self) {
        self.first = self.others.pop_front();
    }
}

/// Heads up to this size are copied.
const COPIED_MAX: usize = 4 * 1024;

/// Heads that only inform before one response: a server that sends them for ever makes no progress.
const INFORMATIONAL_MAX: u32 = 64;

impl ResponseDecoder {
    /// A decoder that refuses what is larger than `limits`.
    pub fn new(limits: Limits) -> ResponseDecoder {
        ResponseDecoder {
            limits,
            ..ResponseDecoder::default()
        }
    }

    /// What is larger than `limits` is refused from now on. Call it between two responses.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A request was sent: its method tells what follows the head of its response.
    pub fn asked(&mut self, method: &Method) {
        self.asked.push(Asked::from(method));
    }

    /// The next event that `input` has, or `None` where it takes more bytes. What the event was made of has left `input`.
    ///
    /// # Errors
    /// When what comes is no response, is too large, or answers nothing. The same error comes ever after.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<ResponseEvent>, Error> {
        let answer = self.advance(input);
        if let Err(error) = answer {
            self.state = State::Failed(error);
        }
        answer
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<ResponseEvent>, Error> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Tunnel => Ok(None),
            State::BeforeTunnel => {
                self.state = State::Tunnel;
                Ok(Some(ResponseEvent::Tunnel))
            }
            State::Head => self.head(input),
            State::Body(body) => {
                let Some(event) = body.decode(input, &self.limits)? else {
                    return Ok(None);
                };
                Ok(Some(match event {
                    BodyEvent::Data(data) => ResponseEvent::Data(data),
                    BodyEvent::Trailers(fields) => ResponseEvent::Trailers(fields),
                    BodyEvent::End => {
                        self.bodies_looked_at += body.looked_at();
                        self.state = State::Head;
                        ResponseEvent::End
                    }
                }))
            }
        }
    }

    fn head(&mut self, input: &mut BytesMut) -> Result<Option<ResponseEvent>, Error> {
        if input.is_empty() {
            return Ok(None);
        }
        let asked = self.asked.first.ok_or(Kind::Unsolicited)?;
        if self.scan.is_at_the_beginning()
            && let Some((len, response)) = self.repeated.recall(input, &self.limits, asked)
        {
            self.scan.looked_at_once(len);
            taken::skip(input, len);
            return Ok(Some(self.received(response)));
        }
        if !b"HTTP/".starts_with(&input[..input.len().min(5)]) {
            return Err(Kind::StatusLine.into());
        }
        let bounds = Bounds::response(&self.limits);
        let Some(end) = self.scan.end(input, &bounds)? else {
            return Ok(None);
        };
        let head = taken::take(input, end, COPIED_MAX);
        let response = parse_response(&head, &self.limits, asked, HeaderMap::new())?;
        if response.status.is_informational() && response.framing != Framing::Tunnel {
            self.informed += 1;
            if self.informed > INFORMATIONAL_MAX {
                return Err(Kind::TooManyInformational.into());
            }
            return Ok(Some(ResponseEvent::Informational(response)));
        }
        self.repeated.note(&head, asked, &response);
        Ok(Some(self.received(response)))
    }

    fn received(&mut self, response: ReceivedResponse) -> ResponseEvent {
        self.informed = 0;
        self.asked.pop();
        self.state = if response.framing == Framing::Tunnel {
            State::BeforeTunnel
        } else {
            State::Body(BodyDecoder::new(response.framing))
        };
        ResponseEvent::Head(response)
    }

    /// The server will send no more. `true` if that was the end of a body, for which [`decode`](ResponseDecoder::decode) now has its
    /// `End`; `false` if it was between two responses.
    ///
    /// # Errors
    /// When a response is cut off, or one that was asked for has not come; `input` is what of it has not been taken.
    pub fn finish(&mut self, input: &[u8]) -> Result<bool, Error> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Head if input.is_empty() && self.asked.first.is_none() => Ok(false),
            State::Head => Err(Kind::Truncated.into()),
            State::BeforeTunnel | State::Tunnel => Ok(false),
            State::Body(body) => body.finish().map(|()| true),
        }
    }

    /// How many bytes of heads, trailers and chunk grammar were looked at, ever: never more than came.
    pub fn looked_at(&self) -> u64 {
        let body = match &self.state {
            State::Body(body) => body.looked_at(),
            _ => 0,
        };
        self.scan.looked_at() + self.bodies_looked_at + body
    }
}

#[cfg(test)]
impl ResponseDecoder {
    pub(crate) fn knows_a_head(&self) -> bool {
        self.repeated.knows_a_head()
    }
}
