//! TCP's types, those of split streams among them.

mod listener;
mod socket;
mod split;
mod split_owned;
mod stream;
#[cfg(unix)]
mod unix;

pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::TcpStream;

use std::sync::Arc;

use blitz_driver::Registration;
use blitz_sys::descriptor::OwnedFd;

use crate::context;

/// A descriptor out of a registration: its own, or a second one while operations in flight still hold the first.
fn into_fd(io: Registration) -> std::io::Result<OwnedFd> {
    Arc::try_unwrap(io.into_fd()).or_else(|shared| shared.try_clone())
}

/// Where a socket goes that came out of `parent`: this thread's driver, or the parent's outside a runtime.
fn driver_beside(parent: &Registration, what: &'static str) -> blitz_driver::Handle {
    match context::try_handle() {
        Some(_) => context::driver(what),
        None => parent.home().clone(),
    }
}

/// This runtime's driver for a new socket, if it takes any more.
#[track_caller]
fn open_driver(what: &'static str) -> std::io::Result<blitz_driver::Handle> {
    let driver = context::driver(what);
    driver.check_open()?;
    Ok(driver)
}

/// A blocking socket would stop a whole worker: refused in debug builds, as tokio does.
#[track_caller]
fn refuse_blocking(socket: &impl blitz_sys::descriptor::AsFd) -> std::io::Result<()> {
    if cfg!(debug_assertions) {
        let blocking = blitz_sys::socket::is_blocking(socket)?;
        assert!(
            !blocking,
            "a socket in blocking mode cannot be used by the runtime: call `set_nonblocking(true)` on it first"
        );
    }
    Ok(())
}
