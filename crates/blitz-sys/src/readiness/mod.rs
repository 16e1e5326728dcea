//! "Is it ready?": one [`Selector`] over what the platform has, by way of the crate `mio`.
//!
//! epoll on Linux, kqueue, Windows' AFD; poll(2) where mio is built with `--cfg mio_unsupported_force_poll_poll`.
//! mio was taken before `polling` because its epoll is edge-triggered, which the driver's words are made for;
//! its waits are exact through a timerfd of ours.

mod selector;
#[cfg(epoll)]
mod timerfd;

pub use selector::{Notifier, Registry, Selector};

/// True if an event says that something *changed*, so that a short read proves an empty socket and nothing has to
/// be armed again; false where readiness is reported once and must be asked for again after each `WouldBlock`.
pub const EDGE: bool = !cfg!(mio_unsupported_force_poll_poll) && !cfg!(windows);

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

#[cfg(unix)]
mod poll_mask {
    use super::bits;

    /// The mask to poll for, of interests in [`bits`].
    pub const fn mask_for(interest: u8) -> u32 {
        let mut mask = 0;
        if interest & bits::READABLE != 0 {
            mask |= libc::POLLIN as u32 | 0x2000; // POLLRDHUP on every architecture but SPARC
        }
        if interest & bits::WRITABLE != 0 {
            mask |= libc::POLLOUT as u32;
        }
        if interest & bits::PRIORITY != 0 {
            mask |= libc::POLLPRI as u32;
        }
        mask
    }

    /// What an answered mask says, in [`bits`]. An error makes both directions worth a try.
    pub const fn bits_of(mask: u32) -> u8 {
        const IN: u32 = libc::POLLIN as u32;
        const OUT: u32 = libc::POLLOUT as u32;
        const PRI: u32 = libc::POLLPRI as u32;
        const ERR: u32 = libc::POLLERR as u32;
        const HUP: u32 = libc::POLLHUP as u32;
        const RDHUP: u32 = 0x2000;
        let mut ready = 0;
        if mask & (IN | PRI) != 0 {
            ready |= bits::READABLE;
        }
        if mask & OUT != 0 {
            ready |= bits::WRITABLE;
        }
        if mask & PRI != 0 {
            ready |= bits::PRIORITY;
        }
        if mask & RDHUP != 0 {
            ready |= bits::READ_CLOSED;
        }
        if mask & HUP != 0 {
            ready |= bits::READ_CLOSED | bits::WRITE_CLOSED;
        }
        if mask & ERR != 0 {
            ready |= bits::ERROR | bits::READABLE | bits::WRITABLE;
            if mask & OUT != 0 || mask & !(ERR | RDHUP) == 0 {
                ready |= bits::WRITE_FAILED;
            }
        }
        ready
    }
}
#[cfg(unix)]
pub use poll_mask::{bits_of, mask_for};

#[cfg(uring)]
mod pollable;
#[cfg(uring)]
pub use pollable::check_pollable;

/// Succeeds: only a ring is asked about, and here is none.
///
/// # Errors
/// Never.
#[cfg(all(unix, not(uring)))]
pub fn check_pollable(_fd: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    Ok(())
}
