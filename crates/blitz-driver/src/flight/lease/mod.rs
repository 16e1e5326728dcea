//! Leased buffers: memory that belongs to a reader until it lets go of it.
//!
//! A driver's provided ring ([`Group`]) and a [`BufferPool`] both lend buffers of a `Home`; the reader gets a [`BufferView`],
//! which finds its way home from any thread.

mod group;
mod home;
mod pool;
mod returns;
mod view;

pub(crate) use group::{GROUP, Group};
pub use pool::{BufferPool, Lease};
pub use view::BufferView;

#[cfg(test)]
mod tests;
