//! Writing, as futures: some bytes, all bytes, numbers, and the end.

mod bytes;
mod finish;
mod number;

use std::io::IoSlice;

use ::bytes::Buf;

use crate::AsyncWrite;
use crate::waiting::{Call, Located};
use bytes::{Write, WriteAll, WriteAllBuf, WriteBuf, WriteVectored};
use finish::{Flush, Shutdown};
use number::WriteNumber;

/// Writes one method for each number, with its documentation and a tested example.
macro_rules! number_methods {
    ($($word:literal $encode:ident: $($name:ident $type:ty),+;)+) => {$($(
        #[doc = concat!("Writes a", $word, " `", stringify!($type), "`.")]
        ///
        /// # Cancel safety
        /// Not safe: a part of it may have been written when it is dropped.
        ///
        /// # Errors
        /// `WriteZero` when the sink takes no more, and whatever the sink reports.
        ///
        /// # Examples
        /// ```
        /// use blitz_io_traits::{AsyncWriteExt, ErrorKind};
        /// # futures::executor::block_on(async {
        #[doc = concat!("let n = 89 as ", stringify!($type), ";")]
        /// let mut sink = Vec::new();
        #[doc = concat!("sink.", stringify!($name), "(n).await?;")]
        #[doc = concat!("assert_eq!(sink, n.", stringify!($encode), "());")]
        ///
        /// let mut full = std::io::Cursor::new(&mut [][..]);
        #[doc = concat!("let refused = full.", stringify!($name), "(n).await;")]
        /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::WriteZero);
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
        #[track_caller]
        fn $name(&mut self, n: $type) -> Located<WriteNumber<'_, Self>>
        where
            Self: Unpin,
        {
            Located::new(Call::WriteNumber, WriteNumber::new(self, &n.$encode()))
        }
    )+)+};
}

