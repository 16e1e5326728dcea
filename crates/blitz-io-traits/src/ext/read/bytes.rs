//! Reading some bytes, or so many.

use std::future::Future;
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use pin_project_lite::pin_project;

use crate::faults::{early_eof, is_interrupted};
use crate::{AsyncRead, ReadBuf};

pin_project! {
    /// The future of [`AsyncReadExt::read`](crate::AsyncReadExt::read).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Read<'a, R: ?Sized> {
        reader: &'a mut R,
        buf: &'a mut [u8],
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized> Read<'a, R> {
    pub(super) fn new(reader: &'a mut R, buf: &'a mut [u8]) -> Self {
        Read {
            reader,
            buf,
            _pin: PhantomPinned,
        }
    }
}

impl<R: AsyncRead + Unpin + ?Sized> Future for Read<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let me = self.project();
        let mut buf = ReadBuf::new(me.buf);
        ready!(Pin::new(&mut **me.reader).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

pin_project! {
    /// The future of [`AsyncReadExt::read_buf`](crate::AsyncReadExt::read_buf).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct ReadBufTo<'a, R: ?Sized, B: ?Sized> {
        reader: &'a mut R,
        buf: &'a mut B,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized, B: ?Sized> ReadBufTo<'a, R, B> {
    pub(super) fn new(reader: &'a mut R, buf: &'a mut B) -> Self {
        ReadBufTo {
            reader,
            buf,
            _pin: PhantomPinned,
        }
    }
}

impl<R, B> Future for ReadBufTo<'_, R, B>
where
    R: AsyncRead + Unpin + ?Sized,
    B: BufMut + ?Sized,
{
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let me = self.project();
        poll_read_buf(Pin::new(&mut **me.reader), cx, &mut **me.buf)
    }
}

/// Reads into the buffer's free space, which it advances, and returns how many bytes came: [`read_buf`](crate::AsyncReadExt::read_buf)
/// for who polls. Zero is the end of the stream, or a buffer without free space.
///
/// Whoever waits is told of by the reader alone: a runtime that shows who waits shows no line of code for it.
///
/// # Errors
/// Those of the reader.
///
/// # Panics
/// If the reader puts another buffer in the place of the one that it was given.
///
/// # Examples
/// ```
/// use blitz_io_traits::poll_read_buf;
/// use std::pin::Pin;
/// use std::task::{Context, Poll, Waker};
///
/// let mut reader = &b"hello"[..];
/// let mut buf = Vec::new();
/// let polled = poll_read_buf(Pin::new(&mut reader), &mut Context::from_waker(Waker::noop()), &mut buf);
/// assert!(matches!(polled, Poll::Ready(Ok(5))));
/// assert_eq!(buf, b"hello");
/// ```
#[inline]
pub fn poll_read_buf<R, B>(
    reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buf: &mut B,
) -> Poll<io::Result<usize>>
where
    R: AsyncRead + ?Sized,
    B: BufMut + ?Sized,
{
    if !buf.has_remaining_mut() {
        return Poll::Ready(Ok(0));
    }
    // SAFETY: the memory goes into a `ReadBuf` only, whose safe methods store no uninitialised byte, and
    // whose unsafe ones forbid it where a byte is initialised.
    let memory = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let mut free = ReadBuf::uninit(memory);
    let before = free.filled().as_ptr();
    ready!(reader.poll_read(cx, &mut free))?;
    // Safe code may have put another `ReadBuf` in the place of ours.
    assert_eq!(
        before,
        free.filled().as_ptr(),
        "the reader exchanged the buffer that it was given"
    );
    let n = free.filled().len();
    // SAFETY: the buffer is the one over our chunk, and `n` bytes of it are filled.
    unsafe { buf.advance_mut(n) };
    Poll::Ready(Ok(n))
}

pin_project! {
    /// The future of [`AsyncReadExt::read_exact`](crate::AsyncReadExt::read_exact).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct ReadExact<'a, R: ?Sized> {
        reader: &'a mut R,
        buf: ReadBuf<'a>,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized> ReadExact<'a, R> {
    pub(super) fn new(reader: &'a mut R, buf: &'a mut [u8]) -> Self {
        ReadExact {
            reader,
            buf: ReadBuf::new(buf),
            _pin: PhantomPinned,
        }
    }
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadExact<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let me = self.project();
        while me.buf.remaining() > 0 {
            let before = me.buf.remaining();
            match ready!(Pin::new(&mut **me.reader).poll_read(cx, me.buf)) {
                Ok(()) if me.buf.remaining() == before => return Poll::Ready(Err(early_eof())),
                Ok(()) => {}
                Err(err) if is_interrupted(&err) => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
        Poll::Ready(Ok(me.buf.capacity()))
    }
}
