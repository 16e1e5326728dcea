//! What is in a directory, asked for off the worker, many names at a time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_exec::task::JoinHandle;

use super::error::at;
use super::job::{check_runtime, of_pool, on_pool};
use super::names::is_on_the_spot;
use crate::context::{self, call};

/// So many names come with one hop to the blocking pool.
const BATCH: usize = 128;

/// What is in the directory `path`.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// Those of `opendir(3)`, with the path.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// use blitz_io::fs;
///
/// fs::write(dir.path().join("a"), "1").await?;
/// fs::create_dir(dir.path().join("b")).await?;
/// let mut found = Vec::new();
/// let mut entries = fs::read_dir(dir.path()).await?;
/// while let Some(entry) = entries.next_entry().await? {
///     found.push((entry.file_name(), entry.file_type().await?.is_dir()));
/// }
/// found.sort();
/// assert_eq!(found, [("a".into(), false), ("b".into(), true)]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> impl Future<Output = io::Result<ReadDir>> {
    static CALL: Site = Site::new("fs::read_dir", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path: Arc<Path> = path.as_ref().into();
        on_pool("fs::read_dir", move || {
            let rest = at(std::fs::read_dir(&path), "read the directory", &path)?;
            let batch = Batch::take(rest, path);
            Ok(ReadDir(State::Here(batch)))
        })
        .await
    })
}

/// The entries of a directory, in no order; made by [`read_dir`].
///
/// What is made or removed there meanwhile may be among them or not.
#[must_use = "a directory is read as its entries are asked for"]
pub struct ReadDir(State);

enum State {
    Here(Batch),
    Coming(JoinHandle<Batch>),
    /// The runtime has shut down under it.
    Broken,
}

/// Entries that nobody has asked for yet, and where more come from.
struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    rest: Option<std::fs::ReadDir>,
    path: Arc<Path>,
}

impl Batch {
    fn take(mut rest: std::fs::ReadDir, path: Arc<Path>) -> Self {
        let mut entries = VecDeque::with_capacity(BATCH);
        while entries.len() < BATCH {
            let Some(entry) = rest.next() else {
                return Self {
                    entries,
                    rest: None,
                    path,
                };
            };
            let entry = at(entry, "read the directory", &path).map(|std| DirEntry {
                // Most file systems tell it with the name. What does not is asked once more, when somebody wants to know.
                file_type: std.file_type().ok(),
                std: Arc::new(std),
            });
            entries.push_back(entry);
        }
        Self {
            entries,
            rest: Some(rest),
            path,
        }
    }
}

impl ReadDir {
    /// The next entry; `None` when there are no more.
    ///
    /// # Cancel safety
    /// Safe: a dropped call takes no entry.
    ///
    /// # Errors
    /// Those of `readdir(3)`, with the directory's path; and if the runtime shuts down.
    #[track_caller]
    pub fn next_entry(&mut self) -> impl Future<Output = io::Result<Option<DirEntry>>> {
        static CALL: Site = Site::new("fs::ReadDir::next_entry", Resource::None);
        // Not `Unpin`, like every other call's: so it may hold more one day.
        call(&CALL, UNKNOWN, async move {
            poll_fn(|cx| self.poll_next_entry(cx)).await
        })
    }

    /// The same as a poll: `Pending` if the next entry is on its way, and then the task is woken.
    ///
    /// Of several polls only the last one's waker is woken.
    ///
    /// # Errors
    /// As for [`next_entry`](Self::next_entry).
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.0 {
                State::Here(batch) => {
                    if let Some(entry) = batch.entries.pop_front() {
                        return Poll::Ready(entry.map(Some));
                    }
                    let Some(rest) = batch.rest.take() else {
                        return Poll::Ready(Ok(None));
                    };
                    let path = Arc::clone(&batch.path);
                    let call = move || Batch::take(rest, path);
                    self.0 = State::Coming(context::spawn_blocking("fs::ReadDir", call));
                }
                State::Coming(call) => match ready!(Pin::new(call).poll(cx)) {
                    Ok(batch) => self.0 = State::Here(batch),
                    Err(error) => {
                        self.0 = State::Broken;
                        return Poll::Ready(Err(of_pool(error)));
                    }
                },
                State::Broken => {
                    return Poll::Ready(Err(io::Error::other(
                        "the runtime that read this directory has shut down before its end",
                    )));
                }
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.0 {
            State::Here(batch) => Some(&batch.path),
            State::Coming(_) | State::Broken => None,
        };
        f.debug_struct("ReadDir")
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

/// One name in a directory, and what stands under it; of a [`ReadDir`].
///
/// The directory stays open for as long as one of its entries is there.
pub struct DirEntry {
    file_type: Option<FileType>,
    std: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    /// The directory's path as it was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// The name alone.
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// What the system knows about it; of a symbolic link, about the link.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// Those of `lstat(2)`, with the path: `NotFound` if it was removed meanwhile.
    #[track_caller]
    pub fn metadata(&self) -> impl Future<Output = io::Result<Metadata>> {
        static CALL: Site = Site::new("fs::DirEntry::metadata", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.ask("fs::DirEntry::metadata", std::fs::DirEntry::metadata)
                .await
        })
    }

    /// Whether it is a file, a directory, a symbolic link or something else.
    ///
    /// Most file systems tell it with the name, and then this asks nobody.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// As for [`metadata`](Self::metadata).
    #[track_caller]
    pub fn file_type(&self) -> impl Future<Output = io::Result<FileType>> {
        static CALL: Site = Site::new("fs::DirEntry::file_type", Resource::None);
        call(&CALL, UNKNOWN, async move {
            match self.file_type {
                Some(known) => Ok(known),
                None => {
                    self.ask("fs::DirEntry::file_type", std::fs::DirEntry::file_type)
                        .await
                }
            }
        })
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        question: fn(&std::fs::DirEntry) -> io::Result<T>,
    ) -> io::Result<T> {
        let answer = if is_on_the_spot() {
            check_runtime(what).and_then(|()| question(&self.std))
        } else {
            let std = Arc::clone(&self.std);
            on_pool(what, move || question(&std)).await
        };
        at(answer, "look at", &self.path())
    }

    /// For what only some systems have.
    #[cfg(unix)]
    pub(super) fn std(&self) -> &std::fs::DirEntry {
        &self.std
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}
