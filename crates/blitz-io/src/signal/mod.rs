//! Signals as events: Ctrl-C everywhere, the Unix ones by their names.
//!
//! The first listener for a signal installs a handler for it in the whole process, and it **stays installed**: after the last
//! listener is gone the signal is ignored, its default action does not come back. So a program that once
//! waited for [`ctrl_c`] is not ended by Ctrl-C any more, unless it ends itself.
//!
//! Signals of one kind that come faster than a listener asks are told once, as Unix itself does.

mod ctrl_c;
mod hub;
mod listener;
#[cfg(unix)]
pub mod unix;

pub use ctrl_c::ctrl_c;
