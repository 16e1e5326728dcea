//! Answers, taken out of what a server sends, at little cost.
//!
//! `blitz-http-proto` reads them. A server that is asked the same all the time says the same all the time, though: a head that is, byte for
//! byte, the one before means what that one meant, so it is compared, not read. What bodies hold is of no interest.

use super::tally::{Failure, MESSAGE};
use blitz_http_proto::ws::{self, Decoder, Encoder, Event, Role};
use blitz_http_proto::{Error, Framing, Limits, ResponseDecoder, ResponseEvent};
use bytes::{Buf, BytesMut};
use http::Method;

/// Heads that are longer are read each time.
const KNOWN_MAX: usize = 4 * 1024;
/// So many heads in a row that were not the known one: this server's differ.
const MISSES_MAX: u32 = 16;

/// An answer that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) keep_alive: bool,
    /// Head and body, as they came.
    pub(super) bytes: u64,
}

/// The answers on one connection after the other.
#[derive(Debug)]
pub(super) struct Answers {
    method: Method,
    /// What has come and was not looked at.
    pub(super) input: BytesMut,
    state: State,
    decoder: ResponseDecoder,
    known: Option<Known>,
    misses: u32,
    /// Where answers are messages of a WebSocket.
    socket: Option<Socket>,
}

#[derive(Debug)]
struct Socket {
    decoder: Decoder,
    /// Bytes that have come since the last message.
    bytes: u64,
    /// Answers to the server's pings, which are to be sent.
    pongs: BytesMut,
}

