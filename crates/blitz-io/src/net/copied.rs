//! Counts the bytes that were copied in this program although a call without copies was asked for.
//!
//! ORDERING: all Relaxed: the count orders nothing, it is read for statistics and by tests.

use std::sync::atomic::{AtomicU64, Ordering};

static COPIED: AtomicU64 = AtomicU64::new(0);

/// How many bytes the zero-copy calls of this process have copied in user space until now, where the kernel, the file or
/// the socket left them no other way.
///
/// Zero-copy calls are [`TcpStream::send_file`](super::TcpStream::send_file),
/// [`TcpStream::receive_file`](super::TcpStream::receive_file), [`splice`](super::splice()) and
/// [`TcpStream::recv_lease`](super::TcpStream::recv_lease). A leased buffer counts when its bytes
/// are copied out of it by a read of another kind.
///
/// # Examples
/// ```
/// let before = blitz_io::net::bytes_copied();
/// // … serve files …
/// assert_eq!(blitz_io::net::bytes_copied() - before, 0);
/// ```
pub fn bytes_copied() -> u64 {
    COPIED.load(Ordering::Relaxed)
}

#[cold]
pub(super) fn count(bytes: usize) {
    COPIED.fetch_add(bytes as u64, Ordering::Relaxed);
}
