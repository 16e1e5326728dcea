//! Processors on Linux: `sched_getaffinity`, `sched_setaffinity`, and the control group's quota.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;

use crate::errno;

use super::{Quota, cgroup};

/// Words of the largest mask asked for: 65,536 processors, eight times what Linux can be built for.
const WORDS_MAX: usize = 65_536 / BITS;
const BITS: usize = libc::c_ulong::BITS as usize;

/// Nanoseconds since the machine started, by the clock of `Instant`: for figures, which are taken around each wait. (`Instant` and
/// `Duration` would cost four times the instructions.)
#[inline]
pub fn monotonic_ns() -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is to `now`, which the call fills. It cannot fail: every Linux has that clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr()) };
    // SAFETY: the call filled it.
    let now = unsafe { now.assume_init() };
    (now.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(now.tv_nsec as u64)
}

/// Seconds since 1970, as the kernel noted them last: up to 10 ms late, and a tenth of the price of a look at the clock.
#[inline]
pub fn unix_seconds() -> u64 {
    // SAFETY: without a pointer the call only returns the time.
    let seconds = unsafe { libc::time(std::ptr::null_mut()) };
    // A clock before 1970 is wrong in every way there is.
    u64::try_from(seconds).unwrap_or(0)
}

/// The processors that the calling thread may run on, in rising order.
///
/// # Errors
/// Those of `sched_getaffinity(2)`.
pub fn affinity() -> io::Result<Vec<usize>> {
    let mut mask: Vec<libc::c_ulong> = vec![0; 1024 / BITS];
    loop {
        // SAFETY: the pointer and the length in bytes describe `mask`, which the call fills.
        let done =
            unsafe { libc::sched_getaffinity(0, size_of_val(&mask[..]), mask.as_mut_ptr().cast()) };
        if done >= 0 {
            break;
        }
        let error = errno::last();
        // EINVAL: the kernel's mask is longer than ours.
        if error.raw_os_error() != Some(libc::EINVAL) || mask.len() >= WORDS_MAX {
            return Err(error);
        }
        mask.resize(mask.len() * 2, 0);
    }
    Ok((0..mask.len() * BITS)
        .filter(|cpu| mask[cpu / BITS] >> (cpu % BITS) & 1 == 1)
        .collect())
}

/// Lets the calling thread run on the processors given and on no other.
///
/// # Errors
/// `InvalidInput` when the list is empty or none of them exists and is allowed; else those of
/// `sched_setaffinity(2)`.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    set_affinity_of(0, cpus)
}

/// The same for the thread of this process that has this number; 0 is the calling one.
///
/// # Errors
/// As [`set_affinity`]; `ESRCH` if there is no such thread.
pub fn set_affinity_of(thread: u32, cpus: &[usize]) -> io::Result<()> {
    let highest = cpus.iter().copied().max().unwrap_or(0);
    if highest / BITS >= WORDS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut mask: Vec<libc::c_ulong> = vec![0; (highest / BITS + 1).max(1024 / BITS)];
    for cpu in cpus {
        mask[cpu / BITS] |= 1 << (cpu % BITS);
    }
    // SAFETY: the pointer and the length in bytes describe `mask`, which the call only reads.
    let done = unsafe {
        libc::sched_setaffinity(
            thread as libc::pid_t,
            size_of_val(&mask[..]),
            mask.as_ptr().cast(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(errno::last())
    }
}

/// The number by which the system knows the calling thread.
pub fn thread_id() -> Option<u32> {
    // SAFETY: the call takes nothing.
    u32::try_from(unsafe { libc::gettid() }).ok()
}

/// How many processors of the machine are switched on.
pub fn online() -> Option<usize> {
    // SAFETY: no pointers.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(count).ok().filter(|&count| count > 0)
}

/// The control group's quota; `None` when there is no limit.
pub fn quota() -> Option<Quota> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    cgroup::quota(Path::new("/"), &groups, &mounts)
}
