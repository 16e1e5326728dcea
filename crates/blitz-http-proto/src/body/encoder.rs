//! A body on its way out.

use super::chunks::may_trail;
use crate::error::Kind;
use crate::head::Lines;
use crate::{Error, Framing};
use bytes::{BufMut, BytesMut};
use http::HeaderMap;

/// Writes what stands around the pieces of a body, and holds the body to the length that its head named.
///
/// ```
/// use blitz_http_proto::{BodyEncoder, Framing};
/// use bytes::{BufMut, BytesMut};
///
/// let mut out = BytesMut::new();
/// let mut body = BodyEncoder::new(Framing::Chunked);
/// body.before(5, &mut out)?;
/// out.put_slice(b"hello");
/// body.after(&mut out);
/// body.finish(None, &mut out)?;
/// assert_eq!(out, &b"5\r\nhello\r\n0\r\n\r\n"[..]);
/// # Ok::<(), blitz_http_proto::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder(Framing);

impl BodyEncoder {
    /// An encoder for a body that a head framed so.
    pub fn new(framing: Framing) -> BodyEncoder {
        BodyEncoder(framing)
    }

    /// How the body is framed, and what is left of its length.
    pub fn framing(&self) -> Framing {
        self.0
    }

    /// Whether pieces of the body are sent at all; after HEAD they are not.
    #[inline]
    pub fn sends(&self) -> bool {
        !matches!(self.0, Framing::None | Framing::Tunnel)
    }

    /// Writes what comes before a piece of `len` bytes. The piece is for the caller to send, then [`after`](BodyEncoder::after).
    ///
    /// # Errors
    /// When the body becomes longer than its head said; the piece must not be sent then, and the connection closes.
    #[inline]
    pub fn before(&mut self, len: usize, out: &mut BytesMut) -> Result<(), Error> {
        match &mut self.0 {
            // An empty chunk would be the last.
            Framing::Chunked if len > 0 => {
                let (mut digits, mut at, mut rest) = ([0u8; 16], 16, len);
                while rest > 0 {
                    at -= 1;
                    digits[at] = b"0123456789abcdef"[rest & 15];
                    rest >>= 4;
                }
                out.put_slice(&digits[at..]);
                out.put_slice(b"\r\n");
            }
            Framing::Length(left) => {
                *left = left.checked_sub(len as u64).ok_or(Kind::TooMuch)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what comes after a piece that was not empty.
    #[inline]
    pub fn after(&self, out: &mut BytesMut) {
        if self.0 == Framing::Chunked {
            out.put_slice(b"\r\n");
        }
    }

    /// Writes the end. Trailers go with chunks only, and those among them that may not trail are left out.
    ///
    /// # Errors
    /// When the body was shorter than its head said; the connection closes then.
    pub fn finish(
        &mut self,
        trailers: Option<&HeaderMap>,
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        match self.0 {
            Framing::Chunked => {
                let mut lines = Lines::new(out);
                lines.put(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if may_trail(name) {
                        lines.field(name.as_str().as_bytes(), value.as_bytes());
                    }
                }
                lines.put(b"\r\n");
                lines.end();
            }
            Framing::Length(left) if left > 0 => return Err(Kind::TooLittle.into()),
            _ => {}
        }
        self.0 = Framing::None;
        Ok(())
    }
}
