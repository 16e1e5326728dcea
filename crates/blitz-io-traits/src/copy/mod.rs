//! Bringing all bytes from a source to a sink, in one direction or both.

mod both_ways;
mod buffer;
mod buffered;

pub use both_ways::{copy_bidirectional, copy_bidirectional_with_sizes};
pub use buffered::copy_buf;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use crate::waiting::{Call, Located};
use crate::{AsyncRead, AsyncWrite};
use buffer::CopyBuffer;

/// The size of the buffer between a source and a sink.
const SIZE_DEFAULT: usize = 8 * 1024;

/// Copies all bytes from `reader` to `writer`, flushes, and returns how many bytes it was.
///
/// It goes through a buffer of 8 KiB; [`copy_buf`] uses the reader's own. While the sink is busy it reads on until
/// the buffer is full, and while the source is silent it flushes the sink, so no byte that came is held back. Between sources and sinks
/// that never wait it ends its turn now and then to let other tasks run.
///
/// # Cancel safety
/// Not safe: what was read and not written yet is lost when it is dropped. [`copy_buf`] loses nothing.
///
/// # Errors
/// The first error of either side, `WriteZero` when the sink takes no more. An error of the source comes after all
/// that was read before it has been written.
///
/// # Examples
/// ```
/// use blitz_io_traits::copy;
/// # futures::executor::block_on(async {
/// let mut sink = Vec::new();
/// let n = copy(&mut &b"all of it"[..], &mut sink).await?;
/// assert_eq!((n, &sink[..]), (9, &b"all of it"[..]));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn copy<'a, R, W>(
    reader: &'a mut R,
    writer: &'a mut W,
) -> impl Future<Output = io::Result<u64>> + use<'a, R, W>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    Located::new(Call::Copy, async move {
        let mut buffer = CopyBuffer::new(SIZE_DEFAULT);
        poll_fn(|cx| buffer.poll_copy(cx, Pin::new(&mut *reader), Pin::new(&mut *writer))).await
    })
}
