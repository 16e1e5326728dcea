//! What only Linux is served with here: each call answers `Unsupported`.

use std::io::{self, IoSliceMut};

use super::{Incoming, Outgoing};
use crate::descriptor::BorrowedFd;

macro_rules! unsupported {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ty),*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Always [`io::ErrorKind::Unsupported`].
        pub fn $name($(_: $arg),*) -> io::Result<$answer> {
            Err(io::ErrorKind::Unsupported.into())
        }
    )*};
}

unsupported! {
    /// Receives a datagram with what came beside it: not possible here.
    fn receive(BorrowedFd<'_>, &mut [IoSliceMut<'_>]) -> Incoming;
    /// Receives several: not possible here.
    fn receive_many(BorrowedFd<'_>, &mut [IoSliceMut<'_>], &mut Vec<Incoming>) -> usize;
    /// Sends a datagram with what goes beside it: not possible here.
    fn send(BorrowedFd<'_>, &Outgoing<'_>) -> usize;
    /// Sends several: not possible here.
    fn send_many(BorrowedFd<'_>, &[Outgoing<'_>]) -> usize;
    /// Sets whether traffic classes are told: not possible here.
    fn set_receives_class(BorrowedFd<'_>, bool) -> ();
    /// Sets whether local addresses are told: not possible here.
    fn set_receives_destination(BorrowedFd<'_>, bool) -> ();
    /// Sets whether datagrams are joined: not possible here.
    fn set_gro(BorrowedFd<'_>, bool) -> ();
}

/// How many datagrams one send may be cut into: one.
pub fn max_segments(_fd: BorrowedFd<'_>) -> usize {
    1
}
