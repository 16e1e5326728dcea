//! Why somebody got no connection.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a connection was not made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError<E> {
    /// What [`Connect::connect`](super::Connect::connect) says.
    Failed(E),
    /// It took longer than [`connect_timeout`](super::Builder::connect_timeout).
    TimedOut(Duration),
    /// [`Connect::connect`](super::Connect::connect) panicked.
    Panicked,
}

impl<E> fmt::Display for ConnectError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("cannot connect"),
            Self::TimedOut(after) => write!(f, "no connection was made within {after:?}"),
            Self::Panicked => f.write_str("connecting panicked"),
        }
    }
}

impl<E: Error + 'static> Error for ConnectError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) | Self::Panicked => None,
        }
    }
}

/// Which part of an acquire its time ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquirePhase {
    /// Waiting in the line.
    Wait,
    /// Checking a connection that had been idle.
    Check,
    /// Waiting in the line of a pool that is [suspended](super::Pool::suspend).
    Suspended,
}

/// The answer to who waited in vain: see [`AcquireError::TimedOut`].
#[derive(Debug)]
#[non_exhaustive]
pub struct TimedOut<E> {
    /// How long it waited.
    pub waited: Duration,
    /// What it waited for in the end.
    pub phase: AcquirePhase,
    /// Why the last attempt to connect failed, if none has succeeded since.
    pub last: Option<Arc<ConnectError<E>>>,
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// None came free in time.
    TimedOut(TimedOut<E>),
    /// Connecting failed, and [`Connect::is_transient`](super::Connect::is_transient) sees no use in another try. The error is this
    /// caller's own, so that [`Arc::into_inner`] gives it; but for that of a [warm-up](super::Pool::warm_up).
    Connect(Arc<ConnectError<E>>),
    /// The pool is closed.
    Closed,
}

impl<E> AcquireError<E> {
    /// No connection came free in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// The pool is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Why connecting failed: at once, or as long as somebody waited.
    pub fn connect_error(&self) -> Option<&ConnectError<E>> {
        match self {
            Self::TimedOut(timed_out) => timed_out.last.as_deref(),
            Self::Connect(error) => Some(error),
            Self::Closed => None,
        }
    }
}

impl<E> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(TimedOut {
                waited,
                phase,
                last,
            }) => {
                let what = match (phase, last) {
                    (AcquirePhase::Check, _) => "the check of an idle connection took too long",
                    (AcquirePhase::Suspended, _) => "the pool is suspended",
                    (AcquirePhase::Wait, Some(_)) => "connecting fails",
                    (AcquirePhase::Wait, None) => "all are in use",
                };
                write!(f, "no connection within {waited:?}: {what}")
            }
            Self::Connect(error) => error.fmt(f),
            Self::Closed => f.write_str("the pool is closed"),
        }
    }
}

impl<E: Error + 'static> Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut(timed_out) => timed_out
                .last
                .as_ref()
                .map(|error| &**error as &(dyn Error + 'static)),
            // Its own text is ours.
            Self::Connect(error) => error.source(),
            Self::Closed => None,
        }
    }
}
