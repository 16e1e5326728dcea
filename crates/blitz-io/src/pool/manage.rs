//! The door between a pool and what it holds.

use std::error::Error;
use std::hash::Hash;

use super::error::ConnectError;

/// What becomes of a connection that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReturn {
    /// The next may have it.
    Keep,
    /// The next may have it after [`Manager::reset`].
    Reset,
    /// It is closed.
    Discard,
}

/// Knows connections of one kind, and whether they are any good. Where they come from is [`Connect`]'s affair, or that of who uses the pool:
/// see [`Place`](super::Place).
///
/// A pool calls its functions without a lock. All that are `async` have a limit in time, and are dropped when it is over; what they
/// held of a connection goes with it, since nobody knows what state it is in. The connection of a caller that is gone while it is
/// [checked](Self::check) goes likewise.
#[expect(
    unused_variables,
    reason = "what a default does not look at keeps its name"
)]
pub trait Manager: Send + Sync + 'static {
    /// Whom a connection leads to; `()` where all lead to the same. Its `Eq` and `Hash` are called under the pool's lock: they must not
    /// use the pool.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// A connection.
    type Connection: Send + 'static;
    /// Why there is none, or why it is no good.
    type Error: Error + Send + Sync + 'static;
    /// Whether [`close`](Self::close) does more than to drop the connection, and so needs a task. `false` drops it where it goes, at
    /// once, and `close` is not called.
    const TAKES_LEAVE: bool = true;

    /// A look, without waiting, at a connection that was idle and is to be handed out: `false` closes it, and another is taken. By
    /// default they all are usable.
    fn is_usable(&self, key: &Self::Key, connection: &mut Self::Connection) -> bool {
        true
    }

    /// Asks the peer of an idle connection whether it is there: before it is handed out, if that was last known longer ago than
    /// [`check_after`](super::Builder::check_after), and every [`keepalive`](super::Limits::keepalive). By default it asks nobody.
    ///
    /// # Errors
    /// It is closed then, and another is taken.
    fn check(
        &self,
        key: &Self::Key,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// The last step before a connection is handed out, new ones included: a tenant's name is set, say. It counts as part of the wait.
    ///
    /// # Errors
    /// The connection is closed. If it was new the error is the caller's; else another is taken.
    fn before_acquire(
        &self,
        key: &Self::Key,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// A look, without waiting, at a connection whose guard was dropped; maybe in the middle of an exchange, by a task that was cancelled.
    /// By default they are kept.
    fn on_return(&self, key: &Self::Key, connection: &mut Self::Connection) -> OnReturn {
        OnReturn::Keep
    }

    /// Brings a connection into order that came back in none, in a task of its own: for [`OnReturn::Reset`].
    ///
    /// # Errors
    /// It is closed then.
    fn reset(
        &self,
        key: &Self::Key,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Takes leave of a peer, in a task of its own. By default the connection is dropped.
    fn close(
        &self,
        key: &Self::Key,
        connection: Self::Connection,
    ) -> impl Future<Output = ()> + Send {
        async move { drop(connection) }
    }
}

/// Makes the connections of a pool.
///
/// # Examples
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{TcpListener, TcpStream};
/// use blitz_io::pool::{Connect, Manager, Pool};
///
/// struct Tcp;
///
/// impl Manager for Tcp {
///     type Key = SocketAddr;
///     type Connection = TcpStream;
///     type Error = io::Error;
///
///     fn is_usable(&self, _: &SocketAddr, stream: &mut TcpStream) -> bool {
///         // Between two exchanges nothing comes: an end or a byte means that the peer has done with it.
///         matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
///     }
/// }
///
/// impl Connect for Tcp {
///     async fn connect(&self, key: &SocketAddr) -> io::Result<TcpStream> {
///         TcpStream::connect(key).await
///     }
/// }
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # blitz_io::spawn(async move {
/// #     let (mut peer, _) = listener.accept().await.unwrap();
/// #     let mut word = [0; 4];
/// #     while peer.read_exact(&mut word).await.is_ok() { peer.write_all(&word).await.unwrap(); }
/// # });
/// let pool = Pool::builder(Tcp).max_per_key(2).build();
/// for _ in 0..2 {
///     let mut stream = pool.acquire(&address).await?;
///     stream.write_all(b"ping").await?;
///     let mut answer = [0; 4];
///     stream.read_exact(&mut answer).await?;
///     assert_eq!(&answer, b"ping");
/// }
/// // Both exchanges went over the same connection.
/// assert_eq!(pool.metrics().created, 1);
/// # Ok(())
/// # }
/// ```
#[expect(
    unused_variables,
    reason = "what a default does not look at keeps its name"
)]
pub trait Connect: Manager {
    /// Makes a connection and prepares it for its first use.
    ///
    /// It runs in a task of its own, whoever asked for it: what it makes goes to who waits longest by then, or is idle.
    ///
    /// # Errors
    /// See [`is_transient`](Self::is_transient).
    fn connect(
        &self,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Whether another try may succeed where this failed: then whoever waits goes on to wait, and the pool tries again after a pause that
    /// grows. Otherwise who waits longest gets the error at once. By default everything is worth another try.
    fn is_transient(&self, key: &Self::Key, error: &ConnectError<Self::Error>) -> bool {
        true
    }
}
