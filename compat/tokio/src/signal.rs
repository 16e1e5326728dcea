//! Signals: `blitz_io::signal`.

pub use blitz_io::signal::ctrl_c;

/// The signals of Unix: `blitz_io::signal::unix`.
#[cfg(unix)]
pub mod unix {
    pub use blitz_io::signal::unix::{Signal, SignalKind, signal};
}
