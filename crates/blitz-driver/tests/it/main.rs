//! The driver from outside: real descriptors, counting wakers, both back ends.

mod child;
mod completion_cancel;
mod completion_ops;
mod completion_streams;
mod completion_support;
mod edges;
mod faults;
mod metrics;
mod readiness;
mod refusal;
mod ring;
mod support;
mod timers;
mod waiting;
