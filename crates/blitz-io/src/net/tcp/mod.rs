//! TCP's types, those of split streams among them.

mod batched;
mod listener;
mod socket;
mod split;
mod stream;
#[cfg(unix)]
mod unix;

pub use batched::BatchedStream;
pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;
