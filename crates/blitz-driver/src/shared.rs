//! What a driver shares with everyone who submits to it, registers with it or wakes it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;

use blitz_core::primitive::sync::{Mutex, MutexGuard};
use blitz_core::slab::{Key, Slab};
use blitz_sys::completion::{ECANCELED, Entered, Features, Opcode, Sqe, Submissions};
use blitz_sys::readiness::{Notifier, Registry, mask_for};
use blitz_sys::wakeup::{EventFd, ForkMark};

use crate::capabilities::Capabilities;
use crate::clock::{Clock, Member, Sleeper};
use crate::completion::{Delivery, Operations};
use crate::config::Backend;
use crate::readiness::Source;
pub(crate) use crate::readiness::shutting_down;
use crate::timer::Timers;

/// Whose answer a completion is: the upper bits of its user data.
pub(crate) mod tag {
    /// An operation of `completion/`: the rest is its key.
    pub(crate) const OPERATION: u64 = 1;
    /// A source's poll: the rest is its key.
    pub(crate) const SOURCE: u64 = 2;
    /// The poll of the driver's own wake-up.
    pub(crate) const WAKE: u64 = 3;
    /// Nobody's: the answer to a cancellation.
    pub(crate) const NOBODY: u64 = 0xf;

    pub(crate) const SHIFT: u32 = 60;

    /// The tag of `user_data`.
    #[inline]
    pub(crate) const fn of(user_data: u64) -> u64 {
        user_data >> SHIFT
    }

    /// `user_data` without its tag.
    #[inline]
    pub(crate) const fn rest(user_data: u64) -> u64 {
        user_data & (u64::MAX >> 4)
    }

    /// The user data of `tag` and `rest`.
    #[inline]
    pub(crate) const fn with(tag: u64, rest: u64) -> u64 {
        tag << SHIFT | rest
    }
}

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
    pub(crate) process: ForkMark,
}

/// How the thread that waits is interrupted, and sources are registered.
pub(crate) enum Door {
    Ring(EventFd),
    Readiness(Notifier, Registry),
}

/// What is queued for the kernel and what is in flight: under the driver's one lock.
pub(crate) struct Submission {
    /// The ring's queue; `None` on a readiness back end and after the shutdown.
    pub(crate) ring: Option<Submissions>,
    /// What did not fit into the queue, in order. It grows as needed, so a cancellation always finds room.
    backlog: VecDeque<Sqe>,
    pub(crate) ops: Operations,
    pub(crate) sources: Slab<Entry>,
    pub(crate) closed: bool,
}

/// One armed resource.
pub(crate) struct Entry {
    source: Arc<Source>,
    /// Keeps the number from being used again while the kernel may still look it up.
    fd: Option<Arc<OwnedFd>>,
    raw_fd: i32,
    interest: u8,
    /// Its owner is gone: the last answer frees it.
    dropped: bool,
    /// The kernel will answer again.
    in_flight: bool,
}

/// Wakers and leavings of one delivery, to be called and dropped after the lock.
pub(crate) struct Outbox {
    pub(crate) delivery: Delivery,
    /// Wakers beyond what the delivery holds.
    more: Vec<Waker>,
    freed: Vec<Entry>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            delivery: Delivery::new(),
            more: Vec::new(),
            freed: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn wake(&mut self, waker: Waker) {
        if self.delivery.wakes.is_full() {
            self.more.push(waker);
        } else {
            self.delivery.wakes.push(waker);
        }
    }

    /// Calls and drops everything. Without the lock.
    pub(crate) fn finish(&mut self) {
        self.delivery.finish();
        for waker in std::mem::take(&mut self.more) {
            waker.wake();
        }
        self.freed.clear();
    }
}

impl Submission {
    pub(crate) fn new(ring: Option<Submissions>, ops: Operations) -> Self {
        Self {
            ring,
            backlog: VecDeque::new(),
            ops,
            sources: Slab::new(),
            closed: false,
        }
    }

