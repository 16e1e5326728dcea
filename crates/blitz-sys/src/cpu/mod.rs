//! How many processors this process may use, and on which of them a thread runs.
//!
//! The number of workers comes from here: a container with a quota of two processors on a machine with 64
//! should start two workers, not 64 that are throttled together. Each platform file defines `affinity`,
//! `set_affinity`, `set_affinity_of`, `thread_id`, `quota`, `monotonic_ns` and `unix_seconds`; what a platform lacks stands in
//! `disabled.rs`.

use std::num::NonZeroUsize;

#[cfg(linux)]
mod cgroup;
mod clock;
mod ticks;

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

pub use clock::Clock;
pub use imp::{
    affinity, monotonic_ns, online, quota, set_affinity, set_affinity_of, thread_id, unix_seconds,
};

/// How much processor time a control group allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// In processors: 1.5 is one and a half.
    pub cpus: f64,
    /// Which hierarchy says so: 1, or 2, the unified one.
    pub version: u8,
    /// The group of this process in that hierarchy.
    pub group: String,
}

impl Quota {
    /// In whole processors, rounded up: a rounded-down count would leave what was paid for unused.
    #[must_use]
    pub fn whole(&self) -> NonZeroUsize {
        // At most one processor's worth per 10 ms of an int's range: far below what a usize holds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        NonZeroUsize::new(self.cpus.ceil() as usize).unwrap_or(NonZeroUsize::MIN)
    }
}

/// How many threads of this process can make progress at once.
///
/// The smaller of the processors this thread may run on and the control group's quota (version 1 or 2,
/// its ancestors included), where a quota of one and a half processors counts as two: a rounded-down
/// count would leave what was paid for unused. One at the least.
#[must_use]
pub fn available() -> NonZeroUsize {
    let allowed = match imp::affinity() {
        Ok(cpus) => NonZeroUsize::new(cpus.len()),
        Err(_) => std::thread::available_parallelism().ok(),
    };
    let allowed = allowed.unwrap_or(NonZeroUsize::MIN);
    imp::quota().map_or(allowed, |quota| quota.whole().min(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_the_systems_and_late_by_one_at_most() {
        let system = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.unwrap().as_secs()
        };
        let before = system();
        let seconds = unix_seconds();
        assert!((before.saturating_sub(1)..=system()).contains(&seconds));
    }

    #[test]
    fn never_more_than_the_threads_affinity() {
        let allowed = affinity().map_or(usize::MAX, |cpus| cpus.len());
        assert!(available().get() <= allowed);
    }

    #[cfg(linux)]
    #[test]
    fn a_thread_is_pinned_and_counts_itself_alone() {
        std::thread::spawn(|| {
            let cpus = affinity().unwrap();
            let last = *cpus.last().unwrap();
            set_affinity(&[last]).unwrap();
            assert_eq!(affinity().unwrap(), [last]);
            assert_eq!(available().get(), 1);
            set_affinity(&cpus).unwrap();
            assert_eq!(affinity().unwrap(), cpus);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_monotonic_clock_goes_as_instant_does() {
        let (ns, instant) = (monotonic_ns(), std::time::Instant::now());
        while instant.elapsed() < std::time::Duration::from_millis(2) {}
        let passed = monotonic_ns() - ns;
        let at_most = instant.elapsed() + std::time::Duration::from_secs(60);
        assert!(passed >= 2_000_000 && u128::from(passed) <= at_most.as_nanos());
    }

    #[cfg(linux)]
    #[test]
    fn an_empty_or_absent_set_is_refused() {
        assert!(set_affinity(&[]).is_err());
        assert!(set_affinity(&[1 << 20]).is_err());
    }
}
