//! What a driver is asked for.

use std::time::Duration;

use blitz_sys::completion::Faults;
pub use blitz_sys::completion::SqPoll;

use crate::backend::Backend;
use crate::clock::Clock;
use crate::flight::BufferConfig;

/// Which threads will hold the core that the driver belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RingUse {
    /// One after the other may. Where the system has epoll, that watches the sockets, and the ring has the operations.
    #[default]
    Shared,
    /// The first that binds it, and no other until it is dropped. Sockets are polled in the ring.
    SingleThread,
}

/// How a thread that waits in a ring is interrupted, where the ring watches for that itself: in a ring for one thread.
///
/// The two are equally fast, as far as was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingWakeup {
    /// The ring polls a counter of the kernel, eventfd(2): a descriptor, and one entry for good.
    #[default]
    EventFd,
    /// The ring waits on a word in memory, futex(2): no descriptor, and an entry for each wake. From Linux 6.7 on; elsewhere it
    /// is the counter, whatever was asked for.
    Futex,
}

/// What a driver is asked for. Every limit has a default that suits a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Forces a back end; `None` asks the environment, then takes io_uring where it is allowed.
    pub backend: Option<Backend>,
    /// Which threads will use the ring.
    pub ring: RingUse,
    /// Submission entries of the ring (256). What does not fit waits in a list.
    pub sq_entries: u32,
    /// Completion entries of the ring (4,096). What does not fit is kept by the kernel, at a price.
    pub cq_entries: u32,
    /// Events taken in one turn at most (1,024).
    pub events_per_turn: usize,
    /// Events taken in a turn that does not wait, because the worker has tasks (as many).
    pub events_per_busy_turn: Option<usize>,
    /// Short writes of connections that ask for it are submitted together, in the driver's turn (no).
    pub batched_writes: bool,
    /// A kernel thread that submits (none: it pays only where a processor is to spare).
    pub sqpoll: Option<SqPoll>,
    /// How a ring for one thread is interrupted.
    pub wakeup: RingWakeup,
    /// Provided buffers.
    pub buffers: BufferConfig,
    /// The time of the runtime; drivers with the same clock are siblings, between which resources may move.
    pub clock: Clock,
    /// How long a shutdown waits for operations to end before it leaks them (5 s).
    pub drain_limit: Duration,
    /// What stands in for the ring, in a test.
    #[doc(hidden)]
    pub faults: Option<Faults>,
}

impl Config {
    /// Events taken in a turn that does not wait.
    pub(crate) fn events_per_busy(&self) -> usize {
        self.events_per_busy_turn.unwrap_or(self.events_per_turn)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: None,
            ring: RingUse::Shared,
            sq_entries: 256,
            cq_entries: 4096,
            events_per_turn: 1024,
            events_per_busy_turn: None,
            batched_writes: false,
            sqpoll: None,
            wakeup: RingWakeup::default(),
            buffers: BufferConfig::default(),
            clock: Clock::default(),
            drain_limit: Duration::from_secs(5),
            faults: None,
        }
    }
}
