//! One connection to a server: what lies between two exchanges, and nothing of either.

use crate::buffers;
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use bytes::BytesMut;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A stream of bytes both ways: a socket, a TLS session over one, or a pipe in memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Stream for T {}

/// A stream of any kind.
pub type BoxStream = Box<dyn Stream>;

/// A connection that may carry an exchange.
pub(super) struct Wire {
    pub(super) io: BoxStream,
    /// What has come and was not looked at. Between exchanges there is nothing.
    pub(super) input: BytesMut,
    /// Where it leads; none for what is no IP socket.
    pub(super) peer: Option<SocketAddr>,
    /// Exchanges before this one.
    pub(super) served: u32,
    /// The last exchange has left it fit for another: set at its end alone.
    pub(super) is_clean: bool,
}

impl Wire {
    pub(super) fn new(io: BoxStream, peer: Option<SocketAddr>) -> Wire {
        Wire {
            io,
            input: BytesMut::new(),
            peer,
            served: 0,
            is_clean: false,
        }
    }

    /// Whether it can carry another exchange: the server has neither closed it nor said anything.
    pub(super) fn poll_is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        Pin::new(&mut self.io).poll_read(cx, &mut buf).is_pending()
    }

    /// Reads some, of so much that is expected. Zero is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        expected: usize,
    ) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 && expected <= buffers::SIZE {
            self.input = buffers::take();
        } else if self.input.capacity() - self.input.len() < expected / 4 {
            self.input.reserve(expected);
        }
        pin!(self.io.read_buf(&mut self.input)).poll(cx)
    }

    /// Gives the buffer back, if nothing is in it.
    pub(super) fn release(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.input));
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("peer", &self.peer)
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}
