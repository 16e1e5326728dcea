//! How many descriptors this process may open, and how much memory it may lock.

use std::io;

/// One limit of a process: the soft one binds, and may be raised up to the hard one. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds now.
    pub soft: Option<u64>,
    /// How far it may be raised.
    pub hard: Option<u64>,
}

/// How many descriptors this process may have open.
///
/// # Errors
/// The system's; `Unsupported` where there is no such limit.
pub fn open_files() -> io::Result<Limit> {
    imp::open_files()
}

/// How many bytes of memory this process may lock.
///
/// # Errors
/// The system's; `Unsupported` where there is no such limit.
pub fn locked_memory() -> io::Result<Limit> {
    imp::locked_memory()
}

/// Raises the soft limit of open files to the hard one, and returns what holds from now on.
///
/// # Errors
/// The system's, when the limit cannot be read or set; `Unsupported` where there is no such limit.
pub fn raise_open_files() -> io::Result<u64> {
    imp::raise_open_files()
}

#[cfg(unix)]
mod imp {
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
        // Its width differs from system to system.
        #[allow(clippy::unnecessary_cast)]
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
        // Its width differs from system to system.
        #[allow(clippy::unnecessary_cast)]
        Ok(limit.rlim_cur as u64)
    }
}

#[cfg(not(unix))]
mod imp {
    //! There are no such limits.

    use std::io;

    use super::Limit;

    pub(super) fn open_files() -> io::Result<Limit> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn locked_memory() -> io::Result<Limit> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn raise_open_files() -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn raising_twice_gives_the_same() {
        let first = raise_open_files().expect("the limit can be raised up to the hard one");
        assert!(first > 0);
        assert_eq!(raise_open_files().expect("it is raised already"), first);
        let limit = open_files().expect("there is such a limit");
        assert_eq!(limit.soft, limit.hard);
        assert!(limit.soft.is_none_or(|soft| soft == first));
    }

    #[test]
    fn soft_is_never_above_hard() {
        let limit = locked_memory().expect("there is such a limit");
        if let (Some(soft), Some(hard)) = (limit.soft, limit.hard) {
            assert!(soft <= hard);
        }
    }
}
