//! What a driver shares with everyone who submits to it, registers with it or wakes it.

use std::fmt;
use std::io;
use std::sync::Arc;

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::{Mutex, MutexGuard};
use blitz_core::slab::Key;
use blitz_sys::completion::{Features, Opcode};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::fork::ForkMark;
use blitz_sys::readiness::{Notifier, Registry, check_pollable};
use blitz_sys::wakeup::{EventFd, FutexWord};

use crate::backend::Backend;
use crate::capabilities::Capabilities;
use crate::clock::{Clock, Member, Sleeper};
use crate::counters::TurnCounters;
use crate::grant;
use crate::readiness::{Source, shutting_down};
pub(crate) use crate::submission::Submission;
use crate::submission::token_of;
use crate::timer::Timers;

/// A driver, for everyone but the thread that turns it. Clones are cheap.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) submission: Mutex<Submission>,
    pub(crate) sleeper: Sleeper,
    pub(crate) door: Door,
    pub(crate) timers: Timers,
    pub(crate) clock: Clock,
    pub(crate) capabilities: Capabilities,
    pub(crate) features: Option<Features>,
    /// Short writes may be submitted together.
    pub(crate) batches_writes: bool,
    pub(crate) process: ForkMark,
    /// On lines of its own: written in each turn, while others read what stands above.
    pub(crate) counters: CachePadded<TurnCounters>,
}

/// How the thread that waits is interrupted, and where sources are registered.
pub(crate) enum Door {
    /// In the ring.
    Ring(Knocker),
    /// In a selector, alone or beside a ring.
    Readiness(Notifier, Registry),
}

/// What a ring that waits hears.
pub(crate) enum Knocker {
    Counter(EventFd),
    Word(FutexWord),
}

impl Handle {
    /// Ends the driver's wait, or forestalls the next one. Costs one atomic when the driver is awake.
    #[inline]
    pub fn unpark(&self) {
        if self.0.sleeper.notify() {
            self.0.interrupt();
        }
    }

    /// Whether a thread waits in the driver now, and how often one has begun or ended that; for those who watch.
    pub fn rest(&self) -> (bool, u64) {
        let word = self.0.sleeper.word();
        (word.is_asleep(), word.moves())
    }

    /// Which back end runs, with which features, and why.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// Which back end runs.
    pub fn backend(&self) -> Backend {
        self.0.capabilities.backend()
    }

    /// True if the driver has a ring, and so the completion face.
    #[inline]
    pub fn is_ring(&self) -> bool {
        self.0.features.is_some()
    }

    /// Whether the driver's ring knows this operation; never on a readiness back end.
    #[inline]
    pub fn supports(&self, opcode: Opcode) -> bool {
        let features = self.0.features.as_ref();
        features.is_some_and(|features| features.has_opcode(opcode.0))
    }

    /// What was found out about the ring, if there is one.
    pub fn features(&self) -> Option<&Features> {
        self.0.features.as_ref()
    }

    /// The driver's timers.
    #[inline]
    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// The time of the driver's runtime.
    #[inline]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// True if both are handles of one driver.
    #[inline]
    pub fn same_as(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// True if both drivers are of one runtime.
    #[inline]
    pub fn is_sibling(&self, other: &Handle) -> bool {
        self.0.clock.same_as(&other.0.clock)
    }

    /// True if this thread holds the core that the driver belongs to.
    #[inline]
    pub fn is_current(&self) -> bool {
        grant::is_here(self.number())
    }

    /// Whether new resources are taken, for those who make one and wait for nothing yet.
    ///
    /// # Errors
    /// If the driver is shutting down, or belongs to the process that this one was forked from.
    pub fn check_open(&self) -> io::Result<()> {
        self.check_process()?;
        if self.submission().closed {
            return Err(shutting_down());
        }
        Ok(())
    }

    /// The driver's submission side, locked.
    #[inline]
    pub(crate) fn submission(&self) -> MutexGuard<'_, Submission> {
        self.0.submission.lock()
    }

