//! A buffer in front of a source.

use std::fmt;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::{CAPACITY_DEFAULT, Seek};
use crate::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

pin_project! {
    /// A source with a buffer, which reads much at once and gives it out in small pieces.
    ///
    /// A read as large as the buffer goes past it when it is empty. Writes go straight through.
    ///
    /// When it is dropped or taken apart, what the buffer holds is lost. Two of them over one source, one after the other,
    /// lose bytes.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, BufReader};
    /// # futures::executor::block_on(async {
    /// let mut source = BufReader::new(&b"first\nsecond"[..]);
    /// let mut line = String::new();
    /// source.read_line(&mut line).await?;
    /// assert_eq!(line, "first\n");
    /// assert_eq!(source.buffer(), b"second"); // read ahead
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub struct BufReader<R> {
        #[pin]
        pub(super) inner: R,
        // `buf[pos..end]` is what was read from `inner` and not given out.
        pub(super) buf: Box<[u8]>,
        pub(super) pos: usize,
        pub(super) end: usize,
        pub(super) seek: Seek,
    }
}

impl<R: AsyncRead> BufReader<R> {
    /// Puts a buffer of 8 KiB in front of `inner`.
    pub fn new(inner: R) -> Self {
        Self::with_capacity(CAPACITY_DEFAULT, inner)
    }

    /// Puts a buffer of `capacity` bytes in front of `inner`.
    ///
    /// # Panics
    /// If `capacity` is zero.
    #[track_caller]
    pub fn with_capacity(capacity: usize, inner: R) -> Self {
        assert!(capacity > 0, "capacity must be greater than zero");
        BufReader {
            inner,
            buf: vec![0; capacity].into_boxed_slice(),
            pos: 0,
            end: 0,
            seek: Seek::Idle,
        }
    }

    /// Returns the source below.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Returns the source below for changes; what is read from it is missing here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Returns the source below, pinned, for changes; what is read from it is missing here.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().inner
    }

    /// Gives the source below back; what the buffer holds is lost.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Returns what was read ahead, without reading more.
    pub fn buffer(&self) -> &[u8] {
        &self.buf[self.pos..self.end]
    }

    fn discard_buffer(self: Pin<&mut Self>) {
        let me = self.project();
        *me.pos = 0;
        *me.end = 0;
    }
}

impl<R: AsyncRead> AsyncRead for BufReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pos == self.end && buf.remaining() >= self.buf.len() {
            return self.project().inner.poll_read(cx, buf);
        }
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = available.len().min(buf.remaining());
        buf.put_slice(&available[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let me = self.project();
        if *me.pos == *me.end {
            let mut buf = ReadBuf::new(me.buf);
            ready!(me.inner.poll_read(cx, &mut buf))?;
            *me.end = buf.filled().len();
            *me.pos = 0;
        }
        Poll::Ready(Ok(&me.buf[*me.pos..*me.end]))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let me = self.project();
        *me.pos = me.pos.saturating_add(amt).min(*me.end);
    }
}

/// Seeks in the stream as its reader sees it: `SeekFrom::Current` counts from the next byte given out, though the source
/// below stands further on. A seek that succeeds empties the buffer, also when it moves by nothing; after one that failed
/// the buffer holds what it held. To step back by more than an `i64` holds takes two seeks below; if the second fails, the
/// source stands where the first led.
impl<R: AsyncRead + AsyncSeek> AsyncSeek for BufReader<R> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().seek = Seek::Wanted(position);
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let ahead = self.buffer().len();
        loop {
            let me = self.as_mut().project();
            let below = ready!(me.inner.poll_complete(cx));
            let me = self.as_mut().project();
            // Whatever fails, the next seek begins anew.
            let was = std::mem::replace(me.seek, Seek::Idle);
            let below = below?;
            let (next, after) = match was {
                Seek::Idle => return Poll::Ready(Ok(below.saturating_sub(ahead as u64))),
                Seek::Moving => {
                    self.discard_buffer();
                    return Poll::Ready(Ok(below));
                }
                Seek::SteppingBack(by) => {
                    self.as_mut().discard_buffer();
                    (SeekFrom::Current(by), Seek::Moving)
                }
                Seek::Wanted(SeekFrom::Current(by)) => match by.checked_sub(ahead as i64) {
                    Some(by) => (SeekFrom::Current(by), Seek::Moving),
                    None => (SeekFrom::Current(-(ahead as i64)), Seek::SteppingBack(by)),
                },
                Seek::Wanted(position) => (position, Seek::Moving),
            };
            let me = self.as_mut().project();
            me.inner.start_seek(next)?;
            *me.seek = after;
        }
    }
}

impl<R: AsyncRead + AsyncWrite> AsyncWrite for BufReader<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_pin_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl<R: fmt::Debug> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("inner", &self.inner)
            .field("buffered", &(self.end - self.pos))
            .field("capacity", &self.buf.len())
            .finish_non_exhaustive()
    }
}
