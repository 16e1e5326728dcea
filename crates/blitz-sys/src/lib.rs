//! The kernel, made safe: thin calls with owned descriptors, one folder per concern.
//!
//! No stability promise: use `blitz-io`.

pub mod barrier;
pub mod beneath;
pub mod completion;
pub mod cpu;
pub mod descriptor;
mod dice;
pub mod errno;
pub mod file;
pub mod fork;
pub mod limit;
pub mod machine;
pub mod map;
#[cfg(unix)]
pub mod pipe;
#[cfg(unix)]
pub mod process;
pub mod readiness;
pub mod signal;
pub mod socket;
pub mod stack;
pub mod tunnel;
pub mod wakeup;