    /// Queues `sqe` for the kernel: in its queue, or in the list behind it. Dropped if there is no ring.
    ///
    /// # Safety
    /// The memory that the entry names must stay valid until its last answer was delivered.
    #[inline]
    pub(crate) unsafe fn push(&mut self, sqe: Sqe) {
        let Some(ring) = &mut self.ring else { return };
        // SAFETY: the caller's promise.
        if !self.backlog.is_empty() || !unsafe { ring.push(&sqe) } {
            self.backlog.push_back(sqe);
        }
    }

    /// Queues a chain of linked entries, which the kernel sees in one piece.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_linked(&mut self, chain: &[Sqe]) {
        let Some(ring) = &mut self.ring else { return };
        if self.backlog.is_empty() && ring.room() >= chain.len() {
            for sqe in chain {
                // SAFETY: the caller's promise.
                let fits = unsafe { ring.push(sqe) };
                debug_assert!(fits, "there was room for the whole chain");
            }
        } else {
            self.backlog.extend(chain);
        }
    }

    /// Moves what fits from the list to the queue. Returns how much waits in the queue, and whether the list is empty.
    pub(crate) fn fill(&mut self) -> (u32, bool) {
        let Some(ring) = &mut self.ring else {
            return (0, true);
        };
        while let Some(first) = self.backlog.front() {
            // A chain goes whole: cut in two by the queue's end, its halves would run apart.
            let chain = 1 + self
                .backlog
                .iter()
                .take_while(|sqe| sqe.is_linked())
                .count();
            let chain = chain.min(self.backlog.len());
            let whole = !first.is_linked() || ring.room() >= chain || chain > ring.capacity();
            if !whole || ring.room() == 0 {
                break;
            }
            for sqe in self.backlog.drain(..chain.min(ring.room())) {
                // SAFETY: promised when it was pushed.
                unsafe { ring.push(&sqe) };
            }
        }
        (ring.len() as u32, self.backlog.is_empty())
    }

    /// Arms `source` on the ring.
    pub(crate) fn arm(&mut self, source: &Arc<Source>, fd: &Arc<OwnedFd>, interest: u8) -> Key {
        use std::os::fd::AsRawFd;
        let raw_fd = fd.as_raw_fd();
        let ring = self.ring.is_some();
        let key = self.sources.insert(Entry {
            source: Arc::clone(source),
            fd: ring.then(|| Arc::clone(fd)),
            raw_fd,
            interest,
            dropped: false,
            in_flight: ring,
        });
        if ring {
            self.push_poll(raw_fd, interest, key);
        }
        key
    }

    fn push_poll(&mut self, fd: i32, interest: u8, key: Key) {
        let sqe = Sqe::poll_multishot(fd, mask_for(interest))
            .user_data(tag::with(tag::SOURCE, key.into_raw()));
        // SAFETY: it names no memory.
        unsafe { self.push(sqe) };
    }

    /// The owner of `key` is gone. On the ring the entry stays until the last answer.
    pub(crate) fn disarm(&mut self, key: Key) -> Option<Entry> {
        let entry = self.sources.get_mut(key)?;
        if !entry.in_flight {
            return self.sources.remove(key);
        }
        entry.dropped = true;
        self.push_cancel_poll(key);
        None
    }

    fn push_cancel_poll(&mut self, key: Key) {
        // Not POLL_REMOVE: it gives up (EALREADY) on a poll that is just about to answer, and the poll would live on.
        let sqe = Sqe::cancel(tag::with(tag::SOURCE, key.into_raw()))
            .user_data(tag::with(tag::NOBODY, 0));
        // SAFETY: it names no memory.
        unsafe { self.push(sqe) };
    }

    /// Hands everything queued to the kernel now. Only on the ring's thread. True if nothing is left over.
    pub(crate) fn flush(&mut self) -> bool {
        loop {
            let (waiting, drained) = self.fill();
            let Some(ring) = &mut self.ring else {
                return true;
            };
            if waiting != 0 && !matches!(ring.submit(), Entered::Done) {
                return false;
            }
            if drained {
                return ring.is_empty();
            }
        }
    }

    /// The kernel has taken every poll of `key`'s descriptor: its number may be used again.
    pub(crate) fn release_fd(&mut self, key: Key) -> Option<Arc<OwnedFd>> {
        self.sources.get_mut(key)?.fd.take()
    }

    /// An answer to a source's poll.
    #[inline]
    pub(crate) fn deliver_poll(&mut self, key: Key, result: i32, last: bool, out: &mut Outbox) {
        let Some(entry) = self.sources.get_mut(key) else {
            return;
        };
        if result > 0 && !entry.dropped {
            let ready = blitz_sys::readiness::bits_of(result as u32);
            let ready = crate::interest::Ready::from_bits(ready);
            entry.source.deliver(ready, &mut |waker| out.wake(waker));
        }
        if last {
            self.poll_ended(key, result, out);
        }
    }

    /// A poll ended: because it was cancelled, or unasked, and then it is armed again.
    #[cold]
    fn poll_ended(&mut self, key: Key, result: i32, out: &mut Outbox) {
        let Some(entry) = self.sources.get_mut(key) else {
            return;
        };
        if entry.dropped || self.closed {
            out.freed.extend(self.sources.remove(key));
        } else if result >= 0 || result == -ECANCELED {
            // The kernel was short of memory for one more answer, or the thread that submitted the poll has exited.
            let (fd, interest) = (entry.raw_fd, entry.interest);
            self.push_poll(fd, interest, key);
        } else {
            entry.in_flight = false;
            entry.source.fail(-result, &mut |waker| out.wake(waker));
        }
    }

    /// A readiness back end's event.
    #[inline]
    pub(crate) fn deliver_event(&self, token: usize, ready: u8, out: &mut Outbox) {
        let ready = crate::interest::Ready::from_bits(ready);
        if let Some(entry) = self.sources.get(key_of(token)) {
            entry.source.deliver(ready, &mut |waker| out.wake(waker));
        }
    }

    /// Tells every source that the driver is gone, and cancels what is in flight.
    pub(crate) fn close_sources(&mut self, out: &mut Outbox) {
        let keys: Vec<Key> = self.sources.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(entry) = self.sources.get(key) {
                let source = Arc::clone(&entry.source);
                source.shut_down(&mut |waker| out.wake(waker));
            }
            out.freed.extend(self.disarm(key));
        }
    }

    /// Forgets everything that the kernel may still touch. Memory is leaked, and nothing else is harmed.
    pub(crate) fn leak(&mut self) {
        std::mem::forget(self.ring.take());
        std::mem::forget(std::mem::take(&mut self.sources));
        self.ops.leak();
    }
}

