//! No inspection socket on this platform: it needs a Unix socket that asks who connects.

use std::io;
use std::path::Path;

use crate::context::Handle;

/// Cannot exist here.
#[derive(Debug)]
pub(super) struct Inspector(std::convert::Infallible);

impl Inspector {
    /// Refuses what the builder asks for; what the environment asks for is not looked at.
    ///
    /// # Errors
    /// `Unsupported`, if one is asked for.
    pub(super) fn open(wanted: Option<&Path>, _handle: &Handle) -> io::Result<Option<Self>> {
        match wanted {
            None => Ok(None),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this platform has no inspection socket",
            )),
        }
    }

    /// Where the socket is.
    pub(super) fn path(&self) -> &Path {
        match self.0 {}
    }
}
