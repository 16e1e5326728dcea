//! Bytes that were taken, and that the system has not.

use std::io::{self, Write as _};
use std::sync::Arc;

use blitz_sys::file::write_at;

/// Bytes on their way to a file by the blocking pool. Dropped unwritten and unreported, it writes them where it is.
pub(super) struct Unsent {
    pub(super) file: Arc<std::fs::File>,
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    /// Where in the file the first byte belongs; `None` for the file's own position.
    pub(super) base: Option<u64>,
    /// Its owner knows the error: silence is allowed.
    pub(super) is_reported: bool,
}

impl Unsent {
    pub(super) fn new(
        file: Arc<std::fs::File>,
        bytes: Vec<u8>,
        sent: usize,
        base: Option<u64>,
    ) -> Self {
        Self {
            file,
            bytes,
            sent,
            base,
            is_reported: false,
        }
    }

    /// Writes the rest, waiting as long as it takes.
    pub(super) fn write_all(&mut self) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            let rest = &self.bytes[self.sent..];
            let written = match self.base {
                Some(base) => write_at(&self.file, rest, base + self.sent as u64),
                None => (&*self.file).write(rest),
            };
            match written {
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
            blitz_sys::file::report_loss(self.bytes.len() - self.sent, &error);
        }
    }
}
