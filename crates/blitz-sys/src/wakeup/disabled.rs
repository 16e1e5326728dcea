//! No rings here, so nothing to interrupt them by.

use std::io;

/// Cannot exist on this platform.
#[derive(Clone, Debug)]
pub struct EventFd(std::convert::Infallible);

#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "documented where there is such a thing"
)]
impl EventFd {
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
    pub fn notify(&self) {
        match self.0 {}
    }
    pub fn as_raw_fd(&self) -> i32 {
        match self.0 {}
    }
}
