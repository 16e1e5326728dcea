//! Has this process been forked since? A driver carried over a fork shares its kernel objects with the parent.

#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;

pub use imp::{ForkMark, forks_seen};
