//! Which interface of the kernel tells a driver about events.

use std::fmt;
use std::io;
use std::str::FromStr;

/// Which interface of the kernel tells a driver about events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Linux's completion ring, with both faces.
    IoUring,
    /// The platform's readiness interface: epoll on Linux.
    Epoll,
}

impl Backend {
    /// The environment variable that names a back end for every driver that is not configured otherwise.
    pub const VARIABLE: &'static str = "BLITZ_IO_DRIVER";

    /// The back end that the environment asks for, if any.
    ///
    /// # Errors
    /// If [`VARIABLE`](Self::VARIABLE) holds something else than a back end's name.
    pub fn from_env() -> io::Result<Option<Self>> {
        match std::env::var_os(Self::VARIABLE) {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) => match value.to_str().map(Self::from_str) {
                Some(Ok(backend)) => Ok(Some(backend)),
                _ => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "the environment variable {} is {value:?}, but only \"io_uring\" and \"epoll\" are known; unset it to let the driver choose",
                        Self::VARIABLE
                    ),
                )),
            },
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        match name {
            "io_uring" => Ok(Self::IoUring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(UnknownBackend),
        }
    }
}

/// The name is none of a back end's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBackend;

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such back end: io_uring and epoll are known")
    }
}

impl std::error::Error for UnknownBackend {}
