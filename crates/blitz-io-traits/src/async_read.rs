//! Reading bytes without blocking: the trait that sources implement, and the sources std already has.

use std::io;
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::ReadBuf;

/// A source of bytes.
///
/// Users call the methods of [`AsyncReadExt`](crate::AsyncReadExt); this trait is what a source implements.
///
/// # Examples
/// A source of one endless byte:
/// ```
/// use blitz_io_traits::{AsyncRead, AsyncReadExt, ReadBuf};
/// use std::{io, pin::Pin, task::{Context, Poll}};
///
/// struct Sevens;
/// impl AsyncRead for Sevens {
///     fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
///         let n = buf.remaining();
///         buf.initialize_unfilled().fill(7);
///         buf.advance(n);
///         Poll::Ready(Ok(()))
///     }
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(Sevens.read_u16().await?, 0x0707);
/// # io::Result::Ok(()) }).unwrap();
/// ```
pub trait AsyncRead {
    /// Tries to append bytes to `buf`.
    ///
    /// - `Ready(Ok(()))` with more filled than before: that was read.
    /// - `Ready(Ok(()))` with nothing more filled: the end was reached, or `buf` had no room. It need not
    ///   be the end for ever.
    /// - `Pending`: nothing was read, and the task is woken when it is worth trying again.
    ///
    /// # Errors
    /// Whatever the source reports. `buf` has nothing more filled then, and `WouldBlock` and `Interrupted` never
    /// appear: the one is `Pending`, the other is tried again inside.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;
}

macro_rules! read_through_deref {
    () => {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut **self).poll_read(cx, buf)
        }
    };
}

impl<T: ?Sized + AsyncRead + Unpin> AsyncRead for Box<T> {
    read_through_deref!();
}

impl<T: ?Sized + AsyncRead + Unpin> AsyncRead for &mut T {
    read_through_deref!();
}

impl<P> AsyncRead for Pin<P>
where
    P: DerefMut,
    P::Target: AsyncRead,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.as_deref_mut().poll_read(cx, buf)
    }
}

impl AsyncRead for &[u8] {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (head, tail) = self.split_at(self.len().min(buf.remaining()));
        buf.put_slice(head);
        *self = tail;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncRead for io::Cursor<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let position = self.position();
        let bytes = (*self).get_ref().as_ref();
        // A cursor may stand anywhere behind its end, even where a usize does not reach.
        let start = usize::try_from(position).map_or(bytes.len(), |at| at.min(bytes.len()));
        let n = (bytes.len() - start).min(buf.remaining());
        buf.put_slice(&bytes[start..start + n]);
        self.set_position(position + n as u64);
        Poll::Ready(Ok(()))
    }
}
