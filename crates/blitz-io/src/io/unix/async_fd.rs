//! A descriptor of the user's, watched by the driver.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::{Direction, Registration};
use blitz_sys::descriptor::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use crate::context::{self, call};
use crate::io::Interest;

/// Anything with a descriptor, with a way to wait until it is ready.
///
/// The calls themselves stay the caller's. The descriptor must be non-blocking, and a call on it goes through a
/// guard's [`try_io`](AsyncFdReadyGuard::try_io) (or [`async_io`](AsyncFd::async_io), which loops): when it answers
/// `WouldBlock`, the readiness is cleared, and the next wait waits for a new event.
///
/// The driver watches a duplicate of the descriptor, so each `AsyncFd` costs a second one. In return a
/// descriptor that is closed behind its back, and a number that is used again, do no harm.
///
/// Up to two tasks may wait by the `poll_` methods, one for each direction; any number may by the `async` ones.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use blitz_io::io::unix::AsyncFd;
/// use blitz_io::io::Interest;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let ours = AsyncFd::new(ours)?;
/// theirs.write_all(b"ping")?;
///
/// let mut buf = [0; 16];
/// let n = ours.async_io(Interest::READABLE, |mut fd| fd.read(&mut buf)).await?;
/// assert_eq!(&buf[..n], b"ping");
/// # Ok(())
/// # }
/// ```
pub struct AsyncFd<T: AsRawFd> {
    // Dropped first: a descriptor is no longer watched when it is closed.
    registration: Registration,
    inner: T,
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Watches `inner` for reading and writing.
    ///
    /// # Errors
    /// When the descriptor is not open or no further one can be made; `PermissionDenied` for a regular file, which
    /// cannot be waited for. `inner` is dropped then: [`try_new`](AsyncFd::try_new) gives it back.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn new(inner: T) -> io::Result<Self> {
        Self::with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// Watches `inner` for what `interest` names.
    ///
    /// # Errors
    /// As for [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        Self::try_with_interest(inner, interest).map_err(Into::into)
    }

    /// As [`new`](AsyncFd::new), and gives `inner` back with the error.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`with_interest`](AsyncFd::with_interest), and gives `inner` back with the error.
    ///
    /// # Errors
    /// As for [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        let driver = context::io_driver("AsyncFd::new");
        match blitz_sys::socket::duplicate(inner.as_raw_fd()) {
            Ok(fd) => {
                let registration = Registration::with_interest(Arc::new(fd), driver, interest);
                // Now, and not at the first wait, so that the caller hears that a file cannot be polled.
                match registration.arm() {
                    Ok(()) => Ok(AsyncFd {
                        registration,
                        inner,
                    }),
                    Err(cause) => Err(AsyncFdRegisterError { inner, cause }),
                }
            }
            Err(cause) => Err(AsyncFdRegisterError { inner, cause }),
        }
    }

    /// As [`try_new`](AsyncFd::try_new), under the name by which tokio asks for a promise.
    ///
    /// # Safety
    /// None is needed here, since a duplicate is watched. For tokio's sake: `inner` keeps one descriptor, open and of the
    /// same file, until the `AsyncFd` is gone.
    ///
    /// # Errors
    /// As for [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[expect(unsafe_code, reason = "tokio's signature; the body needs no promise")]
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_new(inner)
    }

    /// As [`try_with_interest`](AsyncFd::try_with_interest), under the name by which tokio asks for a promise.
    ///
    /// # Safety
    /// As for [`register`](AsyncFd::register): none is needed here.
    ///
    /// # Errors
    /// As for [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[expect(unsafe_code, reason = "tokio's signature; the body needs no promise")]
    #[track_caller]
    pub unsafe fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_with_interest(inner, interest)
    }

    /// The descriptor's owner.
    #[inline]
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The descriptor's owner, to be changed; another descriptor put in its place is not watched.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Ends the watch and gives the descriptor's owner back.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Polls for readability. One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.registration.poll_ready(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// As [`poll_read_ready`](AsyncFd::poll_read_ready), with a guard that gives `&mut T`.
    ///
    /// # Errors
    /// As there.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.registration.poll_ready(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Polls for writability. One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.registration.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// As [`poll_write_ready`](AsyncFd::poll_write_ready), with a guard that gives `&mut T`.
    ///
    /// # Errors
    /// As there.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.registration.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits until the descriptor is ready in one of the ways that `interest` names.
    ///
    /// # Cancel safety
    /// Safe: once ready, it stays so until a guard has cleared it.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn ready(
        &self,
        interest: Interest,
    ) -> impl Future<Output = io::Result<AsyncFdReadyGuard<'_, T>>> {
        static CALL: Site = Site::new("AsyncFd::ready", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            let event = self.registration.ready(interest).await?;
            Ok(AsyncFdReadyGuard::new(self, event))
        })
    }

    /// As [`ready`](AsyncFd::ready), with a guard that gives `&mut T`.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> impl Future<Output = io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        static CALL: Site = Site::new("AsyncFd::ready_mut", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            let event = self.registration.ready(interest).await?;
            Ok(AsyncFdReadyMutGuard::new(self, event))
        })
    }

    /// Waits until it is worth trying to read.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn readable<'a>(&'a self) -> impl Future<Output = io::Result<AsyncFdReadyGuard<'a, T>>> {
        static CALL: Site = Site::new("AsyncFd::readable", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready(Interest::READABLE).await
        })
    }

    /// As [`readable`](AsyncFd::readable), with a guard that gives `&mut T`.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn readable_mut<'a>(
        &'a mut self,
    ) -> impl Future<Output = io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        static CALL: Site = Site::new("AsyncFd::readable_mut", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready_mut(Interest::READABLE).await
        })
    }

    /// Waits until it is worth trying to write.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn writable<'a>(&'a self) -> impl Future<Output = io::Result<AsyncFdReadyGuard<'a, T>>> {
        static CALL: Site = Site::new("AsyncFd::writable", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready(Interest::WRITABLE).await
        })
    }

    /// As [`writable`](AsyncFd::writable), with a guard that gives `&mut T`.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    #[track_caller]
    pub fn writable_mut<'a>(
        &'a mut self,
    ) -> impl Future<Output = io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        static CALL: Site = Site::new("AsyncFd::writable_mut", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.ready_mut(Interest::WRITABLE).await
        })
    }

    /// Waits for readiness and tries `f`, until it answers something else than `WouldBlock`.
    ///
    /// # Cancel safety
    /// Safe if `f` is: between its calls nothing is held.
    ///
    /// # Errors
    /// What `f` answers, and when the runtime is shutting down.
    #[track_caller]
    pub fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        static CALL: Site = Site::new("AsyncFd::async_io", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            self.registration
                .async_io(interest, || f(&self.inner))
                .await
        })
    }

    /// As [`async_io`](AsyncFd::async_io), with `&mut T` for `f`.
    ///
    /// # Cancel safety
    /// Safe if `f` is.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        static CALL: Site = Site::new("AsyncFd::async_io_mut", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            let inner = &mut self.inner;
            self.registration.async_io(interest, || f(inner)).await
        })
    }

    /// Tries `f` if the descriptor is ready as `interest` says, and clears that when it answers `WouldBlock`.
    ///
    /// # Errors
    /// `WouldBlock` when it is not ready; else what `f` answers.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(interest, || f(&self.inner))
    }

    /// As [`try_io`](AsyncFd::try_io), with `&mut T` for `f`.
    ///
    /// # Errors
    /// As there.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        f: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let inner = &mut self.inner;
        self.registration.try_io(interest, || f(inner))
    }

    pub(super) fn clear(&self, event: blitz_driver::ReadyEvent) {
        self.registration.clear(event);
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // The duplicate: it names the same file, and is open for as long as `self` is.
        self.registration.fd().as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// A descriptor could not be watched; it comes back.
pub struct AsyncFdRegisterError<T> {
    inner: T,
    cause: io::Error,
}

/// The older name of [`AsyncFdRegisterError`].
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;

impl<T> AsyncFdRegisterError<T> {
    /// The descriptor's owner, and why it could not be watched.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.cause)
    }
}

impl<T> fmt::Display for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

impl<T> fmt::Debug for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.cause, f)
    }
}

impl<T> Error for AsyncFdRegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl<T> From<AsyncFdRegisterError<T>> for io::Error {
    fn from(error: AsyncFdRegisterError<T>) -> io::Error {
        error.cause
    }
}
