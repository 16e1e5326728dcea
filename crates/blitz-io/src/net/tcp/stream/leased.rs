//! Received bytes in buffers on loan, and what a read of another kind makes of them.
//!
//! Once [`TcpStream::recv_lease`] was called the driver may receive ahead of the reader: bytes that came are
//! in the stream's [`Leases`] and no longer in the socket. So every other read asks there first.

use std::future::poll_fn;
use std::io;

use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::completion::Leases;
use blitz_sys::descriptor::AsRawFd;

use super::TcpStream;
use crate::context::call;
use crate::net::{BufferView, copied};

/// A stream's leases: nothing but a word until the first is asked for.
#[derive(Debug, Default)]
pub(super) struct Leased(OnceLock<Box<Leases>>);

impl Leased {
    pub(super) const fn new() -> Leased {
        Leased(OnceLock::new())
    }

    /// The leases, if there ever were any.
    #[inline]
    pub(super) fn get(&self) -> Option<&Leases> {
        self.0.get().map(|leases| &**leases)
    }
}

impl TcpStream {
    /// Receives what comes next in a buffer on loan; an empty one is the end of the stream.
    ///
    /// A connection that waits holds no buffer: the driver's buffers serve all its connections, and one goes home
    /// when the last [`BufferView`] of it is dropped, on any thread. When all are on loan the wait is for one to
    /// come home, after those who waited before; it never fails for that.
    ///
    /// Where the kernel can, it receives ahead of the reader, some buffers a connection at most. Reads of every other kind
    /// on this stream then take those bytes first, by a copy; to mix them costs speed, not bytes.
    ///
    /// One task at a time may wait here.
    ///
    /// # Cancel safety
    /// Safe: bytes leave the stream in the poll that returns them.
    ///
    /// # Errors
    /// Those of `recv(2)`, and when the runtime is shutting down.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// client.try_write(b"on loan")?;
    /// drop(client);
    ///
    /// let view = server.recv_lease().await?;
    /// assert_eq!(&view[..], b"on loan");
    /// let bytes: bytes::Bytes = view.into(); // without a copy
    /// assert!(server.recv_lease().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn recv_lease(&self) -> impl Future<Output = io::Result<BufferView>> {
        static CALL: Site = Site::new("TcpStream::recv_lease", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            poll_fn(|cx| self.poll_recv_lease(cx)).await
        })
    }

    /// Polls to [`recv_lease`](TcpStream::recv_lease). Only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_recv_lease(&self, cx: &mut Context<'_>) -> Poll<io::Result<BufferView>> {
        let leases = self.leased.0.get_or_init(Box::default);
        leases.poll_next(cx, &self.io)
    }

    /// Whether bytes may have been received ahead of the reader.
    pub(in crate::net) fn has_leases(&self) -> bool {
        self.leased.get().is_some()
    }

    /// Hands `take` the next leased bytes, waiting for them; what it leaves, and all of it when `keeps`, stays.
    pub(super) fn poll_leased(
        &self,
        leases: &Leases,
        cx: &mut Context<'_>,
        keeps: bool,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let view = ready!(leases.poll_next(cx, &self.io))?;
        Poll::Ready(Ok(take_of(leases, view, keeps, take)))
    }

    /// As `poll_leased`, without waiting.
    pub(super) fn try_leased(
        &self,
        leases: &Leases,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> io::Result<usize> {
        match leases.try_next() {
            Some(view) => Ok(take_of(leases, view?, false, take)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn take_of(
    leases: &Leases,
    mut view: BufferView,
    keeps: bool,
    take: impl FnOnce(&[u8]) -> usize,
) -> usize {
    let taken = take(&view);
    copied::count(taken);
    if keeps {
        leases.put_back(view);
    } else if taken < view.len() {
        leases.put_back(view.split_off(taken));
    }
    taken
}
