//! An open file.

mod bell;
mod direct;
mod positioned;
mod space;
mod state;
mod streams;
#[cfg(unix)]
mod unix;
mod unsent;

use std::fmt;
use std::fs::{FileTimes, Metadata, Permissions};
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use blitz_core::primitive::sync::Mutex;
use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion as ops;
use blitz_sys::descriptor::AsRawFd as _;
use blitz_sys::file::is_direct;

use super::OpenOptions;
use super::job::{Job, on_pool};
use super::names::is_on_the_spot;
use crate::context::call;
use state::State;

/// An open file, with tokio's methods and streams.
///
/// Reading and writing go through [`AsyncRead`](crate::io::AsyncRead), [`AsyncWrite`](crate::io::AsyncWrite) and
/// [`AsyncSeek`](crate::io::AsyncSeek), at the position that the system keeps for the file and its clones. The positioned
/// [`read_at`](Self::read_at) and [`write_at`](Self::write_at) and their vectored kind take owned buffers and move nothing.
///
/// # Nothing written is lost without an error
/// A write may be taken before it is carried out. Then [`flush`](crate::io::AsyncWriteExt::flush) waits for it and reports its
/// error, and so does whatever is done next with the file. What a full disk did not take stays here: a later flush
/// tries again, and succeeds only when all is written. A file that is dropped in the meantime is written to its end
/// all the same, also while the runtime shuts down; if that fails, a line on the standard error stream says so.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("notes");
/// use blitz_io::fs::File;
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
///
/// let mut file = File::create(&path).await?;
/// file.write_all(b"remember").await?;
/// file.flush().await?;
///
/// let mut text = String::new();
/// File::open(&path).await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "remember");
///
/// let missing = File::open("/no/such/file").await.unwrap_err();
/// assert!(missing.to_string().contains("/no/such/file"));
/// # Ok(())
/// # }
/// ```
pub struct File {
    std: Arc<std::fs::File>,
    state: Mutex<State>,
    /// Its transfers go past the page cache.
    is_direct: bool,
}

