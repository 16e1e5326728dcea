//! The stack of another thread of this process, at a moment of our choice.
//!
//! That thread is sent a signal. The handler copies its registers and the innermost piece of its stack into a place that was
//! made beforehand ([`ask`], in `copy.rs`); who asked walks through the copy (`unwind.rs`), and names what it found when
//! somebody wants to read it (`names.rs`). Nothing of that needs the other thread once it has been copied.
//!
//! What a platform lacks stands in `disabled.rs`.

#[cfg(stacks)]
mod copy;
#[cfg(stacks)]
mod machine;
#[cfg(stacks)]
mod names;
#[cfg(stacks)]
mod unwind;

#[cfg(not(stacks))]
#[path = "disabled.rs"]
mod imp;
#[cfg(stacks)]
mod imp {
    pub use super::copy::{Asked, DEFAULT_SIGNAL, ask, can_be_handled};
    pub(super) use super::names::frames;
}

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use imp::{Asked, DEFAULT_SIGNAL, ask, can_be_handled};

/// Where a thread was: the address that it was at, and those of the calls that led there, the innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    addresses: Vec<usize>,
    is_whole: bool,
}

impl Stack {
    /// The addresses, each within the instruction in question.
    pub fn addresses(&self) -> &[usize] {
        &self.addresses
    }

    /// Whether it was followed to its begin. If not, the outermost calls are missing.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The calls by name, as far as the program knows names. The first time in a process this reads the program's file, which
    /// may take a second where that is large.
    pub fn frames(&self) -> Vec<Frame> {
        imp::frames(self)
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The address, within the instruction in question. Calls that the compiler has put in place of each other share one.
    pub address: usize,
    /// The function's name.
    pub function: Option<String>,
    /// The source file.
    pub file: Option<PathBuf>,
    /// The line in it.
    pub line: Option<u32>,
}

/// Why a thread was not asked.
#[derive(Debug)]
pub enum NotAsked {
    /// Something else in this process has its hands on the signal.
    SignalIsTaken,
    /// As many threads are asked already as may be at once.
    TooMany,
    /// The system refuses, or this is not written for it.
    Refused(io::Error),
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignalIsTaken => f.write_str("the program handles or ignores that signal itself"),
            Self::TooMany => f.write_str("as many threads are asked already as may be at once"),
            Self::Refused(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

#[cfg(all(test, stacks))]
#[path = "tests.rs"]
mod tests;
