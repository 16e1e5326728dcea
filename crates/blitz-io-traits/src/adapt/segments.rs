//! A reader of the segments between the occurrences of a byte.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::AsyncBufRead;
use crate::until::poll_read_until;

pin_project! {
    /// The segments of a source; made by [`AsyncBufReadExt::split`](crate::AsyncBufReadExt::split).
    ///
    /// A segment ends with the byte, or with the source. There is no limit to its length.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless read"]
    pub struct Split<R> {
        #[pin]
        reader: R,
        // What has come of the next segment, from one poll to the next.
        segment: Vec<u8>,
        read: usize,
        byte: u8,
    }
}

impl<R> Split<R> {
    pub(crate) fn new(reader: R, byte: u8) -> Self {
        Split {
            reader,
            segment: Vec::new(),
            read: 0,
            byte,
        }
    }
}

impl<R: AsyncBufRead> Split<R> {
    /// Returns the next segment without the byte at its end, or `None` at the end of the source.
    ///
    /// # Cancel safety
    /// Safe: what has come of the segment stays in here.
    ///
    /// # Errors
    /// Whatever the source reports; the next call goes on in the same segment.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, BufReader};
    /// # futures::executor::block_on(async {
    /// let mut fields = BufReader::new(&b"a,,c"[..]).split(b',');
    /// assert_eq!(fields.next_segment().await?.as_deref(), Some(&b"a"[..]));
    /// assert_eq!(fields.next_segment().await?.as_deref(), Some(&b""[..]));
    /// assert_eq!(fields.next_segment().await?.as_deref(), Some(&b"c"[..]));
    /// assert_eq!(fields.next_segment().await?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn next_segment(&mut self) -> io::Result<Option<Vec<u8>>>
    where
        R: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next_segment(cx)).await
    }

    /// Tries to return the next segment; [`next_segment`](Split::next_segment) as a poll.
    ///
    /// `Pending` means that the segment is not whole yet, and the task is woken when more may have come.
    ///
    /// # Errors
    /// As for [`next_segment`](Split::next_segment).
    pub fn poll_next_segment(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Vec<u8>>>> {
        let me = self.project();
        let n = ready!(poll_read_until(
            me.reader, cx, *me.byte, me.segment, me.read
        ))?;
        if n == 0 && me.segment.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let mut segment = mem::take(me.segment);
        segment.pop_if(|&mut b| b == *me.byte);
        Poll::Ready(Ok(Some(segment)))
    }
}
