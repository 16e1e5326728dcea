//! Directories, made and removed.

use std::io;
use std::path::Path;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::{make_dir, unlink};

use super::error::{at, to_c};
use super::job::{Job, on_pool};
use crate::context::call;

/// How a directory is to be made: its permissions, and whether those above it are made with it.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// use blitz_io::fs::{self, DirBuilder};
///
/// let path = dir.path().join("spool/incoming");
/// let missing = DirBuilder::new().create(&path).await.unwrap_err();
/// assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
/// DirBuilder::new().recursive(true).create(&path).await?;
/// assert!(fs::metadata(&path).await?.is_dir());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DirBuilder {
    is_recursive: bool,
    pub(super) mode: u32,
}

impl DirBuilder {
    /// One directory, and those above it have to be there.
    pub fn new() -> Self {
        Self {
            is_recursive: false,
            mode: 0o777,
        }
    }

    /// Whether those above it are made, too, where they are missing; then it is no error if it is there itself.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.is_recursive = recursive;
        self
    }

    /// Makes the directory `path`.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped call has made it is not known.
    ///
    /// # Errors
    /// Those of `mkdir(2)`, with the path: `AlreadyExists` if it is there, unless [`recursive`](Self::recursive) is set and it is a
    /// directory; `NotFound` if it is not set and one above is missing.
    #[track_caller]
    pub fn create(&self, path: impl AsRef<Path>) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::DirBuilder::create", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.make("fs::DirBuilder::create", path.as_ref()).await
        })
    }

    async fn make(&self, what: &'static str, path: &Path) -> io::Result<()> {
        let result = if self.is_recursive {
            let (mut builder, path) = (std::fs::DirBuilder::new(), path.to_owned());
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, self.mode);
            on_pool(what, move || builder.create(path)).await
        } else {
            async {
                let name = to_c(path)?;
                Job::new(what, |driver| make_dir(driver, name, self.mode)).await?
            }
            .await
        };
        at(result, "make the directory", path)
    }
}

impl Default for DirBuilder {
    fn default() -> Self {
        Self::new()
    }
}

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
        DirBuilder::new()
            .make("fs::create_dir", path.as_ref())
            .await
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
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.make("fs::create_dir_all", path.as_ref()).await
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
