//! Ground floor of blitz-io: no I/O, no threads, no clock; named things, no grab bag.
//!
//! No stability promise: use `blitz-io`.

pub mod primitive;
pub mod slab;
pub mod wake;
