//! What is in flight, and what it owns: all that stands under the driver's submission lock.
//!
//! Users: the futures of `completion/`, which put operations in and take results out, and the driver's turn, which
//! delivers. It knows neither futures nor handles.

mod delivery;
mod lane;
mod lease;
mod many;
mod table;
mod tenants;

pub use delivery::Outcome;
pub(crate) use delivery::{Abandoned, Delivery};
pub(crate) use lane::{LONG, Lane, Queued};
pub use lease::{BufferPool, BufferView, Lease};
pub(crate) use lease::{GROUP, Group};
pub(crate) use many::{Carries, Many, Next};
pub(crate) use table::{Looked, Operations};
pub(crate) use tenants::Left;

/// How many leased buffers there are, and how large.
///
/// # Examples
/// ```
/// let config = blitz_driver::completion::BufferConfig { size: 4096, ..Default::default() };
/// assert_eq!(config.count, 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferConfig {
    /// Buffers in each driver's provided ring; a power of two up to 32,768. Default 1,024: a crowd whose messages come in one turn
    /// finds one each. The system gives the memory of a buffer when it is first filled.
    pub count: u16,
    /// Bytes in each buffer. Default 16 KiB.
    pub size: u32,
    /// Buffers in each driver's [`BufferPool`], which serves when the ring is empty. Default 1,024.
    pub pool_count: u32,
    /// So many received buffers may wait for one connection's reader; its receive is paused beyond. Default 8.
    pub per_connection: u16,
    /// So many accepted connections may wait for one listener's reader; its accept is paused beyond. Default 64.
    pub per_listener: u16,
}

impl Default for BufferConfig {
    fn default() -> Self {
        Self {
            count: 1024,
            size: 16 * 1024,
            pool_count: 1024,
            per_connection: 8,
            per_listener: 64,
        }
    }
}
