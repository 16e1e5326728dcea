//! The slot by loom, and by hand; the batch by hand.

#[cfg(loom)]
mod loom_slot;
#[cfg(not(loom))]
mod plain;
