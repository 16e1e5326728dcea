//! Why a task gave no output.

use super::Id;
use std::any::Any;
use std::fmt;
use std::io;

/// The task was cancelled, or it panicked.
pub struct JoinError {
    id: Id,
    panic: Option<Payload>,
}

/// What a panic carried. Only `Send`, yet shared in an error.
pub(crate) struct Payload(Box<dyn Any + Send>);

// SAFETY: through a shared reference nothing is done with the payload but to look for a `&'static str` or a `String`, which
// are `Sync`; any other use takes it by value.
unsafe impl Sync for Payload {}

impl Payload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(payload)
    }

    pub(crate) fn into_inner(self) -> Box<dyn Any + Send> {
        self.0
    }

    /// What it says, if it is text.
    pub(crate) fn message(&self) -> Option<&str> {
        if let Some(text) = self.0.downcast_ref::<&'static str>() {
            return Some(text);
        }
        self.0.downcast_ref::<String>().map(String::as_str)
    }
}

impl JoinError {
    pub(super) fn cancelled(id: Id) -> Self {
        Self { id, panic: None }
    }

    pub(super) fn panicked(id: Id, payload: Box<dyn Any + Send>) -> Self {
        Self {
            id,
            panic: Some(Payload(payload)),
        }
    }

    /// Was the task cancelled: by an abort, or by the shutdown of its runtime?
    pub fn is_cancelled(&self) -> bool {
        self.panic.is_none()
    }

    /// Did the task panic?
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// Returns what the panic carried, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the task did not panic; see [`try_into_panic`](Self::try_into_panic).
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(_) => panic!(
                "`JoinError::into_panic` on the error of a task that was cancelled; `is_panic` tells"
            ),
        }
    }

    /// Returns what the panic carried.
    ///
    /// # Errors
    /// The error itself, if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.panic {
            Some(payload) => Ok(payload.0),
            None => Err(self),
        }
    }

    /// The id of the task.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.panic.as_ref().map(Payload::message) {
            None => write!(f, "task {} was cancelled", self.id),
            Some(None) => write!(f, "task {} panicked", self.id),
            Some(Some(message)) => write!(f, "task {} panicked with message {message:?}", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.panic.as_ref().map(Payload::message) {
            None => write!(f, "JoinError::Cancelled({:?})", self.id),
            Some(None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
            Some(Some(message)) => write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        io::Error::other(if error.is_cancelled() {
            "task was cancelled"
        } else {
            "task panicked"
        })
    }
}
