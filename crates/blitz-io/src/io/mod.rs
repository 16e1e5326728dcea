//! Traits, types and helpers of asynchronous I/O, and readiness of descriptors.

#[cfg(unix)]
pub mod unix;

pub use blitz_driver::{Interest, Ready};
pub use blitz_io_traits::*;
