//! Reading, as futures: some bytes, so many bytes, numbers, or all there is.

mod bytes;
mod number;
mod whole;

pub(crate) use whole::Text;

use ::bytes::BufMut;

use crate::waiting::{Call, Located};
use crate::{AsyncRead, Chain, Take};
pub use bytes::poll_read_buf;
use bytes::{Read, ReadBufTo, ReadExact};
use number::{Big, Little, ReadNumber};
use whole::{ReadToEnd, ReadToString};

/// Writes one method for each number, with its documentation and a tested example.
macro_rules! number_methods {
    ($($order:ident $word:literal: $($name:ident $type:ty = $encode:ident),+;)+) => {$($(
        #[doc = concat!("Reads a", $word, " `", stringify!($type), "`.")]
        ///
        /// # Cancel safety
        /// Not safe: bytes that were read are lost when it is dropped.
        ///
        /// # Errors
        /// `UnexpectedEof` when the end comes too early, and whatever the source reports.
        ///
        /// # Examples
        /// ```
        /// use blitz_io_traits::{AsyncReadExt, ErrorKind};
        /// # futures::executor::block_on(async {
        #[doc = concat!("let n = 89 as ", stringify!($type), ";")]
        #[doc = concat!("let bytes = n.", stringify!($encode), "();")]
        /// let mut source = &bytes[..];
        #[doc = concat!("assert_eq!(source.", stringify!($name), "().await?, n);")]
        ///
        #[doc = concat!("let at_the_end = source.", stringify!($name), "().await;")]
        /// assert_eq!(at_the_end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
        #[track_caller]
        fn $name(&mut self) -> Located<ReadNumber<'_, Self, $order<$type>>>
        where
            Self: Unpin,
        {
            Located::new(Call::ReadNumber, ReadNumber::new(self))
        }
    )+)+};
}

/// The methods of every [`AsyncRead`].
pub trait AsyncReadExt: AsyncRead {
    /// Makes a source that reads this one to its end, and then `next`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut both = (&b"head, "[..]).chain(&b"tail"[..]);
    /// let mut text = String::new();
    /// both.read_to_string(&mut text).await?;
    /// assert_eq!(text, "head, tail");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn chain<R>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
        R: AsyncRead,
    {
        Chain::new(self, next)
    }

