//! Standard input, output and error, which block: a thread of the process for each does that, and no runtime waits for it.
//!
//! The threads start with the first use. [`input`] reads when somebody waits and has room for what comes; [`output`] takes bytes
//! at once and writes them behind.

mod input;
mod output;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};

use input::Input;
use output::Output;

type ReadCall = fn(&mut [u8]) -> io::Result<usize>;
type WriteCall = fn(&[u8]) -> io::Result<()>;

static INPUT: Input<ReadCall> = Input::new("stdin", |buf| io::stdin().read(buf));
static OUTPUT: Output<WriteCall> = Output::new("stdout", |bytes| {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
});
static ERRORS: Output<WriteCall> = Output::new("stderr", |bytes| io::stderr().write_all(bytes));

/// This process's standard input.
///
/// All handles read the same bytes, each of which goes to one of them. A dropped read loses none: what comes for it is kept for the
/// next. A read that waits for ever, at a terminal where nobody types, holds up no runtime that shuts down.
///
/// It is read by std's, on a thread of its own, so what std has read ahead comes first.
///
/// # Examples
/// ```no_run
/// use blitz_io::io::{AsyncBufReadExt, BufReader, stdin};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut lines = BufReader::new(stdin()).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{} bytes", line.len());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin { _private: () }
}

/// This process's standard output.
///
/// A write takes up to 64 KiB and returns; the bytes are written behind it, in order, and those of all handles in one row. An error
/// comes with the next call. `flush` waits until everything is out: **do so before the process ends**. A runtime that is dropped waits
/// for what is under way, but for no longer than a second: an output that nobody reads holds up none.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncWriteExt, stdout};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut out = stdout();
/// out.write_all(b"hello\n").await?;
/// out.flush().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout { _private: () }
}

/// This process's standard error: otherwise as [`stdout`].
#[must_use]
pub fn stderr() -> Stderr {
    Stderr { _private: () }
}

/// Waits until what was written is out, for as long as `limit` for each of the two.
pub(crate) fn drain(limit: Duration) {
    OUTPUT.drain(limit);
    ERRORS.drain(limit);
}

/// Reads this process's standard input: see [`stdin`].
pub struct Stdin {
    _private: (),
}

/// Writes to this process's standard output: see [`stdout`].
pub struct Stdout {
    _private: (),
}

/// Writes to this process's standard error: see [`stderr`].
pub struct Stderr {
    _private: (),
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        INPUT.poll_read(cx, buf)
    }
}

/// `$handle` writes to `$output`.
macro_rules! writes {
    ($handle:ident, $output:ident) => {
        impl AsyncWrite for $handle {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                $output.poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $output.poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                // It is the process's, and stays open.
                $output.poll_flush(cx)
            }
        }
    };
}
writes!(Stdout, OUTPUT);
writes!(Stderr, ERRORS);

/// What each handle is besides: `$std` is std's of the same descriptor.
macro_rules! handle {
    ($handle:ident, $std:ident) => {
        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $handle {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                io::$std().as_raw_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsFd for $handle {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                static STD: std::sync::OnceLock<std::io::$handle> = std::sync::OnceLock::new();
                STD.get_or_init(io::$std).as_fd()
            }
        }
    };
}
handle!(Stdin, stdin);
handle!(Stdout, stdout);
handle!(Stderr, stderr);
