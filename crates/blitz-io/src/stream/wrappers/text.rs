//! Lines and segments of a source of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::wraps;
use crate::io::{AsyncBufRead, Lines, Split};

pin_project! {
    /// The lines of a source, each without its end. Errors are items; it goes on after them as [`Lines`] does.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::io::AsyncBufReadExt;
    /// use blitz_io::stream::{StreamExt, wrappers::LinesStream};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let lines = LinesStream::new((&b"one\ntwo"[..]).lines());
    /// let lines: Vec<_> = lines.collect::<Result<_, _>>().await?;
    /// assert_eq!(lines, ["one", "two"]);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct LinesStream<R> {
        #[pin]
        inner: Lines<R>,
    }
}

pin_project! {
    /// The segments of a source between a byte. Errors are items; it goes on after them as [`Split`] does.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct SplitStream<R> {
        #[pin]
        inner: Split<R>,
    }
}

wraps! {
    [R] LinesStream<R>, of Lines<R>;
    [R] SplitStream<R>, of Split<R>;
}

impl<R> LinesStream<R> {
    /// The lines inside, pinned.
    pub fn as_pin_mut(self: Pin<&mut Self>) -> Pin<&mut Lines<R>> {
        self.project().inner
    }
}

impl<R> SplitStream<R> {
    /// The segments inside, pinned.
    pub fn as_pin_mut(self: Pin<&mut Self>) -> Pin<&mut Split<R>> {
        self.project().inner
    }
}

impl<R: AsyncBufRead> Stream for LinesStream<R> {
    type Item = io::Result<String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let line = self.project().inner.poll_next_line(cx);
        line.map(Result::transpose)
    }
}

impl<R: AsyncBufRead> Stream for SplitStream<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let segment = self.project().inner.poll_next_segment(cx);
        segment.map(Result::transpose)
    }
}
