//! Files below one directory, and never outside of it: for names that strangers choose.
//!
//! Where the kernel can be told so (`openat2` with `RESOLVE_BENEATH`, Linux 5.6), symbolic links are followed as long as they stay
//! below; one that leads out is refused, whatever else happens to the tree meanwhile. Elsewhere the path is walked name by name, and
//! no symbolic link is followed. `linux.rs` has the first, `unix.rs` the walk, `disabled.rs` refuses.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;
#[cfg(all(unix, not(linux)))]
#[path = "unix.rs"]
mod imp;
#[cfg(linux)]
#[path = "unix.rs"]
mod walk;

/// A directory below which files are opened.
#[derive(Debug)]
pub struct Root(File);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be read. The opening waits for nobody: a pipe or a device gives a descriptor at once, or an error. Reads wait afterwards.
    Read,
    /// To be asked what it is, which needs no right to read it.
    Look,
}

/// The names in a directory.
#[derive(Debug, Default)]
pub struct Names {
    /// In the order that the file system has them, without `.` and `..`.
    pub names: Vec<OsString>,
    /// There are more than were asked for.
    pub more: bool,
}

impl Root {
    /// Opens the directory.
    ///
    /// # Errors
    /// Those of `open(2)`; `NotADirectory` for something else.
    pub fn new(path: &Path) -> io::Result<Root> {
        let dir = File::open(path)?;
        if dir.metadata()?.is_dir() {
            Ok(Root(dir))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Opens what stands at `path` below the directory, or the directory itself if that is empty.
    ///
    /// # Errors
    /// Those of `open(2)`; `CrossesDevices` for a link that leads out, and `InvalidInput` for a path that begins with `/`, or has a NUL or
    /// a `..` in it.
    pub fn open(&self, path: &Path, purpose: Purpose) -> io::Result<File> {
        imp::open(&self.0, &checked(path)?, purpose)
    }

    /// The same if no disk has to be waited for; `None` if that is not known.
    pub fn open_now(&self, path: &Path, purpose: Purpose) -> Option<io::Result<File>> {
        match checked(path) {
            Ok(path) => imp::open_now(&self.0, &path, purpose),
            Err(error) => Some(Err(error)),
        }
    }
}

/// The names in a directory that was opened for reading and not read yet, at most `max`.
///
/// # Errors
/// Those of `getdents(2)`; `Unsupported` where that is not.
pub fn names(dir: &File, max: usize) -> io::Result<Names> {
    imp::names(dir, max)
}

/// Whether a path had more symbolic links on it than are followed, which may be none.
#[must_use]
pub fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

fn checked(path: &Path) -> io::Result<CString> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let leads_up = bytes.split(|byte| *byte == b'/').any(|name| name == b"..");
    if bytes.starts_with(b"/") || leads_up {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let path = if bytes.is_empty() { b"." } else { bytes };
    CString::new(path).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(all(test, unix))]
mod tests;
