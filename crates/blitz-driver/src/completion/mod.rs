//! Operations in flight, and the buffers they own.
//!
//! An operation is a future, [`Op`], that owns what the kernel works on: the buffer, the path, a reference to the
//! descriptor. Its first poll queues an entry under the driver's submission lock and leaves a waker in
//! the table of operations (`flight/`); the driver's turn brings the kernel's answer there. Nothing is
//! allocated for it: only an operation dropped in flight moves what it owned into the table, where it stays until the
//! kernel's *last* answer, and is then taken apart (an accepted socket closed, a leased buffer sent home).
//!
//! A cancel's own answer means nothing: whatever it says, the target's last answer is still to come. For a
//! zero-copy send that is the notification, not the result.
//!
//! Who meets here: futures of any thread by [`Op`], and the driver's turn by the table's `deliver`.

mod accept;
mod file;
mod fixed;
mod leases;
mod link;
mod op;
mod path;
mod seat;
mod send_owned;
mod sends;
mod socket;
mod submit;
mod vectored;
mod zero_copy;

pub use accept::{AcceptStream, Accepts};
pub use file::{
    Advise, Allocate, Close, Descriptor, ReadAt, Sync, SyncRange, Truncate, WriteAt, advise,
    allocate, close, read_at, sync, sync_range, truncate, write_at,
};
pub use fixed::{FixedPool, ReadFixed, WriteFixed, read_fixed, write_fixed};
pub use leases::Leases;
pub use link::{Linked, Links};
pub use op::{Op, Request};
pub use path::{
    Link, MakeDir, Open, Rename, Stat, Symlink, Unlink, link, make_dir, open, rename, stat,
    symlink, unlink,
};
pub use send_owned::{SendAllOwned, SendOwned, send_all_owned, send_owned};
pub use sends::Sends;
pub use socket::{
    Accept, Connect, Poll, Receive, Send, ShutDown, Splice, accept, connect, poll, receive,
    receive_owned, send, shut_down, splice,
};
pub use vectored::{
    ReadVectored, ToFill, ToWrite, WriteVectored, read_vectored_at, write_vectored_at,
};
pub use zero_copy::{
    SendZc, SendZcVectored, Sent, send_zc, send_zc_owned, send_zc_vectored, send_zc_vectored_owned,
};

pub use crate::flight::{BufferConfig, BufferPool, BufferView, Lease, Outcome};
