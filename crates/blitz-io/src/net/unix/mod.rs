//! Sockets within the machine, with a path, an abstract name or none: [`UnixStream`] and its kin; and
//! [pipes](pipe).
//!
//! An abstract name (`unix(7)`; Linux alone) is written as tokio does: as a path that begins with a zero byte.

mod addr;
mod credentials;
mod datagram;
mod listener;
pub mod pipe;
mod socket;
mod split;
mod stream;

pub use addr::SocketAddr;
pub use credentials::UCred;
pub use datagram::UnixDatagram;
pub use listener::UnixListener;
pub use socket::UnixSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::UnixStream;

/// A user's number.
#[expect(non_camel_case_types, reason = "the C library's name, as tokio has it")]
pub type uid_t = u32;

/// A group's number.
#[expect(non_camel_case_types, reason = "the C library's name, as tokio has it")]
pub type gid_t = u32;

/// A process's number.
#[expect(non_camel_case_types, reason = "the C library's name, as tokio has it")]
pub type pid_t = i32;
