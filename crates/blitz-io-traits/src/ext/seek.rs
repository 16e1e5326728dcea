//! Seeking, as a future.

use std::future::Future;
use std::io::{self, SeekFrom};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::AsyncSeek;
use crate::waiting::{Call, Located};

/// The methods of every [`AsyncSeek`].
pub trait AsyncSeekExt: AsyncSeek {
    /// Moves to `pos`, an offset in bytes, and returns the new position from the start.
    ///
    /// A move that is still under way is brought to its end first.
    ///
    /// # Cancel safety
    /// Safe in memory, unknown in place: when it is dropped, the stream may or may not have moved. Seek again, or
    /// ask with [`stream_position`](AsyncSeekExt::stream_position).
    ///
    /// # Errors
    /// A place before the start gives `InvalidInput`; others are the stream's.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, AsyncSeekExt, ErrorKind, SeekFrom};
    /// use std::io::Cursor;
    ///
    /// # futures::executor::block_on(async {
    /// let mut file = Cursor::new(b"0123456789");
    /// assert_eq!(file.seek(SeekFrom::End(-3)).await?, 7);
    /// assert_eq!(file.read_u8().await?, b'7');
    ///
    /// let before_the_start = file.seek(SeekFrom::Current(-100)).await;
    /// assert_eq!(before_the_start.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn seek(&mut self, pos: SeekFrom) -> Located<Seek<'_, Self>>
    where
        Self: Unpin,
    {
        let seek = Seek {
            stream: self,
            wanted: Some(pos),
            _pin: PhantomPinned,
        };
        Located::new(Call::Seek, seek)
    }

    /// Moves to the start, and returns the position, zero.
    ///
    /// # Cancel safety
    /// As for [`seek`](AsyncSeekExt::seek).
    ///
    /// # Errors
    /// As for [`seek`](AsyncSeekExt::seek).
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, AsyncSeekExt};
    /// # futures::executor::block_on(async {
    /// let mut file = std::io::Cursor::new(b"abc");
    /// assert_eq!(file.read_u8().await?, b'a');
    /// file.rewind().await?;
    /// assert_eq!(file.read_u8().await?, b'a');
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn rewind(&mut self) -> Located<Seek<'_, Self>>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Start(0))
    }

    /// Returns the position from the start.
    ///
    /// # Cancel safety
    /// Safe: it moves by nothing.
    ///
    /// # Errors
    /// Whatever the stream reports.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, AsyncSeekExt};
    /// # futures::executor::block_on(async {
    /// let mut file = std::io::Cursor::new(b"abcdef");
    /// file.read_u32().await?;
    /// assert_eq!(file.stream_position().await?, 4);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn stream_position(&mut self) -> Located<Seek<'_, Self>>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Current(0))
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeekExt for S {}

pin_project! {
    /// The future of [`AsyncSeekExt::seek`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Seek<'a, S: ?Sized> {
        stream: &'a mut S,
        // Taken once the stream has begun to move.
        wanted: Option<SeekFrom>,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<S: AsyncSeek + Unpin + ?Sized> Future for Seek<'_, S> {
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let me = self.project();
        if let Some(pos) = *me.wanted {
            ready!(Pin::new(&mut **me.stream).poll_complete(cx))?;
            Pin::new(&mut **me.stream).start_seek(pos)?;
            *me.wanted = None;
        }
        Pin::new(&mut **me.stream).poll_complete(cx)
    }
}
