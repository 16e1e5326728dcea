//! Timers by hand and by loom. The wheel's own tests stand in `wheel.rs`.

#[cfg(loom)]
mod loom_timers;
#[cfg(not(loom))]
mod plain;
