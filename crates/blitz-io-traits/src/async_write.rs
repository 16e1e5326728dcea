//! Writing bytes without blocking: the trait that sinks implement, and the sinks std already has.

use std::io::{self, IoSlice};
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A sink for bytes.
///
/// Users call the methods of [`AsyncWriteExt`](crate::AsyncWriteExt); this trait is what a sink implements.
pub trait AsyncWrite {
    /// Tries to write bytes from the front of `buf`.
    ///
    /// - `Ready(Ok(n))`: `n <= buf.len()` bytes were taken; zero for a `buf` with bytes in it means that the sink
    ///   takes no more.
    /// - `Pending`: nothing was taken, and the task is woken when it is worth trying again.
    ///
    /// # Errors
    /// Whatever the sink reports; nothing was taken then. Neither `WouldBlock` nor `Interrupted`.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>>;

    /// Tries to bring all that was taken to its destination.
    ///
    /// `Ready(Ok(()))` once nothing is held back in memory.
    ///
    /// # Errors
    /// Whatever the sink reports.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tries to end the stream of bytes in good order.
    ///
    /// It flushes first, and then says to the other end that no more will come (FIN, close_notify). After
    /// `Ready(Ok(()))` the value may be dropped, and another write is a mistake that gives an error or a panic. To
    /// shut a sink down before all was written in it is lawful.
    ///
    /// # Errors
    /// Whatever the sink reports.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tries to write bytes from several slices, as if they were one.
    ///
    /// Answers as [`poll_write`](AsyncWrite::poll_write) does. Where it is not overridden, it writes the first slice
    /// that is not empty.
    ///
    /// # Errors
    /// As for [`poll_write`](AsyncWrite::poll_write).
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, first_with_bytes(bufs))
    }

    /// Returns whether [`poll_write_vectored`](AsyncWrite::poll_write_vectored) is better than one write for each slice.
    ///
    /// Callers that could join small slices first ask this.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

/// The first slice that is not empty, or an empty one.
pub(crate) fn first_with_bytes<'a>(bufs: &'a [IoSlice<'_>]) -> &'a [u8] {
    bufs.iter()
        .find(|slice| !slice.is_empty())
        .map_or(&[], |slice| slice)
}

macro_rules! write_through_deref {
    () => {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut **self).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut **self).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut **self).poll_shutdown(cx)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut **self).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            (**self).is_write_vectored()
        }
    };
}

impl<T: ?Sized + AsyncWrite + Unpin> AsyncWrite for Box<T> {
    write_through_deref!();
}

impl<T: ?Sized + AsyncWrite + Unpin> AsyncWrite for &mut T {
    write_through_deref!();
}

impl<P> AsyncWrite for Pin<P>
where
    P: DerefMut,
    P::Target: AsyncWrite,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.as_deref_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_deref_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_deref_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.as_deref_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        (**self).is_write_vectored()
    }
}

/// For sinks in memory: std's writer never waits, so what it says is the answer.
macro_rules! write_through_std {
    ($($sink:ty),+ $(,)?) => {$(
        impl AsyncWrite for $sink {
            fn poll_write(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(io::Write::write(self.get_mut(), buf))
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(io::Write::write_vectored(self.get_mut(), bufs))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    )+};
}

write_through_std!(
    Vec<u8>,
    io::Cursor<&mut [u8]>,
    io::Cursor<&mut Vec<u8>>,
    io::Cursor<Vec<u8>>,
    io::Cursor<Box<[u8]>>,
);
