//! What waits to be written: bytes that were gathered, and among them the payload of one message, which is written from where it is.

use crate::{Upgraded, buffers};
use blitz_io::io::AsyncWrite;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What is no longer than this is gathered and written with what is beside it; what is longer is written from where it is.
pub(super) const GATHERED: usize = 4096;

#[derive(Debug)]
#[repr(C)]
pub(super) struct Out {
    bytes: BytesMut,
    written: u64,
    /// All of what was written has been flushed.
    flushed: bool,
    /// The stream takes pieces together.
    is_vectored: bool,
    pub(super) keeps_spent: bool,
    /// Stands behind so many of the bytes.
    apart: Bytes,
    before: usize,
    /// Payloads that were written, where they are not to be dropped here.
    spent: Vec<Bytes>,
}

impl Out {
    pub(super) fn new(is_vectored: bool) -> Out {
        Out {
            bytes: BytesMut::new(),
            apart: Bytes::new(),
            before: 0,
            written: 0,
            flushed: true,
            is_vectored,
            spent: Vec::new(),
            keeps_spent: false,
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.apart.len()
    }

    /// Bytes that were written from the beginning on.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether something waits to be written or flushed.
    pub(super) fn is_writing(&self) -> bool {
        self.len() > 0 || !self.flushed
    }

    /// To put bytes into, behind all that waits.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers::take();
        }
        &mut self.bytes
    }

    /// Whether a payload of so many bytes is to be written from where it is.
    pub(super) fn takes_apart(&self, len: usize) -> bool {
        len > GATHERED && self.is_vectored && self.apart.is_empty()
    }

    /// Takes bytes to be written from where they are, behind all that waits. There are none such.
    pub(super) fn then(&mut self, apart: Bytes) {
        debug_assert!(self.apart.is_empty(), "one at a time");
        (self.before, self.apart) = (self.bytes.len(), apart);
    }

    /// What was written and kept.
    pub(super) fn spent(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.spent)
    }

    /// Writes some of what waits, which is something.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Upgraded,
    ) -> Poll<io::Result<()>> {
        let io = Pin::new(io);
        let mut n = if self.apart.is_empty() {
            ready!(io.poll_write(cx, &self.bytes))?
        } else {
            let (before, behind) = self.bytes.split_at(self.before);
            let pieces = [before, &self.apart, behind].map(IoSlice::new);
            ready!(io.poll_write_vectored(cx, &pieces))?
        };
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written += n as u64;
        self.flushed = false;
        if !self.apart.is_empty() {
            let of_bytes = n.min(self.before);
            self.bytes.advance(of_bytes);
            (self.before, n) = (self.before - of_bytes, n - of_bytes);
            let of_apart = n.min(self.apart.len());
            self.apart.advance(of_apart);
            n -= of_apart;
            if self.apart.is_empty() {
                let spent = std::mem::take(&mut self.apart);
                if self.keeps_spent {
                    self.spent.push(spent);
                }
            }
        }
        // An empty buffer begins at its beginning again, for nothing.
        match n == self.bytes.len() {
            true => self.bytes.clear(),
            false => self.bytes.advance(n),
        }
        Poll::Ready(Ok(()))
    }

    /// Flushes what was written.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Upgraded,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(io).poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer back, where nothing waits.
    pub(super) fn release(&mut self) {
        if self.bytes.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.bytes));
        }
    }
}
