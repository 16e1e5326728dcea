//! Standard output, of which a reader may have seen enough: `blitz doctor | head -1` is no fault.

use std::io::{self, Write};

/// Prints `text` as it is.
///
/// # Errors
/// If it cannot be written, unless the reader has gone.
pub(crate) fn text(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to the standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints `line` and ends it.
///
/// # Errors
/// As [`text`].
pub(crate) fn line(line: &str) -> Result<(), String> {
    text(&format!("{line}\n"))
}
