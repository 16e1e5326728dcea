//! What a driver is asked for.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

pub use blitz_sys::completion::SqPoll;

use crate::clock::Clock;
use crate::completion::BufferConfig;

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

/// Which threads will hold the core that the driver belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RingUse {
    /// One after the other may.
    #[default]
    Shared,
    /// The first that binds it, and no other until it is dropped.
    SingleThread,
}

/// What a driver is asked for. Every limit has a default that suits a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Forces a back end; `None` asks the environment, then takes io_uring where it is allowed.
    pub backend: Option<Backend>,
    /// Which threads will use the ring.
    pub ring: RingUse,
    /// Submission entries of the ring (256). What does not fit waits in a list.
    pub sq_entries: u32,
    /// Completion entries of the ring (4,096). What does not fit is kept by the kernel, at a price.
    pub cq_entries: u32,
    /// Events taken in one turn at most (1,024).
    pub events_per_turn: usize,
    /// A kernel thread that submits (none: it pays only where a processor is to spare).
    pub sqpoll: Option<SqPoll>,
    /// Provided buffers.
    pub buffers: BufferConfig,
    /// The time of the runtime; drivers with the same clock are siblings, between which resources may move.
    pub clock: Clock,
    /// How long a shutdown waits for operations to end before it leaks them (5 s).
    pub drain_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: None,
            ring: RingUse::Shared,
            sq_entries: 256,
            cq_entries: 4096,
            events_per_turn: 1024,
            sqpoll: None,
            buffers: BufferConfig::default(),
            clock: Clock::default(),
            drain_limit: Duration::from_secs(5),
        }
    }
}