    /// After something was queued: the driver's own thread submits it in its next turn, so another one wakes it.
    #[inline]
    pub(crate) fn notify_submitted(&self) {
        if !self.is_current() {
            self.unpark();
        }
    }

    /// # Errors
    /// In a process that was forked from the driver's.
    #[inline]
    pub(crate) fn check_process(&self) -> io::Result<()> {
        if self.0.process.is_foreign() {
            return Err(io::Error::other(FORKED));
        }
        Ok(())
    }

    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Arms `source`; tells whether that could be done.
    pub(crate) fn arm(
        &self,
        source: &Arc<Source>,
        fd: &Arc<OwnedFd>,
        interest: u8,
    ) -> io::Result<Key> {
        self.check_process()?;
        let mut submission = self.submission();
        if submission.closed {
            return Err(shutting_down());
        }
        let in_ring = matches!(self.0.door, Door::Ring(_));
        let key = submission.arm(source, fd, interest, in_ring);
        drop(submission);
        match &self.0.door {
            Door::Ring(_) => self.notify_submitted(),
            Door::Readiness(_, registry) => {
                if let Err(error) = registry.add(fd.as_raw_fd(), token_of(key), interest) {
                    let entry = self.submission().sources.remove(key);
                    drop(entry);
                    return Err(error);
                }
            }
        }
        Ok(key)
    }

    /// Finds out whether `fd` can be waited for, where arming it does not tell.
    pub(crate) fn check_pollable(&self, fd: &OwnedFd) -> io::Result<()> {
        match &self.0.door {
            Door::Ring(_) => check_pollable(fd.as_fd()),
            Door::Readiness(..) => Ok(()),
        }
    }

    /// Asks again for the readiness of a source, where it is reported once.
    pub(crate) fn renew(&self, fd: &OwnedFd, key: Key, interest: u8) -> io::Result<()> {
        match &self.0.door {
            Door::Ring(_) => Ok(()),
            Door::Readiness(_, registry) => registry.renew(fd.as_raw_fd(), token_of(key), interest),
        }
    }

    /// The owner of `key` is gone, or moves elsewhere.
    ///
    /// On the ring's own thread the poll is gone when this returns, and with it the kernel's hold on the file: a
    /// connection says goodbye, a listener's port is free. From another thread that happens at the driver's next turn.
    pub(crate) fn disarm(&self, fd: &OwnedFd, key: Key) {
        if self.check_process().is_err() {
            return;
        }
        if let Door::Readiness(_, registry) = &self.0.door {
            // It fails only for what the kernel has forgotten already.
            let _ = registry.remove(fd.as_raw_fd());
        }
        let here = self.is_current();
        let mut submission = self.submission();
        let entry = submission.disarm(key);
        let fd = if entry.is_none() && here && submission.flush() {
            submission.release_fd(key)
        } else {
            None
        };
        drop(submission);
        if entry.is_none() && !here {
            self.unpark();
        }
        drop((entry, fd));
    }
}

/// What is said to a child that uses its parent's driver.
pub(crate) const FORKED: &str = "this runtime belongs to the process that this one was forked from: its threads and its kernel queues stayed there; build a new runtime in the child";

impl Shared {
    pub(crate) fn interrupt(&self) {
        if self.process.is_foreign() {
            return;
        }
        match &self.door {
            Door::Ring(Knocker::Counter(eventfd)) => eventfd.notify(),
            Door::Ring(Knocker::Word(word)) => word.notify(),
            Door::Readiness(notifier, _) => notifier.notify(),
        }
    }
}

impl Member for Shared {
    fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }

    fn unpark(&self) {
        if self.sleeper.notify() {
            self.interrupt();
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    fn fire(&self, now: u64) {
        self.timers.fire(now);
    }

    fn is_busy(&self) -> bool {
        self.submission.lock().ops.has_file_in_flight()
    }

    fn has_looked(&self, epoch: u64) -> bool {
        let looked = self.sleeper.has_looked(epoch);
        if !looked && self.sleeper.ask() {
            self.interrupt();
        }
        looked
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Handle>();
};
