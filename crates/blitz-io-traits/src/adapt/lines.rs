//! A reader of lines.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::AsyncBufRead;
use crate::until::poll_read_until;

pin_project! {
    /// The lines of a source; made by [`AsyncBufReadExt::lines`](crate::AsyncBufReadExt::lines).
    ///
    /// A line ends with `\n`, or with the source. There is no limit to its length: put a
    /// [`take`](crate::AsyncReadExt::take) before it where the other end is not trusted.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless read"]
    pub struct Lines<R> {
        #[pin]
        reader: R,
        // What has come of the next line, from one poll to the next.
        line: Vec<u8>,
        read: usize,
    }
}

impl<R> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Lines {
            reader,
            line: Vec::new(),
            read: 0,
        }
    }

    /// Returns the source for changes; what is read from it is missing here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Returns the source.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// Gives the source back; what has come of the next line is lost.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: AsyncBufRead> Lines<R> {
    /// Returns the next line without its `\n` or `\r\n`, or `None` at the end.
    ///
    /// # Cancel safety
    /// Safe: what has come of the line stays in here.
    ///
    /// # Errors
    /// `InvalidData` when the line is not UTF-8, with a `FromUtf8Error` inside that holds its bytes; the next call gives the next line. Whatever the
    /// source reports: the next call goes on in the same line.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::{AsyncBufReadExt, ErrorKind};
    /// # futures::executor::block_on(async {
    /// let mut lines = (&b"GET /\r\n\xff\nHost: x"[..]).lines();
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("GET /"));
    /// assert_eq!(lines.next_line().await.unwrap_err().kind(), ErrorKind::InvalidData);
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("Host: x"));
    /// assert_eq!(lines.next_line().await?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn next_line(&mut self) -> io::Result<Option<String>>
    where
        R: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next_line(cx)).await
    }

    /// Tries to return the next line; [`next_line`](Lines::next_line) as a poll.
    ///
    /// `Pending` means that the line is not whole yet, and the task is woken when more may have come.
    ///
    /// # Errors
    /// As for [`next_line`](Lines::next_line).
    pub fn poll_next_line(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<String>>> {
        let me = self.project();
        let n = ready!(poll_read_until(me.reader, cx, b'\n', me.line, me.read))?;
        if n == 0 && me.line.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let mut line = mem::take(me.line);
        if line.pop_if(|&mut b| b == b'\n').is_some() {
            line.pop_if(|&mut b| b == b'\r');
        }
        // The error holds the line's bytes.
        let text = String::from_utf8(line)
            .map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))?;
        Poll::Ready(Ok(Some(text)))
    }
}
