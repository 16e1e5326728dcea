//! Files as memory: buffers to send from and to receive into, without a copy of ours.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::Arc;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::errno;
use blitz_sys::map::Map;

use super::job::{check_runtime, on_pool};
use super::{Advice, File};
use crate::context::call;

/// So much is copied into memory before others get their turn.
const CHUNK: usize = 1 << 20;
/// No system has smaller pages.
const PAGE: usize = 4096;

/// A file, or a range of it, in memory, to be read: a buffer that sockets and files send from.
///
/// It dereferences to its bytes. Clones are the same memory and cost nothing, so that one map serves many connections:
/// `map.clone().slice(range)` is a buffer for `write_owned`.
///
/// # What may happen to it
/// The bytes are those of the page cache, and whoever changes the file changes them. That is why making one is `unsafe`; a copy that
/// is this program's alone, [`MmapMut::copy_of`] and then [`freeze`](MmapMut::freeze), is not.
///
/// - *The file is cut.* Bytes behind the new end are gone: whoever touches them ends the process with `SIGBUS`. An operation that is
///   given them fails with `EFAULT` instead, since the kernel touches them then.
/// - *A page is not in memory.* Whoever touches it waits for the disk, and a task that does so holds its worker up, also while
///   a socket sends from it. [`load`](Self::load) brings all of it into memory first, on the blocking pool.
/// - *The disk fails.* `SIGBUS` again.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("page");
/// use blitz_io::fs::{self, File, Mmap};
/// use blitz_io::io::{AsyncReadExt, IoBuf};
/// use blitz_io::net::{TcpListener, TcpStream};
///
/// fs::write(&path, "<html>").await?;
/// let file = File::open(&path).await?;
/// // SAFETY: nobody else knows the file.
/// let page = unsafe { Mmap::map(&file) }.await?;
/// page.load().await?;
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// let (sent, _page) = server.write_all_owned(page.clone().slice(1..5)).await;
/// sent?;
/// drop(server);
/// let mut got = String::new();
/// client.read_to_string(&mut got).await?;
/// assert_eq!(got, "html");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mmap(Memory);

impl Mmap {
    /// The whole file, as long as it is now.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `mmap(2)`: the file is not opened for reading, it is no regular file, there is no
    /// address space for it.
    ///
    /// # Safety
    /// For as long as the map or a clone lives, nobody changes the bytes of the file that it shows, and nobody cuts the file shorter
    /// than that: not this program by another handle, and no other program.
    #[track_caller]
    pub unsafe fn map(file: &File) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::Mmap::map", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let map = of_file("fs::Mmap::map", file, None, false).await?;
            Ok(Self(Memory::of(map)))
        })
    }

    /// The `len` bytes from `offset` on.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// As for [`map`](Self::map); `InvalidInput` if the file ends before the range does.
    ///
    /// # Safety
    /// As for [`map`](Self::map).
    #[track_caller]
    pub unsafe fn map_range(
        file: &File,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::Mmap::map_range", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let range = Some((offset, len));
            let map = of_file("fs::Mmap::map_range", file, range, false).await?;
            Ok(Self(Memory::of(map)))
        })
    }

    /// Brings every page into memory, so that touching them waits for no disk until the system wants the memory back.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing but what is in memory.
    ///
    /// # Errors
    /// If a page cannot be read: `EFAULT` if the file was cut or the disk failed. (Without `MADV_POPULATE_READ`, as before Linux 5.14,
    /// that is `SIGBUS`.)
    #[track_caller]
    pub fn load(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::Mmap::load", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let this = self.clone();
            on_pool("fs::Mmap::load", move || match this.0.map.load() {
                Err(error) if errno::is_unsupported(&error) => {
                    for page in this.chunks(PAGE) {
                        std::hint::black_box(page[0]);
                    }
                    Ok(())
                }
                done => done,
            })
            .await
        })
    }

    /// Tells the system how the bytes will be used, `madvise(2)`; [`DontNeed`](Advice::DontNeed) and [`NoReuse`](Advice::NoReuse), which are
    /// for files, do nothing.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing but what is in memory.
    ///
    /// # Errors
    /// Those of `madvise(2)`.
    #[track_caller]
    pub fn advise(&self, advice: Advice) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::Mmap::advise", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let map = Arc::clone(&self.0.map);
            // Reading ahead is begun within the call.
            on_pool("fs::Mmap::advise", move || map.advise(advice)).await
        })
    }
}

