//! A frame's first bytes (RFC 6455 §5.2).

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
    /// Reads a head and says how long it is, once it is whole; what is wrong in its first two bytes is found before. `deflates` is whether
    /// compression was agreed on.
    #[inline]
    pub(super) fn decode(
        input: &[u8],
        role: Role,
        deflates: bool,
    ) -> Result<Option<(Self, usize)>, Error> {
        let [first, second, ref rest @ ..] = *input else {
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
        // A length that is not there yet is one of which more has to come.
        let lengths = match short {
            126 => rest
                .split_first_chunk()
                .map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest)),
            127 => rest
                .split_first_chunk()
                .map(|(len, rest)| (u64::from_be_bytes(*len), rest)),
            short => Some((u64::from(short), rest)),
        };
        let Some((len, rest)) = lengths else {
            return Ok(None);
        };
        let (mask, rest) = match (is_masked, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((key, rest))) => (Some(*key), rest),
            (true, None) => return Ok(None),
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
        let head = Self {
            is_final,
            is_compressed,
            opcode,
            len,
            mask,
        };
        Ok(Some((head, input.len() - rest.len())))
    }

    fn first(self) -> u8 {
        let bits = if self.is_final { 0x80 } else { 0 } | if self.is_compressed { 0x40 } else { 0 };
        bits | self.opcode as u8
    }

    /// Its bytes, if they are as few as they can be.
    #[inline]
    pub(super) fn short(self) -> Option<[u8; 2]> {
        (self.mask.is_none() && self.len <= 125).then(|| [self.first(), self.len as u8])
    }

    /// Its bytes, and how many they are.
    #[inline]
    pub(super) fn encode(self) -> ([u8; HEAD_MAX], usize) {
        let mut bytes = [0; HEAD_MAX];
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        bytes[0] = self.first();
        let mut end = match self.len {
            0..=125 => {
                bytes[1] = mask_bit | self.len as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = mask_bit | 126;
                bytes[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = mask_bit | 127;
                bytes[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        if let Some(mask) = self.mask {
            bytes[end..end + 4].copy_from_slice(&mask);
            end += 4;
        }
        (bytes, end)
    }
}
