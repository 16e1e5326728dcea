//! How a file is to be opened.

use std::io;
use std::path::Path;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::open;
use blitz_sys::file::open_flags::{
    O_ACCMODE, O_APPEND, O_CREAT, O_DIRECT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};
use blitz_sys::file::{open_now, opens_alone};

use super::File;
use super::error::{at, to_c};
use super::job::{Job, check_runtime, on_pool};
use super::names::is_on_the_spot;
use crate::context::call;

/// How a file is to be opened: as std's type of this name, with an `open` that is awaited.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("journal");
/// use blitz_io::fs::OpenOptions;
/// use blitz_io::io::AsyncWriteExt;
///
/// let mut journal = OpenOptions::new().append(true).create(true).open(&path).await?;
/// journal.write_all(b"started\n").await?;
/// journal.flush().await?;
///
/// let again = OpenOptions::new().write(true).create_new(true).open(&path).await;
/// assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The same options as std has them, for the blocking pool.
    pub(super) std: std::fs::OpenOptions,
    /// They came from outside, and what they say cannot be asked.
    is_opaque: bool,
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    pub(super) mode: u32,
    pub(super) custom_flags: i32,
    pub(super) is_direct: bool,
}

impl OpenOptions {
    /// None of the options set: at least reading, writing or appending must be.
    pub fn new() -> Self {
        Self::of(std::fs::OpenOptions::new(), false)
    }

    fn of(std: std::fs::OpenOptions, is_opaque: bool) -> Self {
        Self {
            std,
            is_opaque,
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: 0o666,
            custom_flags: 0,
            is_direct: false,
        }
    }

    /// For reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.std.read(read);
        self.read = read;
        self
    }

    /// For writing, from the start and over what is there.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.std.write(write);
        self.write = write;
        self
    }

    /// For writing, each time at the end.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.std.append(append);
        self.append = append;
        self
    }

    /// To be cut to nothing first.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.std.truncate(truncate);
        self.truncate = truncate;
        self
    }

    /// To be made if it is missing.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.std.create(create);
        self.create = create;
        self
    }

    /// To be made, and an error if it is there.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.std.create_new(create_new);
        self.create_new = create_new;
        self
    }

    /// Opens `path`.
    ///
    /// # Cancel safety
    /// Safe, but that a file may have been made or cut: one that was opened for a dropped call is closed.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path, or `InvalidInput` if the options make no sense together.
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> impl Future<Output = io::Result<File>> {
        static CALL: Site = Site::new("fs::OpenOptions::open", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let path = path.as_ref();
            let (file, _) = self.open_std(path).await?;
            Ok(if self.is_opaque {
                File::from_std(file)
            } else {
                File::opened(file, self.has_direct())
            })
        })
    }

    /// Opens `path`; also how long the file was just before, if that was looked at.
    pub(super) async fn open_std(&self, path: &Path) -> io::Result<(std::fs::File, u64)> {
        at(self.try_open(path).await, "open", path)
    }

    async fn try_open(&self, path: &Path) -> io::Result<(std::fs::File, u64)> {
        let mut len = 0;
        check_runtime("fs::File::open")?;
        if self.is_direct && O_DIRECT == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system has no O_DIRECT",
            ));
        }
        let name = to_c(path)?;
        let flags = if self.is_opaque { 0 } else { self.flags()? };
        let makes = self.create || self.create_new;
        // What is something else than a file (a FIFO without a peer, a device) may wait for ever in `open`: the pool's.
        let is_plain = !self.is_opaque && is_on_the_spot() && {
            match std::fs::metadata(path) {
                Ok(facts) => {
                    len = facts.len();
                    opens_alone(&facts)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && !makes => {
                    return Err(error);
                }
                // Missing, and to be made; or something that `open` will explain better.
                Err(_) => true,
            }
        };
        if !is_plain {
            let (options, path) = (self.std.clone(), path.to_owned());
            let opened = on_pool("fs::File::open", move || options.open(path)).await?;
            return Ok((opened, len));
        }
        if let Some(opened) = open_now(&name, flags) {
            return opened.map(|file| (file, len));
        }
        let mode = self.mode;
        let opened = Job::new("fs::File::open", |driver| open(driver, name, flags, mode)).await??;
        Ok((opened, len))
    }

    /// The options as `open(2)` has them.
    fn flags(&self) -> io::Result<i32> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => O_RDONLY,
            (false, true, false) => O_WRONLY,
            (true, true, false) => O_RDWR,
            (false, _, true) => O_WRONLY | O_APPEND,
            (true, _, true) => O_RDWR | O_APPEND,
            (false, false, false) => {
                return Err(senseless("neither reading, writing nor appending is set"));
            }
        };
        let makes = self.create || self.create_new;
        if !self.write && !self.append && (self.truncate || makes) {
            return Err(senseless(
                "to create or truncate, the file must be opened for writing",
            ));
        }
        if self.append && self.truncate && !self.create_new {
            return Err(senseless("a file cannot be truncated and appended to"));
        }
        let makes = match (self.create, self.truncate, self.create_new) {
            (_, _, true) => O_CREAT | O_EXCL,
            (create, truncate, false) => {
                (if create { O_CREAT } else { 0 }) | (if truncate { O_TRUNC } else { 0 })
            }
        };
        let direct = if self.is_direct { O_DIRECT } else { 0 };
        Ok(access | makes | direct | self.custom_flags & !O_ACCMODE)
    }

    /// By that option, or by its flag.
    const fn has_direct(&self) -> bool {
        self.is_direct || self.custom_flags & O_DIRECT != 0
    }
}

fn senseless(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(std: std::fs::OpenOptions) -> Self {
        Self::of(std, true)
    }
}
