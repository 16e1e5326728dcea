//! Pipes: bytes in one direction, between processes or within one; with a name in the file system (FIFO) or without.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::{Direction, Registration};
use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_sys::descriptor::{AsFd, OwnedFd};
use blitz_sys::pipe as sys;
use bytes::BufMut;

use crate::context::call;
use crate::io::{Interest, Ready};
use crate::net::adopt::{into_fd, open_driver};
use crate::net::error;
use crate::net::waits::has_descriptor;

/// A new pipe without a name: what goes into the sender comes out of the receiver.
///
/// # Errors
/// Those of `pipe2(2)`.
///
/// # Panics
/// Outside a runtime.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::unix::pipe;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// sender.write_all(b"through").await?;
/// drop(sender);
/// let mut text = String::new();
/// receiver.read_to_string(&mut text).await?;
/// assert_eq!(text, "through");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let driver = open_driver("net::unix::pipe::pipe")?;
    let (receiver, sender) = sys::make()?;
    Ok((
        Sender::new(sender, driver.clone())?,
        Receiver::new(receiver, driver)?,
    ))
}

/// How a pipe with a name is to be opened.
///
/// # Examples
/// ```
/// use blitz_io::net::unix::pipe;
///
/// # #[blitz_io::main]
/// # async fn main() {
/// # let folder = std::env::temp_dir().join(format!("blitz-fifo-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("fifo");
/// # if !std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|s| s.success()) { return }
/// // Nobody reads yet: there is no pipe to write into.
/// assert!(pipe::OpenOptions::new().open_sender(&path).is_err());
/// let receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
/// let sender = pipe::OpenOptions::new().open_sender(&path).unwrap();
/// # drop((sender, receiver));
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// For one direction, of what is a pipe.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions {
            read_write: false,
            unchecked: false,
        }
    }

    /// Opens both directions: a receiver then never comes to an end, since it could be written itself, and a sender needs no
    /// reader. Linux allows that; elsewhere it is not specified.
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.read_write = value;
        self
    }

    /// Leaves out the question whether the file is a pipe.
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.unchecked = value;
        self
    }

    /// Opens the pipe called `path` to receive from it, whether anybody writes or not.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path in the text; `InvalidInput` if it is no pipe.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let driver = open_driver("pipe::OpenOptions::open_receiver")?;
        let path = path.as_ref();
        self.open(path, true, self.read_write)
            .and_then(|fd| Receiver::new(fd, driver))
            .map_err(|error| error::at_path("open pipe", path, error))
    }

    /// Opens the pipe called `path` to send into it.
    ///
    /// # Errors
    /// Those of `open(2)`, with the path in the text: `ENXIO` as the source if nobody has it open to read. `InvalidInput` if it
    /// is no pipe.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let driver = open_driver("pipe::OpenOptions::open_sender")?;
        let path = path.as_ref();
        self.open(path, self.read_write, true)
            .and_then(|fd| Sender::new(fd, driver))
            .map_err(|error| error::at_path("open pipe", path, error))
    }

    fn open(&self, path: &Path, read: bool, write: bool) -> io::Result<OwnedFd> {
        let fd = sys::open(path, read, write)?;
        if !self.unchecked {
            check_pipe(&fd)?;
        }
        Ok(fd)
    }
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

fn check_pipe(fd: &OwnedFd) -> io::Result<()> {
    if sys::is_pipe(fd)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"))
}

