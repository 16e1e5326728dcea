//! Signals of the system, from the handler to a descriptor that a driver can watch.
//!
//! Each file here defines [`Inbox`] (`new bell register drain`) and the [`number`]s of signals.

#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;

pub use imp::{Inbox, number};
