//! Traits, types and helpers of asynchronous I/O, standard input and output, and readiness of descriptors.

mod stdio;
#[cfg(unix)]
pub mod unix;

pub use blitz_driver::{Interest, Ready};
pub use blitz_io_traits::*;
pub(crate) use stdio::drain;
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
