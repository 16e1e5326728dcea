//! Compression of messages (RFC 7692 §7.2): deflate without a header, whose last four bytes are left out.

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{DeflateParams, Error, Role};

/// The end of a flush, which every message has and nobody sends.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The least room that is offered to the library.
const STEP: usize = 4096;

/// Inflates what a peer sends.
#[derive(Debug)]
pub(super) struct Inflater {
    inner: Decompress,
    keeps_context: bool,
}

impl Inflater {
    pub(super) fn new(role: Role, params: &DeflateParams) -> Self {
        let (bits, no_takeover) = match role {
            Role::Server => (
                params.client_max_window_bits,
                params.client_no_context_takeover,
            ),
            Role::Client => (
                params.server_max_window_bits,
                params.server_no_context_takeover,
            ),
        };
        Self {
            // A larger window reads what was written with a smaller one; the library has none of 8 bits.
            inner: Decompress::new_with_window_bits(false, bits.max(9)),
            keeps_context: !no_takeover,
        }
    }

    /// Inflates a piece of a message to the end of `out`, which may become `max` bytes long.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        out: &mut BytesMut,
        max: usize,
    ) -> Result<(), Error> {
        loop {
            let begin = out.len();
            // One byte above the limit is enough to know that it is broken.
            let room = STEP.max(input.len()).min(max.saturating_add(1) - begin);
            out.resize(begin + room, 0);
            let before = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(input, &mut out[begin..], FlushDecompress::Sync);
            let taken = (self.inner.total_in() - before.0) as usize;
            let made = (self.inner.total_out() - before.1) as usize;
            out.truncate(begin + made);
            input = &input[taken..];
            if out.len() > max {
                return Err(Error::too_big("a message that inflates beyond the limit"));
            }
            match status {
                Err(_) => return Err(Error::invalid("a message that does not inflate")),
                // The peer ended the stream within the message: what follows is another.
                Ok(Status::StreamEnd) => self.inner.reset(false),
                Ok(_) if made == room => {}
                Ok(_) if input.is_empty() => return Ok(()),
                Ok(_) if taken == 0 && made == 0 => {
                    return Err(Error::invalid("a message that does not inflate"));
                }
                Ok(_) => {}
            }
            if input.is_empty() && made < room {
                return Ok(());
            }
        }
    }

    /// The message is over.
    pub(super) fn end(&mut self, out: &mut BytesMut, max: usize) -> Result<(), Error> {
        self.feed(&TAIL, out, max)?;
        if !self.keeps_context {
            self.inner.reset(false);
        }
        Ok(())
    }
}

/// Deflates what is sent.
#[derive(Debug)]
pub(super) struct Deflater {
    inner: Compress,
    keeps_context: bool,
}

impl Deflater {
    /// Nothing if the peer's window is so small that the library cannot keep to it: then messages go as they are, which is always allowed.
    pub(super) fn new(role: Role, params: &DeflateParams, level: u32) -> Option<Self> {
        let (bits, no_takeover) = match role {
            Role::Server => (
                params.server_max_window_bits,
                params.server_no_context_takeover,
            ),
            Role::Client => (
                params.client_max_window_bits,
                params.client_no_context_takeover,
            ),
        };
        (bits >= 9).then(|| Self {
            inner: Compress::new_with_window_bits(Compression::new(level.min(9)), false, bits),
            keeps_context: !no_takeover,
        })
    }

    /// Deflates a message to the end of `out`.
    pub(super) fn message(&mut self, mut payload: &[u8], out: &mut BytesMut) {
        if payload.is_empty() {
            // An empty block without its tail (§7.2.3.6).
            out.extend_from_slice(&[0]);
            return;
        }
        let whole = out.len();
        loop {
            let begin = out.len();
            let room = STEP.max(payload.len() / 2);
            out.resize(begin + room, 0);
            let before = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .compress(payload, &mut out[begin..], FlushCompress::Sync);
            status.expect("deflating memory to memory has no way to fail");
            payload = &payload[(self.inner.total_in() - before.0) as usize..];
            let made = (self.inner.total_out() - before.1) as usize;
            out.truncate(begin + made);
            if payload.is_empty() && made < room {
                break;
            }
        }
        if out.len() - whole >= TAIL.len() && out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if !self.keeps_context {
            self.inner.reset();
        }
    }
}
