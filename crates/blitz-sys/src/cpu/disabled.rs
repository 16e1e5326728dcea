//! Processors where the platform offers no call for them (or none is written yet).

use std::io;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Quota;

/// The processors that the calling thread may run on: not known here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn affinity() -> io::Result<Vec<usize>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds the calling thread to the processors given: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_affinity(_cpus: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How many processors this process may use, which is what the standard library knows.
pub fn online() -> Option<usize> {
    let count = std::thread::available_parallelism().ok()?;
    Some(count.get())
}

/// No limit is known here.
pub fn quota() -> Option<Quota> {
    None
}

/// Lets a thread run on the processors given: not possible here.
///
/// # Errors
/// `Unsupported`.
pub fn set_affinity_of(_thread: u32, _cpus: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The number by which the system knows the calling thread: not known here.
pub fn thread_id() -> Option<u32> {
    None
}

/// Nanoseconds since a moment of the process's own, by the clock of [`Instant`].
pub fn monotonic_ns() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let since = ORIGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    // A clock before 1970 is wrong in every way there is.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
