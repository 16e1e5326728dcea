//! Messages to frames.

use std::fmt;

use bytes::BytesMut;

use super::deflate::Deflater;
use super::head::{CONTROL_MAX, Head, Opcode};
use super::{CloseCode, Deflate, DeflateParams, Message, Role, mask};

/// Where a client's masks come from.
type Masks = Box<dyn FnMut() -> [u8; 4] + Send + Sync>;

/// Writes what one end sends. Each message is one frame.
pub struct Encoder {
    masks: Option<Masks>,
    deflater: Option<Deflater>,
    threshold: usize,
    deflated: BytesMut,
}

impl Encoder {
    /// A server's.
    pub fn server() -> Self {
        Self {
            masks: None,
            deflater: None,
            threshold: 0,
            deflated: BytesMut::new(),
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
        self.deflater = params.and_then(|params| Deflater::new(role, params, config.level));
        self.threshold = config.threshold;
        self
    }

    /// Writes a message; compressed, if that was agreed on and it is not too short for it.
    pub fn message(&mut self, message: &Message, out: &mut BytesMut) {
        let opcode = if message.is_text() {
            Opcode::Text
        } else {
            Opcode::Binary
        };
        match &mut self.deflater {
            Some(deflater) if message.payload().len() >= self.threshold => {
                let mut deflated = std::mem::take(&mut self.deflated);
                deflated.clear();
                deflater.message(message.payload(), &mut deflated);
                self.frame(opcode, true, &deflated, out);
                self.deflated = deflated;
            }
            _ => self.frame(opcode, false, message.payload(), out),
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

    fn frame(&mut self, opcode: Opcode, is_compressed: bool, payload: &[u8], out: &mut BytesMut) {
        let mask = self.masks.as_mut().map(|masks| masks());
        let head = Head {
            is_final: true,
            is_compressed,
            opcode,
            len: payload.len() as u64,
            mask,
        };
        out.reserve(14 + payload.len());
        head.encode(out);
        let begin = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = mask {
            mask::apply(&mut out[begin..], key, 0);
        }
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
