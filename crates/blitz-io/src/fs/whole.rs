//! Whole files in one call.

use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::read_at;
use blitz_io_traits::IoBuf;
use blitz_sys::completion::Opcode;
use blitz_sys::descriptor::AsRawFd;
use blitz_sys::errno;
use blitz_sys::file::read_now;

use super::error::at;
use super::job::{Job, on_pool};
use super::open_options::OpenOptions;
use crate::context::{self, call};

/// So much is read in one go.
const CHUNK: usize = 256 * 1024;
/// After so many bytes read on the spot others get their turn.
const TURN: usize = 4 * CHUNK;

/// Reads the file `path` whole.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// Those of `open(2)` and `read(2)`, with the path.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("greeting");
/// blitz_io::fs::write(&path, "hello").await?;
/// assert_eq!(blitz_io::fs::read(&path).await?, b"hello");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Vec<u8>>> {
    static CALL: Site = Site::new("fs::read", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        let (file, len) = options.read(true).open_std(path).await?;
        at(read_open(file, len).await, "read", path)
    })
}

/// Reads the file `path` whole, as text.
///
/// # Cancel safety
/// Safe: nothing is changed.
///
/// # Errors
/// As for [`read`]; `InvalidData` if it is not UTF-8.
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> impl Future<Output = io::Result<String>> {
    static CALL: Site = Site::new("fs::read_to_string", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let path = path.as_ref();
        let bytes = read(path).await?;
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        at(text, "read as text", path)
    })
}

async fn read_open(file: std::fs::File, len: u64) -> io::Result<Vec<u8>> {
    // One byte more, so that the end is seen without growing.
    let room = usize::try_from(len)
        .map_err(|_| io::ErrorKind::OutOfMemory)?
        .saturating_add(1);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(room)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut since_turn = 0;
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(CHUNK);
        }
        match read_now(file.as_raw_fd(), &mut bytes, CHUNK, None) {
            0 => return Ok(bytes),
            n if n > 0 => since_turn += n as usize,
            n if n == -errno::EINTR => {}
            n if n == -errno::EAGAIN || n == -errno::EOPNOTSUPP => {
                return read_rest(file, bytes).await;
            }
            n => return Err(errno::error(-n)),
        }
        if since_turn >= TURN {
            since_turn = 0;
            crate::task::yield_now().await;
        }
    }
}

/// The rest of a file that is not in the page cache.
async fn read_rest(mut file: std::fs::File, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !context::driver("fs::read").supports(Opcode::READ) {
        return on_pool("fs::read", move || {
            file.read_to_end(&mut bytes).map(|_| bytes)
        })
        .await;
    }
    // What has no position, or one that does not count bytes, is read where it is.
    let start = file
        .stream_position()
        .ok()
        .and_then(|position| position.checked_sub(bytes.len() as u64));
    let file = Arc::new(file);
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(CHUNK);
        }
        let (begin, end) = (bytes.len(), bytes.capacity().min(bytes.len() + CHUNK));
        let from = start.map(|start| start + begin as u64);
        let part = bytes.slice(begin..end);
        let file = Arc::clone(&file);
        let (result, part) =
            Job::new("fs::read", |driver| read_at(driver, file, part, from)).await?;
        bytes = part.into_inner();
        if result? == 0 {
            return Ok(bytes);
        }
    }
}

/// Writes `contents` to the file `path`, in place of what it held; the file is made if it is missing.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// Those of `open(2)` and `write(2)`, with the path.
#[track_caller]
pub fn write(
    path: impl AsRef<Path>,
    contents: impl AsRef<[u8]>,
) -> impl Future<Output = io::Result<()>> {
    static CALL: Site = Site::new("fs::write", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
        on_pool("fs::write", move || {
            at(std::fs::write(&path, contents), "write", &path)
        })
        .await
    })
}

/// Copies the file `from` with its permissions to `to`, in place of what that held; returns how many bytes.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// Those of reading and writing, with the first path.
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> impl Future<Output = io::Result<u64>> {
    static CALL: Site = Site::new("fs::copy", Resource::None);
    call(&CALL, UNKNOWN, async move {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        on_pool("fs::copy", move || {
            at(std::fs::copy(&from, &to), "copy", &from)
        })
        .await
    })
}
