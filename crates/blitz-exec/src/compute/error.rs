//! Why a call on the CPU's threads gave no output.

use crate::task::Payload;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

/// The call panicked, was cancelled by the end of its runtime, or the system gave no threads for it.
pub struct ComputeError(Kind);

enum Kind {
    Panicked(Payload),
    Cancelled,
    NoThreads(io::Error),
}

impl ComputeError {
    pub(super) fn cancelled() -> Self {
        Self(Kind::Cancelled)
    }

    pub(super) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        Self(Kind::Panicked(Payload::new(payload)))
    }

    pub(super) fn no_threads(error: io::Error) -> Self {
        Self(Kind::NoThreads(error))
    }

    /// Did the closure panic?
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panicked(_))
    }

    /// Was it cancelled, because its runtime ended before its turn?
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled)
    }

    /// Did the system refuse the threads? The `source` is its error; the next call asks again.
    pub fn is_no_threads(&self) -> bool {
        matches!(self.0, Kind::NoThreads(_))
    }

    /// Returns what the panic carried, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the closure did not panic; see [`try_into_panic`](Self::try_into_panic).
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("`ComputeError::into_panic`, but {error}; `is_panic` tells"),
        }
    }

    /// Returns what the panic carried.
    ///
    /// # Errors
    /// The error itself, if the closure did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.0 {
            Kind::Panicked(payload) => Ok(payload.into_inner()),
            other => Err(Self(other)),
        }
    }
}

impl fmt::Display for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Panicked(payload) => match payload.message() {
                Some(message) => write!(f, "the computation panicked with message {message:?}"),
                None => f.write_str("the computation panicked"),
            },
            Kind::Cancelled => {
                f.write_str("the computation was cancelled: its runtime ended before its turn")
            }
            Kind::NoThreads(_) => f.write_str(
                "the system gives no threads to compute on; fewer (`Builder::cpu_threads`) or smaller ones \
                 (`thread_stack_size`), or a higher limit of processes, may help",
            ),
        }
    }
}

impl fmt::Debug for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Panicked(payload) => match payload.message() {
                Some(message) => write!(f, "ComputeError::Panic({message:?}, ...)"),
                None => f.write_str("ComputeError::Panic(...)"),
            },
            Kind::Cancelled => f.write_str("ComputeError::Cancelled"),
            Kind::NoThreads(error) => write!(f, "ComputeError::NoThreads({error:?})"),
        }
    }
}

impl Error for ComputeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::NoThreads(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ComputeError> for io::Error {
    fn from(error: ComputeError) -> Self {
        io::Error::other(error)
    }
}
