//! What is to be written: heads and small pieces in one buffer, large pieces as they are, in order.

use crate::buffers;
use blitz_io::io::AsyncWrite;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Pieces up to this size are copied behind what is there, so that they go in the same piece of memory.
pub(crate) const COPY_MAX: usize = 4 * 1024;
/// Pieces a call.
const PIECES: usize = 16;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// Behind all of `pieces`.
    pub(crate) tail: BytesMut,
    pieces: VecDeque<Bytes>,
    in_pieces: usize,
}

impl Out {
    /// The buffer that heads and frames are written to, with room.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        if self.tail.capacity() == 0 {
            self.tail = buffers::take();
        }
        &mut self.tail
    }

    /// Adds a piece of a body.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.len() <= COPY_MAX {
            self.tail().extend_from_slice(&piece);
            return;
        }
        if !self.tail.is_empty() {
            let before = self.tail.split().freeze();
            self.in_pieces += before.len();
            self.pieces.push_back(before);
        }
        self.in_pieces += piece.len();
        self.pieces.push_back(piece);
    }

    /// The same of bytes that are copied if they are few.
    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_MAX {
            self.tail().extend_from_slice(bytes);
        } else {
            self.push(bytes.clone());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.in_pieces + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes once; returns how many bytes went.
    pub(crate) fn poll_write<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let io = Pin::new(io);
        let n = if self.pieces.is_empty() {
            ready!(io.poll_write(cx, &self.tail))?
        } else {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut used = 0;
            for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
                *slot = IoSlice::new(piece);
                used += 1;
            }
            if used < PIECES && !self.tail.is_empty() {
                slices[used] = IoSlice::new(&self.tail);
                used += 1;
            }
            ready!(io.poll_write_vectored(cx, &slices[..used]))?
        };
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(n);
        Poll::Ready(Ok(n))
    }

    fn advance(&mut self, mut n: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let here = n.min(piece.len());
            self.in_pieces -= here;
            n -= here;
            if here < piece.len() {
                piece.advance(here);
                return;
            }
            self.pieces.pop_front();
        }
        if n == self.tail.len() {
            // So that the whole buffer is there again, and need not be asked for.
            self.tail.clear();
        } else {
            self.tail.advance(n);
        }
    }

    /// Gives the buffer back, if it is empty.
    pub(crate) fn release(&mut self) {
        if self.tail.is_empty() && self.tail.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.tail));
        }
        if self.pieces.is_empty() && self.pieces.capacity() > 4 * PIECES {
            self.pieces = VecDeque::new();
        }
    }
}
