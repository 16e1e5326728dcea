//! Threads for calls that block: bounded, kept alive for a while, named.
//!
//! A job waits in one queue under one lock. While it does, a thread is coming (one at rest was reserved and woken, or a new
//! one was started), or there are as many as there may be and all are busy. Whoever takes a job and leaves more behind, with
//! nobody coming, calls the next thread: so a burst of short calls is done by a few threads that are awake, and one of long
//! calls gets a thread each, one after the other. A reservation is a count, not a flag: a thread that is woken without one
//! goes back to its wait, and one whose keep-alive runs out looks for a reservation first. So no job can be left with every
//! thread asleep.
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
