//! Child processes: started as by std, waited for and talked to without blocking.
//!
//! [`Command`] says what to start, [`Child`] is what runs, [`ChildStdin`] and its kin are the pipes to it. A child's end comes by
//! a descriptor of the process where the kernel has them (`pidfd_open(2)`), else by `SIGCHLD`. A child whose [`Child`] is dropped
//! runs on, unless [`Command::kill_on_drop`] was set, and is reaped in the background when it ends: it stays no zombie.

mod child;
mod command;
mod exit;
mod pipes;
mod reaper;

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
