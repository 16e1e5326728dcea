//! Woken tasks become polls: tasks, schedulers, the blocking pool and the bridge to threads that compute.
//!
//! No stability promise: use `blitz-io`. Nothing here names a descriptor or a clock; a worker waits through
//! [`park::Park`], which the face fills in with a driver.

pub mod blocking;
pub mod compute;
pub mod park;
pub mod scheduler;
pub mod stats;
pub mod task;
