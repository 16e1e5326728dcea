//! What files have on Unix alone.

use std::io;
use std::os::unix::fs::DirEntryExt as _;
use std::path::Path;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::symlink as symlink_op;
use blitz_sys::file::open_flags::O_DIRECT;
use blitz_sys::file::open_with;

use super::error::{at, to_c};
use super::job::Job;
use super::{DirBuilder, DirEntry, OpenOptions};
use crate::context::call;

impl OpenOptions {
    /// The permissions of a file that is made, before the process's mask; 0o666 unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        open_with(&mut self.std, Some(mode), None);
        self.mode = mode;
        self
    }

    /// Further flags of `open(2)`, but not those of the options above.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.custom_flags = flags;
        self.tell_flags()
    }

    /// Whether transfers go past the page cache, between the disk and the caller's memory (`O_DIRECT`).
    ///
    /// Offset and length of each, and where the memory begins, are then multiples of what the file system asks
    /// ([`File::direct_alignment`](super::File::direct_alignment)): use [`read_at`](super::File::read_at) and its like with an
    /// [`AlignedBuf`](crate::io::AlignedBuf). What is not aligned is an error of the kind `InvalidInput` that says so. The streams
    /// ([`AsyncRead`](crate::io::AsyncRead), [`AsyncWrite`](crate::io::AsyncWrite)) go through memory of their own, and are refused
    /// so, too. A write is not on the disk for good before [`sync_data`](super::File::sync_data): the disk has a cache as well.
    ///
    /// Where the system has no such flag, [`open`](Self::open) answers `Unsupported`; where the file system does not allow it,
    /// `InvalidInput`.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("journal");
    /// use blitz_io::fs::OpenOptions;
    /// use blitz_io::io::AlignedBuf;
    ///
    /// let mut options = OpenOptions::new();
    /// options.read(true).write(true).create(true).direct(true);
    /// let file = match options.open(&path).await {
    ///     Ok(file) => file,
    ///     // Not on every file system.
    ///     Err(_) => options.direct(false).open(&path).await?,
    /// };
    /// let mut block = AlignedBuf::new(4096);
    /// block.resize(4096, b'x');
    /// let (written, mut block) = file.write_at(block, 0).await;
    /// assert_eq!(written?, 4096);
    /// block.clear();
    /// let (read, block) = file.read_at(block, 0).await;
    /// assert_eq!((read?, block[0]), (4096, b'x'));
    /// # Ok(())
    /// # }
    /// ```
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.is_direct = direct;
        self.tell_flags()
    }

    fn tell_flags(&mut self) -> &mut Self {
        let direct = if self.is_direct { O_DIRECT } else { 0 };
        open_with(&mut self.std, None, Some(self.custom_flags | direct));
        self
    }
}

impl DirBuilder {
    /// The permissions of the directories that are made, before the process's mask; 0o777 unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }
}

impl DirEntry {
    /// The number of its inode.
    pub fn ino(&self) -> u64 {
        self.std().ino()
    }
}

/// Makes the symbolic link `link`, which points to `original`.
///
/// # Cancel safety
/// Not safe: whether a dropped call has made it is not known.
///
/// # Errors
/// Those of `symlink(2)`, with the new path.
#[track_caller]
pub fn symlink(
    original: impl AsRef<Path>,
    link: impl AsRef<Path>,
) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::symlink", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let (original, link) = (original.as_ref(), link.as_ref());
        let result = async {
            let (original, link) = (to_c(original)?, to_c(link)?);
            Job::new("fs::symlink", |driver| symlink_op(driver, original, link)).await?
        };
        at(result.await, "make the link", link)
    })
}
