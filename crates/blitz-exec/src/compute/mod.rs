//! Calls that compute, on threads that do nothing else: from async code there, and back by a wake.
//!
//! - A [`Bridge`] belongs to a runtime. It hires its [`Crew`] with the first call; what a crew is, the face says (rayon).
//! - A [`Job`] is the right to run a call once; it travels through the crew. A [`Call`] is the future of its output.
//! - Both are sides of one allocation: `cell` has it, `state` the moves and the argument for every unsafe access.
//! - `standby` is the short way from a call that has ended to the next, past the crew's queue.
//! - `ledger` counts, and holds virtual time back; `thread` starts the threads and waits for the last.

mod bridge;
mod call;
mod cell;
mod error;
mod ledger;
mod standby;
mod state;
mod thread;

pub use bridge::{Bridge, Crew, Hire};
pub use call::Call;
pub use cell::Job;
pub use error::ComputeError;
pub use ledger::ComputeMetrics;
pub use thread::{ThreadConfig, Threads};

#[cfg(test)]
mod tests;
