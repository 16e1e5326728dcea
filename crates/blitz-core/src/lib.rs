//! Ground floor of blitz-io: no I/O, no threads, no clock; named things, no grab bag.
//!
//! No stability promise: use `blitz-io`.

pub mod barrier;
pub mod budget;
pub mod histogram;
pub mod list;
pub mod pad;
pub mod primitive;
pub mod question;
pub mod queue;
pub mod quiet;
pub mod register;
pub mod sharded;
pub mod slab;
mod stops;
pub mod waiting;
pub mod wake;
