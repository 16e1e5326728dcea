//! Bytes that were taken, and that the system has not.

use std::io::{self, Write as _};
use std::sync::Arc;

/// Bytes on their way to a file by the blocking pool. Dropped unwritten and unreported, it writes them where it is.
pub(super) struct Unsent {
    pub(super) file: Arc<std::fs::File>,
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    /// Its owner knows the error: silence is allowed.
    pub(super) is_reported: bool,
}

impl Unsent {
    pub(super) fn new(file: Arc<std::fs::File>, bytes: Vec<u8>, sent: usize) -> Self {
        Self { file, bytes, sent, is_reported: false }
    }

    /// Writes the rest, waiting as long as it takes.
    pub(super) fn write_all(&mut self) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match (&*self.file).write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if self.is_reported {
            return;
        }
        if let Err(error) = self.write_all() {
            let lost = self.bytes.len() - self.sent;
            eprintln!("blitz-io: {lost} bytes were given to a file that was dropped without a flush, and are lost: {error}");
        }
    }
}
