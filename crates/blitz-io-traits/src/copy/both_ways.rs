//! Copying between two streams in both directions at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::SIZE_DEFAULT;
use super::buffer::CopyBuffer;
use crate::waiting::{Call, Located};
use crate::{AsyncRead, AsyncWrite};

/// Copies from `a` to `b` and from `b` to `a` until both directions have ended, and returns how many bytes went each way.
///
/// When one stream ends, the other is shut down for writing, and the other direction goes on: a half-closed
/// connection stays one. Each direction has a buffer of 8 KiB and does what [`copy`](crate::copy()) does.
///
/// # Cancel safety
/// Not safe: what was read and not written yet is lost when it is dropped.
///
/// # Errors
/// The first error of either direction ends both, at once.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
/// # futures::executor::block_on(async {
/// let (mut client, mut front) = duplex(64);
/// let (mut back, mut server) = duplex(64);
///
/// let proxy = async { copy_bidirectional(&mut front, &mut back).await };
/// let talk = async {
///     client.write_all(b"question").await?;
///     client.shutdown().await?;
///     let mut text = String::new();
///     server.read_to_string(&mut text).await?;
///     server.write_all(b"answer").await?;
///     server.shutdown().await?;
///     text.clear();
///     client.read_to_string(&mut text).await?;
///     std::io::Result::Ok(text)
/// };
/// let (copied, text) = futures::join!(proxy, talk);
/// assert_eq!((copied?, text?), ((8, 6), String::from("answer")));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn copy_bidirectional<A, B>(
    a: &mut A,
    b: &mut B,
) -> impl Future<Output = io::Result<(u64, u64)>>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    copy_bidirectional_with_sizes(a, b, SIZE_DEFAULT, SIZE_DEFAULT)
}

/// Copies both ways as [`copy_bidirectional`] does, with buffers of the given sizes.
///
/// # Cancel safety
/// As for [`copy_bidirectional`].
///
/// # Errors
/// As for [`copy_bidirectional`].
///
/// # Panics
/// If a size is zero.
///
/// # Examples
/// ```
/// use blitz_io_traits::{copy_bidirectional_with_sizes, join};
/// # futures::executor::block_on(async {
/// let mut left = join(&b"from the left"[..], Vec::new());
/// let mut right = join(&b"from the right"[..], Vec::new());
/// let copied = copy_bidirectional_with_sizes(&mut left, &mut right, 4, 1024).await?;
/// assert_eq!(copied, (13, 14));
/// assert_eq!(left.writer(), b"from the right");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b_buf_size: usize,
    b_to_a_buf_size: usize,
) -> impl Future<Output = io::Result<(u64, u64)>>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    Located::new(Call::CopyBidirectional, async move {
        assert!(
            a_to_b_buf_size > 0,
            "`a_to_b_buf_size` must be greater than 0"
        );
        assert!(
            b_to_a_buf_size > 0,
            "`b_to_a_buf_size` must be greater than 0"
        );
        let mut there = Direction::Copying(CopyBuffer::new(a_to_b_buf_size));
        let mut back = Direction::Copying(CopyBuffer::new(b_to_a_buf_size));
        poll_fn(|cx| {
            // Both are polled each time, so that both have their wakers in place.
            let sent = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b))?;
            let received = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a))?;
            Poll::Ready(Ok((ready!(sent), ready!(received))))
        })
        .await
    })
}

/// How far one direction has come.
enum Direction {
    Copying(CopyBuffer),
    ShuttingDown(u64),
    Done(u64),
}

impl Direction {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut R>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        loop {
            *self = match self {
                Direction::Copying(buffer) => {
                    let copied = ready!(buffer.poll_copy(cx, from.as_mut(), to.as_mut()))?;
                    Direction::ShuttingDown(copied)
                }
                Direction::ShuttingDown(copied) => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    Direction::Done(*copied)
                }
                Direction::Done(copied) => return Poll::Ready(Ok(*copied)),
            };
        }
    }
}
