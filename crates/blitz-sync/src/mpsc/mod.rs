//! Channels with many senders and one receiver.
//!
//! [`channel`] takes so many values and no more: whoever sends waits for room, first come, first served.
//! [`unbounded_channel`] takes what comes. Both keep their values in a list of blocks that are used again, so in steady state
//! neither sending nor waiting allocates.
//!
//! The channel ends when every sender is gone, or the receiver is, or is closed. What was sent before is still received.

mod block;
mod bounded;
mod channel;
mod claiming;
pub mod error;
mod list;
mod permit;
mod room;
mod unbounded;

pub use bounded::{Receiver, Sender, WeakSender, channel};
pub use permit::{OwnedPermit, Permit, PermitIterator};
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};

#[cfg(all(test, loom))]
#[path = "../tests/loom_mpsc.rs"]
mod models;
