//! A point where tasks wait for each other.

use std::fmt;
use std::panic::Location;

use blitz_core::primitive::sync::Mutex;

use crate::called::called;
use crate::notify::{Notified, Notify};
use crate::spans::Resource;

/// A point where a number of tasks wait until the last has come. It may be used again and again.
///
/// # Examples
/// ```
/// use blitz_sync::Barrier;
/// # futures::executor::block_on(async {
/// let barrier = Barrier::new(2);
/// let (one, other) = futures::join!(barrier.wait(), barrier.wait());
/// assert!(one.is_leader() != other.is_leader());
/// # });
/// ```
pub struct Barrier {
    count: usize,
    /// How many of this round are here.
    arrived: Mutex<usize>,
    complete: Notify,
    resource: Resource,
}

impl Barrier {
    /// A barrier for `n` tasks at a time; 0 is as 1: nobody waits.
    #[track_caller]
    pub fn new(n: usize) -> Self {
        let count = n.max(1);
        Self {
            count,
            arrived: Mutex::new(0),
            complete: Notify::new(),
            resource: Resource::barrier(count, Location::caller()),
        }
    }

    /// Waits until as many have come as the barrier is for. Returns to one of them that it was the last.
    ///
    /// # Cancel safety
    /// Not safe: one who came counts, also if it does not wait until the end.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = BarrierWaitResult> {
        let operation = self.resource.operation("Barrier::wait");
        operation.around(called!("Barrier::wait", async move {
            match self.arrive() {
                Arrival::Early(complete) => {
                    self.resource.arrived();
                    complete.await;
                    BarrierWaitResult(false)
                }
                Arrival::Last { others_wait } => {
                    if others_wait {
                        self.complete.finish_call();
                    }
                    self.resource.complete();
                    BarrierWaitResult(true)
                }
            }
        }))
    }

    /// Counts the caller. Whom a round's last one calls is decided under the lock, so that none of the next round is.
    fn arrive(&self) -> Arrival<'_> {
        let mut arrived = self.arrived.lock();
        *arrived += 1;
        if *arrived < self.count {
            return Arrival::Early(self.complete.notified());
        }
        *arrived = 0;
        Arrival::Last {
            others_wait: self.complete.begin_call(),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

enum Arrival<'a> {
    Early(Notified<'a>),
    Last { others_wait: bool },
}

/// What [`Barrier::wait`] says.
#[derive(Clone, Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this one was the last to come: one in each round is.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Barrier>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_barrier.rs"]
mod models;
