//! Operations in flight, and the buffers they own.
//!
//! An operation is a future, [`Op`], that owns what the kernel works on: the buffer, the path, a reference to the
//! descriptor. Its first poll queues an entry under the driver's submission lock and leaves a waker in
//! the table of [`Operations`]; the driver's turn brings the kernel's answer there. Nothing is
//! allocated for it: only an operation dropped in flight moves what it owned into the table, where it stays until the
//! kernel's *last* answer, and is then taken apart (an accepted socket closed, a leased buffer sent home).
//!
//! ```text
//!  state of an entry   move                        to        what happens
//!  (none)              submit                      Waiting   entry queued, waker stored
//!  Waiting             last answer                 Done      waker called after the lock
//!  Waiting             the future is dropped       Orphan    its data moves in, a cancel is queued
//!  Done                the future polls            (none)    it finishes; ECANCELED that nobody asked for: submit
//!  Done                the future is dropped       (none)    its result is destroyed by the dropping thread
//!  Waiting             it is detached              Orphan    as if dropped, but no cancel is queued
//!  Orphan              last answer                 (none)    its result is destroyed after the lock
//!  Many                an answer                   Many      queued, waker called after the lock
//!  Many                the stream is dropped       Many      marked abandoned, a cancel is queued
//!  Many, abandoned     last answer                 (none)    each queued result was destroyed as it came
//! ```
//!
//! A cancel's own answer means nothing: whatever it says, the target's last answer is still to come. For a
//! zero-copy send that is the notification, not the result.
//!
//! Who meets here: futures of any thread by [`Op`], and the driver's turn by [`Operations::deliver`].

mod accept;
mod delivery;
mod file;
mod fixed;
mod lease;
mod link;
mod many;
mod op;
mod path;
mod socket;
mod table;

pub use accept::Accepts;
pub use delivery::Outcome;
pub use file::{
    Allocate, Close, Descriptor, ReadAt, Sync, Truncate, WriteAt, allocate, close, read_at, sync,
    truncate, write_at,
};
pub use fixed::{FixedPool, ReadFixed, WriteFixed, read_fixed, write_fixed};
pub use lease::{BufferPool, BufferView, Lease, Leases};
pub use link::{Linked, Links};
pub use op::{Op, Request};
pub use path::{MakeDir, Open, Rename, Stat, Unlink, make_dir, open, rename, stat, unlink};
pub use socket::{
    Accept, Connect, Poll, Receive, Send, SendZc, Sent, ShutDown, Splice, accept, connect, poll,
    receive, receive_owned, send, send_owned, send_zc, send_zc_owned, shut_down, splice,
};

pub(crate) use delivery::Delivery;
pub(crate) use table::Operations;

/// How many leased buffers there are, and how large.
///
/// # Examples
/// ```
/// let config = blitz_driver::completion::BufferConfig { size: 4096, ..Default::default() };
/// assert_eq!(config.count, 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferConfig {
    /// Buffers in each driver's provided ring; a power of two up to 32,768. Default 256.
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
            count: 256,
            size: 16 * 1024,
            pool_count: 1024,
            per_connection: 8,
            per_listener: 64,
        }
    }
}
