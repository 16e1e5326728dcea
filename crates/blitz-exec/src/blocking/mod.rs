//! Threads for calls that block: bounded, kept alive for a while, named.
//!
//! A job waits in one queue under one lock. Whoever pushes a job either reserves an idle thread for it, under the same
//! lock, or starts a new one, or leaves it to the busy ones, who look at the queue before they rest. A reservation is a
//! count, not a flag: a thread that is woken without one goes back to its wait, and one whose keep-alive runs out looks for
//! a reservation first. So no job can be left with every thread asleep.
//!
//! Workers of a runtime run here too: a worker whose core was taken over while it blocked is then one more thread of the
//! pool.

mod job;
mod pool;
mod thread;

pub use job::Refused;
pub use pool::{EnterHook, Pool, PoolConfig, Spawner};

#[cfg(all(loom, test))]
mod tests;
