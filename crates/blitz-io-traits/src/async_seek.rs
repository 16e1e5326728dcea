//! Moving within a stream that has positions: the trait, and the streams std already has.

use std::io::{self, SeekFrom};
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream whose position can be moved.
///
/// Users call the methods of [`AsyncSeekExt`](crate::AsyncSeekExt); this trait is what a stream implements.
pub trait AsyncSeek {
    /// Begins to move to `position`, an offset in bytes.
    ///
    /// `Ok(())` says only that the move was begun; [`poll_complete`](AsyncSeek::poll_complete) tells its end.
    /// A caller first brings a move that is under way to its end.
    ///
    /// # Errors
    /// Whatever the stream reports, above all when a move is still under way.
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()>;

    /// Waits for the move that was begun, and returns the new position from the start.
    ///
    /// When none was begun, what position it returns is up to the stream.
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>>;
}

macro_rules! seek_through_deref {
    () => {
        fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
            Pin::new(&mut **self).start_seek(position)
        }

        fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
            Pin::new(&mut **self).poll_complete(cx)
        }
    };
}

impl<T: ?Sized + AsyncSeek + Unpin> AsyncSeek for Box<T> {
    seek_through_deref!();
}

impl<T: ?Sized + AsyncSeek + Unpin> AsyncSeek for &mut T {
    seek_through_deref!();
}

impl<P> AsyncSeek for Pin<P>
where
    P: DerefMut,
    P::Target: AsyncSeek,
{
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        self.as_deref_mut().start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        self.as_deref_mut().poll_complete(cx)
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncSeek for io::Cursor<T> {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        io::Seek::seek(&mut *self, position).map(drop)
    }

    fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.get_mut().position()))
    }
}
