//! What is queued for the kernel, and what is in flight: all that stands under the driver's one lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use blitz_core::quiet::quietly;
use blitz_core::slab::{Key, Slab};
use blitz_sys::completion::{Entered, Opcode, Sqe, Submissions};
use blitz_sys::descriptor::{AsRawFd, OwnedFd};
use blitz_sys::errno;
use blitz_sys::readiness::{bits_of, mask_for};

use crate::counters::Counted;
use crate::flight::{Delivery, Operations};
use crate::interest::Ready;
use crate::readiness::Source;
use crate::tag;

/// What is queued for the kernel and what is in flight: under the driver's one lock.
pub(crate) struct Submission {
    /// The ring's queue; `None` on a readiness back end and after the shutdown.
    pub(crate) ring: Option<Submissions>,
    /// What did not fit into the queue, in order. It grows as needed, so a cancellation always finds room.
    backlog: VecDeque<Sqe>,
    pub(crate) ops: Operations,
    pub(crate) sources: Slab<Entry>,
    pub(crate) closed: bool,
    pub(crate) counted: Counted,
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
    ///
    /// It does not panic: a turn that a foreign panic cut short would lose the answers behind it.
    pub(crate) fn finish(&mut self) {
        self.delivery.finish();
        for waker in self.more.drain(..) {
            quietly(|| waker.wake());
        }
        // The last reference of a source may drop wakers, which are anybody's.
        for entry in self.freed.drain(..) {
            quietly(|| drop(entry));
        }
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
            counted: Counted::default(),
        }
    }

    /// Queues `sqe` for the kernel: in its queue, or in the list behind it. Dropped if there is no ring.
    ///
    /// # Safety
    /// The memory that the entry names must stay valid until its last answer was delivered.
    #[inline]
    pub(crate) unsafe fn push(&mut self, sqe: Sqe) {
        let Some(ring) = &mut self.ring else { return };
        if sqe.opcode() == Opcode::ASYNC_CANCEL {
            self.counted.cancels += 1;
        }
        // SAFETY: the caller's promise.
        if !self.backlog.is_empty() || !unsafe { ring.push(&sqe) } {
            self.backlog.push_back(sqe);
            self.counted.backlogged += 1;
        } else {
            self.counted.queued += 1;
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
            self.counted.queued += chain.len() as u64;
        } else {
            self.backlog.extend(chain);
            self.counted.backlogged += chain.len() as u64;
        }
    }

    /// True if the kernel has seen all that was queued, and every answer that it has made stood in the ring.
    pub(crate) fn has_submitted_all(&mut self) -> bool {
        let is_empty = |ring: &mut Submissions| ring.is_empty() && !ring.has_overflowed();
        self.backlog.is_empty() && self.ring.as_mut().is_none_or(is_empty)
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
                self.counted.queued += 1;
            }
        }
        (ring.len() as u32, self.backlog.is_empty())
    }

    /// Makes a place for `source`, and polls it if that is the ring's part.
    pub(crate) fn arm(
        &mut self,
        source: &Arc<Source>,
        fd: &Arc<OwnedFd>,
        interest: u8,
        in_ring: bool,
    ) -> Key {
        let raw_fd = fd.as_raw_fd();
        let key = self.sources.insert(Entry {
            source: Arc::clone(source),
            fd: in_ring.then(|| Arc::clone(fd)),
            raw_fd,
            interest,
            dropped: false,
            in_flight: in_ring,
        });
        self.counted.registered += 1;
        if in_ring {
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
            if waiting != 0 {
                self.counted.flushes += 1;
                if !matches!(ring.submit(), Entered::Done) {
                    return false;
                }
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
            let ready = bits_of(result as u32);
            let ready = Ready::from_bits(ready);
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
        } else if result >= 0 || errno::class(-result).is_recoverable() {
            // The kernel was short of memory for one more answer, or the thread that submitted the poll has exited.
            let (fd, interest) = (entry.raw_fd, entry.interest);
            self.counted.rearmed += 1;
            self.push_poll(fd, interest, key);
        } else {
            entry.in_flight = false;
            entry.source.fail(-result, &mut |waker| out.wake(waker));
        }
    }

    /// A selector's event.
    #[inline]
    pub(crate) fn deliver_event(&self, token: usize, ready: u8, out: &mut Outbox) {
        let ready = Ready::from_bits(ready);
        if let Some(entry) = self.source_of(token) {
            entry.source.deliver(ready, &mut |waker| out.wake(waker));
        }
    }

    /// Whom an event is for. Where a pointer has 32 bits its token has no generation: then it can come to the place's next
    /// tenant, to whom it is a false alarm like any other.
    #[inline]
    fn source_of(&self, token: usize) -> Option<&Entry> {
        if usize::BITS < u64::BITS {
            self.sources.at(token)
        } else {
            self.sources.get(Key::from_raw(token as u64))
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

/// The number under which a readiness back end knows a source.
pub(crate) fn token_of(key: Key) -> usize {
    // Where a pointer has 32 bits the generation is cut off: see `source_of`.
    key.into_raw() as usize
}
