//! The driver from outside: real descriptors, counting wakers, both back ends.

mod child;
mod completion_cancel;
mod completion_ops;
mod completion_streams;
mod completion_support;
mod edges;
// Faults are planned in a ring's calls: where `blitz-sys` has rings.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod faults;
mod metrics;
mod readiness;
mod refusal;
mod ring;
mod support;
mod timers;
mod waiting;
