//! Why a value was not sent, or not received: the errors of [`mpsc`](crate::mpsc), which are the same here.

use std::error::Error;
use std::fmt;

pub use crate::mpsc::error::{SendError, SendTimeoutError, TryRecvError, TrySendError};

/// Why a value was not received in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// None came in time.
    Timeout,
    /// Everything was received, and nothing more will come.
    Disconnected,
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out waiting on a channel",
            Self::Disconnected => "receiving on a closed channel",
        })
    }
}

impl Error for RecvTimeoutError {}
