//! Errors that say which path, and what was tried with it.

use std::error::Error;
use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of the system, with the path that it is about.
#[derive(Debug)]
struct PathError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} `{}`: {}",
            self.what,
            self.path.display(),
            self.source
        )
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// `result` with `path` in its error; the kind stays, and the system's error is the source. Unless the runtime is to leave
/// errors as they are.
pub(super) fn at<T>(result: io::Result<T>, what: &'static str, path: &Path) -> io::Result<T> {
    result.map_err(|source| {
        if !crate::context::explains_errors() {
            return source;
        }
        let kind = source.kind();
        io::Error::new(
            kind,
            PathError {
                what,
                path: path.to_owned(),
                source,
            },
        )
    })
}

/// `path` as the kernel takes it.
pub(super) fn to_c(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has a zero byte in it",
        )
    })
}
