//! A body, taken out of a stream of bytes.

use super::chunks::Chunks;
use crate::error::Kind;
use crate::{Error, Framing, Limits, taken};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// What comes of a body.
#[derive(Debug)]
pub enum BodyEvent {
    /// Some of it, never empty.
    Data(Bytes),
    /// The fields behind its last chunk; [`End`](BodyEvent::End) is next.
    Trailers(HeaderMap),
    /// There is no more.
    End,
}

/// Takes one body out of a stream, as its head framed it.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    left: Left,
    taken: u64,
}

#[derive(Clone, Debug)]
enum Left {
    Bytes(u64),
    Chunks(Chunks),
    All,
    Ended,
}

impl BodyDecoder {
    /// A decoder for the body that a head framed so. A tunnel has none.
    pub fn new(framing: Framing) -> BodyDecoder {
        let left = match framing {
            Framing::None | Framing::Tunnel | Framing::Length(0) => Left::Ended,
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::Chunks(Chunks::new()),
            Framing::UntilClose => Left::All,
        };
        BodyDecoder { left, taken: 0 }
    }

    /// The next event that `input` has, or `None` where it takes more bytes. After the end there is nothing but the end.
    ///
    /// # Errors
    /// When the chunks are malformed, or the body or its trailers larger than `limits`.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<BodyEvent>, Error> {
        let event = match &mut self.left {
            Left::Ended => return Ok(Some(BodyEvent::End)),
            Left::Bytes(left) => {
                // Known beforehand: nothing of it is taken (RFC 9110 §15.5.14).
                if self.taken.saturating_add(*left) > limits.body_bytes {
                    return Err(Kind::BodyTooLarge.into());
                }
                take(input, left)
            }
            Left::All => take(input, &mut u64::MAX.clone()),
            Left::Chunks(chunks) => chunks.decode(input, limits)?,
        };
        match &event {
            Some(BodyEvent::Data(data)) => {
                self.taken = self.taken.saturating_add(data.len() as u64);
                if self.taken > limits.body_bytes {
                    return Err(Kind::BodyTooLarge.into());
                }
                if matches!(self.left, Left::Bytes(0)) {
                    self.left = Left::Ended;
                }
            }
            Some(BodyEvent::Trailers(_) | BodyEvent::End) => self.left = Left::Ended,
            None => {}
        }
        Ok(event)
    }

    /// The connection ended: whether that was the end of the body.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.left {
            Left::Ended | Left::All => {
                self.left = Left::Ended;
                Ok(())
            }
            Left::Bytes(_) | Left::Chunks(_) => Err(Kind::Truncated.into()),
        }
    }

    /// Whether all of it was taken.
    pub fn is_ended(&self) -> bool {
        matches!(self.left, Left::Ended)
    }

    /// The bytes that are to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.left {
            Left::Ended => Some(0),
            Left::Bytes(left) => Some(left),
            Left::Chunks(_) | Left::All => None,
        }
    }

    /// Bytes of the body that were taken so far, without what frames them.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    pub(crate) fn looked_at(&self) -> u64 {
        match &self.left {
            Left::Chunks(chunks) => chunks.looked_at(),
            _ => 0,
        }
    }
}

/// Pieces up to this size are copied.
const COPIED_MAX: usize = 1024;

fn take(input: &mut BytesMut, left: &mut u64) -> Option<BodyEvent> {
    if input.is_empty() {
        return None;
    }
    let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= n as u64;
    Some(BodyEvent::Data(taken::take(input, n, COPIED_MAX)))
}
