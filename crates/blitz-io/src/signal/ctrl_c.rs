//! Ctrl-C, under the one name that every platform knows.

use std::io;

use super::unix::{SignalKind, signal};

/// Waits until Ctrl-C is pressed (`SIGINT`), once.
///
/// The handler is installed when the future is first polled and stays for the life of the process: from then on Ctrl-C does
/// what the program makes of it. To hear each one use
/// [`unix::signal`](super::unix::signal) with [`SignalKind::interrupt`].
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
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await;
    Ok(())
}
