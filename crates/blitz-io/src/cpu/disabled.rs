//! The CPU bridge without the feature `cpu`: nobody can call it, and there are no threads for it.

use std::io;

use blitz_exec::compute::{Crew, Threads};

/// There is no crew.
pub(crate) fn hire(_threads: &Threads) -> io::Result<Box<dyn Crew>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "blitz-io was built without its feature `cpu`",
    ))
}
