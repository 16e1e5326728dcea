//! What a service manager passes on.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use socket2::{Domain, SockRef, Type};

use super::Inherited;
use crate::descriptor::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Behind the standard streams.
const FIRST: RawFd = 3;
/// More than any manager passes on; a number above it is nonsense.
const COUNT_MAX: RawFd = 10_000;

/// Whether somebody has them already.
static TAKEN: AtomicBool = AtomicBool::new(false);

pub(super) fn take() -> io::Result<Vec<Inherited>> {
    let var = |name: &str| std::env::var(name).ok();
    let Some(count) = count(
        var("LISTEN_PID").as_deref(),
        var("LISTEN_FDS").as_deref(),
        std::process::id(),
    )?
    else {
        return Ok(Vec::new());
    };
    // ORDERING: whoever comes first has them all; nothing else is told by it.
    if TAKEN.swap(true, Relaxed) {
        return Ok(Vec::new());
    }
    let names = var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut taken = Vec::new();
    for fd in FIRST..FIRST + count {
        let name = names.next().filter(|name| !name.is_empty());
        let name = name.unwrap_or("unknown").to_owned();
        let told = |error: io::Error| {
            let what = format!("descriptor {fd} of LISTEN_FDS ({name}): {error}");
            io::Error::new(error.kind(), what)
        };
        // SAFETY: it is only asked what it is, and a number that is not open answers so.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&borrowed);
        let is_stream = socket.r#type().map_err(told)? == Type::STREAM;
        if !is_stream || !socket.is_listener().map_err(told)? {
            continue;
        }
        let domain = socket.domain().map_err(told)?;
        if ![Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&domain) {
            continue;
        }
        socket.set_nonblocking(true).map_err(told)?;
        socket.set_cloexec(true).map_err(told)?;
        // SAFETY: who started this very process says that it is for us, it is open, and `TAKEN` says that nobody here had it before.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        taken.push(Inherited {
            name,
            fd,
            is_local: domain == Domain::UNIX,
        });
    }
    Ok(taken)
}

/// How many were passed on to process `own`; none if the words are for another one.
fn count(pid: Option<&str>, fds: Option<&str>, own: u32) -> io::Result<Option<RawFd>> {
    let (Some(pid), Some(fds)) = (pid, fds) else {
        return Ok(None);
    };
    let bad = |name: &str, value: &str| {
        let what = format!("{name} is no number that can be: {value:?}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    if pid.parse::<u32>().map_err(|_| bad("LISTEN_PID", pid))? != own {
        return Ok(None);
    }
    match fds.parse::<RawFd>() {
        Ok(count @ 0..=COUNT_MAX) => Ok(Some(count)),
        _ => Err(bad("LISTEN_FDS", fds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_for_this_process_count() {
        let of = |pid, fds| count(pid, fds, 7).ok();
        assert_eq!(of(None, Some("1")), Some(None));
        assert_eq!(of(Some("7"), None), Some(None));
        assert_eq!(of(Some("8"), Some("1")), Some(None));
        assert_eq!(of(Some("7"), Some("2")), Some(Some(2)));
        assert_eq!(of(Some("x"), Some("2")), None);
        assert_eq!(of(Some("7"), Some("-1")), None);
        assert_eq!(of(Some("7"), Some("2000000000")), None);
    }
}