/// What both ends have; `$interest`, `$waits` and `$polls` are the end's direction, and the names of its waits. `$begin` is how its
/// registration begins: a receiver's is armed, and not tried first, since a read says that the pipe has ended before the first writer
/// has come.
macro_rules! end {
    (
        $end:ident, $may:tt, $mode:literal, $interest:ident, $direction:ident, $waits:ident, $polls:ident, $begin:ident
    ) => {
        impl $end {
            /// Takes over a pipe's end and puts it into non-blocking mode.
            ///
            /// # Errors
            #[doc = concat!("`InvalidInput` if it is no pipe, or not open for ", $mode, ".")]
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<$end> {
                $end::from_owned_fd(file.into())
            }

            #[doc = concat!("As [`from_file`](", stringify!($end), "::from_file).")]
            ///
            /// # Errors
            /// As there.
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd(owned_fd: OwnedFd) -> io::Result<$end> {
                check_pipe(&owned_fd)?;
                if !sys::access(&owned_fd)?.$may {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        concat!("the pipe's end is not open for ", $mode),
                    ));
                }
                sys::set_blocking(&owned_fd, false)?;
                $end::from_owned_fd_unchecked(owned_fd)
            }

            /// Takes over what the caller knows to be the right end of a pipe, in non-blocking mode.
            ///
            /// # Errors
            /// If it cannot be waited for: `PermissionDenied` for a regular file.
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<$end> {
                $end::from_owned_fd_unchecked(file.into())
            }

            #[doc = concat!("As [`from_file_unchecked`](", stringify!($end), "::from_file_unchecked).")]
            ///
            /// # Errors
            /// As there.
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd_unchecked(owned_fd: OwnedFd) -> io::Result<$end> {
                $end::new(owned_fd, open_driver(concat!("pipe::", stringify!($end)))?)
            }

            /// Takes a pipe's end that does not block.
            fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> io::Result<$end> {
                let io = Registration::with_interest(Arc::new(fd), driver, Interest::$interest);
                let io = io.reopening();
                io.$begin()?;
                Ok($end { io })
            }

            /// Gives the descriptor back, in blocking mode.
            ///
            /// # Errors
            /// Those of `fcntl(2)`.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = into_fd(self.io)?;
                sys::set_blocking(&fd, true)?;
                Ok(fd)
            }

            /// Gives the descriptor back, still in non-blocking mode.
            ///
            /// # Errors
            /// When a second descriptor is needed, since another thread's driver holds the first for a moment, and cannot be
            /// made.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                into_fd(self.io)
            }

            /// Waits until it is ready in one of the ways that `interest` names, and says which.
            ///
            /// # Cancel safety
            /// Safe: once ready, it stays so until a call has found otherwise.
            ///
            /// # Errors
            /// When the runtime is shutting down.
            #[track_caller]
            pub fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
                static CALL: Site = Site::new(
                    concat!("pipe::", stringify!($end), "::ready"),
                    Resource::Descriptor,
                );
                call(&CALL, self.number(), async move {
                    self.io.ready(interest).await.map(Ready::from)
                })
            }

            #[doc = concat!("Waits until it is worth trying: ready for ", $mode, ".")]
            ///
            /// # Cancel safety
            #[doc = concat!("Safe, as [`ready`](", stringify!($end), "::ready).")]
            ///
            /// # Errors
            /// When the runtime is shutting down.
            #[track_caller]
            pub fn $waits(&self) -> impl Future<Output = io::Result<()>> {
                static CALL: Site = Site::new(
                    concat!("pipe::", stringify!($end), "::", stringify!($waits)),
                    Resource::Descriptor,
                );
                call(&CALL, self.number(), async move {
                    self.io.ready(Interest::$interest).await.map(drop)
                })
            }

            #[doc = concat!(
                "Polls to [`", stringify!($waits), "`](", stringify!($end), "::", stringify!($waits),
                "). One task at a time: only the last caller's waker is kept."
            )]
            ///
            /// # Errors
            /// When the runtime is shutting down.
            pub fn $polls(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::$direction).map_ok(drop)
            }

            /// Tries a call of the user's on the pipe, and clears the readiness when it answers `WouldBlock`.
            ///
            /// `f` is called once if the pipe is ready as far as is known, else not at all. It must only answer `WouldBlock` when
            /// the pipe did.
            ///
            /// # Errors
            /// `WouldBlock` when it is not ready; else what `f` answers.
            pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.io.try_io(Interest::$interest, f)
            }
        }

        has_descriptor!($end);
    };
}

/// The end of a pipe that bytes go into.
///
/// Writes fail with `BrokenPipe` when nobody has the other end open any more.
#[derive(Debug)]
pub struct Sender {
    io: Registration,
}

/// The end of a pipe that bytes come out of.
///
/// A read comes to the end, zero bytes, when nobody has the other end open any more. One that is opened before the first writer
/// comes waits for it. When another writer opens a pipe with a name after the end, reads go on.
#[derive(Debug)]
pub struct Receiver {
    io: Registration,
}

end!(
    Sender,
    1,
    "writing",
    WRITABLE,
    Write,
    writable,
    poll_write_ready,
    check
);
end!(
    Receiver,
    0,
    "reading",
    READABLE,
    Read,
    readable,
    poll_read_ready,
    arm
);

impl Sender {
    /// Writes what the pipe takes at once.
    ///
    /// Up to `PIPE_BUF` bytes (4,096 on Linux) go as a whole or not at all, and are not mixed with those of other writers.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else those of `write(2)`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_io(|| sys::write(self.as_fd(), buf))
    }

    /// As [`try_write`](Sender::try_write), from several buffers.
    ///
    /// # Errors
    /// As there.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_io(|| sys::write_vectored(self.as_fd(), bufs))
    }
}

impl Receiver {
    /// Reads what is there; zero is the end, or an empty buffer.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of `read(2)`.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_io(|| sys::read(self.as_fd(), buf))
    }

    /// As [`try_read`](Receiver::try_read), into several buffers, the first filled first.
    ///
    /// # Errors
    /// As there.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_io(|| sys::read_vectored(self.as_fd(), bufs))
    }

    /// As [`try_read`](Receiver::try_read), into the buffer's free space, which it advances.
    ///
    /// # Errors
    /// As there.
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.try_io(|| sys::read_buf(self.as_fd(), buf))
    }
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, this) = (buf.remaining(), self.get_mut());
        let call = || sys::read_buf(this.as_fd(), buf);
        let read = this.io.poll_transfer(cx, Direction::Read, room, call);
        read.map_ok(drop)
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let call = || sys::write(self.as_fd(), buf);
        self.io.poll_transfer(cx, Direction::Write, buf.len(), call)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let call = || sys::write_vectored(self.as_fd(), bufs);
        self.io.poll_io(cx, Direction::Write, call)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What `write` has taken is in the pipe.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A pipe's end is closed when it is dropped.
        Poll::Ready(Ok(()))
    }
}
