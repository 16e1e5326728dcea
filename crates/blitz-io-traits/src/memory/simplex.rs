//! A one-way pipe in memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::pipe::{Input, Pipe};
use crate::coop::charge;
use crate::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};

/// Makes a one-way pipe of up to `max_buf_size` unread bytes, as its reading and its writing end.
///
/// The reader sees the end after [`shutdown`](crate::AsyncWriteExt::shutdown) of the writing end. Dropping one end does not
/// close the pipe, since both can be put together again; [`duplex`](crate::duplex) ends by itself.
///
/// # Panics
/// If `max_buf_size` is zero.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, simplex};
/// # futures::executor::block_on(async {
/// let (mut reading, mut writing) = simplex(64);
/// writing.write_all(b"hello").await?;
/// writing.shutdown().await?;
/// let mut text = String::new();
/// reading.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn simplex(max_buf_size: usize) -> (ReadHalf<SimplexStream>, WriteHalf<SimplexStream>) {
    split(SimplexStream::new_unsplit(max_buf_size))
}

/// A one-way pipe in memory, both ends in one; [`simplex`] makes it in two.
#[derive(Debug)]
pub struct SimplexStream {
    pipe: Pipe,
}

impl SimplexStream {
    /// Makes a pipe of up to `max_buf_size` unread bytes.
    ///
    /// # Panics
    /// If `max_buf_size` is zero.
    #[track_caller]
    pub fn new_unsplit(max_buf_size: usize) -> SimplexStream {
        SimplexStream {
            pipe: Pipe::new(max_buf_size),
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>, input: Input<'_>) -> Poll<io::Result<usize>> {
        charge(cx, |cx| {
            let (answer, leftover) = self.pipe.write(input);
            leftover.settle();
            if answer.is_pending() && !self.pipe.writer_waits(cx.waker()) {
                self.pipe.wait_to_write(cx.waker().clone()).settle();
            }
            answer
        })
    }
}

impl AsyncRead for SimplexStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = &mut self.get_mut().pipe;
        charge(cx, |cx| {
            let (answer, leftover) = pipe.read(buf);
            leftover.settle();
            if answer.is_pending() && !pipe.reader_waits(cx.waker()) {
                pipe.wait_to_read(cx.waker().clone()).settle();
            }
            answer
        })
    }
}

impl AsyncWrite for SimplexStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_input(cx, Input::One(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pipe.close_write().settle();
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_input(cx, Input::Many(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
