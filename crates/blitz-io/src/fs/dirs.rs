//! Directories, made and removed.

use std::io;
use std::path::Path;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::{make_dir, unlink};

use super::error::{at, to_c};
use super::job::{Job, on_pool};
use crate::context::call;

/// Makes the directory `path`, in a directory that exists.
///
/// # Cancel safety
/// Not safe: whether a dropped call has made it is not known.
///
/// # Errors
/// Those of `mkdir(2)`, with the path.
#[track_caller]
pub fn create_dir(path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::create_dir", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        let result = async {
            let name = to_c(path)?;
            Job::new("fs::create_dir", |driver| make_dir(driver, name, 0o777)).await?
        };
        at(result.await, "make the directory", path)
    })
}

/// Makes the directory `path` and those above it that are missing.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// Those of `mkdir(2)`, with the path; none if the directory is there.
#[track_caller]
pub fn create_dir_all(path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::create_dir_all", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref().to_owned();
        on_pool("fs::create_dir_all", move || {
            at(std::fs::create_dir_all(&path), "make the directory", &path)
        })
        .await
    })
}

/// Removes the empty directory `path`.
///
/// # Cancel safety
/// Not safe: whether a dropped call has removed it is not known.
///
/// # Errors
/// Those of `rmdir(2)`, with the path.
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::remove_dir", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        let result = async {
            let name = to_c(path)?;
            Job::new("fs::remove_dir", |driver| unlink(driver, name, true)).await?
        };
        at(result.await, "remove the directory", path)
    })
}

/// Removes the directory `path` with all that is in it. Follows no symbolic link.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// The first that is met, with the path; what was removed before stays removed.
#[track_caller]
pub fn remove_dir_all(path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::remove_dir_all", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref().to_owned();
        on_pool("fs::remove_dir_all", move || {
            at(
                std::fs::remove_dir_all(&path),
                "remove the directory",
                &path,
            )
        })
        .await
    })
}
