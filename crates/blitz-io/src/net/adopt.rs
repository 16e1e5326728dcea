//! Descriptors on their way into a runtime and out of it.

use std::io;
use std::sync::Arc;

use blitz_driver::Registration;
use blitz_sys::descriptor::{AsFd, OwnedFd};

use crate::context;

/// A descriptor out of a registration: its own, or a second one while operations in flight still hold the first.
pub(super) fn into_fd(io: Registration) -> io::Result<OwnedFd> {
    Arc::try_unwrap(io.into_fd()).or_else(|shared| shared.try_clone())
}

/// Where a socket goes that came out of `parent`: this thread's driver, or the parent's outside a runtime.
pub(super) fn driver_beside(parent: &Registration, what: &'static str) -> blitz_driver::Handle {
    match context::try_handle() {
        Some(_) => context::io_driver(what),
        None => parent.home().clone(),
    }
}

/// This runtime's driver for a new descriptor, if it takes any more.
#[track_caller]
pub(super) fn open_driver(what: &'static str) -> io::Result<blitz_driver::Handle> {
    let driver = context::io_driver(what);
    driver.check_open()?;
    Ok(driver)
}

/// A blocking socket would stop a whole worker: refused in debug builds, as tokio does.
#[track_caller]
pub(super) fn refuse_blocking(socket: &impl AsFd) -> io::Result<()> {
    if cfg!(debug_assertions) {
        let blocking = blitz_sys::socket::is_blocking(socket)?;
        assert!(
            !blocking,
            "a socket in blocking mode cannot be used by the runtime: call `set_nonblocking(true)` on it first"
        );
    }
    Ok(())
}
