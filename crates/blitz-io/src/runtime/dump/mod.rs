//! Snapshots of a runtime's tasks: what each does, since when, and what it waits for.
//!
//! - [`Handle::tasks`](super::Handle::tasks) lists them as plain data, at any time and from any thread.
//! - [`Handle::dump`](super::Handle::dump) wakes each, and brings back the whole stack of futures that it waits in.
//! - [`note`] is the door for leaf futures of other crates: a call of it, before `Pending` is returned, says what the task waits for.
//!   Without it such a task is listed as waiting for something unknown.
//! - [`trace_with`] and [`Trace::capture`] poll one future by hand, and look at the leaves that it comes to.
//!
//! # Examples
//! A leaf future that says what it is:
//! ```
//! use std::{future::poll_fn, task::Poll};
//! use blitz_io::runtime::{Handle, dump::{Resource, Site, note}};
//!
//! /// One for each kind of leaf; the number says which ticket.
//! static TICKET: Site = Site::new("my_crate::Ticket", Resource::Number);
//!
//! # #[blitz_io::main(flavor = "current_thread")]
//! # async fn main() {
//! let waiting = blitz_io::spawn(poll_fn(|cx| {
//!     let _kept_elsewhere = cx.waker().clone();
//!     note(&TICKET, 17, None);
//!     Poll::<()>::Pending
//! }));
//! blitz_io::task::yield_now().await;
//! let tasks = Handle::current().tasks();
//! let awaits = tasks[0].awaits.as_ref().map(ToString::to_string);
//! assert_eq!(awaits.as_deref(), Some("my_crate::Ticket (17)"));
//! # waiting.abort();
//! # }
//! ```

mod by_hand;
mod collect;
mod trace;

pub use crate::context::tasks::{Awaited, Target, TaskInfo};
pub use blitz_core::waiting::{Resource, Site, note};
pub use blitz_exec::scheduler::warnings::{Other, Warning, WarningKind};
pub use blitz_exec::task::TaskState;
pub use by_hand::{Root, TraceMeta, trace_with};
#[cfg(unix)]
pub(super) use collect::dump_outside;
pub use collect::{Dump, Task, Tasks};
pub use trace::{Backtrace, BacktraceFrame, BacktraceSymbol, Trace};
