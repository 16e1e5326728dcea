//! How many descriptors this process may open. Used by programs that hold many connections.

use std::io;

use crate::errno;

/// Raises the soft limit of open files to the hard one, and returns what holds from now on.
///
/// # Errors
/// The system's, when the limit cannot be read or set; `Unsupported` where there is no such limit.
#[cfg(unix)]
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes one `rlimit` through the pointer, which is valid for it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(errno::last());
    }
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

/// There is no such limit here.
///
/// # Errors
/// `Unsupported`, always.
#[cfg(not(unix))]
pub fn raise_open_files() -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn raising_twice_gives_the_same() {
        let first = raise_open_files().expect("the limit can be raised up to the hard one");
        assert!(first > 0);
        assert_eq!(raise_open_files().expect("it is raised already"), first);
    }
}
