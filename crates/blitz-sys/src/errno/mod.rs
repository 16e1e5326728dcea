//! The one table of errors: what each number of the kernel is called, and what can be done about it.
//!
//! A number reaches us as the result of a completion, from a call that failed, or as an error kept for a socket. Here, and
//! nowhere else, it becomes an [`io::Error`]: so its kind and its text do not depend on the back end that brought it. The
//! kind is std's, which keeps the number for [`io::Error::raw_os_error`]; the table says what std does not: whether it is
//! worth trying again, and when.
//!
//! `unix.rs` has the rows of every Unix, `linux.rs` those that are Linux's alone, `disabled.rs` none. The codes of Win32 would be a third file.

mod linux;
#[cfg(not(unix))]
#[path = "disabled.rs"]
mod unix;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::io;

pub use libc::{
    EAGAIN, EALREADY, EBADF, ECANCELED, EINTR, EINVAL, EIO, EISCONN, EMFILE, ENFILE, ENOBUFS,
    ENOENT, ENOMEM, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM,
};

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing was done, and nothing stands in the way: the same may be asked for again at once.
    RetryNow,
    /// Nothing was done: it can be once the resource is ready.
    RetryWhenReady,
    /// Nothing was done, for want of memory, descriptors or buffers: it can be when some were given back.
    RetryWhenFreed,
    /// The operation has failed; others may succeed.
    Operation,
    /// The ring, the selector or the descriptor behind it is of no more use: the program, or the system, is at fault.
    Ring,
}

impl Class {
    /// Whether the same operation may succeed later without any change to what is asked for.
    pub const fn is_recoverable(self) -> bool {
        matches!(
            self,
            Self::RetryNow | Self::RetryWhenReady | Self::RetryWhenFreed
        )
    }

    /// The class of an error, by its number, or by its kind if it was made without one.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => class(number),
            None => match error.kind() {
                io::ErrorKind::WouldBlock => Self::RetryWhenReady,
                io::ErrorKind::Interrupted => Self::RetryNow,
                io::ErrorKind::OutOfMemory => Self::RetryWhenFreed,
                _ => Self::Operation,
            },
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RetryNow => "may be tried again at once",
            Self::RetryWhenReady => "may be tried again when the resource is ready",
            Self::RetryWhenFreed => "may be tried again when resources were given back",
            Self::Operation => "the operation has failed",
            Self::Ring => "fatal for all that uses this descriptor",
        })
    }
}

/// What is known of one number.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The number, as the system has it.
    pub number: i32,
    /// Its name in the system's headers.
    pub name: &'static str,
    /// The kind that std gives it; `None` where std has none that can be named.
    pub kind: Option<io::ErrorKind>,
    /// What can be done about it.
    pub class: Class,
    /// What it says here, as a phrase, with the remedy where there is one.
    pub says: &'static str,
}

/// Every row of the table.
pub fn table() -> impl Iterator<Item = &'static Row> {
    unix::ROWS.iter().chain(linux::ROWS)
}

/// What is known of `number`.
pub fn row(number: i32) -> Option<&'static Row> {
    table().find(|row| row.number == number)
}

/// What can be done about `number`: of one that is not in the table, no more than that the operation has failed.
#[inline]
pub fn class(number: i32) -> Class {
    match number {
        // The three that are no failures, and so are asked about on hot paths.
        EAGAIN => Class::RetryWhenReady,
        EINTR | ECANCELED => Class::RetryNow,
        _ => row(number).map_or(Class::Operation, |row| row.class),
    }
}

/// Whether an answer says that nothing was done, although nobody asked for that: then it is asked for again at once.
#[inline]
pub fn is_undone(answer: i32) -> bool {
    answer < 0 && matches!(class(-answer), Class::RetryNow)
}

/// The error that `number` is.
#[inline]
pub fn error(number: i32) -> io::Error {
    unix::error(number)
}

/// The error of this thread's last call.
#[inline]
pub fn last() -> io::Error {
    io::Error::last_os_error()
}

/// The number of this thread's last error, as a completion carries it: negative.
#[inline]
pub fn last_answer() -> i32 {
    -last().raw_os_error().unwrap_or(EIO)
}

/// A completion's result as std has it: a count, or an error.
///
/// # Errors
/// If `answer` is a negative error number.
#[inline]
pub fn check(answer: i32) -> io::Result<u32> {
    if answer >= 0 {
        Ok(answer as u32)
    } else {
        Err(error(-answer))
    }
}

/// True if the process or the system has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// True if this kind of resource, or this system, cannot do the thing at all, so that another way is to be taken.
pub fn is_unsupported(error: &io::Error) -> bool {
    // Two of them are one number on some systems.
    error
        .raw_os_error()
        .is_some_and(|number| [EOPNOTSUPP, libc::ENOTSUP, ENOSYS].contains(&number))
}

/// What the table says of an error, if it has its number.
pub fn says(error: &io::Error) -> Option<&'static str> {
    error.raw_os_error().and_then(row).map(|row| row.says)
}

/// Makes a call again for as long as signals interrupt it.
#[inline]
pub(crate) fn restarted<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(all(test, unix))]
#[path = "tests.rs"]
mod tests;
