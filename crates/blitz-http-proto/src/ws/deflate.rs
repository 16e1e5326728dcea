//! Compression of messages (RFC 7692 §7.2): deflate without a header, whose last four bytes are left out.

use std::cell::RefCell;

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{DeflateParams, Error, Role};

/// The end of a flush, which every message has and nobody sends.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The least room that is offered to the library.
const STEP: usize = 4096;

/// States of each kind that a thread keeps for those who want one for a message only.
const KEPT: usize = 8;

thread_local! {
    static COMPRESSORS: RefCell<Vec<(Kind, Compress)>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSORS: RefCell<Vec<(u8, Decompress)>> = const { RefCell::new(Vec::new()) };
}

/// The window's bits, and the level.
type Kind = (u8, u32);

/// A state as it was made. One that forgets after each message is lent for that message: it is a third of a megabyte, and a connection
/// that is silent should own none.
fn compressor((bits, level): Kind) -> Compress {
    // A thread that is ending keeps none any more.
    let kept = COMPRESSORS.try_with(|kept| take(&mut kept.borrow_mut(), &(bits, level)));
    kept.ok()
        .flatten()
        .unwrap_or_else(|| Compress::new_with_window_bits(Compression::new(level), false, bits))
}

fn decompressor(bits: u8) -> Decompress {
    // As above.
    let kept = DECOMPRESSORS.try_with(|kept| take(&mut kept.borrow_mut(), &bits));
    kept.ok()
        .flatten()
        .unwrap_or_else(|| Decompress::new_with_window_bits(false, bits))
}

fn take<K: PartialEq, S>(kept: &mut Vec<(K, S)>, kind: &K) -> Option<S> {
    let at = kept.iter().rposition(|(kept, _)| kept == kind)?;
    Some(kept.swap_remove(at).1)
}

/// The oldest goes when there are enough, so that a kind that nobody wants any more does not stay.
fn keep<K, S>(kept: &mut Vec<(K, S)>, kind: K, state: S) {
    if kept.len() == KEPT {
        kept.remove(0);
    }
    kept.push((kind, state));
}

/// Inflates what a peer sends.
#[derive(Debug)]
pub(super) struct Inflater {
    /// None between messages, where the context is not kept.
    inner: Option<Decompress>,
    bits: u8,
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
            inner: None,
            // A larger window reads what was written with a smaller one; the library has none of 8 bits.
            bits: bits.max(9),
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
        let inner = self.inner.get_or_insert_with(|| decompressor(self.bits));
        loop {
            let begin = out.len();
            // One byte above the limit is enough to know that it is broken.
            let room = STEP.max(input.len()).min(max.saturating_add(1) - begin);
            out.resize(begin + room, 0);
            let before = (inner.total_in(), inner.total_out());
            let status = inner.decompress(input, &mut out[begin..], FlushDecompress::Sync);
            let taken = (inner.total_in() - before.0) as usize;
            let made = (inner.total_out() - before.1) as usize;
            out.truncate(begin + made);
            input = &input[taken..];
            if out.len() > max {
                return Err(Error::too_big("a message that inflates beyond the limit"));
            }
            match status {
                Err(_) => return Err(Error::invalid("a message that does not inflate")),
                // The peer ended the stream within the message: what follows is another.
                Ok(Status::StreamEnd) => inner.reset(false),
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
        if !self.keeps_context
            && let Some(mut inner) = self.inner.take()
        {
            inner.reset(false);
            // As above.
            let _ = DECOMPRESSORS.try_with(|kept| keep(&mut kept.borrow_mut(), self.bits, inner));
        }
        Ok(())
    }
}

/// Deflates what is sent.
#[derive(Debug)]
pub(super) struct Deflater {
    /// None before the first message, and between two where the context is not kept.
    inner: Option<Compress>,
    kind: Kind,
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
            inner: None,
            kind: (bits, level.min(9)),
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
        let inner = self.inner.get_or_insert_with(|| compressor(self.kind));
        let whole = out.len();
        loop {
            let begin = out.len();
            let room = STEP.max(payload.len() / 2);
            out.resize(begin + room, 0);
            let before = (inner.total_in(), inner.total_out());
            let status = inner.compress(payload, &mut out[begin..], FlushCompress::Sync);
            status.expect("deflating memory to memory has no way to fail");
            payload = &payload[(inner.total_in() - before.0) as usize..];
            let made = (inner.total_out() - before.1) as usize;
            out.truncate(begin + made);
            if payload.is_empty() && made < room {
                break;
            }
        }
        if out.len() - whole >= TAIL.len() && out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if !self.keeps_context
            && let Some(mut inner) = self.inner.take()
        {
            inner.reset();
            // As above.
            let _ = COMPRESSORS.try_with(|kept| keep(&mut kept.borrow_mut(), self.kind, inner));
        }
    }

    /// What was sent before is not referred to any more.
    pub(super) fn forget(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand silent connections that have talked own ten thousand of nothing.
    #[test]
    fn who_forgets_owns_no_state_between_messages() {
        for forgets in [true, false] {
            let params = DeflateParams {
                server_no_context_takeover: forgets,
                client_no_context_takeover: forgets,
                server_max_window_bits: 15,
                client_max_window_bits: 15,
            };
            let mut deflater = Deflater::new(Role::Server, &params, 1).expect("15 bits");
            let mut inflater = Inflater::new(Role::Client, &params);
            let (mut wire, mut out) = (BytesMut::new(), BytesMut::new());
            deflater.message(&[7; 500], &mut wire);
            inflater.feed(&wire, &mut out, 1000).expect("whole");
            assert!(inflater.inner.is_some(), "within a message");
            inflater.end(&mut out, 1000).expect("whole");
            assert_eq!(out, [7; 500][..]);
            assert_eq!(deflater.inner.is_none(), forgets);
            assert_eq!(inflater.inner.is_none(), forgets);
            // The thread has it, until somebody wants one.
            let kept = COMPRESSORS.with(|kept| kept.borrow().len());
            assert_eq!(kept, usize::from(forgets));
        }
    }
}