    /// Reads some bytes into `buf`, and returns how many.
    ///
    /// Zero means that the end was reached, or that `buf` is empty. Fewer bytes than `buf` has room for mean nothing: more may
    /// come.
    ///
    /// # Cancel safety
    /// Safe: bytes leave the source in the poll that returns them, so a dropped `read` has read nothing.
    ///
    /// # Errors
    /// Whatever the source reports; nothing was read then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut source = &b"hello"[..];
    /// let mut buf = [0; 3];
    /// assert_eq!(source.read(&mut buf).await?, 3);
    /// assert_eq!(source.read(&mut buf).await?, 2);
    /// assert_eq!(source.read(&mut buf).await?, 0); // the end
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read<'a>(&'a mut self, buf: &'a mut [u8]) -> Located<Read<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::Read, Read::new(self, buf))
    }

    /// Reads some bytes, appends them to `buf`, and returns how many.
    ///
    /// Zero means that the end was reached, or that `buf` has no room (a `Vec` always has). Memory is not zeroed first.
    ///
    /// # Cancel safety
    /// Safe: a dropped `read_buf` has read nothing.
    ///
    /// # Errors
    /// Whatever the source reports; nothing was read then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut source = &b"hello"[..];
    /// let mut buf = bytes::BytesMut::with_capacity(64);
    /// while source.read_buf(&mut buf).await? > 0 {}
    /// assert_eq!(&buf[..], b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_buf<'a, B>(&'a mut self, buf: &'a mut B) -> Located<ReadBufTo<'a, Self, B>>
    where
        Self: Unpin,
        B: BufMut + ?Sized,
    {
        Located::new(Call::ReadBuf, ReadBufTo::new(self, buf))
    }

    /// Reads until `buf` is full, and returns its length.
    ///
    /// # Cancel safety
    /// Not safe: what was read stands in `buf`, but nobody knows how much it is.
    ///
    /// # Errors
    /// `UnexpectedEof` when the end comes first, and whatever the source reports. What `buf` holds then
    /// is not specified.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, ErrorKind};
    /// # futures::executor::block_on(async {
    /// let mut source = &b"PING and more"[..];
    /// let mut word = [0; 4];
    /// source.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"PING");
    ///
    /// let too_much = source.read_exact(&mut [0; 64]).await;
    /// assert_eq!(too_much.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_exact<'a>(&'a mut self, buf: &'a mut [u8]) -> Located<ReadExact<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::ReadExact, ReadExact::new(self, buf))
    }

    number_methods! {
        Big " single":
            read_u8 u8 = to_be_bytes,
            read_i8 i8 = to_be_bytes;
        Big " big-endian":
            read_u16 u16 = to_be_bytes,
            read_i16 i16 = to_be_bytes,
            read_u32 u32 = to_be_bytes,
            read_i32 i32 = to_be_bytes,
            read_u64 u64 = to_be_bytes,
            read_i64 i64 = to_be_bytes,
            read_u128 u128 = to_be_bytes,
            read_i128 i128 = to_be_bytes,
            read_f32 f32 = to_be_bytes,
            read_f64 f64 = to_be_bytes;
        Little " little-endian":
            read_u16_le u16 = to_le_bytes,
            read_i16_le i16 = to_le_bytes,
            read_u32_le u32 = to_le_bytes,
            read_i32_le i32 = to_le_bytes,
            read_u64_le u64 = to_le_bytes,
            read_i64_le i64 = to_le_bytes,
            read_u128_le u128 = to_le_bytes,
            read_i128_le i128 = to_le_bytes,
            read_f32_le f32 = to_le_bytes,
            read_f64_le f64 = to_le_bytes;
    }

    /// Reads to the end, appends all to `buf`, and returns how many bytes that was.
    ///
    /// # Cancel safety
    /// Nothing is lost: what was read stands at the end of `buf`, and calling it again goes on. Only the count
    /// starts anew.
    ///
    /// # Errors
    /// Whatever the source reports; what was read before stays in `buf`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut body = b"found: ".to_vec();
    /// let n = (&b"all of it"[..]).read_to_end(&mut body).await?;
    /// assert_eq!((n, &body[..]), (9, &b"found: all of it"[..]));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_to_end<'a>(&'a mut self, buf: &'a mut Vec<u8>) -> Located<ReadToEnd<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::ReadToEnd, ReadToEnd::new(self, buf))
    }

    /// Reads to the end, appends all to `dst`, and returns how many bytes that was.
    ///
    /// # Cancel safety
    /// Nearly: what was read stands in `dst` when it is dropped, except for the first bytes of a character
    /// whose last ones had not come.
    ///
    /// # Errors
    /// `InvalidData` when it is not UTF-8, with the `Utf8Error` inside, and whatever the source reports. `dst` is as it was
    /// before then, and what was read is lost.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncReadExt, ErrorKind};
    /// # futures::executor::block_on(async {
    /// let mut text = String::new();
    /// (&b"plain"[..]).read_to_string(&mut text).await?;
    /// assert_eq!(text, "plain");
    ///
    /// let not_text = (&b"\xff"[..]).read_to_string(&mut text).await;
    /// assert_eq!(not_text.unwrap_err().kind(), ErrorKind::InvalidData);
    /// assert_eq!(text, "plain");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_to_string<'a>(&'a mut self, dst: &'a mut String) -> Located<ReadToString<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::ReadToString, ReadToString::new(self, dst))
    }

    /// Makes a source that ends after `limit` bytes of this one, if it has not ended before.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut text = String::new();
    /// (&b"only the first word"[..]).take(4).read_to_string(&mut text).await?;
    /// assert_eq!(text, "only");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, limit)
    }
}

impl<R: AsyncRead + ?Sized> AsyncReadExt for R {}
