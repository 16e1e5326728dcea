//! Sources and sinks without memory: nothing to read, one byte for ever, and a place where bytes end.

use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::coop::poll_unit;
use crate::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

/// Makes a stream that is always at its end, and takes and forgets what is written.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, empty};
/// # futures::executor::block_on(async {
/// assert_eq!(empty().read(&mut [0; 8]).await?, 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn empty() -> Empty {
    Empty { _private: () }
}

/// Makes a source of one byte, for ever.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, repeat};
/// # futures::executor::block_on(async {
/// let mut line = String::new();
/// repeat(b'-').take(10).read_to_string(&mut line).await?;
/// assert_eq!(line, "----------");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn repeat(byte: u8) -> Repeat {
    Repeat { byte }
}

/// Makes a sink that takes and forgets all bytes.
///
/// # Examples
/// ```
/// use blitz_io_traits::{copy, sink};
/// # futures::executor::block_on(async {
/// assert_eq!(copy(&mut &b"counted, not kept"[..], &mut sink()).await?, 17);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn sink() -> Sink {
    Sink { _private: () }
}

/// A stream that is always at its end; made by [`empty`].
#[derive(Debug)]
pub struct Empty {
    _private: (),
}

/// A source of one byte, for ever; made by [`repeat`].
#[derive(Debug)]
pub struct Repeat {
    byte: u8,
}

/// A sink that forgets; made by [`sink`].
#[derive(Debug)]
pub struct Sink {
    _private: (),
}

impl AsyncRead for Empty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_unit(cx).map(Ok)
    }
}

impl AsyncBufRead for Empty {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        poll_unit(cx).map(|()| Ok(&[][..]))
    }

    fn consume(self: Pin<&mut Self>, _amt: usize) {}
}

impl AsyncSeek for Empty {
    fn start_seek(self: Pin<&mut Self>, _position: SeekFrom) -> io::Result<()> {
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        poll_unit(cx).map(|()| Ok(0))
    }
}

impl AsyncRead for Repeat {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(poll_unit(cx));
        bytes::BufMut::put_bytes(buf, self.byte, buf.remaining());
        Poll::Ready(Ok(()))
    }
}

macro_rules! forgetting {
    ($($sink:ty),+) => {$(
        impl AsyncWrite for $sink {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                poll_unit(cx).map(|()| Ok(buf.len()))
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                poll_unit(cx).map(Ok)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                poll_unit(cx).map(Ok)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                poll_unit(cx).map(|()| Ok(bufs.iter().map(|buf| buf.len()).sum()))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    )+};
}

forgetting!(Empty, Sink);
