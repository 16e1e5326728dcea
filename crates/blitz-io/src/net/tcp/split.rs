//! The two directions of a stream, borrowed.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::BufMut;

use super::TcpStream;
use crate::io::{Interest, Ready};

/// The half of a [`TcpStream`] that reads: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The half of a [`TcpStream`] that writes: see [`TcpStream::split`].
///
/// Its `shutdown` closes the sending side; dropping it does not.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

/// What the halves, borrowed and owning, hand on to the stream.
macro_rules! read_half {
    ($half:ty, $stream:ident) => {
        impl $half {
            /// As [`TcpStream::poll_peek`].
            ///
            /// # Errors
            /// As there.
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.$stream().poll_peek(cx, buf)
            }

            /// As [`TcpStream::peek`].
            ///
            /// # Cancel safety
            /// Safe: nothing is taken.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn peek(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
                self.$stream().peek(buf)
            }

            /// As [`TcpStream::ready`].
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
                self.$stream().ready(interest)
            }

            /// As [`TcpStream::readable`].
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
                self.$stream().readable()
            }

            /// As [`TcpStream::try_read`].
            ///
            /// # Errors
            /// As there.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.$stream().try_read(buf)
            }

            /// As [`TcpStream::try_read_vectored`].
            ///
            /// # Errors
            /// As there.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.$stream().try_read_vectored(bufs)
            }

            /// As [`TcpStream::try_read_buf`].
            ///
            /// # Errors
            /// As there.
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.$stream().try_read_buf(buf)
            }

            /// As [`TcpStream::peer_addr`].
            ///
            /// # Errors
            /// As there.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.$stream().peer_addr()
            }

            /// As [`TcpStream::local_addr`].
            ///
            /// # Errors
            /// As there.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.$stream().local_addr()
            }
        }

        impl AsyncRead for $half {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.$stream().poll_read_ref(cx, buf)
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.$stream()
            }
        }
    };
}
pub(super) use read_half;

/// As `read_half`; `$shutdown` closes the sending side.
macro_rules! write_half {
    ($half:ty, $stream:ident, $shutdown:ident) => {
        impl $half {
            /// As [`TcpStream::ready`].
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
                self.$stream().ready(interest)
            }

            /// As [`TcpStream::writable`].
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
                self.$stream().writable()
            }

            /// As [`TcpStream::try_write`].
            ///
            /// # Errors
            /// As there.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.$stream().try_write(buf)
            }

            /// As [`TcpStream::try_write_vectored`].
            ///
            /// # Errors
            /// As there.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.$stream().try_write_vectored(bufs)
            }

            /// As [`TcpStream::peer_addr`].
            ///
            /// # Errors
            /// As there.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.$stream().peer_addr()
            }

            /// As [`TcpStream::local_addr`].
            ///
            /// # Errors
            /// As there.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.$stream().local_addr()
            }
        }

        impl AsyncWrite for $half {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.$stream().poll_write_ref(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.$stream().poll_write_vectored_ref(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().$shutdown())
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.$stream()
            }
        }
    };
}
pub(super) use write_half;

read_half!(ReadHalf<'_>, stream);
write_half!(WriteHalf<'_>, stream, close);

impl ReadHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }
}

impl WriteHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.shutdown_std(std::net::Shutdown::Write)
    }
}
