//! Frames to messages.

use bytes::{Buf, Bytes, BytesMut};

use super::deflate::Inflater;
use super::head::{Head, Opcode};
use super::utf8::Checker;
use super::{CloseCode, DeflateParams, Error, Message, Role, mask};

/// What is no longer than this gets memory of its own: who keeps a short message should not keep the buffer alive that it came in.
const COPIED: usize = 4096;

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
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    inflater: Option<Inflater>,
    /// The frame that has begun, and how much of it has come.
    frame: Option<(Head, u64)>,
    /// The message that has begun.
    message: Option<Begun>,
    control: BytesMut,
    is_closed: bool,
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
        self.inflater = params.map(|params| Inflater::new(self.role, params));
        self
    }

    /// Takes the next event off the input; nothing if more has to come. After a [`Close`](Event::Close) all input is dropped.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit. Nothing is to be decoded after that.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            if self.is_closed {
                input.clear();
                return Ok(None);
            }
            let (head, seen) = match self.frame {
                Some(frame) => frame,
                None => {
                    let Some(head) = Head::decode(input, self.role, self.inflater.is_some())?
                    else {
                        return Ok(None);
                    };
                    self.begin(&head)?;
                    (head, 0)
                }
            };
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
                self.message = Some(Begun {
                    is_text: head.opcode == Opcode::Text,
                    is_compressed: head.is_compressed,
                    fragments: 1,
                    payload: BytesMut::new(),
                    text: Checker::default(),
                    checked: 0,
                });
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
                return Err(Error::too_big("a message beyond the limit"));
            }
            if message.payload.is_empty() && here > COPIED {
                // A long message that came whole is not copied.
                message.payload = input.split_to(here);
            } else {
                message.payload.extend_from_slice(&input[..here]);
                input.advance(here);
            }
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
