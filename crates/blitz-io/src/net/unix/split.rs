//! The two directions of a connection.

use super::{SocketAddr, UnixStream};
use crate::net::stream::face::stream_face;
use crate::net::stream::halves::halves;

halves! {
    UnixStream, SocketAddr;
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UnixStream;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (stream, other) = UnixStream::pair()?;
    /// let (read, write) = stream.into_split();
    /// let (foreign, _) = other.into_split();
    /// let error = foreign.reunite(write).unwrap_err(); // both come back
    /// let stream: UnixStream = read.reunite(error.1).expect("of one stream");
    /// # Ok(())
    /// # }
    /// ```
}

stream_face!(UnixStream);
