//! Ctrl-C, under the one name that every platform knows.

use std::io;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_sys::signal::number::INTERRUPT;

use super::listener::Listener;
use crate::context::call;

/// Waits until Ctrl-C is pressed (`SIGINT`), once.
///
/// The handler is installed when the future is first polled and stays for the life of the process: from then on Ctrl-C does
/// what the program makes of it. To hear each one use
/// `unix::signal` with `SignalKind::interrupt()`.
///
/// # Cancel safety
/// Safe, but a Ctrl-C that comes while no such future exists is told to nobody.
///
/// # Errors
/// When the handler cannot be installed, or no descriptor is left to hear it by.
///
/// # Panics
/// Outside a runtime.
///
/// # Examples
/// ```no_run
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// println!("waiting for Ctrl-C");
/// blitz_io::signal::ctrl_c().await?;
/// println!("bye");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("signal::ctrl_c", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let mut listener = Listener::new("ctrl_c", INTERRUPT)?;
        std::future::poll_fn(|cx| listener.poll_recv(cx)).await;
        Ok(())
    })
}
