//! The same names over Windows' sockets.
//!
//! A number is as wide as on Unix: handles and sockets have 32 significant bits, which are extended with their sign.

use std::io;
use std::os::windows::io::{
    AsRawHandle, AsRawSocket, AsSocket, BorrowedSocket, FromRawSocket, IntoRawSocket, OwnedSocket,
    RawSocket,
};

/// A number that names a socket, or a file.
pub type RawFd = i32;

/// A socket, closed when it is dropped.
#[derive(Debug)]
pub struct OwnedFd(OwnedSocket);

/// A socket that somebody else owns.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedFd<'fd>(BorrowedSocket<'fd>);

/// What can lend its socket.
pub trait AsFd {
    /// Lends it.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

/// What has a number.
pub trait AsRawFd {
    /// The number.
    fn as_raw_fd(&self) -> RawFd;
}

/// What can be given up as a number.
pub trait IntoRawFd {
    /// Gives the number, which is the caller's to close.
    fn into_raw_fd(self) -> RawFd;
}

/// What can be made of a socket's number.
pub trait FromRawFd {
    /// Takes the number over.
    ///
    /// # Safety
    /// It names an open socket that nobody else closes.
    unsafe fn from_raw_fd(fd: RawFd) -> Self;
}

impl OwnedFd {
    /// A second number for the same socket.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl BorrowedFd<'_> {
    /// A second number for the same socket.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone_to_owned(&self) -> io::Result<OwnedFd> {
        self.0.try_clone_to_owned().map(OwnedFd)
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self.0.as_socket())
    }
}

impl AsFd for BorrowedFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        *self
    }
}

impl AsSocket for OwnedFd {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

impl AsSocket for BorrowedFd<'_> {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0
    }
}

impl AsRawFd for OwnedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_socket() as RawFd
    }
}

impl AsRawFd for BorrowedFd<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_socket() as RawFd
    }
}

impl AsRawFd for std::fs::File {
    fn as_raw_fd(&self) -> RawFd {
        self.as_raw_handle() as isize as RawFd
    }
}

impl IntoRawFd for OwnedFd {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_socket() as RawFd
    }
}

impl FromRawFd for OwnedFd {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller's promise; the sign is extended as the system does.
        Self(unsafe { OwnedSocket::from_raw_socket(fd as isize as RawSocket) })
    }
}

impl BorrowedFd<'_> {
    /// The socket of this number.
    ///
    /// # Safety
    /// It stays open for as long as this is.
    pub unsafe fn borrow_raw(fd: RawFd) -> Self {
        // SAFETY: the caller's promise; the sign is extended as the system does.
        Self(unsafe { BorrowedSocket::borrow_raw(fd as isize as RawSocket) })
    }
}

/// What lends a socket also lends it through a reference or a count.
macro_rules! through {
    ($($outer:ty),+) => {$(
        impl<T: AsFd + ?Sized> AsFd for $outer {
            fn as_fd(&self) -> BorrowedFd<'_> {
                (**self).as_fd()
            }
        }

        impl<T: AsRawFd + ?Sized> AsRawFd for $outer {
            fn as_raw_fd(&self) -> RawFd {
                (**self).as_raw_fd()
            }
        }
    )+};
}
through!(&T, std::sync::Arc<T>, Box<T>);

/// std's and socket2's sockets come and go as owned ones.
macro_rules! sockets {
    ($($socket:ty),+) => {$(
        impl From<$socket> for OwnedFd {
            fn from(socket: $socket) -> Self {
                Self(socket.into())
            }
        }

        impl AsFd for $socket {
            fn as_fd(&self) -> BorrowedFd<'_> {
                BorrowedFd(self.as_socket())
            }
        }

        impl From<OwnedFd> for $socket {
            fn from(fd: OwnedFd) -> Self {
                fd.0.into()
            }
        }
    )+};
}
sockets!(
    std::net::TcpStream,
    std::net::TcpListener,
    std::net::UdpSocket,
    socket2::Socket
);
