//! A buffer in front of a sink.

use std::fmt;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::{CAPACITY_DEFAULT, Seek};
use crate::faults::{is_interrupted, write_zero};
use crate::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

pin_project! {
    /// A sink with a buffer, which collects small writes and makes large ones of them.
    ///
    /// A write as large as the buffer goes past it when it is empty. Reads go straight through. When the sink
    /// below fails, what it did not take stays in the buffer, and the next flush tries again.
    ///
    /// **Flush it before it is dropped**, by [`flush`](crate::AsyncWriteExt::flush) or
    /// [`shutdown`](crate::AsyncWriteExt::shutdown): a drop cannot wait, so what the buffer holds is lost.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncWriteExt, BufWriter};
    /// # futures::executor::block_on(async {
    /// let mut sink = BufWriter::new(Vec::new());
    /// for n in 0..3 {
    ///     sink.write_u8(n).await?;
    /// }
    /// assert_eq!(sink.buffer(), [0, 1, 2]);
    /// sink.flush().await?;
    /// assert_eq!(sink.into_inner(), [0, 1, 2]);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub struct BufWriter<W> {
        #[pin]
        pub(super) inner: W,
        // `buf[written..]` is what `inner` has not taken yet.
        pub(super) buf: Vec<u8>,
        pub(super) written: usize,
        pub(super) seek: Seek,
    }
}

impl<W: AsyncWrite> BufWriter<W> {
    /// Puts a buffer of 8 KiB in front of `inner`.
    pub fn new(inner: W) -> Self {
        Self::with_capacity(CAPACITY_DEFAULT, inner)
    }

    /// Puts a buffer of `cap` bytes in front of `inner`; with zero, each write goes straight through.
    pub fn with_capacity(cap: usize, inner: W) -> Self {
        BufWriter {
            inner,
            buf: Vec::with_capacity(cap),
            written: 0,
            seek: Seek::Idle,
        }
    }

    /// Returns the sink below.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Returns the sink below for changes; what is written to it comes before what the buffer holds.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Returns the sink below, pinned, for changes; what is written to it comes before what the buffer holds.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().inner
    }

    /// Gives the sink below back; what the buffer holds is lost.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// Returns what the sink below has not taken yet.
    pub fn buffer(&self) -> &[u8] {
        &self.buf[self.written..]
    }

    /// Writes the buffer out. However it ends, `buf[written..]` is what was not taken.
    fn poll_flush_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut me = self.project();
        while *me.written < me.buf.len() {
            match ready!(me.inner.as_mut().poll_write(cx, &me.buf[*me.written..])) {
                Ok(0) => return Poll::Ready(Err(write_zero())),
                Ok(n) => *me.written += n,
                Err(err) if is_interrupted(&err) => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
        me.buf.clear();
        *me.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes room for `len` bytes: at once if they fit, else by writing the buffer out.
    fn poll_room(self: Pin<&mut Self>, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<()>> {
        // The bytes that were taken already count: a vector that grew would be no bounded buffer.
        if self.buf.capacity() - self.buf.len() >= len {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_buf(cx)
    }
}

impl<W: AsyncWrite> AsyncWrite for BufWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_room(cx, buf.len()))?;
        let me = self.project();
        if buf.len() >= me.buf.capacity() {
            return me.inner.poll_write(cx, buf);
        }
        me.buf.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush_buf(cx))?;
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush_buf(cx))?;
        self.get_pin_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.inner.is_write_vectored() {
            let len = bufs
                .iter()
                .fold(0_usize, |len, buf| len.saturating_add(buf.len()));
            ready!(self.as_mut().poll_room(cx, len))?;
            let me = self.project();
            if len >= me.buf.capacity() {
                return me.inner.poll_write_vectored(cx, bufs);
            }
            for buf in bufs {
                me.buf.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(len));
        }

        // The sink below takes one slice at a time: collect those that fit whole.
        let mut bufs = bufs.iter().filter(|buf| !buf.is_empty());
        let Some(first) = bufs.next() else {
            return Poll::Ready(Ok(0));
        };
        let mut taken = ready!(self.as_mut().poll_write(cx, first))?;
        let me = self.project();
        if me.buf.is_empty() {
            // It went past the buffer, maybe in part, so what follows may not be taken.
            return Poll::Ready(Ok(taken));
        }
        for buf in bufs {
            if me.buf.capacity() - me.buf.len() < buf.len() {
                break;
            }
            me.buf.extend_from_slice(buf);
            taken += buf.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Seeks once the buffer is written out, so that what was written before stands before. If that fails, the seek
/// is given up.
impl<W: AsyncWrite + AsyncSeek> AsyncSeek for BufWriter<W> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().seek = Seek::Wanted(position);
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Seek::Wanted(position) = self.seek {
            let flushed = ready!(self.as_mut().poll_flush_buf(cx));
            let me = self.as_mut().project();
            let settled = match flushed {
                Ok(()) => ready!(me.inner.poll_complete(cx)).map(drop),
                Err(err) => Err(err),
            };
            let me = self.as_mut().project();
            *me.seek = Seek::Idle;
            settled?;
            me.inner.start_seek(position)?;
            *me.seek = Seek::Moving;
        }
        let held = self.buffer().len() as u64;
        let me = self.project();
        let below = ready!(me.inner.poll_complete(cx));
        *me.seek = Seek::Idle;
        Poll::Ready(Ok(below? + held))
    }
}

impl<W: AsyncWrite + AsyncRead> AsyncRead for BufWriter<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_pin_mut().poll_read(cx, buf)
    }
}

impl<W: AsyncWrite + AsyncBufRead> AsyncBufRead for BufWriter<W> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_pin_mut().poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.get_pin_mut().consume(amt);
    }
}

impl<W: fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufWriter")
            .field("inner", &self.inner)
            .field("buffered", &(self.buf.len() - self.written))
            .field("capacity", &self.buf.capacity())
            .finish_non_exhaustive()
    }
}
