//! The socket from which a running process is read: off by default, for the owner only.
//!
//! [`serve`] is a thread that accepts and a thread for each reader, with blocking calls and limits on everything; no worker of
//! the runtime has a part in it, so a runtime that is stuck can be read too. [`answer`] turns a request, one line of JSON, into
//! lines of JSON. The protocol stands in `docs/insight.md`.

mod answer;
mod figures;
mod json;
mod serve;
mod task_line;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blitz_sys::socket::private::PrivateListener;

use crate::context::Handle;

/// The environment variable that names the socket where the program does not.
pub(super) const VARIABLE: &str = "BLITZ_IO_INSPECT";

/// A runtime's inspection socket. Dropping it ends it and removes the name.
#[derive(Debug)]
pub(super) struct Inspector {
    served: Arc<serve::Served>,
}

impl Inspector {
    /// Opens the socket that the builder or the environment asks for.
    ///
    /// # Errors
    /// If the builder asks for one and it cannot be had. What the environment asks for stops no program: a line on standard
    /// error tells.
    pub(super) fn open(wanted: Option<&Path>, handle: &Handle) -> io::Result<Option<Self>> {
        if let Some(path) = wanted {
            return match Self::at(&expand(path, handle), handle) {
                Ok(inspector) => Ok(Some(inspector)),
                Err(error) => Err(io::Error::new(
                    error.kind(),
                    format!("the inspection socket {}: {error}", path.display()),
                )),
            };
        }
        let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let path = expand(Path::new(&path), handle);
        let mut opened = Self::at(&path, handle);
        if let Err(error) = &opened
            && error.kind() == io::ErrorKind::AddrInUse
        {
            // Another runtime of this process, or another process with the same environment, was first.
            opened = Self::at(&beside(&path, handle), handle);
        }
        match opened {
            Ok(inspector) => Ok(Some(inspector)),
            Err(error) => {
                eprintln!("blitz-io: {VARIABLE}={}: {error}", path.display());
                Ok(None)
            }
        }
    }

    fn at(path: &Path, handle: &Handle) -> io::Result<Self> {
        let listener = PrivateListener::bind(path)?;
        let served = serve::start(listener, handle)?;
        Ok(Self { served })
    }

    /// Where the socket is.
    pub(super) fn path(&self) -> &Path {
        self.served.path()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.served.end();
    }
}

/// `%p` in a path is the process's number, `%r` the runtime's.
fn expand(path: &Path, handle: &Handle) -> PathBuf {
    let mut expanded = Vec::new();
    let mut bytes = path.as_os_str().as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let number = match (first, rest.first()) {
            (b'%', Some(b'p')) => Some(std::process::id().to_string()),
            (b'%', Some(b'r')) => Some(handle.id().to_string()),
            _ => None,
        };
        match number {
            Some(number) => {
                expanded.extend_from_slice(number.as_bytes());
                bytes = &rest[1..];
            }
            None => {
                expanded.push(first);
                bytes = rest;
            }
        }
    }
    OsString::from_vec(expanded).into()
}

/// The name for whoever finds `path` taken: with its own numbers behind.
fn beside(path: &Path, handle: &Handle) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{}", std::process::id(), handle.id()));
    name.into()
}
