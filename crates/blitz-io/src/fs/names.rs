//! What stands under a name, and other names for it.

use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::{link as link_op, rename as rename_op, unlink};

use super::error::{at, to_c};
use super::job::{Job, check_runtime, on_pool};
use crate::context::call;

static ON_THE_SPOT: AtomicBool = AtomicBool::new(true);

/// Whether small metadata calls are made by the calling worker (the default) or by the blocking pool, in this process.
///
/// On a local file system such a call takes a microsecond and a hop to the pool twenty. Where it may wait for a
/// server, as on a network file system that is down, it would hold the worker up: switch it off there.
pub fn set_metadata_on_the_spot(on: bool) {
    // ORDERING: Relaxed: a choice of ways to the same result, it publishes nothing.
    ON_THE_SPOT.store(on, Relaxed);
}

/// See [`set_metadata_on_the_spot`].
pub(super) fn is_on_the_spot() -> bool {
    // ORDERING: Relaxed, as above.
    ON_THE_SPOT.load(Relaxed)
}

/// What the system knows about the file that `path` leads to.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// Those of `stat(2)`, with the path.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() {
/// assert!(blitz_io::fs::metadata("/").await.unwrap().is_dir());
/// let missing = blitz_io::fs::metadata("/no/such/file").await.unwrap_err();
/// assert!(missing.to_string().contains("/no/such/file"));
/// # }
/// ```
#[track_caller]
pub fn metadata(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Metadata>> {
    static CALL: Site = Site::new("fs::metadata", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        if is_on_the_spot() {
            return at(
                check_runtime("fs::metadata").and_then(|()| std::fs::metadata(path)),
                "look at",
                path,
            );
        }
        let path = path.to_owned();
        on_pool("fs::metadata", move || {
            at(std::fs::metadata(&path), "look at", &path)
        })
        .await
    })
}

/// What the system knows about `path` itself, be it a symbolic link.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// Those of `lstat(2)`, with the path.
#[track_caller]
pub fn symlink_metadata(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Metadata>> {
    static CALL: Site = Site::new("fs::symlink_metadata", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        if is_on_the_spot() {
            let facts = check_runtime("fs::symlink_metadata")
                .and_then(|()| std::fs::symlink_metadata(path));
            return at(facts, "look at", path);
        }
        let path = path.to_owned();
        on_pool("fs::symlink_metadata", move || {
            at(std::fs::symlink_metadata(&path), "look at", &path)
        })
        .await
    })
}

/// Whether there is something under `path`.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// If that cannot be told, as when a directory on the way may not be searched.
#[track_caller]
pub fn try_exists(path: impl AsRef<Path>) -> impl Future<Output = io::Result<bool>> {
    static CALL: Site = Site::new("fs::try_exists", Resource::None);
    call(&CALL, UNKNOWN, async move {
        match metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    })
}

/// Removes the name `path` of a file.
///
/// # Cancel safety
/// Not safe: whether a dropped call has removed it is not known.
///
/// # Errors
/// Those of `unlink(2)`, with the path.
#[track_caller]
pub fn remove_file(path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::remove_file", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        let result = async {
            let name = to_c(path)?;
            Job::new("fs::remove_file", |driver| unlink(driver, name, false)).await?
        };
        at(result.await, "remove", path)
    })
}

/// Gives the file or directory `from` the name `to`, which it takes from whoever has it.
///
/// # Cancel safety
/// Not safe: whether a dropped call has renamed it is not known.
///
/// # Errors
/// Those of `rename(2)`, with the first path.
#[track_caller]
pub fn rename(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::rename", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let (from, to) = (from.as_ref(), to.as_ref());
        let result = async {
            let (from, to) = (to_c(from)?, to_c(to)?);
            Job::new("fs::rename", |driver| rename_op(driver, from, to, 0)).await?
        };
        at(result.await, "rename", from)
    })
}

/// Sets the permissions of the file that `path` leads to.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// Those of `chmod(2)`, with the path.
#[track_caller]
pub fn set_permissions(
    path: impl AsRef<Path>,
    permissions: Permissions,
) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::set_permissions", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref().to_owned();
        let call = move || {
            at(
                std::fs::set_permissions(&path, permissions),
                "set the permissions of",
                &path,
            )
        };
        on_pool("fs::set_permissions", call).await
    })
}

/// The path from the root on, without links and dots.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// If something on the way does not exist, with the path.
#[track_caller]
pub fn canonicalize(path: impl AsRef<Path>) -> impl Future<Output = io::Result<PathBuf>> {
    static CALL: Site = Site::new("fs::canonicalize", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref().to_owned();
        on_pool("fs::canonicalize", move || {
            at(std::fs::canonicalize(&path), "resolve", &path)
        })
        .await
    })
}

/// What the symbolic link `path` points to.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// If it is not a link, with the path.
#[track_caller]
pub fn read_link(path: impl AsRef<Path>) -> impl Future<Output = io::Result<PathBuf>> {
    static CALL: Site = Site::new("fs::read_link", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref().to_owned();
        on_pool("fs::read_link", move || {
            at(std::fs::read_link(&path), "read the link", &path)
        })
        .await
    })
}

/// Gives the file `original` one more name, `link`.
///
/// # Cancel safety
/// Not safe: whether a dropped call has made it is not known.
///
/// # Errors
/// Those of `link(2)`, with the new path.
#[track_caller]
pub fn hard_link(
    original: impl AsRef<Path>,
    link: impl AsRef<Path>,
) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::hard_link", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let (original, link) = (original.as_ref(), link.as_ref());
        let result = async {
            let (original, link) = (to_c(original)?, to_c(link)?);
            Job::new("fs::hard_link", |driver| link_op(driver, original, link)).await?
        };
        at(result.await, "make the link", link)
    })
}
