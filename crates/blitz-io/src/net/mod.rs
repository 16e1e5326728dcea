//! TCP, UDP and Unix sockets, on readiness and on completion.
//!
//! [`TcpListener`] and [`TcpStream`] have tokio's names and semantics: reads and writes go straight into and out of the
//! caller's buffer. Beside them stands the face for buffers that an operation owns
//! ([`TcpStream::read_owned`], [`TcpStream::recv_lease`]) and for bytes that never enter the program
//! ([`TcpStream::send_file`], [`splice`]).

mod addr;
mod adopt;
mod copied;
mod datagrams;
mod error;
mod inherited;
mod resolver;
mod stream;
pub mod tcp;
mod transfer;
pub mod udp;
#[cfg(unix)]
pub mod unix;
mod waits;

pub use addr::{ToSocketAddrs, lookup_host, resolve, resolve_within};
pub use blitz_driver::completion::{BufferPool, BufferView, Lease};
pub use copied::bytes_copied;
pub use inherited::{InheritedListener, inherited_listeners};
pub use tcp::{BatchedStream, Incoming, TcpListener, TcpSocket, TcpStream};
pub use transfer::splice;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
