//! A deadline that epoll can wait for: exact where `epoll_wait` rounds to milliseconds and adds slack.

use std::io;
use std::time::{Duration, Instant};

use crate::descriptor::{AsRawFd, FromRawFd, OwnedFd};
use crate::errno;

/// One timer of the kernel.
#[derive(Debug)]
pub(super) struct TimerFd {
    fd: OwnedFd,
    /// When it will fire.
    armed: Option<Instant>,
}

impl TimerFd {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::timerfd_create(
                libc::CLOCK_MONOTONIC,
                libc::TFD_CLOEXEC | libc::TFD_NONBLOCK,
            )
        };
        if fd < 0 {
            return Err(errno::last());
        }
        // SAFETY: the kernel has just given it to us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, armed: None })
    }

    pub(super) fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Fires once, at `end` or before.
    ///
    /// An order for an earlier moment stands: waits that end before their limit, as those of a busy server do, then cost no
    /// system call each, and whoever is woken too early orders again.
    pub(super) fn arm(&mut self, end: Instant) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= end) {
            return Ok(());
        }
        let after = end.saturating_duration_since(Instant::now());
        self.set(after.max(Duration::from_nanos(1)))?;
        self.armed = Some(end);
        Ok(())
    }

    /// To be called when it has fired.
    pub(super) fn fired(&mut self) {
        self.armed = None;
    }

    fn set(&self, after: Duration) -> io::Result<()> {
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                // Half a century at a time, which a word of 32 bits holds: who is woken early waits again.
                tv_sec: after.as_secs().min(i32::MAX as u64) as _,
                tv_nsec: after.subsec_nanos() as _,
            },
        };
        // SAFETY: `spec` is read during the call; no old value is asked for.
        let result = unsafe {
            libc::timerfd_settime(
                self.fd.as_raw_fd(),
                0,
                &raw const spec,
                std::ptr::null_mut(),
            )
        };
        if result < 0 {
            return Err(errno::last());
        }
        Ok(())
    }
}
