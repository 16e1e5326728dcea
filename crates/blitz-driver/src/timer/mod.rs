//! The timers of one driver: registered from any thread, fired by the driver's turn.
//!
//! [`Timers`] is a `wheel` behind a lock that is held for nanoseconds; wakers are called after it. A future
//! holds its place as a [`Timer`](crate::Timer), which registers at the first poll that finds nothing to do.
//!
//! Order within one instant: by deadline, then by the order of registration (a reset registers anew).

mod timers;
mod wheel;

pub use timers::{Inserted, Reset, Shutdown, Timers};

#[cfg(test)]
mod tests;
