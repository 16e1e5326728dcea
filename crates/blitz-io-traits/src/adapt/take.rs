//! A source that ends after so many bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::{AsyncBufRead, AsyncRead, ReadBuf};

pin_project! {
    /// At most so many bytes of a source; made by [`AsyncReadExt::take`](crate::AsyncReadExt::take).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless read"]
    pub struct Take<R> {
        #[pin]
        inner: R,
        limit: u64,
    }
}

impl<R> Take<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Take { inner, limit }
    }

    /// Returns how many bytes may still be read before this source ends; the inner one may end before.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Sets how many bytes may still be read from now on, whatever was read before.
    ///
    /// # Examples
    /// One message after the other, each of its own length:
    /// ```
    /// use blitz_io_traits::AsyncReadExt;
    /// # futures::executor::block_on(async {
    /// let mut messages = (&b"onethree"[..]).take(3);
    /// let mut text = String::new();
    /// messages.read_to_string(&mut text).await?;
    /// messages.set_limit(5);
    /// messages.read_to_string(&mut text).await?;
    /// assert_eq!(text, "onethree");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Returns the inner source.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Returns the inner source for changes; what is read from it does not count.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Returns the inner source, pinned, for changes; what is read from it does not count.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().inner
    }

    /// Gives the inner source back.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

/// The smaller of a length and a limit, where the limit may be wider than any length.
fn at_most(len: usize, limit: u64) -> usize {
    usize::try_from(limit).map_or(len, |limit| limit.min(len))
}

impl<R: AsyncRead> AsyncRead for Take<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.project();
        if *me.limit == 0 {
            return Poll::Ready(Ok(()));
        }
        // The part knows only what is initialised within it, so no byte behind it is taken for initialised.
        let mut part = buf.take(at_most(usize::MAX, *me.limit));
        let before = part.filled().as_ptr();
        ready!(me.inner.poll_read(cx, &mut part))?;
        // Safe code may have put another `ReadBuf` in the place of ours.
        assert_eq!(
            before,
            part.filled().as_ptr(),
            "the reader exchanged the buffer that it was given"
        );
        let (filled, initialized) = (part.filled().len(), part.initialized().len());
        // SAFETY: `part` is the front of our unfilled part, and says that so much of it was written.
        unsafe { buf.assume_init(initialized) };
        buf.advance(filled);
        *me.limit -= filled as u64;
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncBufRead> AsyncBufRead for Take<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let me = self.project();
        // Asking at the limit could wait for bytes that are not ours.
        if *me.limit == 0 {
            return Poll::Ready(Ok(&[]));
        }
        let bytes = ready!(me.inner.poll_fill_buf(cx))?;
        Poll::Ready(Ok(&bytes[..at_most(bytes.len(), *me.limit)]))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let me = self.project();
        let amt = at_most(amt, *me.limit);
        *me.limit -= amt as u64;
        me.inner.consume(amt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AsyncBufReadExt;

    #[test]
    fn consuming_more_than_the_limit_takes_the_limit() {
        let mut take = Take::new(&b"abcdef"[..], 4);
        take.consume(usize::MAX);
        assert_eq!(take.limit(), 0);
        assert_eq!(take.into_inner(), b"ef");
    }
}
