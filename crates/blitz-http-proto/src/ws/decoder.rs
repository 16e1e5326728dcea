//! Frames to messages.

use bytes::{Buf, Bytes, BytesMut};

use super::deflate::Inflater;
use super::head::{Head, Opcode};
use super::utf8::{Checker, NO_TEXT};
use super::{CloseCode, DeflateParams, Error, Message, Role, mask};
use crate::taken;

/// What is no longer than this gets memory of its own: who keeps a short message should not keep the buffer alive that it came in.
const COPIED: usize = 4096;
const TOO_LONG: Error = Error::too_big("a message beyond the limit");

/// How much a peer may send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a message, after it was inflated. Default: 16 MiB.
    pub message: usize,
    /// Bytes of a frame, as they are sent. Default: 16 MiB.
    pub frame: usize,
    /// Frames of a message. Default: 131,072.
    pub fragments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 16 << 20,
            frame: 16 << 20,
            fragments: 131_072,
        }
    }
}

/// What a peer has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message, whole and checked.
    Message(Message),
    /// To be answered by a pong with the same bytes.
    Ping(Bytes),
    /// The answer to a ping, or a sign of life.
    Pong(Bytes),
    /// The peer sends nothing more; why, if it says so. To be answered by a close, if none was sent.
    Close(Option<(CloseCode, String)>),
}

/// Reads what one peer sends.
///
/// No byte is looked at twice, in whatever pieces they come, but for the few of a frame's head.
///
/// A message of one frame that is not compressed stays in the input until it is whole, so that a long one is never copied. What a call has
/// left there the next call is to find, with more behind it.
#[derive(Debug)]
#[repr(C)]
pub struct Decoder {
    // What each message needs is together.
    role: Role,
    is_closed: bool,
    inflater: Option<Box<Inflater>>,
    /// The message that has begun, and has not come at once.
    message: Option<Box<Begun>>,
    /// The frame that has begun, and how much of it was looked at.
    frame: Option<(Head, u64)>,
    limits: Limits,
    control: BytesMut,
}

#[derive(Debug)]
struct Begun {
    is_text: bool,
    is_compressed: bool,
    fragments: usize,
    payload: BytesMut,
    text: Checker,
    /// How much of the payload was checked.
    checked: usize,
    /// It is one frame as it is sent, and stays in the input until that is whole.
    is_alone: bool,
}

impl Begun {
    fn check(&mut self) -> Result<(), Error> {
        if self.is_text {
            self.text.feed(&self.payload[self.checked..])?;
            self.checked = self.payload.len();
        }
        Ok(())
    }
}

