//! Connections that reach a listener.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::wraps;
use crate::net::{TcpListener, TcpStream};
#[cfg(unix)]
use crate::net::{UnixListener, UnixStream};

/// The connections of a TCP listener. It never ends; errors are items, after which it goes on.
///
/// It accepts a connection when it is asked for one, as [`TcpListener::accept`] does. A stream that has the kernel accept ahead
/// is [`TcpListener::incoming`].
///
/// # Examples
/// ```
/// use blitz_io::net::{TcpListener, TcpStream};
/// use blitz_io::stream::{StreamExt, wrappers::TcpListenerStream};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let mut connections = TcpListenerStream::new(listener);
/// let connection = connections.try_next().await?.expect("it does not end");
/// assert_eq!(connection.peer_addr()?, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct TcpListenerStream {
    inner: TcpListener,
}

wraps! { [] TcpListenerStream, of TcpListener; }

impl Stream for TcpListenerStream {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

/// The connections of a Unix listener. It never ends; errors are items, after which it goes on.
#[cfg(unix)]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct UnixListenerStream {
    inner: UnixListener,
}

#[cfg(unix)]
wraps! { [] UnixListenerStream, of UnixListener; }

#[cfg(unix)]
impl Stream for UnixListenerStream {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
