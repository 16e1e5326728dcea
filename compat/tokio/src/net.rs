//! Sockets: `blitz_io::net`.

pub use blitz_io::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, lookup_host};
#[cfg(unix)]
pub use blitz_io::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

/// The halves of TCP streams: `blitz_io::net::tcp`.
pub mod tcp {
    pub use blitz_io::net::tcp::{
        OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf,
    };
}

/// What Unix alone has: `blitz_io::net::unix`.
#[cfg(unix)]
pub mod unix {
    pub use blitz_io::net::unix::{
        OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, SocketAddr, UCred, WriteHalf, gid_t,
        pid_t, uid_t,
    };

    /// Pipes: `blitz_io::net::unix::pipe`.
    pub mod pipe {
        pub use blitz_io::net::unix::pipe::{OpenOptions, Receiver, Sender, pipe};
    }
}
