//! Unix: any descriptor can be registered, and a ring polls with the masks of poll(2).

use std::io;

use mio::Token;
use mio::unix::SourceFd;

use super::bits;
use super::faults::{self, Call};
use super::selector::{Registry, TIMER, interest_of};

/// See the folder's `mod.rs`.
pub(super) const EDGE: bool = !cfg!(mio_unsupported_force_poll_poll);

impl Registry {
    /// Reports what becomes of `fd` under `token`, from now on.
    ///
    /// # Errors
    /// The kernel's: `PermissionDenied` for what cannot be polled (a regular file), no memory, the user's limit.
    pub fn add(&self, fd: i32, token: usize, interest: u8) -> io::Result<()> {
        debug_assert!(token < TIMER.0);
        faults::before(Call::Watch, fd, 0)?;
        self.0
            .register(&mut SourceFd(&fd), Token(token), interest_of(interest))?;
        if faults::is_on() {
            self.tell_faults(fd, token, interest);
        }
        Ok(())
    }

    /// Lets faults have `fd` reported anew.
    #[cold]
    fn tell_faults(&self, fd: i32, token: usize, interest: u8) {
        if let Ok(registry) = self.0.try_clone() {
            faults::watched(fd, token, move || {
                // A descriptor that is gone by now has nothing to report.
                let _ =
                    registry.reregister(&mut SourceFd(&fd), Token(token), interest_of(interest));
            });
        }
    }

    /// Asks again, where readiness is reported once: see [`EDGE`](super::EDGE).
    ///
    /// # Errors
    /// The kernel's.
    pub fn renew(&self, fd: i32, token: usize, interest: u8) -> io::Result<()> {
        let interest = interest_of(interest);
        match self
            .0
            .reregister(&mut SourceFd(&fd), Token(token), interest)
        {
            // poll(2) forgets a source that hung up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.0.register(&mut SourceFd(&fd), Token(token), interest)
            }
            result => result,
        }
    }

    /// Reports no more of `fd`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self, fd: i32) -> io::Result<()> {
        if faults::is_on() {
            faults::unwatched(fd);
        }
        self.0.deregister(&mut SourceFd(&fd))
    }
}

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
