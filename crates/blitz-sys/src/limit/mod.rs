//! How many descriptors this process may open, and how much memory it may lock.

use std::io;

#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;

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
