//! Bytes from one connection to another, past this program's memory.

use std::future::poll_fn;
use std::io;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_io_traits::ReadBuf;
use blitz_sys::descriptor::AsFd;
use blitz_sys::socket::{self, Pipe};

use super::{TcpStream, copied};
use crate::context::call;
use crate::io::Interest;

/// How much is copied at once where there is no other way.
pub(super) const COPY_LEN: usize = 64 * 1024;
/// The pipe between two sockets: what one call moves at most.
const PIPE_LEN: usize = 256 * 1024;

/// Moves bytes from one connection to another within the kernel (`splice(2)`), until the first one ends or `len_max` have
/// gone; returns how many went. Neither connection is closed.
///
/// Where bytes cannot be moved so (off Linux, or out of [leased](TcpStream::recv_lease) buffers) they are copied
/// and [counted](super::bytes_copied).
///
/// # Cancel safety
/// **Not safe**: bytes on their way when the future is dropped are lost.
///
/// # Errors
/// Those of either socket; those of `pipe2(2)` when no descriptor is left.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{TcpListener, TcpStream, splice};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut near = TcpStream::connect(listener.local_addr()?).await?;
/// let (proxy_near, _) = listener.accept().await?;
/// let proxy_far = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut far, _) = listener.accept().await?;
///
/// near.write_all(b"through the proxy").await?;
/// near.shutdown().await?;
/// assert_eq!(splice(&proxy_near, &proxy_far, u64::MAX).await?, 17);
/// drop(proxy_far);
/// let mut text = String::new();
/// far.read_to_string(&mut text).await?;
/// assert_eq!(text, "through the proxy");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn splice(
    from: impl AsRef<TcpStream>,
    to: impl AsRef<TcpStream>,
    len_max: u64,
) -> impl Future<Output = io::Result<u64>> {
    static CALL: Site = Site::new("net::splice", Resource::Descriptor);
    call(&CALL, UNKNOWN, async move {
        let (from, to) = (from.as_ref(), to.as_ref());
        if from.io.has_leases() {
            return copy(from, to, 0, len_max).await;
        }
        let pipe = match Pipe::new(PIPE_LEN) {
            Ok(pipe) => pipe,
            Err(error) if cannot(&error) => return copy(from, to, 0, len_max).await,
            Err(error) => return Err(error),
        };
        let mut moved = 0;
        while moved < len_max {
            let mut left = match fill_pipe(from, &pipe, len_max - moved).await {
                Ok(0) => break,
                Ok(n) => n,
                Err(Unspliceable::Socket) => return copy(from, to, moved, len_max).await,
                Err(Unspliceable::Failed(error)) => return Err(error),
            };
            while left > 0 {
                let call = || socket::splice(pipe.read_end().as_fd(), to.as_fd(), left);
                match to.io.async_io(Interest::WRITABLE, call).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    n => {
                        left -= n;
                        moved += n as u64;
                    }
                }
            }
        }
        Ok(moved)
    })
}

/// Why the pipe could not be filled.
pub(super) enum Unspliceable {
    /// This socket cannot: its bytes have to be copied. Nothing was taken.
    Socket,
    Failed(io::Error),
}

/// Waits for bytes of `from` and moves them into the empty pipe; zero is the end of the stream.
pub(super) async fn fill_pipe(
    from: &TcpStream,
    pipe: &Pipe,
    len_max: u64,
) -> Result<usize, Unspliceable> {
    let chunk = usize::try_from(len_max).map_or(pipe.capacity(), |len| len.min(pipe.capacity()));
    let call = || socket::splice(from.as_fd(), pipe.write_end().as_fd(), chunk);
    from.io
        .async_io(Interest::READABLE, call)
        .await
        .map_err(|error| {
            if cannot(&error) {
                Unspliceable::Socket
            } else {
                Unspliceable::Failed(error)
            }
        })
}

/// Whether an error says that the call is not for this kind of descriptor or system, and copying is the way.
pub(super) fn cannot(error: &io::Error) -> bool {
    // EINVAL, ENOSYS, EOPNOTSUPP.
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

async fn copy(from: &TcpStream, to: &TcpStream, moved: u64, len_max: u64) -> io::Result<u64> {
    let (mut moved, mut buf) = (moved, vec![0; COPY_LEN]);
    while moved < len_max {
        let chunk = usize::try_from(len_max - moved).map_or(COPY_LEN, |len| len.min(COPY_LEN));
        let n = read(from, &mut buf[..chunk]).await?;
        if n == 0 {
            break;
        }
        copied::count(n);
        write_all(to, &buf[..n]).await?;
        moved += n as u64;
    }
    Ok(moved)
}

/// Reads through a shared reference.
pub(super) async fn read(from: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    let mut space = ReadBuf::new(buf);
    poll_fn(|cx| from.io.poll_read(cx, &mut space)).await?;
    Ok(space.filled().len())
}

/// Writes all of `buf` through a shared reference.
pub(super) async fn write_all(to: &TcpStream, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match poll_fn(|cx| to.io.poll_write(cx, buf)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => buf = &buf[n..],
        }
    }
    Ok(())
}
