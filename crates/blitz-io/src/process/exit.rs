//! How one hears of a child's end: by a descriptor of the process, or by `SIGCHLD` where there is none.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_driver::{Direction, Interest, Registration};
use blitz_sys::descriptor::AsRawFd;

use crate::context;
use crate::signal::unix::{Signal, SignalKind, signal};

/// Waits for the end of one child.
pub(super) enum Exit {
    /// Readable once it has ended.
    Descriptor(Registration),
    /// Some child has ended: each time, one asks.
    Signal(Signal),
}

impl Exit {
    /// For a child that was not waited for yet.
    pub(super) fn of(process: u32, driver: blitz_driver::Handle) -> io::Result<Exit> {
        match blitz_sys::process::open(process) {
            Ok(fd) => Ok(Exit::Descriptor(Registration::with_interest(
                Arc::new(fd),
                driver,
                Interest::READABLE,
            ))),
            // Too old a kernel, another system, a filter, no descriptor left: signals need none of a child's own.
            Err(_) => Exit::by_signal(),
        }
    }

    pub(super) fn by_signal() -> io::Result<Exit> {
        signal(SignalKind::child()).map(Exit::Signal)
    }

    /// Polls until the child may have ended since the last time; `try_wait` says whether it has.
    ///
    /// A child outlives the runtime that it was started on: the one on which it is waited for then hears of it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_here(cx)) {
            Err(error) => match self.on_this_runtime() {
                Some(moved) => {
                    *self = moved?;
                    self.poll_here(cx)
                }
                None => Poll::Ready(Err(error)),
            },
            told => Poll::Ready(told),
        }
    }

    /// The same on the runtime of this thread, if that runs, and the one before does not.
    fn on_this_runtime(&self) -> Option<io::Result<Exit>> {
        context::try_handle()?;
        let driver = context::driver("process::Child::wait");
        if driver.is_shut_down() {
            return None;
        }
        match self {
            Exit::Descriptor(before) => before.home().is_shut_down().then(|| {
                let fd = Arc::clone(before.fd());
                let here = Registration::with_interest(fd, driver, Interest::READABLE);
                Ok(Exit::Descriptor(here))
            }),
            // Its stream has ended, which it does with its runtime.
            Exit::Signal(_) => Some(Exit::by_signal()),
        }
    }

    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Exit::Descriptor(registration) => {
                let event = ready!(registration.poll_ready(cx, Direction::Read))?;
                registration.clear(event);
                Poll::Ready(Ok(()))
            }
            Exit::Signal(signal) => match ready!(signal.poll_recv(cx)) {
                Some(()) => Poll::Ready(Ok(())),
                None => Poll::Ready(Err(io::Error::other(
                    "the runtime has shut down: it tells no more of its children",
                ))),
            },
        }
    }

    /// The descriptor's number, for whoever shows what a task waits for.
    pub(super) fn number(&self) -> u64 {
        match self {
            Exit::Descriptor(registration) => registration.fd().as_raw_fd() as u64,
            Exit::Signal(_) => blitz_core::waiting::UNKNOWN,
        }
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exit::Descriptor(_) => "Descriptor",
            Exit::Signal(_) => "Signal",
        })
    }
}
