//! Streams of blitz-io as hyper reads and writes them, and hyper's as blitz-io does.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use hyper::rt::{self, ReadBufCursor};
use pin_project_lite::pin_project;

pin_project! {
    /// Both worlds' traits over either's stream.
    ///
    /// Around a `TcpStream` of blitz-io it is what hyper's connections take. Around hyper's `Upgraded` it is an [`AsyncRead`] and
    /// [`AsyncWrite`] again, with all their extensions.
    ///
    /// # Cancel safety
    /// As of what is inside: nothing is kept here between two polls.
    #[derive(Debug)]
    pub struct BlitzIo<T> {
        #[pin]
        inner: T,
    }
}

impl<T> BlitzIo<T> {
    /// Wraps a stream.
    pub const fn new(inner: T) -> Self {
        Self { inner }
    }

    /// The stream.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// The stream, to change it.
    pub const fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Unwraps the stream.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead> rt::Read for BlitzIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: a `ReadBuf` un-initialises nothing of what it is given.
        let mut buf = ReadBuf::uninit(unsafe { cursor.as_mut() });
        ready!(self.project().inner.poll_read(cx, &mut buf))?;
        let read = buf.filled().len();
        // SAFETY: `buf` lay over the front of what is unfilled, and what a `ReadBuf` counts as filled was written.
        unsafe { cursor.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite> rt::Write for BlitzIo<T> {
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
        self.project().inner.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }
}

impl<T: rt::Read> AsyncRead for BlitzIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut theirs = rt::ReadBuf::new(buf.initialize_unfilled());
        ready!(self.project().inner.poll_read(cx, theirs.unfilled()))?;
        let read = theirs.filled().len();
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<T: rt::Write> AsyncWrite for BlitzIo<T> {
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
        self.project().inner.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }
}
