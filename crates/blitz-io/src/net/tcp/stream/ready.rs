//! Readiness: waiting for it, and calls that only try.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::pin::pin;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::Direction;
use blitz_driver::completion::Leases;
use blitz_io_traits::ReadBuf;
use blitz_sys::descriptor::{AsFd, AsRawFd};
use blitz_sys::socket;
use bytes::BufMut;

use super::{TcpStream, copy_to};
use crate::context::call;
use crate::io::{Interest, Ready};

impl TcpStream {
    /// Waits until the stream is ready in one of the ways that `interest` names, and says which.
    ///
    /// Readiness may be stale: a call that then answers `WouldBlock` clears it.
    ///
    /// # Cancel safety
    /// Safe: once ready, it stays so until a call has found otherwise.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
        static CALL: Site = Site::new("TcpStream::ready", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            if let Some(leases) = self.leased.get().filter(|_| interest.is_readable()) {
                return self.ready_or_leased(leases, interest).await;
            }
            self.io.ready(interest).await.map(|event| event.ready)
        })
    }

    /// Bytes received ahead are readable, and the socket itself does not say so.
    async fn ready_or_leased(&self, leases: &Leases, interest: Interest) -> io::Result<Ready> {
        let rest = interest.remove(Interest::READABLE);
        let mut others = pin!(rest.map(|rest| self.io.ready(rest)));
        poll_fn(|cx| {
            if self.poll_leased(leases, cx, true, |_| 0)?.is_ready() {
                return Poll::Ready(Ok(Ready::READABLE));
            }
            match others.as_mut().as_pin_mut() {
                Some(others) => others.poll(cx).map_ok(|event| event.ready),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until it is worth trying to read.
    ///
    /// # Cancel safety
    /// Safe, as [`ready`](TcpStream::ready).
    ///
    /// # Errors
    /// When the runtime is shutting down.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    /// use std::io::ErrorKind;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// client.try_write(b"hi")?;
    ///
    /// let mut buf = [0; 16];
    /// let n = loop {
    ///     server.readable().await?;
    ///     match server.try_read(&mut buf) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
    ///         done => break done?,
    ///     }
    /// };
    /// assert_eq!(&buf[..n], b"hi");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("TcpStream::readable", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready(Interest::READABLE).await.map(drop)
        })
    }

    /// Waits until it is worth trying to write.
    ///
    /// # Cancel safety
    /// Safe, as [`ready`](TcpStream::ready).
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("TcpStream::writable", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready(Interest::WRITABLE).await.map(drop)
        })
    }

    /// Polls for readability. One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(leases) = self.leased.get() {
            return self.poll_leased(leases, cx, true, |_| 0).map_ok(drop);
        }
        self.io.poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// Polls for writability. One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Write).map_ok(drop)
    }

    /// Reads what is there; zero is the end of the stream, or an empty buffer.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of `recv(2)`.
    pub fn try_read(&self, mut buf: &mut [u8]) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |bytes| copy_to(bytes, &mut buf));
        }
        self.try_io(Interest::READABLE, || socket::read(self.as_fd(), buf))
    }

    /// As [`try_read`](TcpStream::try_read), into several buffers, the first filled first.
    ///
    /// # Errors
    /// As there.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |mut bytes| bytes.read_vectored(bufs).unwrap_or(0));
        }
        self.try_io(Interest::READABLE, || {
            socket::recv_vectored(self.as_fd(), bufs)
        })
    }

    /// As [`try_read`](TcpStream::try_read), into the buffer's free space, which it advances.
    ///
    /// # Errors
    /// As there.
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |bytes| copy_to(bytes, buf));
        }
        self.try_io(Interest::READABLE, || socket::recv_buf(self.as_fd(), buf))
    }

    /// Writes what the socket takes at once.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else those of `send(2)`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || socket::send(self.as_fd(), buf))
    }

    /// As [`try_write`](TcpStream::try_write), from several buffers.
    ///
    /// # Errors
    /// As there.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || {
            socket::send_vectored(self.as_fd(), bufs)
        })
    }

    /// Tries a call of the user's on the socket, and clears the readiness when it answers `WouldBlock`.
    ///
    /// `f` is called once if the stream is ready as `interest` says, else not at all. It must only answer
    /// `WouldBlock` when the socket did: otherwise the next wait may miss an event.
    ///
    /// # Errors
    /// `WouldBlock` when the stream is not ready; else what `f` answers.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.try_io(interest, f)
    }

    /// Waits for readiness and tries `f`, until it answers something else than `WouldBlock`.
    ///
    /// # Cancel safety
    /// Safe if `f` is: between its calls nothing is held.
    ///
    /// # Errors
    /// What `f` answers, and when the runtime is shutting down.
    #[track_caller]
    pub fn async_io<R>(
        &self,
        interest: Interest,
        f: impl FnMut() -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        static CALL: Site = Site::new("TcpStream::async_io", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.io.async_io(interest, f).await
        })
    }

    /// Receives bytes and leaves them for the next read; returns how many.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Errors
    /// Those of `recv(2)`, and when the runtime is shutting down.
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("TcpStream::peek", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            if let Some(leases) = self.leased.get() {
                return poll_fn(|cx| {
                    self.poll_leased(leases, cx, true, |bytes| copy_to(bytes, &mut &mut *buf))
                })
                .await;
            }
            self.io
                .async_io(Interest::READABLE, || socket::peek_bytes(self.as_fd(), buf))
                .await
        })
    }

    /// Polls to [`peek`](TcpStream::peek). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Some(leases) = self.leased.get() {
            return self.poll_leased(leases, cx, true, |bytes| copy_to(bytes, buf));
        }
        self.io
            .poll_io(cx, Direction::Read, || socket::peek_buf(self.as_fd(), buf))
    }
}
