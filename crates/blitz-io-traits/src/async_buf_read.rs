//! Reading from a buffer that the source itself holds: the trait, and the sources std already has.

use std::io;
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::AsyncRead;

/// A source of bytes that holds a buffer which can be looked at before it is taken from.
///
/// Users call the methods of [`AsyncBufReadExt`](crate::AsyncBufReadExt); [`BufReader`](crate::BufReader) gives
/// a buffer to any source.
pub trait AsyncBufRead: AsyncRead {
    /// Tries to return what the buffer holds, filling it first when it is empty.
    ///
    /// An empty slice means that the end was reached. Nothing is taken: the same bytes come again until
    /// [`consume`](AsyncBufRead::consume) is called. `Pending` means that there is nothing yet, and the task is woken when
    /// it is worth trying again.
    ///
    /// # Errors
    /// Whatever the source reports.
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Takes `amt` bytes off the front of the buffer.
    ///
    /// `amt` is at most the length of what [`poll_fill_buf`](AsyncBufRead::poll_fill_buf) returned last; with more,
    /// an implementation may panic or take less, and is memory safe.
    fn consume(self: Pin<&mut Self>, amt: usize);
}

macro_rules! buf_read_through_deref {
    () => {
        fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            Pin::new(&mut **self.get_mut()).poll_fill_buf(cx)
        }

        fn consume(mut self: Pin<&mut Self>, amt: usize) {
            Pin::new(&mut **self).consume(amt);
        }
    };
}

impl<T: ?Sized + AsyncBufRead + Unpin> AsyncBufRead for Box<T> {
    buf_read_through_deref!();
}

impl<T: ?Sized + AsyncBufRead + Unpin> AsyncBufRead for &mut T {
    buf_read_through_deref!();
}

impl<P> AsyncBufRead for Pin<P>
where
    P: DerefMut,
    P::Target: AsyncBufRead,
{
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.as_deref_mut().poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.as_deref_mut().consume(amt);
    }
}

impl AsyncBufRead for &[u8] {
    fn poll_fill_buf(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(Ok(*self))
    }

    fn consume(mut self: Pin<&mut Self>, amt: usize) {
        *self = &self[amt..];
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncBufRead for io::Cursor<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(io::BufRead::fill_buf(self.get_mut()))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        io::BufRead::consume(self.get_mut(), amt);
    }
}
