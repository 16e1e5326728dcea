//! Child processes: `blitz_io::process`.

#[cfg(unix)]
pub use blitz_io::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