impl Handle {
    /// Ends the driver's wait, or forestalls the next one. Costs one atomic when the driver is awake.
    #[inline]
    pub fn unpark(&self) {
        if self.0.sleeper.notify() {
            self.0.interrupt();
        }
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
        crate::current::with(|current| current.same_as(self)).unwrap_or(false)
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
        use std::os::fd::AsRawFd;
        self.check_process()?;
        let mut submission = self.submission();
        if submission.closed {
            return Err(shutting_down());
        }
        let key = submission.arm(source, fd, interest);
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

    /// Asks again for the readiness of a source, where it is reported once.
    pub(crate) fn renew(&self, fd: &OwnedFd, key: Key, interest: u8) -> io::Result<()> {
        use std::os::fd::AsRawFd;
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
        use std::os::fd::AsRawFd;
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

fn key_of(token: usize) -> Key {
    Key::from_raw(token as u64)
}

/// The number under which a readiness back end knows a source.
fn token_of(key: Key) -> usize {
    // Where a pointer has 32 bits the generation is cut off: then an event can come to the place's next tenant, to
    // whom it is a false alarm like any other.
    key.into_raw() as usize
}

impl Shared {
    pub(crate) fn interrupt(&self) {
        if self.process.is_foreign() {
            return;
        }
        match &self.door {
            Door::Ring(eventfd) => eventfd.notify(),
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
