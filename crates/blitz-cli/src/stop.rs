//! When a server, or a measurement, is to end: at Ctrl-C, and on Unix at SIGTERM as well.

use std::io;

#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: blitz_io::signal::unix::Signal,
    terminate: blitz_io::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on.
    pub(crate) fn new() -> io::Result<Signals> {
        use blitz_io::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) {
        blitz_io::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    pub(crate) async fn next(&mut self) {
        if let Err(error) = blitz_io::signal::ctrl_c().await {
            eprintln!("blitz: cannot listen for Ctrl-C: {error}");
            std::future::pending::<()>().await;
        }
    }
}
