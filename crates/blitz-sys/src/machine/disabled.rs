//! What is not asked on this platform (yet).

use std::io;

use super::{ClockFacts, Kernel, RingCall, Sandbox};

/// Not asked here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn kernel() -> io::Result<Kernel> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not asked here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn sandbox() -> io::Result<Sandbox> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no such switch here.
pub fn rings_disabled() -> Option<u8> {
    None
}

/// Nothing is known.
pub fn clock() -> ClockFacts {
    ClockFacts::default()
}

/// No ring on this platform.
pub fn ring_calls() -> Vec<RingCall> {
    Vec::new()
}
