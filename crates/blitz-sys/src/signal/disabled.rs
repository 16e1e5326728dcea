//! No signals here that a descriptor could tell of: the names of `unix.rs`, and a refusal.

use std::io;
use std::sync::Arc;

use crate::descriptor::OwnedFd;

/// The number that Ctrl-C has in C programs, too.
pub mod number {
    /// `SIGINT`.
    pub const INTERRUPT: i32 = 2;
}

/// Where signals would arrive; here it cannot exist.
#[derive(Debug)]
pub struct Inbox(std::convert::Infallible);

impl Inbox {
    /// Refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], always.
    pub fn new() -> io::Result<Inbox> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "signals cannot be heard on this system yet",
        ))
    }

    /// Cannot be called.
    #[must_use]
    pub fn bell(&self) -> &Arc<OwnedFd> {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// Never.
    pub fn register(&self, _signal: i32) -> io::Result<()> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn drain(&self, _arrived: impl FnMut(i32)) {
        match self.0 {}
    }
}
