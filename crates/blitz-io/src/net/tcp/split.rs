//! The two directions of a connection.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use blitz_io_traits::ReadBuf;

use super::TcpStream;
use crate::net::stream::face::stream_face;
use crate::net::stream::halves::halves;

halves! {
    TcpStream, SocketAddr;
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
}

stream_face!(TcpStream);

/// The halves that read can look at bytes without taking them.
macro_rules! peeks {
    ($half:ty) => {
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
                self.stream().poll_peek(cx, buf)
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
                self.stream().peek(buf)
            }
        }
    };
}
peeks!(ReadHalf<'_>);
peeks!(OwnedReadHalf);