impl Decoder {
    /// For a connection without compression.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            inflater: None,
            frame: None,
            message: None,
            control: BytesMut::new(),
            is_closed: false,
        }
    }

    /// The same with the compression that was agreed on, if one was.
    pub fn with_deflate(mut self, params: Option<&DeflateParams>) -> Self {
        self.inflater = params.map(|params| Box::new(Inflater::new(self.role, params)));
        self
    }

    /// Takes the next event off the input; nothing if more has to come. After a [`Close`](Event::Close) all input is dropped.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit. Nothing is to be decoded after that.
    ///
    /// # Panics
    /// If what the last call has left in the input is not there any more.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            if self.is_closed {
                input.clear();
            }
            // Who asks once more before it reads again, as everybody does, has an answer at once.
            if input.is_empty() {
                return Ok(None);
            }
            let (head, seen) = match self.frame {
                Some(frame) => frame,
                None => {
                    let deflates = self.inflater.is_some();
                    let Some((head, len)) = Head::decode(input, self.role, deflates)? else {
                        return Ok(None);
                    };
                    if let Some(message) = self.at_once(&head, len, input)? {
                        return Ok(Some(Event::Message(message)));
                    }
                    self.begin(&head)?;
                    input.advance(len);
                    (head, 0)
                }
            };
            if !head.opcode.is_control() && self.message.as_ref().is_some_and(|it| it.is_alone) {
                return self.alone(head, seen as usize, input);
            }
            let here = usize::try_from(head.len - seen)
                .unwrap_or(usize::MAX)
                .min(input.len());
            if let Some(key) = head.mask {
                mask::apply(&mut input[..here], key, (seen % 4) as usize);
            }
            let seen = seen + here as u64;
            self.frame = (seen < head.len).then_some((head, seen));
            let is_whole = self.frame.is_none();
            if head.opcode.is_control() {
                self.control.extend_from_slice(&input[..here]);
                input.advance(here);
                if is_whole {
                    let payload = self.control.split().freeze();
                    return self.control(head.opcode, payload).map(Some);
                }
            } else {
                self.take(input, here)?;
                if is_whole && head.is_final {
                    return self.end().map(Some);
                }
            }
            if !is_whole {
                return Ok(None);
            }
        }
    }

    /// How many bytes the frame that has begun lacks still; zero between two. Its sender says so, and need not keep to it: who makes room
    /// for them should make no more than a bound, or in the measure in which they come.
    pub fn missing(&self) -> u64 {
        self.frame.map_or(0, |(head, seen)| head.len - seen)
    }

    /// The message, if the frame that begins is all of it, as it is sent, and has come whole.
    #[inline]
    fn at_once(
        &self,
        head: &Head,
        begin: usize,
        input: &mut BytesMut,
    ) -> Result<Option<Message>, Error> {
        let is_text = head.opcode == Opcode::Text;
        let is_alone = (is_text || head.opcode == Opcode::Binary)
            && head.is_final
            && !head.is_compressed
            && self.message.is_none();
        let here = (input.len() - begin) as u64;
        let max = self.limits.frame.min(self.limits.message) as u64;
        if !is_alone || head.len > here.min(max) {
            return Ok(None);
        }
        let end = begin + head.len as usize;
        let payload = &mut input[begin..end];
        if let Some(key) = head.mask {
            mask::apply(payload, key, 0);
        }
        if is_text && simdutf8::basic::from_utf8(payload).is_err() {
            return Err(NO_TEXT);
        }
        let payload = taken::take_behind(input, begin, end - begin, COPIED);
        Ok(Some(Message::received(is_text, payload)))
    }

    /// Looks at what has come of a message that is one frame, of which so much was looked at before.
    fn alone(
        &mut self,
        head: Head,
        seen: usize,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, Error> {
        let Some(message) = &mut self.message else {
            unreachable!("a data frame has a message");
        };
        // It is no longer than the limit of a message.
        let len = head.len as usize;
        let here = len.min(input.len());
        let fresh = &mut input[seen..here];
        if let Some(key) = head.mask {
            mask::apply(fresh, key, seen % 4);
        }
        if message.is_text {
            message.text.feed(fresh)?;
        }
        if here < len {
            self.frame = Some((head, here as u64));
            return Ok(None);
        }
        self.frame = None;
        message.text.end()?;
        let is_text = message.is_text;
        self.message = None;
        let payload = taken::take(input, len, COPIED);
        Ok(Some(Event::Message(Message::received(is_text, payload))))
    }

    /// A frame begins.
    fn begin(&mut self, head: &Head) -> Result<(), Error> {
        if head.len > self.limits.frame as u64 {
            return Err(Error::too_big("a frame beyond the limit"));
        }
        match (head.opcode, &mut self.message) {
            (Opcode::Continuation, None) => Err(Error::protocol("a continuation of nothing")),
            (Opcode::Continuation, Some(message)) => {
                message.fragments += 1;
                if message.fragments > self.limits.fragments {
                    return Err(Error::too_big("a message in more frames than the limit"));
                }
                Ok(())
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                Err(Error::protocol("a message within a message"))
            }
            (Opcode::Text | Opcode::Binary, None) => {
                let is_alone = head.is_final && !head.is_compressed;
                if is_alone && head.len > self.limits.message as u64 {
                    return Err(TOO_LONG);
                }
                self.message = Some(Box::new(Begun {
                    is_text: head.opcode == Opcode::Text,
                    is_compressed: head.is_compressed,
                    fragments: 1,
                    payload: BytesMut::new(),
                    text: Checker::default(),
                    checked: 0,
                    is_alone,
                }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes so many bytes off the input for the message that has begun.
    fn take(&mut self, input: &mut BytesMut, here: usize) -> Result<(), Error> {
        let max = self.limits.message;
        let (Some(message), inflater) = (&mut self.message, &mut self.inflater) else {
            return Ok(());
        };
        if let (true, Some(inflater)) = (message.is_compressed, inflater) {
            if here > 0 {
                inflater.feed(&input[..here], &mut message.payload, max)?;
                input.advance(here);
            }
        } else {
            if here > max - message.payload.len() {
                return Err(TOO_LONG);
            }
            message.payload.extend_from_slice(&input[..here]);
            input.advance(here);
        }
        message.check()
    }

    /// The message is over.
    fn end(&mut self) -> Result<Event, Error> {
        let max = self.limits.message;
        let Some(mut message) = self.message.take() else {
            unreachable!("a data frame has a message");
        };
        if let (true, Some(inflater)) = (message.is_compressed, &mut self.inflater) {
            inflater.end(&mut message.payload, max)?;
            message.check()?;
        }
        message.text.end()?;
        let payload = if message.is_compressed && message.payload.len() <= COPIED {
            // It was given more room than it has turned out to need.
            Bytes::copy_from_slice(&message.payload)
        } else {
            message.payload.freeze()
        };
        Ok(Event::Message(Message::received(message.is_text, payload)))
    }

    fn control(&mut self, opcode: Opcode, mut payload: Bytes) -> Result<Event, Error> {
        match opcode {
            Opcode::Ping => return Ok(Event::Ping(payload)),
            Opcode::Pong => return Ok(Event::Pong(payload)),
            _ => self.is_closed = true,
        }
        if payload.is_empty() {
            return Ok(Event::Close(None));
        }
        if payload.len() == 1 {
            return Err(Error::protocol("half a close code"));
        }
        let code = CloseCode::new(payload.get_u16());
        let code = code.ok_or(Error::protocol("a close code that nobody may send"))?;
        let why = String::from_utf8(payload.into());
        let why = why.map_err(|_| Error::invalid("a reason that is not UTF-8"))?;
        Ok(Event::Close(Some((code, why))))
    }
}
