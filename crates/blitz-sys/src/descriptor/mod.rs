//! Owned and borrowed numbers of the kernel, under std's Unix names on every system.
//!
//! On Unix they are std's own types. `windows.rs` has the same names there, over std's owned sockets: what the floors
//! above hold and lend is a socket, and files stay `std::fs::File`.

#[cfg(unix)]
#[path = "unix.rs"]
mod imp;
#[cfg(windows)]
#[path = "windows.rs"]
mod imp;

pub use imp::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
