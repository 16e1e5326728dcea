//! A handler of the C library counts the forks.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one, since the first [`ForkMark`].
#[inline]
pub fn forks_seen() -> u32 {
    // ORDERING: Relaxed: a child has one thread, the one that counted.
    FORKS.load(Relaxed)
}

/// Remembers in which process it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkMark(u32);

impl ForkMark {
    /// A mark of this process.
    pub fn new() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            extern "C" fn count() {
                // ORDERING: Relaxed: see `forks_seen`.
                FORKS.fetch_add(1, Relaxed);
            }
            // If it fails, forks go unseen, and the ring's pages are still kept from the child.
            // SAFETY: `count` touches one atomic only, which any moment after a fork allows.
            unsafe { libc::pthread_atfork(None, None, Some(count)) };
        });
        Self(forks_seen())
    }

    /// True if this process is not the one that made the mark.
    #[inline]
    pub fn is_foreign(self) -> bool {
        self.0 != forks_seen()
    }
}

impl Default for ForkMark {
    fn default() -> Self {
        Self::new()
    }
}