impl File {
    /// Opens the file `path` for reading.
    ///
    /// # Cancel safety
    /// Safe: a file that was opened for a dropped call is closed.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::File::open", Resource::None);
        call(&CALL, UNKNOWN, async move {
            OpenOptions::new().read(true).open(path).await
        })
    }

    /// Opens the file `path` for writing; it is made if it is missing and emptied if it is not.
    ///
    /// # Cancel safety
    /// A dropped call may have made or emptied the file.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::File::create", Resource::None);
        call(&CALL, UNKNOWN, async move {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .await
        })
    }

    /// Makes the file `path` and opens it for reading and writing.
    ///
    /// # Cancel safety
    /// A dropped call may have made the file.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path: `AlreadyExists` if it is there.
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::File::create_new", Resource::None);
        call(&CALL, UNKNOWN, async move {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
                .await
        })
    }

    /// The options, to be set before the file is opened.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file that std has opened.
    pub fn from_std(std: std::fs::File) -> Self {
        let is_direct = is_direct(std.as_raw_fd());
        Self::opened(std, is_direct)
    }

    pub(super) fn opened(std: std::fs::File, is_direct: bool) -> Self {
        Self {
            std: Arc::new(std),
            state: Mutex::new(State::new(is_direct)),
            is_direct,
        }
    }

    /// Waits until what was written is with the system, and reports what went wrong since the last report.
    pub(super) async fn settle(&self) -> io::Result<()> {
        poll_fn(|cx| {
            if self.state.lock().is_settled() {
                return Poll::Ready(Ok(()));
            }
            // A waker is foreign code: it is cloned before the lock, and dropped after it.
            let mine = cx.waker().clone();
            let mut state = self.state.lock();
            let (flushed, known) = state.poll_flush_shared(mine, &self.std);
            let bell = flushed.is_ready().then(|| state.bell());
            drop(state);
            drop(known);
            // The others look for themselves.
            if let Some(bell) = bell {
                bell.wake();
            }
            flushed
        })
        .await
    }

    pub(super) fn std(&self) -> &std::fs::File {
        &self.std
    }

    /// Brings content and metadata to the disk.
    ///
    /// # Cancel safety
    /// Safe: to be called again.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `fsync(2)`.
    #[track_caller]
    pub fn sync_all(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::sync_all", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            Job::new("fs::File::sync_all", |driver| {
                ops::sync(driver, self.std.clone(), false)
            })
            .await?
        })
    }

    /// Brings the content to the disk, and of the metadata what is needed to read it.
    ///
    /// # Cancel safety
    /// Safe: to be called again.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `fdatasync(2)`.
    #[track_caller]
    pub fn sync_data(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::sync_data", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            Job::new("fs::File::sync_data", |driver| {
                ops::sync(driver, self.std.clone(), true)
            })
            .await?
        })
    }

    /// Cuts the file to `len` bytes, or grows it with zeros; the position stays.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped call has done it is not known.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `ftruncate(2)`.
    #[track_caller]
    pub fn set_len(&self, len: u64) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::set_len", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            self.state.lock().unread_to_position(&self.std)?;
            Job::new("fs::File::set_len", |driver| {
                ops::truncate(driver, self.std.clone(), len)
            })
            .await?
        })
    }

    /// What the system knows about the file.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// Those of `fstat(2)`.
    #[track_caller]
    pub fn metadata(&self) -> impl Future<Output = io::Result<Metadata>> {
        static CALL: Site = Site::new("fs::File::metadata", Resource::None);
        call(&CALL, UNKNOWN, async move {
            if is_on_the_spot() {
                return self.std.metadata();
            }
            let std = self.std.clone();
            on_pool("fs::File::metadata", move || std.metadata()).await
        })
    }

    /// Sets the file's permissions.
    ///
    /// # Cancel safety
    /// Not safe: a dropped call goes on.
    ///
    /// # Errors
    /// Those of `fchmod(2)`.
    #[track_caller]
    pub fn set_permissions(
        &self,
        permissions: Permissions,
    ) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::set_permissions", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let std = self.std.clone();
            on_pool("fs::File::set_permissions", move || {
                std.set_permissions(permissions)
            })
            .await
        })
    }

    /// Sets when the file was read and changed last.
    ///
    /// # Cancel safety
    /// Not safe: a dropped call goes on.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `futimens(2)`.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// use blitz_io::fs::{File, FileTimes};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    /// let file = File::create(dir.path().join("old")).await?;
    /// file.set_times(FileTimes::new().set_modified(then)).await?;
    /// assert_eq!(file.metadata().await?.modified()?, then);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn set_times(&self, times: FileTimes) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::set_times", Resource::None);
        call(&CALL, UNKNOWN, async move {
            // A write that is under way would change them after us.
            self.settle().await?;
            let std = self.std.clone();
            on_pool("fs::File::set_times", move || std.set_times(times)).await
        })
    }

    /// Sets when the file was changed last: see [`set_times`](Self::set_times).
    ///
    /// # Cancel safety
    /// Not safe: a dropped call goes on.
    ///
    /// # Errors
    /// As for [`set_times`](Self::set_times).
    #[track_caller]
    pub fn set_modified(&self, time: SystemTime) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::set_modified", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.set_times(FileTimes::new().set_modified(time)).await
        })
    }

    /// One more handle of the same open file: position and all are shared.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// Those of writes that were under way; `EMFILE`.
    #[track_caller]
    pub fn try_clone(&self) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::File::try_clone", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            let mut clone = Self::opened(self.std.try_clone()?, self.is_direct);
            clone.set_max_buf_size(self.max_buf_size());
            Ok(clone)
        })
    }

    /// Gives the file back as std's, once what is under way is done.
    ///
    /// An error of a write that nobody has asked for is lost with the streams: [`flush`](crate::io::AsyncWriteExt::flush) first.
    ///
    /// # Cancel safety
    /// A dropped call has dropped the file.
    #[track_caller]
    pub fn into_std(self) -> impl Future<Output = std::fs::File> {
        static CALL: Site = Site::new("fs::File::into_std", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let _reported_by_flush = self.settle().await;
            self.state.lock().give_up_unsent(&self.std);
            // A read that was cancelled may still hold it for a moment: a clone is the same open file.
            self.try_into_std()
                .unwrap_or_else(|file| file.std.try_clone().expect("one descriptor more"))
        })
    }

    /// Gives the file back as std's, if nothing is under way.
    ///
    /// # Errors
    /// The file as it was, if something is.
    #[allow(clippy::result_large_err, reason = "tokio's signature")]
    pub fn try_into_std(mut self) -> Result<std::fs::File, Self> {
        let is_direct = self.is_direct;
        let fresh = Mutex::new(State::new(is_direct));
        let mut state = std::mem::replace(&mut self.state, fresh).into_inner();
        if state.is_busy() {
            self.state = Mutex::new(state);
            return Err(self);
        }
        // If that fails the file is a pipe or the like, which has no position.
        let _ = state.unread_to_position(&self.std);
        let std = self.std.clone();
        drop(self);
        Arc::try_unwrap(std).map_err(|std| Self {
            std,
            state: Mutex::new(state),
            is_direct,
        })
    }

    /// Sets how much one write takes, and one read asks for, at most; 2 MiB unless set.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(
            max_buf_size > 0,
            "`max_buf_size` must be greater than 0: a file cannot read or write zero bytes at a time"
        );
        self.state.get_mut().max_buf_size = max_buf_size;
    }

    /// How much one write takes, and one read asks for, at most.
    pub fn max_buf_size(&self) -> usize {
        self.state.lock().max_buf_size
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.state.get_mut().finish_alone(&self.std);
    }
}

impl From<std::fs::File> for File {
    fn from(std: std::fs::File) -> Self {
        Self::from_std(std)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("blitz_io::fs::File")
            .field("std", &self.std)
            .finish()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<File>();
};
