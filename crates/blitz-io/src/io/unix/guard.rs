//! What a wait on an [`AsyncFd`] gives: the readiness seen, and the right to clear it.

use std::error::Error;
use std::fmt;
use std::io;

use blitz_driver::ReadyEvent;
use blitz_sys::descriptor::AsRawFd;

use super::AsyncFd;
use crate::io::Ready;

/// A descriptor was ready; see [`AsyncFd::ready`]. Readiness stays until it is cleared.
#[must_use = "readiness stays until it is cleared: call `try_io` or `clear_ready`"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    fd: &'a AsyncFd<T>,
    /// `None` once it was cleared.
    event: Option<ReadyEvent>,
}

/// As [`AsyncFdReadyGuard`], and gives `&mut T`.
#[must_use = "readiness stays until it is cleared: call `try_io` or `clear_ready`"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    fd: &'a mut AsyncFd<T>,
    event: Option<ReadyEvent>,
}

/// What both guards do; the second has `&mut` where the first has `&`.
macro_rules! guard {
    ($guard:ident) => {
        impl<T: AsRawFd> $guard<'_, T> {
            /// Says that the descriptor is not ready any more: the next wait waits for a new event.
            ///
            /// An event that came after this guard is not cleared. Call it only after the descriptor itself has
            /// answered `WouldBlock`; otherwise a wait may never end.
            pub fn clear_ready(&mut self) {
                if let Some(event) = self.event.take() {
                    self.fd.clear(event);
                }
            }

            /// As `clear_ready`, for a part of what is ready: the reading side alone, say.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                if let Some(event) = self.event.as_mut() {
                    self.fd.clear(event.with_ready(event.ready & ready));
                    *event = event.with_ready(event.ready - ready);
                }
            }

            /// Says that the descriptor is still ready. It does nothing, since readiness stays by itself, but it reads well
            /// where the other branch clears.
            pub fn retain_ready(&mut self) {}

            /// What the descriptor was ready for; empty once cleared.
            pub fn ready(&self) -> Ready {
                self.event.map_or(Ready::EMPTY, |event| event.ready)
            }
        }

        impl<T: AsRawFd + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guard))
                    .field("async_fd", &*self.fd)
                    .finish_non_exhaustive()
            }
        }
    };
}
guard!(AsyncFdReadyGuard);
guard!(AsyncFdReadyMutGuard);

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(fd: &'a AsyncFd<T>, event: ReadyEvent) -> Self {
        AsyncFdReadyGuard {
            fd,
            event: Some(event),
        }
    }

    /// Tries `f`, and clears the readiness when it answers `WouldBlock`.
    ///
    /// # Errors
    /// [`TryIoError`] when `f` answered `WouldBlock`; its other errors stand inside `Ok`.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.fd);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            done => Ok(done),
        }
    }

    /// The [`AsyncFd`].
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// The descriptor's owner.
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(fd: &'a mut AsyncFd<T>, event: ReadyEvent) -> Self {
        AsyncFdReadyMutGuard {
            fd,
            event: Some(event),
        }
    }

    /// Tries `f`, and clears the readiness when it answers `WouldBlock`.
    ///
    /// # Errors
    /// [`TryIoError`] when `f` answered `WouldBlock`; its other errors stand inside `Ok`.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.fd);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            done => Ok(done),
        }
    }

    /// The [`AsyncFd`].
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.fd
    }

    /// The [`AsyncFd`], to be changed.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }

    /// The descriptor's owner.
    pub fn get_inner(&self) -> &T {
        self.fd.get_ref()
    }

    /// The descriptor's owner, to be changed.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }
}

/// The descriptor was not ready after all; its readiness was cleared.
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor was not ready")
    }
}

impl Error for TryIoError {}
