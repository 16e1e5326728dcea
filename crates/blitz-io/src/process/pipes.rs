//! The pipes to a child.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::unix::pipe::{Receiver, Sender};

/// What the three have in common; `$std` is std's type, `$inner` the pipe's end.
macro_rules! pipe {
    ($(#[$doc:meta])* $name:ident($inner:ident), $std:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            inner: $inner,
        }

        impl $name {
            /// Takes over a pipe of std's, and puts it into non-blocking mode.
            ///
            /// # Errors
            /// Those of `fcntl(2)`.
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(inner: std::process::$std) -> io::Result<Self> {
                let inner = $inner::from_owned_fd(inner.into())?;
                Ok(Self { inner })
            }

            /// Gives the descriptor back, in blocking mode.
            ///
            /// # Errors
            /// Those of `fcntl(2)`.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.inner.into_blocking_fd()
            }
        }

        /// To be another child's, in blocking mode.
        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            fn try_from(pipe: $name) -> io::Result<Stdio> {
                pipe.into_owned_fd().map(Stdio::from)
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.inner.as_raw_fd()
            }
        }
    };
}

pipe! {
    /// The pipe to a child's standard input. Dropping it closes it, which tells the child that nothing more comes.
    ChildStdin(Sender), ChildStdin
}
pipe! {
    /// The pipe from a child's standard output.
    ChildStdout(Receiver), ChildStdout
}
pipe! {
    /// The pipe from a child's standard error.
    ChildStderr(Receiver), ChildStderr
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A pipe's end is closed when it is dropped.
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ChildStdout {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl AsyncRead for ChildStderr {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}
