//! Files in memory: pages of the page cache, or memory of nobody else, seen as bytes by address.
//!
//! What is here hands out addresses alone. Whether the bytes there may be seen as a slice depends on who else changes or cuts the
//! file, which the caller has to know.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

use crate::errno;
use crate::file::Advice;

/// A range of a file in memory, or memory that is no file's; taken out of the address space when it is dropped.
#[derive(Debug)]
pub struct Map(MmapRaw);

impl Map {
    /// The `len` bytes from `offset` on of `file`, shared with all who have it open; to be written to if `is_writable`.
    ///
    /// # Errors
    /// Those of `mmap(2)`: the file is not open for this, it is no regular file, there is no room for so much.
    pub fn of_file(file: &File, offset: u64, len: usize, is_writable: bool) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.offset(offset).len(len);
        if is_writable {
            options.map_raw(file).map(Self)
        } else {
            options.map_raw_read_only(file).map(Self)
        }
    }

    /// `len` zeros that belong to this map alone.
    ///
    /// # Errors
    /// If there is no room for so much.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        MmapOptions::new()
            .len(len)
            .map_anon()
            .map(|map| Self(map.into()))
    }

    /// Where the bytes begin; it stays there.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The same, to be written to if the map was made so.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings what was changed within `range` to the disk, waiting for it.
    ///
    /// # Errors
    /// Those of `msync(2)`.
    pub fn sync(&self, range: Range<usize>) -> io::Result<()> {
        self.0.flush_range(range.start, range.len())
    }

    /// Says how the bytes will be used. Systems without such advice do nothing, and so does advice that is for files alone.
    ///
    /// # Errors
    /// Those of `madvise(2)`.
    pub fn advise(&self, advice: Advice) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        advise(&self.0, advice)
    }

    /// Brings every page into memory, waiting for the disk: an access then waits for none, until the system wants the memory back.
    ///
    /// # Errors
    /// If a page cannot be read, also since the file was cut (`EFAULT`); and if this system has no such call, the kind
    /// `Unsupported`.
    pub fn load(&self) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        load(self.0.as_mut_ptr(), self.len())
    }
}

#[cfg(unix)]
fn advise(map: &MmapRaw, advice: Advice) -> io::Result<()> {
    use memmap2::Advice as Said;
    map.advise(match advice {
        Advice::Normal => Said::Normal,
        Advice::Sequential => Said::Sequential,
        Advice::Random => Said::Random,
        Advice::WillNeed => Said::WillNeed,
        // Of a map these would throw pages away, or mean nothing.
        Advice::DontNeed | Advice::NoReuse => return Ok(()),
    })
}

#[cfg(not(unix))]
fn advise(_map: &MmapRaw, _advice: Advice) -> io::Result<()> {
    Ok(())
}

#[cfg(linux)]
fn load(start: *mut u8, len: usize) -> io::Result<()> {
    /// `MADV_POPULATE_READ`, Linux 5.14.
    const POPULATE_READ: i32 = 22;
    // A map of a range that begins within a page lies there, too: from the page's front on it is ours.
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let ahead = start as usize % page;
    loop {
        // SAFETY: pages that are mapped; the call changes none of their bytes.
        let result =
            unsafe { libc::madvise(start.wrapping_sub(ahead).cast(), len + ahead, POPULATE_READ) };
        if result == 0 {
            return Ok(());
        }
        match errno::last_answer() {
            code if code == -errno::EINTR || code == -errno::EAGAIN => {}
            // Older than that: it does not know the advice.
            code if code == -errno::EINVAL => return Err(errno::error(errno::ENOSYS)),
            code => return Err(errno::error(-code)),
        }
    }
}

#[cfg(not(linux))]
fn load(_start: *mut u8, _len: usize) -> io::Result<()> {
    Err(errno::error(errno::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_nobody_else_is_zeros_and_loads() {
        let map = Map::anonymous(10_000).unwrap();
        assert_eq!((map.len(), map.is_empty()), (10_000, false));
        if let Err(error) = map.load() {
            assert!(errno::is_unsupported(&error), "{error}");
        }
        map.advise(Advice::Sequential).unwrap();
        // SAFETY: so many bytes are there, and nobody writes.
        let bytes = unsafe { std::slice::from_raw_parts(map.as_ptr(), map.len()) };
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_range_of_a_file_begins_where_it_is_asked_to() {
        use std::io::Write as _;
        let path = std::env::temp_dir().join(format!("blitz-sys-map-{}", std::process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        file.write_all(&[1; 9_000]).unwrap();
        file.write_all(b"here").unwrap();
        let map = Map::of_file(&file, 9_000, 4, true).unwrap();
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(map.as_ptr(), map.len()) };
        assert_eq!(bytes, b"here");
        if let Err(error) = map.load() {
            assert!(errno::is_unsupported(&error), "{error}");
        }
        // SAFETY: the map is to be written to, and the slice is not used any more.
        unsafe { map.as_mut_ptr().write(b'H') };
        map.sync(0..4).unwrap();
        drop(map);
        assert_eq!(&std::fs::read(&path).unwrap()[9_000..], b"Here");
        std::fs::remove_file(path).unwrap();
    }
}
