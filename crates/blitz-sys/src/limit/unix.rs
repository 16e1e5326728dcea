//! `getrlimit(2)`, `setrlimit(2)`.

use std::io;

use super::Limit;
use crate::errno;

fn get(read: impl FnOnce(*mut libc::rlimit) -> libc::c_int) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    if read(&mut limit) != 0 {
        return Err(errno::last());
    }
    Ok(limit)
}

fn files() -> io::Result<libc::rlimit> {
    // SAFETY: the call writes one `rlimit` through the pointer, which is valid for it.
    get(|limit| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit) })
}

fn plain(limit: libc::rlimit) -> Limit {
    #[allow(
        clippy::unnecessary_cast,
        reason = "its width differs from system to system"
    )]
    let value = |value: libc::rlim_t| (value != libc::RLIM_INFINITY).then_some(value as u64);
    Limit {
        soft: value(limit.rlim_cur),
        hard: value(limit.rlim_max),
    }
}

pub(super) fn open_files() -> io::Result<Limit> {
    files().map(plain)
}

pub(super) fn locked_memory() -> io::Result<Limit> {
    // SAFETY: the call writes one `rlimit` through the pointer, which is valid for it.
    get(|limit| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, limit) }).map(plain)
}

pub(super) fn raise_open_files() -> io::Result<u64> {
    let mut limit = files()?;
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        // SAFETY: the call reads one `rlimit` through the pointer, which is valid for it.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
            limit = raised;
        } else {
            return Err(errno::last());
        }
    }
    #[allow(
        clippy::unnecessary_cast,
        reason = "its width differs from system to system"
    )]
    Ok(limit.rlim_cur as u64)
}
