//! The way home by loom; pool and views by hand.

#[cfg(loom)]
mod loom_returns;
#[cfg(not(loom))]
mod plain;
