//! An adapter to and from the traits of `futures-io`, for code that was written for those.
//!
//! `futures-io` has the same four ideas with other signatures: slices instead of [`ReadBuf`], `poll_close` instead of
//! `poll_shutdown`, one `poll_seek` instead of two calls. [`Compat`] puts either side into the clothes of the other; which
//! way follows from what is inside. The names are those of `tokio_util::compat`.
//!
//! What it costs: a read through `futures-io` needs initialised memory, so [`Compat`] zeroes room that was not initialised
//! before it asks, once for each byte.
//!
//! # Examples
//! ```
//! use blitz_io_traits::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
//!
//! # futures::executor::block_on(async {
//! // A source of theirs, used through our methods.
//! use blitz_io_traits::AsyncReadExt;
//! let theirs = futures::io::Cursor::new(b"hello");
//! let mut text = String::new();
//! theirs.compat().read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//!
//! // A source of ours, used through their methods.
//! let ours = &b"world"[..];
//! let mut bytes = Vec::new();
//! futures::AsyncReadExt::read_to_end(&mut TokioAsyncReadCompatExt::compat(ours), &mut bytes).await?;
//! assert_eq!(bytes, b"world");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

pin_project! {
    /// A stream of one family in the clothes of the other.
    #[derive(Clone, Copy, Debug)]
    pub struct Compat<T> {
        #[pin]
        inner: T,
        // Between our two calls and their one: where a seek is bound for, while it is under way.
        seek: Option<SeekFrom>,
    }
}

/// Puts a source of `futures-io` into the clothes of [`AsyncRead`].
pub trait FuturesAsyncReadCompatExt: futures_io::AsyncRead {
    /// Wraps this source.
    fn compat(self) -> Compat<Self>
    where
        Self: Sized,
    {
        Compat::new(self)
    }
}

impl<T: futures_io::AsyncRead> FuturesAsyncReadCompatExt for T {}

/// Puts a sink of `futures-io` into the clothes of [`AsyncWrite`].
pub trait FuturesAsyncWriteCompatExt: futures_io::AsyncWrite {
    /// Wraps this sink.
    fn compat_write(self) -> Compat<Self>
    where
        Self: Sized,
    {
        Compat::new(self)
    }
}

impl<T: futures_io::AsyncWrite> FuturesAsyncWriteCompatExt for T {}

/// Puts an [`AsyncRead`] into the clothes of `futures-io`.
pub trait TokioAsyncReadCompatExt: AsyncRead {
    /// Wraps this source.
    fn compat(self) -> Compat<Self>
    where
        Self: Sized,
    {
        Compat::new(self)
    }
}

impl<T: AsyncRead> TokioAsyncReadCompatExt for T {}

/// Puts an [`AsyncWrite`] into the clothes of `futures-io`.
pub trait TokioAsyncWriteCompatExt: AsyncWrite {
    /// Wraps this sink.
    fn compat_write(self) -> Compat<Self>
    where
        Self: Sized,
    {
        Compat::new(self)
    }
}

impl<T: AsyncWrite> TokioAsyncWriteCompatExt for T {}

impl<T> Compat<T> {
    fn new(inner: T) -> Self {
        Compat { inner, seek: None }
    }

    /// Returns the stream inside.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the stream inside for changes.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

#[cfg(unix)]
impl<T: std::os::fd::AsRawFd> std::os::fd::AsRawFd for Compat<T> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: futures_io::AsyncRead> AsyncRead for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = ready!(
            self.project()
                .inner
                .poll_read(cx, buf.initialize_unfilled())
        )?;
        // Panics, and reads nothing uninitialised, if a source claims more than it had room for.
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<T: futures_io::AsyncBufRead> AsyncBufRead for Compat<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.project().inner.consume(amt);
    }
}

/// `poll_shutdown` is their `poll_close`. A write from several slices is always passed on whole, since their traits
/// do not say who is good at it.
impl<T: futures_io::AsyncWrite> AsyncWrite for Compat<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_close(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }
}

impl<T: futures_io::AsyncSeek> AsyncSeek for Compat<T> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().seek = Some(position);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let me = self.project();
        // With none begun, a move by nothing tells the position.
        let position = me.seek.unwrap_or(SeekFrom::Current(0));
        let answer = ready!(me.inner.poll_seek(cx, position));
        *me.seek = None;
        Poll::Ready(answer)
    }
}

impl<T: AsyncRead> futures_io::AsyncRead for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(slice);
        ready!(self.project().inner.poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter_mut().find(|slice| !slice.is_empty());
        futures_io::AsyncRead::poll_read(self, cx, first.map_or(&mut [], |slice| slice))
    }
}

impl<T: AsyncBufRead> futures_io::AsyncBufRead for Compat<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.project().inner.consume(amt);
    }
}

/// `poll_close` is our `poll_shutdown`.
impl<T: AsyncWrite> futures_io::AsyncWrite for Compat<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }
}

/// A seek that was given up half-way is brought to its end before another begins.
impl<T: AsyncSeek> futures_io::AsyncSeek for Compat<T> {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let mut me = self.project();
        if *me.seek != Some(position) {
            ready!(me.inner.as_mut().poll_complete(cx))?;
            me.inner.as_mut().start_seek(position)?;
            *me.seek = Some(position);
        }
        let answer = ready!(me.inner.poll_complete(cx));
        *me.seek = None;
        Poll::Ready(answer)
    }
}