impl Socket {
    fn new() -> Socket {
        let mut limits = ws::Limits::default();
        (limits.message, limits.frame) = (usize::MAX / 2, usize::MAX / 2);
        Socket {
            decoder: Decoder::new(Role::Client, limits),
            bytes: 0,
            pongs: BytesMut::new(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between two answers.
    Between,
    /// The decoder is at it; what it is so far, once there is a head.
    Decoding(Option<Answer>, u64),
    /// The rest of a body, of so many bytes, is let pass.
    Passing(u64, Answer),
}

/// A head, and what it means.
#[derive(Debug)]
struct Known {
    head: Vec<u8>,
    body: u64,
    answer: Answer,
}

impl Answers {
    /// Of requests by this method.
    pub(super) fn new(method: Method) -> Answers {
        Answers {
            method,
            input: BytesMut::new(),
            state: State::Between,
            decoder: ResponseDecoder::new(Limits::default()),
            known: None,
            misses: 0,
            socket: None,
        }
    }

    /// Of messages, over a WebSocket.
    pub(super) fn of_socket() -> Answers {
        Answers {
            socket: Some(Socket::new()),
            ..Answers::new(Method::GET)
        }
    }

    pub(super) fn is_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// What is to be sent between two messages.
    pub(super) fn pongs(&mut self) -> Option<&mut BytesMut> {
        let pongs = self.socket.as_mut().map(|socket| &mut socket.pongs);
        pongs.filter(|pongs| !pongs.is_empty())
    }

    /// The next message that is whole, or `None` where it takes more bytes.
    ///
    /// # Errors
    /// When the server closes, or breaks the rules. The connection is good for nothing after that.
    pub(super) fn message(&mut self) -> Result<Option<Answer>, (Failure, String)> {
        let Some(socket) = &mut self.socket else {
            return Ok(None);
        };
        loop {
            let before = self.input.len();
            let event = socket.decoder.decode(&mut self.input);
            let event = event.map_err(|error| (Failure::Garbled, error.to_string()))?;
            socket.bytes += (before - self.input.len()) as u64;
            match event {
                None => return Ok(None),
                Some(Event::Message(_)) => {
                    return Ok(Some(Answer {
                        status: MESSAGE,
                        keep_alive: true,
                        bytes: std::mem::take(&mut socket.bytes),
                    }));
                }
                Some(Event::Ping(payload)) => {
                    Encoder::client(|| [0; 4]).pong(&payload, &mut socket.pongs);
                }
                Some(Event::Pong(_)) => {}
                Some(Event::Close(why)) => {
                    let why = match why {
                        Some((code, why)) => format!("closed with {} {why}", code.number()),
                        None => "closed without a code".to_owned(),
                    };
                    return Err((Failure::Closed, why.trim_end().to_owned()));
                }
            }
        }
    }

    /// Another connection begins.
    pub(super) fn restart(&mut self) {
        self.input.clear();
        self.state = State::Between;
        self.decoder = ResponseDecoder::new(Limits::default());
        self.socket = self.socket.take().map(|_| Socket::new());
    }

    /// Whether nothing of an answer has come that is not yet whole.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Between) && self.input.is_empty()
    }

    /// The next answer that is whole, or `None` where it takes more bytes. To be called only where one was asked for.
    ///
    /// # Errors
    /// When what comes is no answer. The connection is good for nothing after that.
    pub(super) fn next(&mut self) -> Result<Option<Answer>, Error> {
        loop {
            match self.state {
                State::Between if self.input.is_empty() => return Ok(None),
                State::Between => {
                    if !self.take_known() {
                        self.decoder.asked(&self.method);
                        self.state = State::Decoding(None, 0);
                    }
                }
                State::Passing(left, answer) => {
                    let passed = left.min(self.input.len() as u64);
                    self.input.advance(passed as usize);
                    if passed < left {
                        self.state = State::Passing(left - passed, answer);
                        return Ok(None);
                    }
                    self.state = State::Between;
                    return Ok(Some(answer));
                }
                State::Decoding(answer, bytes) => {
                    let before = self.input.len();
                    let head = self.to_remember(answer, before);
                    let event = self.decoder.decode(&mut self.input)?;
                    let taken = before - self.input.len();
                    let bytes = bytes + taken as u64;
                    self.state = State::Decoding(answer, bytes);
                    match event {
                        None => return Ok(None),
                        Some(ResponseEvent::Head(head_read)) => {
                            let answer = Answer {
                                status: head_read.status.as_u16(),
                                keep_alive: head_read.keep_alive,
                                bytes,
                            };
                            self.state = State::Decoding(Some(answer), bytes);
                            // A head behind others that inform is not where an answer begins.
                            if bytes == taken as u64 {
                                self.remember(head, taken, head_read.framing, answer);
                            }
                        }
                        Some(ResponseEvent::End) => {
                            self.state = State::Between;
                            return Ok(answer.map(|answer| Answer { bytes, ..answer }));
                        }
                        // Another protocol: no further answer comes.
                        Some(ResponseEvent::Tunnel) => {
                            self.input.clear();
                            self.state = State::Between;
                            return Ok(answer);
                        }
                        Some(
                            ResponseEvent::Informational(_)
                            | ResponseEvent::Data(_)
                            | ResponseEvent::Trailers(_),
                        ) => {}
                    }
                }
            }
        }
    }

    /// The server will send no more. An answer that ends with that, if one does.
    ///
    /// # Errors
    /// When an answer is cut off.
    pub(super) fn finish(&mut self) -> Result<Option<Answer>, Error> {
        match self.state {
            State::Between => Ok(None),
            State::Passing(..) => Err(Error::truncated()),
            State::Decoding(..) => {
                if self.decoder.finish(&self.input)? {
                    self.next()
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// The known head stands there: takes it, and lets its body pass.
    fn take_known(&mut self) -> bool {
        let Some(known) = &self.known else {
            return false;
        };
        if !self.input.starts_with(&known.head) {
            self.misses = self.misses.saturating_add(1);
            return false;
        }
        self.misses = 0;
        self.input.advance(known.head.len());
        self.state = State::Passing(known.body, known.answer);
        true
    }

    /// A copy of what may become the known head. Made before the decoder takes it, where it is worth that.
    fn to_remember(&self, answer: Option<Answer>, len: usize) -> Vec<u8> {
        if answer.is_some() || self.misses >= MISSES_MAX {
            return Vec::new();
        }
        self.input[..len.min(KNOWN_MAX)].to_vec()
    }

    fn remember(&mut self, mut head: Vec<u8>, len: usize, framing: Framing, answer: Answer) {
        let body = match framing {
            Framing::None => 0,
            Framing::Length(length) => length,
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => {
                self.misses = self.misses.saturating_add(1);
                return;
            }
        };
        if len > head.len() {
            return;
        }
        head.truncate(len);
        let bytes = len as u64 + body;
        self.known = Some(Known {
            head,
            body,
            answer: Answer { bytes, ..answer },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All answers of `text`, which comes in pieces of `size` bytes.
    fn read(answers: &mut Answers, text: &[u8], size: usize) -> Result<Vec<Answer>, Error> {
        let mut all = Vec::new();
        for piece in text.chunks(size) {
            answers.input.extend_from_slice(piece);
            while let Some(answer) = answers.next()? {
                all.push(answer);
            }
        }
        Ok(all)
    }

    fn answer(status: u16, keep_alive: bool, bytes: usize) -> Answer {
        Answer {
            status,
            keep_alive,
            bytes: bytes as u64,
        }
    }

    #[test]
    fn known_or_not_and_in_whatever_pieces_the_answers_are_the_same() {
        let same = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let other = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".as_slice();
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .as_slice();
        let informed =
            b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".as_slice();
        let parts = [
            same, same, same, other, same, chunked, same, informed, informed, same, other,
        ];
        let text = parts.concat();
        let wanted: Vec<Answer> = parts
            .iter()
            .map(|part| answer(if *part == other { 404 } else { 200 }, true, part.len()))
            .collect();
        for size in [1, 2, 3, 7, 40, 41, 64, text.len()] {
            let mut answers = Answers::new(Method::GET);
            let all = read(&mut answers, &text, size);
            assert_eq!(all.as_ref(), Ok(&wanted), "in pieces of {size}");
            assert!(answers.is_between());
        }
    }

    #[test]
    fn a_known_head_is_not_read_again() {
        let mut answers = Answers::new(Method::GET);
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".repeat(100);
        let all = read(&mut answers, &text, text.len()).expect("answers");
        assert_eq!(all.len(), 100);
        assert!(
            answers.decoder.looked_at() <= 44,
            "the decoder has looked at one: {}",
            answers.decoder.looked_at()
        );
    }

    #[test]
    fn a_server_that_never_says_the_same_is_read() {
        let mut answers = Answers::new(Method::GET);
        for number in 0..100 {
            let text = format!("HTTP/1.1 200 OK\r\nX: {number}\r\nContent-Length: 1\r\n\r\nx");
            let all = read(&mut answers, text.as_bytes(), 11).expect("an answer");
            assert_eq!(all, [answer(200, true, text.len())]);
        }
        assert!(answers.misses >= MISSES_MAX);
    }

    #[test]
    fn after_head_there_is_no_body() {
        let mut answers = Answers::new(Method::HEAD);
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".repeat(3);
        let all = read(&mut answers, &text, 9).expect("answers");
        assert_eq!(all, [answer(200, true, text.len() / 3); 3]);
    }

    #[test]
    fn the_end_of_the_connection_ends_a_body_or_cuts_it_off() {
        let mut answers = Answers::new(Method::GET);
        let until_close = b"HTTP/1.1 200 OK\r\n\r\nall the rest";
        assert_eq!(read(&mut answers, until_close, 5), Ok(Vec::new()));
        assert!(!answers.is_between());
        let last = answers.finish().expect("it is whole");
        assert_eq!(last, Some(answer(200, false, until_close.len())));
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        // Cut off where it is read, and where it is known.
        for _ in 0..2 {
            answers.restart();
            assert_eq!(read(&mut answers, &length[..40], 9), Ok(Vec::new()));
            let error = answers.finish().expect_err("it is cut off");
            assert!(error.is_truncated());
            answers.restart();
            assert_eq!(answers.finish(), Ok(None));
            assert_eq!(read(&mut answers, length, 9).map(|all| all.len()), Ok(1));
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in ["SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            let mut answers = Answers::new(Method::GET);
            assert!(read(&mut answers, text.as_bytes(), 3).is_err(), "{text}");
        }
        let mut answers = Answers::new(Method::GET);
        let switched = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let all = read(&mut answers, switched, switched.len());
        assert_eq!(all, Ok(vec![answer(101, false, switched.len())]));
    }
}
