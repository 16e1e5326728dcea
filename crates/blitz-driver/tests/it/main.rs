//! The driver from outside: real descriptors, counting wakers, both back ends.

mod readiness;
mod support;
mod timers;