/// Memory to be read and written: that of a file, whose content it is, or a copy that is this program's alone.
///
/// It dereferences to its bytes, and is a buffer that is sent from and received into: `read_owned` of a socket into the map of a file
/// writes the file.
///
/// # What may happen to it
/// All that may happen to an [`Mmap`], for a map of a file; and there what is written is in the page cache, from where the system
/// writes it some time, or [`flush`](Self::flush) now. **Writing into a hole of the file when the disk is full ends the process with
/// `SIGBUS`**: [`File::fallocate`] reserves room first. Dropping it loses nothing that was written.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// use blitz_io::fs::{self, MmapMut, OpenOptions};
///
/// fs::write(&path, "hits: 0").await?;
/// let file = OpenOptions::new().read(true).write(true).open(&path).await?;
/// // SAFETY: nobody else knows the file.
/// let mut counter = unsafe { MmapMut::map(&file) }.await?;
/// counter[6] += 1;
/// counter.flush().await?;
/// assert_eq!(fs::read(&path).await?, b"hits: 1");
///
/// // A copy is nobody else's.
/// let mut copy = MmapMut::copy_of(&file).await?;
/// copy[6] += 1;
/// assert_eq!((&counter[6..], &copy[6..]), (&b"1"[..], &b"2"[..]));
/// # Ok(())
/// # }
/// ```
pub struct MmapMut(Memory);

impl MmapMut {
    /// The whole file, as long as it is now; writing to it writes the file.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// As for [`Mmap::map`]; the file is not opened for reading and writing (`PermissionDenied`).
    ///
    /// # Safety
    /// For as long as the map lives, or what it is frozen to, nobody else changes or maps for writing the bytes of the file that it
    /// shows, and nobody cuts the file shorter than that: not this program by another handle, and no other program.
    #[track_caller]
    pub unsafe fn map(file: &File) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::MmapMut::map", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let map = of_file("fs::MmapMut::map", file, None, true).await?;
            Ok(Self(Memory::of(map)))
        })
    }

    /// The `len` bytes from `offset` on.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// As for [`map`](Self::map); `InvalidInput` if the file ends before the range does.
    ///
    /// # Safety
    /// As for [`map`](Self::map).
    #[track_caller]
    pub unsafe fn map_range(
        file: &File,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::MmapMut::map_range", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let range = Some((offset, len));
            let map = of_file("fs::MmapMut::map_range", file, range, true).await?;
            Ok(Self(Memory::of(map)))
        })
    }

    /// A copy of what the file holds now, in memory that is this program's alone: whatever becomes of the file, this stays as it is,
    /// and what is written to it is written to no file.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    ///
    /// # Errors
    /// Those of writes that were under way, of `read(2)`, and if there is not so much memory.
    #[track_caller]
    pub fn copy_of(file: &File) -> impl Future<Output = io::Result<Self>> {
        static CALL: Site = Site::new("fs::MmapMut::copy_of", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let len = whole_len(file).await?;
            let mut copy = Self::anonymous(len)?;
            let mut done = 0;
            while done < len {
                let part = copy.slice(done..len.min(done + CHUNK));
                let (read, part) = file.read_at(part, done as u64).await;
                copy = part.into_inner();
                match read? {
                    // It was cut meanwhile.
                    0 => break,
                    n => done += n,
                }
            }
            copy.0.len = done;
            Ok(copy)
        })
    }

    /// `len` zeros in memory that is this program's alone.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        Map::anonymous(len).map(Memory::of).map(Self)
    }

    /// Brings what was written to the disk, `msync(2)`.
    ///
    /// # Cancel safety
    /// Safe: to be called again.
    ///
    /// # Errors
    /// Those of `msync(2)`: `EIO` and the like if the disk did not take it. None for memory that is no file's.
    #[track_caller]
    pub fn flush(&self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::MmapMut::flush", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let Memory { map, len } = self.0.clone();
            on_pool("fs::MmapMut::flush", move || map.sync(0..len)).await
        })
    }

    /// The same for the `len` bytes from `offset` of the map on.
    ///
    /// # Cancel safety
    /// Safe: to be called again.
    ///
    /// # Errors
    /// As for [`flush`](Self::flush).
    ///
    /// # Panics
    /// If there are not so many bytes.
    #[track_caller]
    pub fn flush_range(&self, offset: usize, len: usize) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::MmapMut::flush_range", Resource::None);
        let end = offset.checked_add(len).filter(|end| *end <= self.0.len);
        let Some(end) = end else {
            panic!(
                "{len} bytes from {offset} on are not within a map of {}",
                self.0.len
            );
        };
        call(&CALL, UNKNOWN, async move {
            let map = Arc::clone(&self.0.map);
            on_pool("fs::MmapMut::flush_range", move || map.sync(offset..end)).await
        })
    }

    /// The same bytes, to be read alone and to be shared. A map of a file stays one, with what was promised for it.
    pub fn freeze(self) -> Mmap {
        Mmap(self.0)
    }
}

