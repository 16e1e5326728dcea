//! Reading from a source with a buffer: up to a byte, line by line, or the buffer itself.

mod fill;
mod until;

use std::pin::Pin;

use crate::waiting::{Call, Located};
use crate::{AsyncBufRead, Lines, Split};
use fill::FillBuf;
use until::{ReadLine, ReadUntil};

/// The methods of every [`AsyncBufRead`].
pub trait AsyncBufReadExt: AsyncBufRead {
    /// Reads up to and with the next `byte`, or to the end, appends that to `buf`, and returns how many bytes it was.
    ///
    /// Zero means that the end was reached.
    ///
    /// # Cancel safety
    /// Nothing is lost: what was read stands at the end of `buf`, and calling it again goes on to the same `byte`. Only
    /// the count starts anew.
    ///
    /// # Errors
    /// Whatever the source reports; what was read before stays in `buf`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncBufReadExt;
    /// # futures::executor::block_on(async {
    /// let mut source = &b"key=value"[..];
    /// let mut key = Vec::new();
    /// assert_eq!(source.read_until(b'=', &mut key).await?, 4);
    /// assert_eq!(key, b"key=");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_until<'a>(&'a mut self, byte: u8, buf: &'a mut Vec<u8>) -> Located<ReadUntil<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::ReadUntil, ReadUntil::new(self, byte, buf))
    }

    /// Reads up to and with the next `\n`, or to the end, appends that to `buf`, and returns how many bytes it was.
    ///
    /// Zero means that the end was reached. [`lines`](AsyncBufReadExt::lines) gives lines without their end.
    ///
    /// # Cancel safety
    /// Nearly: what was read stands in `buf` when it is dropped, and calling it again goes on in the same line; except
    /// for the first bytes of a character whose last ones had not come. [`Lines`] loses nothing.
    ///
    /// # Errors
    /// `InvalidData` when the line is not UTF-8, with the `Utf8Error` inside: the line is lost and `buf` is as before. Whatever the
    /// source reports: what was read before stays in `buf` if it is UTF-8.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, ErrorKind};
    /// # futures::executor::block_on(async {
    /// let mut source = &b"one\n\xff\nthree"[..];
    /// let mut line = String::new();
    /// assert_eq!(source.read_line(&mut line).await?, 4);
    /// assert_eq!(line, "one\n");
    ///
    /// let not_text = source.read_line(&mut line).await;
    /// assert_eq!(not_text.unwrap_err().kind(), ErrorKind::InvalidData);
    ///
    /// source.read_line(&mut line).await?;
    /// assert_eq!(line, "one\nthree");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn read_line<'a>(&'a mut self, buf: &'a mut String) -> Located<ReadLine<'a, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::ReadLine, ReadLine::new(self, buf))
    }

    /// Makes a reader of the segments between each `byte`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, BufReader};
    /// # futures::executor::block_on(async {
    /// let mut words = BufReader::new(&b"to be or"[..]).split(b' ');
    /// while let Some(word) = words.next_segment().await? {
    ///     assert_eq!(word.len(), 2);
    /// }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn split(self, byte: u8) -> Split<Self>
    where
        Self: Sized + Unpin,
    {
        Split::new(self, byte)
    }

    /// Returns what the buffer holds, filling it first when it is empty; empty means that the end was reached.
    ///
    /// Nothing is taken from it before [`consume`](AsyncBufReadExt::consume).
    ///
    /// # Cancel safety
    /// Safe: what was read stays in the buffer.
    ///
    /// # Errors
    /// Whatever the source reports.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, BufReader};
    /// # futures::executor::block_on(async {
    /// let mut source = BufReader::new(&b"hello"[..]);
    /// assert_eq!(source.fill_buf().await?, b"hello");
    /// source.consume(4);
    /// assert_eq!(source.fill_buf().await?, b"o");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    fn fill_buf(&mut self) -> Located<FillBuf<'_, Self>>
    where
        Self: Unpin,
    {
        Located::new(Call::FillBuf, FillBuf::new(self))
    }

    /// Takes `amt` bytes off the front of the buffer; at most so many as [`fill_buf`](AsyncBufReadExt::fill_buf) returned last.
    fn consume(&mut self, amt: usize)
    where
        Self: Unpin,
    {
        Pin::new(self).consume(amt);
    }

    /// Makes a reader of the lines, each without its `\n` or `\r\n`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::AsyncBufReadExt;
    /// # futures::executor::block_on(async {
    /// let mut lines = (&b"one\r\ntwo\n\nfour"[..]).lines();
    /// let mut all = Vec::new();
    /// while let Some(line) = lines.next_line().await? {
    ///     all.push(line);
    /// }
    /// assert_eq!(all, ["one", "two", "", "four"]);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines::new(self)
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufReadExt for R {}
