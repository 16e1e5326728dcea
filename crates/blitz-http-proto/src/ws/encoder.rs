//! Messages to frames.

use std::fmt;

use bytes::BytesMut;

use super::deflate::Deflater;
use super::head::{CONTROL_MAX, HEAD_MAX, Head, Opcode};
use super::{CloseCode, Deflate, DeflateParams, Message, Role, mask};

/// Where a client's masks come from.
type Masks = Box<dyn FnMut() -> [u8; 4] + Send + Sync>;

/// Writes what one end sends. Each message is one frame.
pub struct Encoder {
    masks: Option<Masks>,
    deflater: Option<Box<Deflater>>,
    threshold: usize,
}

impl Encoder {
    /// A server's.
    pub fn server() -> Self {
        Self {
            masks: None,
            deflater: None,
            threshold: 0,
        }
    }

    /// A client's; `masks` gives a mask for each frame, which nobody may be able to guess (RFC 6455 §10.3).
    pub fn client(masks: impl FnMut() -> [u8; 4] + Send + Sync + 'static) -> Self {
        Self {
            masks: Some(Box::new(masks)),
            ..Self::server()
        }
    }

    /// With the compression that was agreed on, if one was.
    pub fn with_deflate(mut self, params: Option<&DeflateParams>, config: &Deflate) -> Self {
        let role = if self.masks.is_some() {
            Role::Client
        } else {
            Role::Server
        };
        self.deflater = params
            .and_then(|params| Deflater::new(role, params, config.level))
            .map(Box::new);
        self.threshold = config.threshold;
        self
    }

    /// Writes a message; compressed, if that was agreed on and it is not too short for it.
    pub fn message(&mut self, message: &Message, out: &mut BytesMut) {
        let opcode = opcode(message);
        let deflates = self.deflates(message);
        match &mut self.deflater {
            Some(deflater) if deflates => {
                // The head stands before it, and how long that is, is known only when the rest is there.
                let begin = out.len();
                out.resize(begin + HEAD_MAX, 0);
                deflater.message(message.payload(), out);
                self.put_head(opcode, begin, out);
            }
            _ => self.frame(opcode, false, message.payload(), out),
        }
    }

    /// Writes the head of a message alone, if its payload goes as it is: then that is to follow. Else nothing is written, and `false` says so.
    pub fn head_alone(&mut self, message: &Message, out: &mut BytesMut) -> bool {
        if self.masks.is_some() || self.deflates(message) {
            return false;
        }
        let head = Head {
            is_final: true,
            is_compressed: false,
            opcode: opcode(message),
            len: message.payload().len() as u64,
            mask: None,
        };
        let (bytes, len) = head.encode();
        out.extend_from_slice(&bytes[..len]);
        true
    }

    fn deflates(&self, message: &Message) -> bool {
        self.deflater.is_some() && message.payload().len() >= self.threshold
    }

    /// The next message will refer to none before it, whatever was agreed on. For who has sent compressed frames that another encoder
    /// has made: the peer has seen them, and this one has not.
    pub fn forget(&mut self) {
        if let Some(deflater) = &mut self.deflater {
            deflater.forget();
        }
    }

    /// Writes a ping.
    ///
    /// # Panics
    /// If the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut BytesMut) {
        self.control(Opcode::Ping, payload, out);
    }

    /// Writes a pong.
    ///
    /// # Panics
    /// If the payload is longer than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut BytesMut) {
        self.control(Opcode::Pong, payload, out);
    }

    /// Writes a close, the last frame of all. Of a reason no more than 123 bytes are sent, cut between characters.
    pub fn close(&mut self, why: Option<(CloseCode, &str)>, out: &mut BytesMut) {
        let mut payload = Vec::new();
        if let Some((code, reason)) = why {
            payload.extend_from_slice(&code.number().to_be_bytes());
            payload.extend_from_slice(
                &reason.as_bytes()[..reason.floor_char_boundary(CONTROL_MAX - 2)],
            );
        }
        self.control(Opcode::Close, &payload, out);
    }

    #[track_caller]
    fn control(&mut self, opcode: Opcode, payload: &[u8], out: &mut BytesMut) {
        assert!(
            payload.len() <= CONTROL_MAX,
            "a ping or pong carries 125 bytes at most: send a message"
        );
        self.frame(opcode, false, payload, out);
    }

    /// Puts the head before a compressed payload, behind `begin` and the room for the longest one.
    fn put_head(&mut self, opcode: Opcode, begin: usize, out: &mut BytesMut) {
        let mask = self.masks.as_mut().map(|masks| masks());
        let head = Head {
            is_final: true,
            is_compressed: true,
            opcode,
            len: (out.len() - begin - HEAD_MAX) as u64,
            mask,
        };
        let (bytes, len) = head.encode();
        out[begin..begin + len].copy_from_slice(&bytes[..len]);
        out.copy_within(begin + HEAD_MAX.., begin + len);
        out.truncate(out.len() - (HEAD_MAX - len));
        if let Some(key) = mask {
            mask::apply(&mut out[begin + len..], key, 0);
        }
    }

    fn frame(&mut self, opcode: Opcode, is_compressed: bool, payload: &[u8], out: &mut BytesMut) {
        out.reserve(HEAD_MAX + payload.len());
        let mask = self.masks.as_mut().map(|masks| masks());
        let head = Head {
            is_final: true,
            is_compressed,
            opcode,
            len: payload.len() as u64,
            mask,
        };
        if let Some(bytes) = head.short() {
            out.extend_from_slice(&bytes);
            out.extend_from_slice(payload);
            return;
        }
        let (bytes, len) = head.encode();
        out.extend_from_slice(&bytes[..len]);
        let begin = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = mask {
            mask::apply(&mut out[begin..], key, 0);
        }
    }
}

fn opcode(message: &Message) -> Opcode {
    match message.is_text() {
        true => Opcode::Text,
        false => Opcode::Binary,
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("masks", &self.masks.is_some())
            .field("deflates", &self.deflater.is_some())
            .finish_non_exhaustive()
    }
}
