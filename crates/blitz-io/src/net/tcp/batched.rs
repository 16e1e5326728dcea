//! A connection whose short writes go out together with those of others.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_driver::completion::Sends;
use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};

use super::TcpStream;

/// What is no longer than this is copied, and goes with the others; a copy of it costs less than a call.
const SHORT: usize = 1024;

/// A TCP connection whose short writes go out together with those of other connections, by one system call for all.
///
/// A write of up to 1 KiB is copied, and an entry for it is queued in the ring of the thread's driver. When the thread has no task to run, or at
/// its next look outside at the latest ([`event_interval`](crate::runtime::Builder::event_interval)), the kernel takes all that was queued at
/// once. For a server with many connections that answer briefly this is cheaper than a call for each; it costs nothing where there is but one. In
/// return, a task that writes and then computes without an `await` holds its own bytes back meanwhile, and those of the thread's other tasks.
/// Longer writes are handed to the kernel on the spot, as those of [`TcpStream`] are, once all before them has been taken. Reads are those of
/// `TcpStream`.
///
/// That is so on `current_thread` and `thread_per_core` runtimes with io_uring, unless
/// [`Builder::batched_writes`](crate::runtime::Builder::batched_writes) says otherwise. Elsewhere every write is a call.
///
/// **What is on its way.** At most 4 KiB that the kernel has been offered and not taken, and 4 KiB behind them; a further write waits. An error
/// that the kernel answers with is told by the next write, flush or shutdown, as one that comes later from the network is.
/// `flush` waits for nothing: what was queued goes out without further polls. `shutdown` waits until the kernel has taken all, and
/// [`poll_sent`](Self::poll_sent) does without an end; [`poll_stalled`](Self::poll_stalled) tells of a peer that leaves no room.
///
/// **Dropped**, the connection sends what is queued as far as the kernel takes it at once, which is all of it unless the peer has left the
/// socket's buffer full. Then it is reset instead of closed, so that the peer does not take a part for the whole. To wait for the
/// peer, call `shutdown` first. A runtime that ends does the same.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{TcpListener, TcpStream};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let mut server = listener.accept().await?.0.into_batched();
///
/// server.write_all(b"short").await?;
/// let mut text = [0; 5];
/// client.read_exact(&mut text).await?;
/// assert_eq!(&text, b"short");
///
/// // What comes after the peer is gone fails, if not at once.
/// drop(client);
/// let failed = loop {
///     if let Err(error) = server.write_all(b"more").await {
///         break error;
///     }
///     blitz_io::task::yield_now().await;
/// };
/// assert!(failed.kind() == std::io::ErrorKind::BrokenPipe || failed.kind() == std::io::ErrorKind::ConnectionReset);
/// # Ok(())
/// # }
/// ```
pub struct BatchedStream {
    // Before the stream: what is queued goes before the connection does.
    out: Out,
    io: TcpStream,
}

enum Out {
    /// Nothing short was written yet.
    Unknown,
    Queued(Sends),
    /// This thread's driver takes no entries for it.
    Direct,
}

impl TcpStream {
    /// The same connection, whose short writes go out together with those of others.
    #[must_use]
    pub fn into_batched(self) -> BatchedStream {
        BatchedStream {
            out: Out::Unknown,
            io: self,
        }
    }
}

impl BatchedStream {
    /// The connection itself: its addresses and options. What is written to it directly may overtake what is queued.
    pub fn get_ref(&self) -> &TcpStream {
        &self.io
    }

    /// The connection itself, to write to it at once: once [`poll_sent`](Self::poll_sent) is ready nothing is overtaken.
    pub fn get_mut(&mut self) -> &mut TcpStream {
        &mut self.io
    }

    /// How many bytes were written that the kernel has not taken, as far as the driver knows.
    ///
    /// # Errors
    /// The one that the kernel answered with to bytes that were queued before.
    pub fn unsent(&self) -> io::Result<usize> {
        match &self.out {
            Out::Queued(sends) => sends.waiting(),
            Out::Unknown | Out::Direct => Ok(0),
        }
    }

    /// Ready when the kernel has taken all that was written. The task of the last call is woken, one for this and for writes.
    ///
    /// # Errors
    /// The one that the kernel answered with to bytes that were queued before.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::io::AsyncWriteExt;
    /// use blitz_io::net::{TcpListener, TcpStream};
    /// use std::future::poll_fn;
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut stream = TcpStream::connect(listener.local_addr()?).await?.into_batched();
    /// stream.write_all(b"head").await?;
    /// poll_fn(|cx| stream.poll_sent(cx)).await?;
    /// assert_eq!(stream.unsent()?, 0);
    /// // At once, and behind the head.
    /// stream.get_mut().write_all(b"body").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.out {
            Out::Queued(sends) => sends.poll_taken(cx),
            Out::Unknown | Out::Direct => Poll::Ready(Ok(())),
        }
    }

    /// Ready while bytes that were written find no room with the peer, with their number; as long as what was written has gone or goes with
    /// the thread's next turn it is pending, and the task is woken when that changes. The task of the last call is, one for this,
    /// [`poll_sent`](Self::poll_sent) and writes.
    ///
    /// So a server that has nothing more to write can hold a client that takes nothing to its limits of time, without waiting for those that
    /// do. Where writes are calls it is never ready: a write waits there.
    ///
    /// # Errors
    /// As for `poll_sent`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::io::AsyncWriteExt;
    /// use blitz_io::net::{TcpListener, TcpStream};
    /// use std::future::poll_fn;
    /// use std::task::Poll;
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut stream = TcpStream::connect(listener.local_addr()?).await?.into_batched();
    /// stream.write_all(b"there is room").await?;
    /// let stalled = poll_fn(|cx| Poll::Ready(stream.poll_stalled(cx))).await;
    /// assert!(stalled.is_pending());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.out {
            Out::Queued(sends) => sends.poll_stalled(cx),
            Out::Unknown | Out::Direct => Poll::Pending,
        }
    }

    #[inline]
    fn sends(&mut self) -> Option<&mut Sends> {
        if let Out::Unknown = self.out {
            self.out = Sends::open(&self.io.io.source).map_or(Out::Direct, Out::Queued);
        }
        match &mut self.out {
            Out::Queued(sends) => Some(sends),
            Out::Unknown | Out::Direct => None,
        }
    }
}

impl AsyncRead for BatchedStream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io.io.poll_read(cx, buf)
    }
}

impl AsyncWrite for BatchedStream {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if (1..=SHORT).contains(&buf.len())
            && let Some(sends) = self.sends()
        {
            return sends.poll_queue(cx, buf);
        }
        // Before the kernel is called directly what is queued goes.
        ready!(self.poll_sent(cx))?;
        self.io.io.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs
            .iter()
            .fold(0_usize, |len, buf| len.saturating_add(buf.len()));
        if (1..=SHORT).contains(&len)
            && let Some(sends) = self.sends()
        {
            let (mut together, mut filled) = ([0; SHORT], 0);
            for buf in bufs {
                together[filled..filled + buf.len()].copy_from_slice(buf);
                filled += buf.len();
            }
            return sends.poll_queue(cx, &together[..filled]);
        }
        ready!(self.poll_sent(cx))?;
        self.io.io.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is queued is the driver's to send.
        Poll::Ready(self.unsent().map(drop))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for BatchedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchedStream")
            .field("unsent", &self.unsent())
            .field("io", &self.io)
            .finish()
    }
}

const _: () = {
    const fn sent<T: Send + Sync>() {}
    sent::<BatchedStream>();
};
