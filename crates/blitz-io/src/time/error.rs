//! What can go wrong with time.

use std::fmt;
use std::io;

/// Why a timer could not be used.
///
/// No function of this crate returns it today; it is here because tokio has it.
#[derive(Clone, Copy, Debug)]
pub struct Error(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shutdown,
    AtCapacity,
    Invalid,
}

impl Error {
    /// The error of a timer whose runtime is gone.
    pub fn shutdown() -> Self {
        Self(Kind::Shutdown)
    }

    /// True if the runtime is gone.
    pub fn is_shutdown(&self) -> bool {
        self.0 == Kind::Shutdown
    }

    /// The error of a timer for which there is no room.
    pub fn at_capacity() -> Self {
        Self(Kind::AtCapacity)
    }

    /// True if there is no room for another timer.
    pub fn is_at_capacity(&self) -> bool {
        self.0 == Kind::AtCapacity
    }

    /// The error of a timer that is not set up rightly.
    pub fn invalid() -> Self {
        Self(Kind::Invalid)
    }

    /// True if the timer is not set up rightly.
    pub fn is_invalid(&self) -> bool {
        self.0 == Kind::Invalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shutdown => "the timer's runtime is shut down",
            Kind::AtCapacity => "there is no room for another timer",
            Kind::Invalid => "the timer is not set up rightly",
        })
    }
}

impl std::error::Error for Error {}

/// The deadline of a [`timeout`](super::timeout()) passed before its future was ready.
///
/// It becomes an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut) by `?`.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
