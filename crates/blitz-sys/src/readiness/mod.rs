//! "Is it ready?": one [`Selector`] over what the platform has, by way of the crate `mio`.
//!
//! epoll on Linux, kqueue, Windows' AFD; poll(2) where mio is built with `--cfg mio_unsupported_force_poll_poll`.
//! mio was taken before `polling` because its epoll is edge-triggered, which the driver's words are made for;
//! its waits are exact through a timerfd of ours. Each system's file defines how a [`Registry`] takes a descriptor (`add renew
//! remove`), `EDGE`, and poll(2)'s masks (`mask_for bits_of`). `faults.rs` stands before the calls in tests.

#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "no descriptor is watched there yet")
)]
pub mod faults;
#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;
#[cfg(uring)]
mod pollable;
#[cfg(not(uring))]
#[path = "not_asked.rs"]
mod pollable;
mod selector;
#[cfg(epoll)]
mod timerfd;

pub use imp::{bits_of, mask_for};
pub use pollable::check_pollable;

pub use selector::{Notifier, Registry, Selector};

/// True if an event says that something *changed*, so that a short read proves an empty socket and nothing has to
/// be armed again; false where readiness is reported once and must be asked for again after each `WouldBlock`.
pub const EDGE: bool = imp::EDGE;

/// What is being ready, as bits.
pub mod bits {
    /// There is something to read, or to accept.
    pub const READABLE: u8 = 1 << 0;
    /// There is room to write, or the connection stands.
    pub const WRITABLE: u8 = 1 << 1;
    /// Nothing more will come.
    pub const READ_CLOSED: u8 = 1 << 2;
    /// Nothing more can be sent.
    pub const WRITE_CLOSED: u8 = 1 << 3;
    /// Urgent data.
    pub const PRIORITY: u8 = 1 << 4;
    /// An error waits to be fetched.
    pub const ERROR: u8 = 1 << 5;
    /// An error closed the sending side, as far as the event could tell; a write that would block refutes it.
    pub const WRITE_FAILED: u8 = 1 << 6;
}
