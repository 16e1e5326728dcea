//! Unix signals.
//!
//! A handler may do next to nothing: it raises a flag and writes one byte into a socket pair. [`Inbox`] is
//! the reading side: its descriptor becomes readable, and [`Inbox::drain`] tells which signals came. The handler
//! itself stands process-wide in `signal-hook-registry`, beside those of other libraries, and keeps `errno`.
//!
//! Once installed a handler stays: after the last inbox is gone the signal is ignored, not reset to its default.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook_registry::SigId;

use crate::descriptor::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use crate::socket;

/// The numbers that have a name on every Unix.
pub mod number {
    /// `SIGALRM`.
    pub const ALARM: i32 = libc::SIGALRM;
    /// `SIGCHLD`.
    pub const CHILD: i32 = libc::SIGCHLD;
    /// `SIGHUP`.
    pub const HANGUP: i32 = libc::SIGHUP;
    /// `SIGINT`.
    pub const INTERRUPT: i32 = libc::SIGINT;
    /// `SIGIO`.
    pub const IO: i32 = libc::SIGIO;
    /// `SIGPIPE`.
    pub const PIPE: i32 = libc::SIGPIPE;
    /// `SIGQUIT`.
    pub const QUIT: i32 = libc::SIGQUIT;
    /// `SIGTERM`.
    pub const TERMINATE: i32 = libc::SIGTERM;
    /// `SIGUSR1`.
    pub const USER_1: i32 = libc::SIGUSR1;
    /// `SIGUSR2`.
    pub const USER_2: i32 = libc::SIGUSR2;
    /// `SIGWINCH`.
    pub const WINDOW_CHANGE: i32 = libc::SIGWINCH;
}

/// One more than the highest signal number of any system here (some know 128).
const SIGNALS: usize = 129;

/// What the handlers touch; alive for as long as one of them is registered.
struct Raised {
    flags: [AtomicBool; SIGNALS],
    doorbell: UnixStream,
    /// A forked child shares the descriptor and must not ring its parent.
    process: u32,
}

impl Raised {
    /// Runs inside a signal handler: atomics and `write(2)` alone.
    fn raise(&self, signal: usize) {
        if std::process::id() != self.process {
            return;
        }
        // ORDERING: Release pairs with the swap in `drain`: what this thread did before the signal is seen
        // by whoever is told of it.
        if self.flags[signal].swap(true, Ordering::Release) {
            // Raised and not yet drained: the byte for it is in the pair still, or its reader is at the
            // flags now and will see this one.
            return;
        }
        let byte = [1u8];
        // SAFETY: the pointer and length describe `byte`. A full pair answers EAGAIN, and that is enough:
        // it is readable then.
        unsafe { libc::write(self.doorbell.as_raw_fd(), byte.as_ptr().cast(), 1) };
    }
}

/// Where signals arrive for one runtime.
pub struct Inbox {
    raised: Arc<Raised>,
    bell: Arc<OwnedFd>,
    /// What is registered, in order of signal numbers; `None` where nothing is.
    registered: Mutex<Vec<(i32, SigId)>>,
}

impl Inbox {
    /// An inbox that no signal goes to yet.
    ///
    /// # Errors
    /// Those of `socketpair(2)`.
    pub fn new() -> io::Result<Inbox> {
        let (reader, doorbell) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        doorbell.set_nonblocking(true)?;
        let raised = Raised {
            flags: [const { AtomicBool::new(false) }; SIGNALS],
            doorbell,
            process: std::process::id(),
        };
        let bell = Arc::new(OwnedFd::from(reader));
        Ok(Inbox {
            raised: Arc::new(raised),
            bell,
            registered: Mutex::new(Vec::new()),
        })
    }

    /// The descriptor that becomes readable when a signal came.
    #[must_use]
    pub fn bell(&self) -> &Arc<OwnedFd> {
        &self.bell
    }

    /// Has `signal` delivered here from now on; a second call for it changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a number that is no signal or one that may not be handled (`SIGKILL`, `SIGSTOP`,
    /// and those that a fault of the program raises: `SIGSEGV`, `SIGILL`, `SIGFPE`); else those of `sigaction(2)`.
    pub fn register(&self, signal: i32) -> io::Result<()> {
        let index = usize::try_from(signal)
            .ok()
            .filter(|&index| index < SIGNALS && index > 0);
        let refused = signal_hook_registry::FORBIDDEN.contains(&signal);
        let Some(index) = index.filter(|_| !refused) else {
            let text = format!("signal {signal} cannot be handled");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let mut registered = self
            .registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if registered.iter().any(|&(number, _)| number == signal) {
            return Ok(());
        }
        let raised = Arc::clone(&self.raised);
        // SAFETY: `raise` is async-signal-safe: it uses atomics, `getpid` and `write` only.
        let id = unsafe { signal_hook_registry::register(signal, move || raised.raise(index)) }?;
        registered.push((signal, id));
        Ok(())
    }

    /// Empties the bell, then names each signal that came since the last time, once.
    pub fn drain(&self, mut arrived: impl FnMut(i32)) {
        let mut bytes = [0; 64];
        // The bell first: a signal that comes after its flag was read rings again.
        while matches!(socket::read(self.bell.as_fd(), &mut bytes), Ok(1..)) {}
        for (number, flag) in (0..).zip(&self.raised.flags) {
            // ORDERING: Acquire pairs with `raise`. The plain look first spares 128 writes.
            if flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Acquire) {
                arrived(number);
            }
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("bell", &self.bell)
            .finish_non_exhaustive()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let registered = self
            .registered
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for (_, id) in registered.drain(..) {
            signal_hook_registry::unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(inbox: &Inbox) -> Vec<i32> {
        let mut all = Vec::new();
        inbox.drain(|signal| all.push(signal));
        all
    }

    fn raise(signal: i32) {
        // SAFETY: each test raises only what it has registered.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    #[test]
    fn signals_arrive_once_however_often_they_were_raised() {
        let inbox = Inbox::new().unwrap();
        inbox.register(libc::SIGUSR1).unwrap();
        inbox.register(libc::SIGUSR1).unwrap();
        inbox.register(libc::SIGWINCH).unwrap();
        assert_eq!(drained(&inbox), []);
        raise(libc::SIGUSR1);
        raise(libc::SIGUSR1);
        raise(libc::SIGWINCH);
        let mut both = [libc::SIGUSR1, libc::SIGWINCH];
        both.sort_unstable();
        assert_eq!(drained(&inbox), both);
        assert_eq!(drained(&inbox), []);
        raise(libc::SIGUSR1);
        assert_eq!(drained(&inbox), [libc::SIGUSR1]);
    }

    #[test]
    fn two_inboxes_hear_the_same_signal_and_a_dropped_one_leaves_the_handler() {
        let first = Inbox::new().unwrap();
        let second = Inbox::new().unwrap();
        first.register(libc::SIGUSR2).unwrap();
        second.register(libc::SIGUSR2).unwrap();
        raise(libc::SIGUSR2);
        assert_eq!(drained(&first), [libc::SIGUSR2]);
        assert_eq!(drained(&second), [libc::SIGUSR2]);
        drop(first);
        raise(libc::SIGUSR2);
        assert_eq!(drained(&second), [libc::SIGUSR2]);
        drop(second);
        // The default action would end the test process here.
        raise(libc::SIGUSR2);
    }

    #[test]
    fn what_cannot_be_handled_is_refused() {
        let inbox = Inbox::new().unwrap();
        for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 1000] {
            let error = inbox.register(signal).unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidInput,
                "{signal}: {error}"
            );
        }
    }
}
