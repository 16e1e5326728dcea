//! Entries of a directory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::wraps;
use crate::fs::{DirEntry, ReadDir};

/// The entries of a directory, in no order that means anything. Errors are items; it goes on after them as [`ReadDir`] does.
///
/// # Examples
/// ```
/// use blitz_io::fs;
/// use blitz_io::stream::{StreamExt, wrappers::ReadDirStream};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// fs::write(folder.join("one"), "1").await?;
/// let entries = ReadDirStream::new(fs::read_dir(folder).await?);
/// let names: Vec<_> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>().await?;
/// assert_eq!(names, ["one"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ReadDirStream {
    inner: ReadDir,
}

wraps! { [] ReadDirStream, of ReadDir; }

impl Stream for ReadDirStream {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_entry(cx).map(Result::transpose)
    }
}
