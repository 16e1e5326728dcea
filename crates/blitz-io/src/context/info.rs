//! What a runtime says of itself: its id, its flavour, what it does about panics.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use blitz_exec::scheduler::PanicPolicy;

/// A runtime's number, unlike that of every other that lives in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // ORDERING: Relaxed: only unlike the others.
        Self(NonZeroU64::new(NEXT.fetch_add(1, Relaxed)).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a runtime lets be used: all of it, but where a facade asks to be refused what tokio refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enabled {
    pub(crate) io: bool,
    pub(crate) time: bool,
    /// Whether errors say at which path or address, and what can be done.
    pub(crate) explained_errors: bool,
}

impl Enabled {
    pub(crate) const ALL: Self = Self {
        io: true,
        time: true,
        explained_errors: true,
    };
}

/// Which kind of scheduler a runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One thread at a time, inside of `block_on`.
    CurrentThread,
    /// Workers that steal from each other.
    MultiThread,
    /// Workers of which each keeps what is spawned on it.
    ThreadPerCore,
}

/// What a runtime does when a task panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// The task's `JoinHandle` tells; the runtime goes on. The default.
    #[default]
    Ignore,
    /// The runtime shuts down, and the `block_on` that runs panics. For `current_thread` and local runtimes only.
    ShutdownRuntime,
}

impl From<UnhandledPanic> for PanicPolicy {
    fn from(policy: UnhandledPanic) -> Self {
        match policy {
            UnhandledPanic::Ignore => PanicPolicy::Ignore,
            UnhandledPanic::ShutdownRuntime => PanicPolicy::Shutdown,
        }
    }
}
