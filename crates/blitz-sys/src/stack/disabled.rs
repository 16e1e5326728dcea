//! No stacks of other threads here: the names of `copy.rs`, and a refusal.

use std::convert::Infallible;
use std::io;

use super::{Frame, NotAsked, Stack};

/// There is none.
pub const DEFAULT_SIGNAL: i32 = 0;

/// None is asked for anything here.
pub fn can_be_handled(_signal: i32) -> bool {
    true
}

/// It cannot exist.
#[derive(Debug)]
pub struct Asked(Infallible);

impl Asked {
    /// Cannot be called.
    pub fn is_answered(&self) -> bool {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// Never.
    pub fn take(self) -> Result<Stack, Self> {
        match self.0 {}
    }
}

/// Refuses.
///
/// # Errors
/// [`NotAsked::Refused`], always.
pub fn ask(_signal: i32, _thread: u32) -> Result<Asked, NotAsked> {
    Err(NotAsked::Refused(io::ErrorKind::Unsupported.into()))
}

/// There are no stacks, so none is asked.
pub(super) fn frames(_stack: &Stack) -> Vec<Frame> {
    Vec::new()
}