impl DerefMut for MmapMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are mapped for writing. No clone of this memory is read or written (a flush only names it), and
        // whoever mapped a file has promised that nobody else changes it.
        unsafe { slice::from_raw_parts_mut(self.0.map.as_mut_ptr(), self.0.len) }
    }
}

impl AsMut<[u8]> for MmapMut {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

// SAFETY: as for its `IoBuf`; `&mut self` is the only handle on the bytes, and all of them are initialised.
unsafe impl IoBufMut for MmapMut {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.map.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= self.0.len);
    }
}

/// What is common to both.
#[derive(Clone)]
struct Memory {
    map: Arc<Map>,
    /// A copy of a file that was cut meanwhile is shorter than its memory.
    len: usize,
}

impl Memory {
    fn of(map: Map) -> Self {
        Self {
            len: map.len(),
            map: Arc::new(map),
        }
    }
}

macro_rules! bytes {
    ($($type:ident),+) => {$(
        impl Deref for $type {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                // SAFETY: so many bytes are mapped for reading, and whoever mapped a file has promised that nobody changes them.
                unsafe { slice::from_raw_parts(self.0.map.as_ptr(), self.0.len) }
            }
        }

        impl AsRef<[u8]> for $type {
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).field("len", &self.0.len).finish()
            }
        }

        // SAFETY: the bytes stay at their address for as long as the map lives, of which we hold a share; all are initialised, and
        // whoever mapped a file has promised that nobody changes them.
        unsafe impl IoBuf for $type {
            fn stable_ptr(&self) -> *const u8 {
                self.0.map.as_ptr()
            }

            fn bytes_init(&self) -> usize {
                self.0.len
            }

            fn bytes_total(&self) -> usize {
                self.0.len
            }
        }
    )+};
}

bytes!(Mmap, MmapMut);

/// How long `file` is, once what was written to it is there.
async fn whole_len(file: &File) -> io::Result<usize> {
    file.settle().await?;
    let len = file.metadata().await?.len();
    usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Maps `file`, or a range of it.
async fn of_file(
    what: &'static str,
    file: &File,
    range: Option<(u64, usize)>,
    is_writable: bool,
) -> io::Result<Map> {
    check_runtime(what)?;
    let whole = whole_len(file).await?;
    let (offset, len) = range.unwrap_or((0, whole));
    if offset
        .checked_add(len as u64)
        .is_none_or(|end| end > whole as u64)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{len} bytes from {offset} on are not within a file of {whole}, and touching what is not would end the process"
            ),
        ));
    }
    Map::of_file(file.std(), offset, len, is_writable)
}
