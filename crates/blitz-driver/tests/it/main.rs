//! The driver from outside: real descriptors, counting wakers, both back ends.

mod completion_cancel;
mod completion_ops;
mod completion_streams;
mod completion_support;
mod readiness;
mod support;
mod timers;
