//! Outside events become wakes: the driver of blitz-io.
//!
//! No stability promise: use `blitz-io`.

pub mod clock;
pub mod timer;
