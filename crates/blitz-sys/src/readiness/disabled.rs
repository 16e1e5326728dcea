//! No descriptor can be registered here: mio takes its own types alone on such a system, and no ring polls.

use std::io;

use super::selector::{Registry, interest_of};

/// See the folder's `mod.rs`.
pub(super) const EDGE: bool = false;

impl Registry {
    /// Refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], always.
    pub fn add(&self, _fd: i32, _token: usize, interest: u8) -> io::Result<()> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{:?} takes no descriptors on this system yet, so {:?} cannot be waited for",
                self.0,
                interest_of(interest)
            ),
        ))
    }

    /// Refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], always.
    pub fn renew(&self, fd: i32, token: usize, interest: u8) -> io::Result<()> {
        self.add(fd, token, interest)
    }

    /// Does nothing: nothing was registered.
    ///
    /// # Errors
    /// Never.
    pub fn remove(&self, _fd: i32) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing is polled for.
pub const fn mask_for(_interest: u8) -> u32 {
    0
}

/// Nothing is answered.
pub const fn bits_of(_mask: u32) -> u8 {
    0
}
