//! Leased buffers: received bytes that belong to the reader until it lets go of them.
//!
//! [`Leases`] is a connection's stream of received buffers. Where the kernel can, one multishot receive fills buffers
//! of the driver's provided ring ([`Group`]); when that ring is empty, and on other back ends, the
//! socket's readiness and a buffer of the [`BufferPool`] serve. The reader gets a [`BufferView`], which finds its way
//! home from any thread ([`Home`]).

mod group;
mod home;
mod pool;
mod returns;
mod stream;
mod view;

pub(crate) use group::Group;
pub use pool::{BufferPool, Lease};
pub use stream::Leases;
pub use view::BufferView;

#[cfg(test)]
mod tests;
