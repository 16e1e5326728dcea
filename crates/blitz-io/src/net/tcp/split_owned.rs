//! The two directions of a stream, each owning it with the other.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::BufMut;

use super::TcpStream;
use super::split::{read_half, write_half};
use crate::io::{Interest, Ready};

/// The half of a [`TcpStream`] that reads: see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    inner: Arc<TcpStream>,
}

/// The half of a [`TcpStream`] that writes: see [`TcpStream::into_split`].
///
/// Dropping it closes the sending side, unless it was [forgotten](OwnedWriteHalf::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf {
    inner: Arc<TcpStream>,
    shutdown_on_drop: bool,
}

/// The halves were not of one stream; they come back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves that are not from the same stream")
    }
}

impl Error for ReuniteError {}

pub(super) fn split_owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let inner = Arc::new(stream);
    let read = OwnedReadHalf {
        inner: Arc::clone(&inner),
    };
    (
        read,
        OwnedWriteHalf {
            inner,
            shutdown_on_drop: true,
        },
    )
}

fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.inner, &write.inner) {
        return Err(ReuniteError(read, write));
    }
    write.forget();
    Ok(Arc::into_inner(read.inner).expect("two halves share a stream, and one of them is gone"))
}

impl OwnedReadHalf {
    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    /// When they are of different streams; both come back.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (read, write) = stream.into_split();
    /// let stream: TcpStream = read.reunite(write).expect("of one stream");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }

    fn stream(&self) -> &TcpStream {
        &self.inner
    }
}

impl OwnedWriteHalf {
    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    /// When they are of different streams; both come back.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops the half and leaves the sending side open, until the other half is gone too.
    pub fn forget(mut self) {
        self.shutdown_on_drop = false;
    }

    fn stream(&self) -> &TcpStream {
        &self.inner
    }

    fn close(&mut self) -> io::Result<()> {
        let done = self.inner.shutdown_std(Shutdown::Write);
        if done.is_ok() {
            self.shutdown_on_drop = false;
        }
        done
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // A connection that is gone already has nothing to close.
            let _ = self.inner.shutdown_std(Shutdown::Write);
        }
    }
}

read_half!(OwnedReadHalf, stream);
write_half!(OwnedWriteHalf, stream, close);
