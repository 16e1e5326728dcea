//! What this machine is and what it allows: kernel, sandbox, clock. For reports; the driver asks by trying.
//!
//! Each platform file defines `kernel`, `sandbox`, `ring_calls`, `rings_disabled` and `clock`; what a platform lacks stands in
//! `disabled.rs`.

use std::io;

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;
#[cfg(linux)]
mod status;

pub use imp::{clock, kernel, ring_calls, rings_disabled, sandbox};

/// The system's kernel, as it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name: `Linux`.
    pub system: String,
    /// Its release: `6.18.1-generic`.
    pub release: String,
    /// What it runs on: `x86_64`.
    pub machine: String,
}

impl Kernel {
    /// The first two numbers of the release.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// Whether system calls of this process pass a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// None.
    Off,
    /// Only `read`, `write`, `exit` are left.
    Strict,
    /// Programs decide on each call.
    Filter,
}

/// What the kernel says of this process's freedom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// The filter on system calls; `None` if the kernel does not tell.
    pub seccomp: Option<Seccomp>,
    /// How many filters; kernels before 5.9 do not tell.
    pub filters: Option<u32>,
    /// Whether the limit of locked memory does not bind this process (`CAP_IPC_LOCK`).
    pub may_lock_memory: Option<bool>,
}

/// One of the three calls that a ring needs, and what came of making it with arguments that name nothing.
#[derive(Debug)]
pub struct RingCall {
    /// The call's name.
    pub name: &'static str,
    /// Why it does not reach the ring's code; `None` if it does.
    pub refused: Option<io::Error>,
}

/// What measures time here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockFacts {
    /// The kernel's source of time: `tsc`, `kvm-clock`.
    pub source: Option<String>,
    /// The finest step of the monotonic clock.
    pub resolution_ns: Option<u64>,
    /// How much later than asked the kernel may end a wait of this thread.
    pub timer_slack_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_any_release() {
        let version = |release: &str| {
            let (system, machine) = ("Linux".to_owned(), "x86_64".to_owned());
            let release = release.to_owned();
            let kernel = Kernel {
                system,
                release,
                machine,
            };
            kernel.version()
        };
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version("strange"), None);
    }

    #[cfg(linux)]
    #[test]
    fn this_machine_answers() {
        let kernel = kernel().unwrap();
        assert_eq!(kernel.system, "Linux");
        assert!(kernel.version().is_some(), "{kernel:?}");
        assert!(sandbox().unwrap().seccomp.is_some());
        assert!(clock().resolution_ns.is_some_and(|ns| ns > 0));
        for call in ring_calls() {
            assert!(call.name.starts_with("io_uring_"));
        }
    }

    /// Whoever can probe a ring can make its calls; a call that is refused comes with no ring.
    #[cfg(linux)]
    #[test]
    fn the_calls_agree_with_the_probe() {
        let refused = ring_calls().iter().any(|call| call.refused.is_some());
        if refused {
            assert!(crate::completion::probe().is_err());
        }
    }
}