/// The methods of every [`AsyncWrite`].
pub trait AsyncWriteExt: AsyncWrite {
    /// Writes some bytes from the front of `src`, and returns how many.
    ///
    /// Fewer than all mean nothing: write the rest. Zero for a `src` with bytes in it means that the sink takes no
    /// more.
    ///
    /// # Cancel safety
    /// Safe: bytes are taken in the poll that says so, and a dropped `write` has written nothing.
    ///
    /// # Errors
    /// Whatever the sink reports; nothing was written then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncWriteExt;
    /// # futures::executor::block_on(async {
    /// let mut room_for_four = [0; 4];
    /// let mut sink = std::io::Cursor::new(&mut room_for_four[..]);
    /// assert_eq!(sink.write(b"hello").await?, 4);
    /// assert_eq!(sink.write(b"o").await?, 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn write<'a>(&'a mut self, src: &'a [u8]) -> Located<Write<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::Write, Write::new(self, src))
    }

    /// Writes some bytes from several slices, as if they were one, and returns how many.
    ///
    /// # Cancel safety
    /// Safe: a dropped `write_vectored` has written nothing.
    ///
    /// # Errors
    /// Whatever the sink reports; nothing was written then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncWriteExt;
    /// use std::io::IoSlice;
    /// # futures::executor::block_on(async {
    /// let mut sink = Vec::new();
    /// let n = sink.write_vectored(&[IoSlice::new(b"head "), IoSlice::new(b"body")]).await?;
    /// assert_eq!((n, &sink[..]), (9, &b"head body"[..]));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn write_vectored<'a, 'b>(
        &'a mut self,
        bufs: &'a [IoSlice<'b>],
    ) -> Located<WriteVectored<'a, 'b, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::WriteVectored, WriteVectored::new(self, bufs))
    }

    /// Writes some bytes from a [`Buf`], moves it on by as many, and returns how many.
    ///
    /// A buffer in several pieces goes in one vectored write where the sink is good at it.
    ///
    /// # Cancel safety
    /// Safe: `src` moves in the poll in which the sink took the bytes.
    ///
    /// # Errors
    /// Whatever the sink reports; nothing was written then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncWriteExt;
    /// use bytes::{Buf, Bytes};
    /// # futures::executor::block_on(async {
    /// let mut sink = Vec::new();
    /// let mut message = Bytes::from_static(b"hello");
    /// while message.has_remaining() {
    ///     sink.write_buf(&mut message).await?;
    /// }
    /// assert_eq!(sink, b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn write_buf<'a, B>(&'a mut self, src: &'a mut B) -> Located<WriteBuf<'a, Self, B>>
    where
        Self: Sized + Unpin,
        B: Buf,
    {
        Located::new(Call::WriteBuf, WriteBuf::new(self, src))
    }

    /// Writes all bytes of a [`Buf`], moving it on as they go.
    ///
    /// # Cancel safety
    /// Safe: `src` always stands at the first byte that was not written, and calling it again goes on there.
    ///
    /// # Errors
    /// `WriteZero` when the sink takes no more, and whatever the sink reports. `src` tells how far it came.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncWriteExt, ErrorKind};
    /// use bytes::Buf;
    /// # futures::executor::block_on(async {
    /// let mut message = &b"hello"[..];
    /// let mut room_for_four = [0; 4];
    /// let mut sink = std::io::Cursor::new(&mut room_for_four[..]);
    /// let err = sink.write_all_buf(&mut message).await.unwrap_err();
    /// assert_eq!(err.kind(), ErrorKind::WriteZero);
    /// assert_eq!(message, b"o");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn write_all_buf<'a, B>(&'a mut self, src: &'a mut B) -> Located<WriteAllBuf<'a, Self, B>>
    where
        Self: Sized + Unpin,
        B: Buf,
    {
        Located::new(Call::WriteAllBuf, WriteAllBuf::new(self, src))
    }

    /// Writes all of `src`.
    ///
    /// # Cancel safety
    /// Not safe: a part may have been written, and nobody knows how much.
    /// [`write_all_buf`](AsyncWriteExt::write_all_buf) knows.
    ///
    /// # Errors
    /// `WriteZero` when the sink takes no more, and whatever the sink reports.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncWriteExt, ErrorKind};
    /// # futures::executor::block_on(async {
    /// let mut sink = Vec::new();
    /// sink.write_all(b"hello").await?;
    /// assert_eq!(sink, b"hello");
    ///
    /// let mut full = std::io::Cursor::new(&mut [][..]);
    /// assert_eq!(full.write_all(b"hello").await.unwrap_err().kind(), ErrorKind::WriteZero);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn write_all<'a>(&'a mut self, src: &'a [u8]) -> Located<WriteAll<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::WriteAll, WriteAll::new(self, src))
    }

    number_methods! {
        " single" to_be_bytes:
            write_u8 u8,
            write_i8 i8;
        " big-endian" to_be_bytes:
            write_u16 u16,
            write_i16 i16,
            write_u32 u32,
            write_i32 i32,
            write_u64 u64,
            write_i64 i64,
            write_u128 u128,
            write_i128 i128,
            write_f32 f32,
            write_f64 f64;
        " little-endian" to_le_bytes:
            write_u16_le u16,
            write_i16_le i16,
            write_u32_le u32,
            write_i32_le i32,
            write_u64_le u64,
            write_i64_le i64,
            write_u128_le u128,
            write_i128_le i128,
            write_f32_le f32,
            write_f64_le f64;
    }

    /// Brings all that was written to its destination.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost, and calling it again goes on.
    ///
    /// # Errors
    /// Whatever the sink reports.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncWriteExt, BufWriter};
    /// # futures::executor::block_on(async {
    /// let mut sink = BufWriter::new(Vec::new());
    /// sink.write_all(b"hello").await?;
    /// assert!(sink.get_ref().is_empty());
    /// sink.flush().await?;
    /// assert_eq!(sink.get_ref(), b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn flush(&mut self) -> Located<Flush<'_, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::Flush, Flush::new(self))
    }

    /// Flushes, and says to the other end that no more will come.
    ///
    /// # Cancel safety
    /// Safe: calling it again goes on.
    ///
    /// # Errors
    /// Whatever the sink reports.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, duplex};
    /// # futures::executor::block_on(async {
    /// let (mut here, mut there) = duplex(64);
    /// here.write_all(b"bye").await?;
    /// here.shutdown().await?;
    ///
    /// let mut text = String::new();
    /// there.read_to_string(&mut text).await?; // ends, although `here` lives
    /// assert_eq!(text, "bye");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn shutdown(&mut self) -> Located<Shutdown<'_, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::Shutdown, Shutdown::new(self))
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWriteExt for W {}
