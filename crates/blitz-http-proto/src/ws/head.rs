//! A frame's first bytes (RFC 6455 §5.2).

use bytes::{Buf, BufMut, BytesMut};

use super::{Error, Role};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) is_final: bool,
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) len: u64,
    pub(super) mask: Option<[u8; 4]>,
}

/// No head is longer.
pub(super) const HEAD_MAX: usize = 14;
/// No control frame carries more.
pub(super) const CONTROL_MAX: usize = 125;

impl Head {
    /// Takes a head off the input, once it is whole; what is wrong in its first two bytes is found before. `deflates` is whether compression was agreed on.
    pub(super) fn decode(
        input: &mut BytesMut,
        role: Role,
        deflates: bool,
    ) -> Result<Option<Self>, Error> {
        let [first, second, ..] = input[..] else {
            return Ok(None);
        };
        let opcode = match first & 0xf {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(Error::protocol("a frame of no known kind")),
        };
        let is_final = first & 0x80 != 0;
        let is_compressed = first & 0x40 != 0;
        if first & 0x30 != 0 || (is_compressed && !deflates) {
            return Err(Error::protocol("a reserved bit that nobody agreed on"));
        }
        if is_compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Error::protocol("a compressed frame that begins no message"));
        }
        let short = second & 0x7f;
        if opcode.is_control() && !is_final {
            return Err(Error::protocol("a control frame in pieces"));
        }
        if opcode.is_control() && usize::from(short) > CONTROL_MAX {
            return Err(Error::protocol("a control frame of more than 125 bytes"));
        }
        let is_masked = second & 0x80 != 0;
        match role {
            Role::Server if !is_masked => {
                return Err(Error::protocol("a frame without a mask, to a server"));
            }
            Role::Client if is_masked => {
                return Err(Error::protocol("a frame with a mask, to a client"));
            }
            _ => {}
        }
        let len_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if input.len() < 2 + len_bytes + if is_masked { 4 } else { 0 } {
            return Ok(None);
        }
        input.advance(2);
        let len = match short {
            126 => u64::from(input.get_u16()),
            127 => input.get_u64(),
            short => u64::from(short),
        };
        let is_shortest = match short {
            126 => len > 125,
            127 => len > u64::from(u16::MAX) && len >> 63 == 0,
            _ => true,
        };
        if !is_shortest {
            return Err(Error::protocol(
                "a length in more bytes than it needs, or beyond all",
            ));
        }
        let mask = is_masked.then(|| input.get_u32().to_be_bytes());
        Ok(Some(Self {
            is_final,
            is_compressed,
            opcode,
            len,
            mask,
        }))
    }

    pub(super) fn encode(self, out: &mut impl BufMut) {
        let bits = if self.is_final { 0x80 } else { 0 } | if self.is_compressed { 0x40 } else { 0 };
        out.put_u8(bits | self.opcode as u8);
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        match self.len {
            0..=125 => out.put_u8(mask_bit | self.len as u8),
            126..=0xffff => {
                out.put_u8(mask_bit | 126);
                out.put_u16(self.len as u16);
            }
            _ => {
                out.put_u8(mask_bit | 127);
                out.put_u64(self.len);
            }
        }
        if let Some(mask) = self.mask {
            out.put_slice(&mask);
        }
    }
}
