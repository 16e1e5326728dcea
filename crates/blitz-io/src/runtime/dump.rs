//! Snapshots of a runtime's tasks: what each does, since when, and what it waits for.
//!
//! [`Handle::tasks`](super::Handle::tasks) lists them as plain data, at any time and from any thread.

pub use crate::context::tasks::{Awaited, Target, TaskInfo};
pub use blitz_core::waiting::{Resource, Site, note};
pub use blitz_exec::scheduler::warnings::{Warning, WarningKind};
pub use blitz_exec::task::TaskState;
