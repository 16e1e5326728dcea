//! The table of operations in flight, under the driver's submission lock.
//!
//! ```text
//!  state of an entry   move                        to        what happens
//!  (none)              submit                      Waiting   entry queued, waker stored
//!  Waiting             last answer                 Done      waker called after the lock
//!  Waiting             the future is dropped       Orphan    its data moves in, a cancel is queued
//!  Done                the future polls            (none)    it finishes; ECANCELED that nobody asked for: submit
//!  Done                the future is dropped       (none)    its result is destroyed by the dropping thread
//!  Waiting             it is detached              Orphan    as if dropped, but no cancel is queued
//!  Orphan              last answer                 (none)    its result is destroyed after the lock
//!  Many                an answer                   Many      queued, waker called after the lock
//!  Many                the stream is dropped       Many      marked abandoned, a cancel is queued
//!  Many, abandoned     last answer                 (none)    each queued result was destroyed as it came
//!  Lane                an answer, or the turn that Lane      the next bytes are queued, or those who wait are woken
//!                      brought none has ended
//!  Lane                its writer is gone          Lane      marked abandoned; where it waits for room, a cancel is queued
//!  Lane, abandoned     the same, none to follow    (none)    the socket goes, after the lock
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use blitz_core::slab::{Key, Slab};
use blitz_sys::completion::{Opcode, Sqe, Submissions, cqe_flags};
use blitz_sys::errno;

use super::BufferConfig;
use super::delivery::{Abandoned, Delivery, Outcome, Remains};
use super::lane::{Lane, Parcels, Queued};
use super::lease::{BufferPool, Group};
use super::many::Many;
use super::tenants::{Left, Tenancy, Tenants};
use crate::tag;

/// One operation. See the table of moves in the [module](self).
pub(crate) struct Entry {
    stage: Stage,
    opcode: Opcode,
    outcome: Outcome,
    tenancy: Tenancy,
}

enum Stage {
    Waiting(Waker),
    Done,
    Orphan(Box<dyn Abandoned>, bool),
    Many(Box<Many>),
    Lane(Box<Lane>),
}

/// What a future finds under its key.
pub(crate) enum Looked {
    /// The last answer; the key is void.
    Done(Outcome),
    /// In flight; the waker that was replaced, if any, is to be dropped after the lock.
    Waits(Option<Waker>),
    /// In flight, and the waker there is another task's: come again with a clone of yours.
    WantsWaker,
}

/// The operations in flight on one driver, and its leased buffers.
pub(crate) struct Operations {
    entries: Slab<Entry>,
    /// Entries that a delivery wants queued: cancels of streams that have too much waiting, and sends that follow others.
    pending: VecDeque<Sqe>,
    in_flight: usize,
    tenants: Tenants,
    buffers_exhausted: u64,
    is_closed: bool,
    is_leaked: bool,
    parcels: Parcels,
    /// Lanes with a send that is queued and answers only if it fails.
    silent: Vec<Key>,
    /// Those of them that the kernel sees in this turn.
    entering: Vec<Key>,
    awaits_sends: bool,
    pub(crate) config: BufferConfig,
    pub(crate) group: Option<Group>,
    pub(crate) pool: Option<BufferPool>,
    pub(crate) fixed: Option<BufferPool>,
}

impl Operations {
    /// An empty table.
    pub(crate) fn new(config: &BufferConfig) -> Self {
        Self {
            entries: Slab::new(),
            pending: VecDeque::new(),
            in_flight: 0,
            tenants: Tenants::new(),
            buffers_exhausted: 0,
            is_closed: false,
            is_leaked: false,
            parcels: Parcels::default(),
            silent: Vec::new(),
            entering: Vec::new(),
            awaits_sends: false,
            config: config.clone(),
            group: None,
            pool: None,
            fixed: None,
        }
    }

    /// How many operations the kernel has not answered for the last time.
    #[inline]
    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// True if an operation on a file is in flight: it ends without any event from outside.
    #[cold]
    pub(crate) fn has_file_in_flight(&self) -> bool {
        const ON_FILES: [Opcode; 19] = [
            Opcode::READ,
            Opcode::WRITE,
            Opcode::READV,
            Opcode::WRITEV,
            Opcode::READ_FIXED,
            Opcode::WRITE_FIXED,
            Opcode::FSYNC,
            Opcode::FTRUNCATE,
            Opcode::FALLOCATE,
            Opcode::FADVISE,
            Opcode::SYNC_FILE_RANGE,
            Opcode::OPENAT,
            Opcode::CLOSE,
            Opcode::STATX,
            Opcode::RENAMEAT,
            Opcode::UNLINKAT,
            Opcode::MKDIRAT,
            Opcode::LINKAT,
            Opcode::SYMLINKAT,
        ];
        let mut entries = self.entries.iter();
        entries.any(|(_, entry)| entry.is_in_flight() && ON_FILES.contains(&entry.opcode))
    }

    /// How many operations of each opcode are in flight.
    pub(crate) fn in_flight_by_opcode(&self) -> Vec<(Opcode, usize)> {
        let mut counts: Vec<(Opcode, usize)> = Vec::new();
        for (_, entry) in self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_in_flight())
        {
            match counts
                .iter_mut()
                .find(|(opcode, _)| *opcode == entry.opcode)
            {
                Some((_, count)) => *count += 1,
                None => counts.push((entry.opcode, 1)),
            }
        }
        counts
    }

    /// How many answers so far said that there was no provided buffer.
    pub(crate) const fn buffers_exhausted(&self) -> u64 {
        self.buffers_exhausted
    }

    /// Bytes of the buffers that were made.
    pub(crate) fn buffer_bytes(&self) -> usize {
        let pools = [&self.pool, &self.fixed].into_iter().flatten();
        let pooled: usize = pools.map(|pool| pool.capacity() * pool.buffer_len()).sum();
        pooled + self.group.as_ref().map_or(0, Group::bytes) + self.parcels.bytes()
    }

    /// Bytes of the table itself.
    pub(crate) fn table_bytes(&self) -> usize {
        self.entries.bytes()
    }

    /// Takes no more operations from now on.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// True after [`close`](Self::close).
    #[inline]
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Closes the table and adds a cancel for each operation in flight to `cancels`; what was detached is waited for.
    pub(crate) fn cancel_all(&mut self, cancels: &mut Vec<Sqe>) {
        self.close();
        let in_flight = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_to_cancel());
        cancels.extend(in_flight.map(|(key, _)| cancel_of(key)));
    }

    /// What is still in flight stays here for ever: its memory is leaked with the table.
    pub(crate) fn leak(&mut self) {
        self.close();
        self.is_leaked = true;
        self.in_flight = 0;
        self.tenants.forget();
    }

    /// Takes back what the ring was given for good, once nothing is in flight.
    pub(crate) fn release(&mut self, ring: &mut Submissions) {
        if let Some(group) = self.group.take() {
            group.release(ring);
        }
        if self.fixed.take().is_some() {
            // The ring is about to be closed, which does the same.
            let _ = ring.unregister_buffers();
        }
    }

    /// The next entry that a delivery wants queued.
    #[inline]
    pub(crate) fn pop_pending(&mut self) -> Option<Sqe> {
        self.pending.pop_front()
    }

    /// Puts buffers that came home from other threads back on the kernel's ring.
    #[inline]
    pub(crate) fn collect_returns(&mut self) {
        if let Some(group) = &mut self.group {
            group.collect();
        }
    }

    /// Brings the answer `result`, `flags` to the operation under `key`.
    pub(crate) fn deliver(&mut self, key: Key, result: i32, flags: u32, out: &mut Delivery) {
        let Some(entry) = self.entries.get_mut(key) else {
            debug_assert!(false, "an answer for an operation that is over: {key:?}");
            return;
        };
        let is_last = flags & cqe_flags::MORE == 0;
        if let Stage::Many(many) = &mut entry.stage {
            let mut cancel = false;
            if result == -errno::ENOBUFS {
                self.buffers_exhausted += 1;
            }
            many.deliver(result, flags, self.group.as_mut(), out, &mut cancel);
            if is_last {
                self.in_flight -= 1;
                self.tenants.end(entry.tenancy);
                if many.is_abandoned() {
                    self.remove_many(key, out);
                }
            } else if cancel {
                self.pending.push_back(cancel_of(key));
            }
            return;
        }
        if let Stage::Lane(lane) = &mut entry.stage {
            if lane.is_parked() {
                self.in_flight -= 1;
                self.tenants.end(entry.tenancy);
            } else {
                // It has answered, so it did not go without saying.
                self.entering.retain(|entering| *entering != key);
            }
            let next = lane.answered(result, self.is_closed, &mut self.parcels, out);
            self.lane_goes_on(key, next, out);
            return;
        }
        if flags & cqe_flags::NOTIF != 0 {
            entry.outcome.notice = result as u32;
        } else {
            entry.outcome = Outcome {
                result,
                flags,
                notice: 0,
            };
        }
        if !is_last {
            return;
        }
        self.in_flight -= 1;
        self.tenants.end(entry.tenancy);
        match mem::replace(&mut entry.stage, Stage::Done) {
            Stage::Waiting(waker) => out.wakes.push(waker),
            Stage::Orphan(data, is_detached) => {
                let outcome = entry.outcome;
                self.entries.remove(key);
                out.leave(Remains::Operation(data, outcome, is_detached));
            }
            Stage::Done | Stage::Many(_) | Stage::Lane(_) => {
                debug_assert!(false, "a second last answer: {key:?}")
            }
        }
    }

    /// Makes a place for an operation that is about to be queued.
    #[inline]
    pub(crate) fn insert(&mut self, waker: Waker, opcode: Opcode) -> Key {
        self.in_flight += 1;
        self.entries.insert(Entry {
            stage: Stage::Waiting(waker),
            opcode,
            outcome: Outcome::of(0),
            tenancy: self.tenants.begin(),
        })
    }

    /// Looks after an operation for its future, and leaves the waker `fresh` if one is needed.
    #[inline]
    pub(crate) fn look(&mut self, key: Key, waker: &Waker, fresh: &mut Option<Waker>) -> Looked {
        let Some(entry) = self.entries.get_mut(key) else {
            unreachable!("an operation keeps its place while its future lives")
        };
        match &mut entry.stage {
            Stage::Done => {
                let outcome = entry.outcome;
                self.entries.remove(key);
                Looked::Done(outcome)
            }
            Stage::Waiting(stored) if stored.will_wake(waker) => Looked::Waits(fresh.take()),
            Stage::Waiting(stored) => match fresh.take() {
                Some(fresh) => Looked::Waits(Some(mem::replace(stored, fresh))),
                None => Looked::WantsWaker,
            },
            Stage::Orphan(..) | Stage::Many(_) | Stage::Lane(_) => {
                unreachable!("the future of this operation is gone")
            }
        }
    }

    /// Gives up an operation whose future is dropped.
    ///
    /// Returns its outcome if it is over; if not, `data` has moved in and a cancel is queued. The waker is to
    /// be dropped after the lock.
    pub(crate) fn abandon(
        &mut self,
        key: Key,
        data: &mut Option<Box<dyn Abandoned>>,
        is_detached: bool,
    ) -> (Option<Outcome>, Option<Waker>) {
        let Some(entry) = self.entries.get_mut(key) else {
            unreachable!("an operation keeps its place while its future lives")
        };
        if let Stage::Done = entry.stage {
            let outcome = entry.outcome;
            self.entries.remove(key);
            return (Some(outcome), None);
        }
        let data = data
            .take()
            .expect("the caller brings what the operation owned");
        let waker = match mem::replace(&mut entry.stage, Stage::Orphan(data, is_detached)) {
            Stage::Waiting(waker) => Some(waker),
            _ => None,
        };
        if !is_detached {
            self.pending.push_back(cancel_of(key));
        }
        (None, waker)
    }

    /// The pool that serves when provided buffers have run out.
    pub(crate) fn pool(&mut self) -> BufferPool {
        let (count, size) = (self.config.pool_count.max(1), self.config.size.max(1));
        self.pool
            .get_or_insert_with(|| BufferPool::new(count, size))
            .clone()
    }

    /// Makes a place for a stream of answers; nothing is in flight yet.
    pub(crate) fn insert_many(&mut self, many: Many, opcode: Opcode) -> Key {
        self.entries.insert(Entry {
            stage: Stage::Many(Box::new(many)),
            opcode,
            outcome: Outcome::of(0),
            // Its entry's is another one, each time that it is queued.
            tenancy: Tenancy::NONE,
        })
    }

    /// The stream under `key`, with the buffers that its answers may carry.
    pub(crate) fn many(&mut self, key: Key) -> (&mut Many, Option<&mut Group>) {
        match self.entries.get_mut(key).map(|entry| &mut entry.stage) {
            Some(Stage::Many(many)) => (many, self.group.as_mut()),
            _ => unreachable!("a stream keeps its place until it is dropped"),
        }
    }

    /// The same; `None` once the stream has moved away.
    #[inline]
    pub(crate) fn find_many(&mut self, key: Key) -> Option<(&mut Many, Option<&mut Group>)> {
        match &mut self.entries.get_mut(key)?.stage {
            Stage::Many(many) => Some((many, self.group.as_mut())),
            _ => None,
        }
    }

    /// True if the stream under `key` has nothing more to give.
    pub(crate) fn is_many_over(&mut self, key: Key) -> bool {
        self.find_many(key).is_some_and(|(many, _)| many.is_over())
    }

    /// Has a stream's entry cancelled, so that it can be queued elsewhere after its last answer.
    pub(crate) fn pause_many(&mut self, key: Key) {
        if self.find_many(key).is_some_and(|(many, _)| many.pause()) {
            self.pending.push_back(cancel_of(key));
        }
    }

    /// Counts the entry of the stream under `key`, which is being queued.
    pub(crate) fn count_armed(&mut self, key: Key) {
        self.in_flight += 1;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.tenancy = self.tenants.begin();
        }
    }

    /// The ring's thread gives it up: `left` is told what it leaves behind.
    pub(crate) fn hand_over(&mut self, left: &Arc<Left>) {
        self.tenants.hand_over(left);
    }

    /// Gives up a stream; what waits in it goes to `out`.
    pub(crate) fn abandon_many(&mut self, key: Key, out: &mut Delivery) {
        let (many, group) = self.many(key);
        many.abandon(group, out);
        if many.pause() {
            self.pending.push_back(cancel_of(key));
        } else if !many.is_armed() {
            self.remove_many(key, out);
        }
    }

    /// Makes a place for a socket's bytes on their way; none are there yet.
    pub(crate) fn insert_lane(&mut self, lane: Lane) -> Key {
        self.entries.insert(Entry {
            stage: Stage::Lane(Box::new(lane)),
            opcode: Opcode::SEND,
            outcome: Outcome::of(0),
            // Its entry's is another one, each time that one is queued.
            tenancy: Tenancy::NONE,
        })
    }

    /// The lane under `key`.
    pub(crate) fn lane(&mut self, key: Key) -> &mut Lane {
        match self.entries.get_mut(key).map(|entry| &mut entry.stage) {
            Some(Stage::Lane(lane)) => lane,
            _ => unreachable!("a lane keeps its place until its writer is gone"),
        }
    }

    /// Takes some of `bytes` into the lane under `key`; an entry that is to be queued for them bears its tag.
    pub(crate) fn queue_in_lane(
        &mut self,
        key: Key,
        bytes: &[u8],
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Queued {
        let Some(Stage::Lane(lane)) = self.entries.get_mut(key).map(|entry| &mut entry.stage)
        else {
            unreachable!("a lane keeps its place until its writer is gone")
        };
        match lane.queue(bytes, &mut self.parcels) {
            Some(Queued::Begins(taken, entry)) => {
                self.silent.push(key);
                Queued::Begins(taken, entry.user_data(tag_of(key)))
            }
            Some(queued) => {
                self.awaits_sends = true;
                queued
            }
            None => self.wait_for_lane(key, waker, fresh),
        }
    }

    /// Leaves the waker of a task that waits for the lane under `key`.
    pub(crate) fn wait_for_lane(
        &mut self,
        key: Key,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Queued {
        self.awaits_sends = true;
        self.lane(key).wait(waker, fresh)
    }

    /// Queues what follows in a lane; or takes it apart, if nothing does and nobody writes any more.
    fn lane_goes_on(&mut self, key: Key, next: Option<Sqe>, out: &mut Delivery) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let Stage::Lane(lane) = &mut entry.stage else {
            return;
        };
        match next {
            Some(next) if lane.is_parked() => {
                self.in_flight += 1;
                entry.tenancy = self.tenants.begin();
                self.pending.push_back(next.user_data(tag_of(key)));
            }
            Some(next) => {
                self.silent.push(key);
                self.pending.push_back(next.user_data(tag_of(key)));
            }
            None if lane.is_abandoned() => self.remove_lane(key, out),
            None => {}
        }
    }

    /// Whether sends are queued that the kernel has not seen.
    #[inline]
    pub(crate) fn has_sends(&self) -> bool {
        !self.silent.is_empty()
    }

    /// Before the kernel is entered: how many sends it is about to see, or has seen, that were not settled.
    #[inline]
    pub(crate) fn enter_sends(&mut self) -> usize {
        if self.entering.is_empty() {
            std::mem::swap(&mut self.entering, &mut self.silent);
        } else {
            self.entering.append(&mut self.silent);
        }
        self.entering.len()
    }

    /// The kernel has seen them, and those that failed have answered: the rest have succeeded. False if there are more than a delivery
    /// holds.
    pub(crate) fn settle_sends(&mut self, out: &mut Delivery) -> bool {
        while !out.is_full() {
            let Some(key) = self.entering.pop() else {
                return true;
            };
            if let Some(Stage::Lane(lane)) = self.entries.get_mut(key).map(|entry| &mut entry.stage)
            {
                let next = lane.went(&mut self.parcels, out);
                self.lane_goes_on(key, next, out);
            }
        }
        self.entering.is_empty()
    }

    /// Somebody waits for the end of a send: no turn may sleep before it has settled those that it submits.
    pub(crate) fn await_sends(&mut self) {
        self.awaits_sends = true;
    }

    /// Whether somebody does, and for this turn.
    #[inline]
    pub(crate) fn take_awaits_sends(&mut self) -> bool {
        std::mem::take(&mut self.awaits_sends)
    }

    /// The writer of a lane is gone. What is queued is tried once more, and then cancelled.
    pub(crate) fn abandon_lane(&mut self, key: Key, out: &mut Delivery) {
        let lane = self.lane(key);
        lane.abandon(out);
        if !lane.is_flying() {
            self.remove_lane(key, out);
        } else if lane.is_parked() {
            self.pending.push_back(cancel_of(key));
        } else {
            self.awaits_sends = true;
        }
    }

    fn remove_lane(&mut self, key: Key, out: &mut Delivery) {
        if let Some(Entry {
            stage: Stage::Lane(lane),
            ..
        }) = self.entries.remove(key)
        {
            out.leave(Remains::Lane(lane));
        }
    }

    fn remove_many(&mut self, key: Key, out: &mut Delivery) {
        if let Some(Entry {
            stage: Stage::Many(many),
            ..
        }) = self.entries.remove(key)
        {
            out.leave(Remains::Stream(many));
        }
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        if self.is_leaked {
            mem::forget(mem::take(&mut self.entries));
            mem::forget(self.group.take());
            mem::forget(self.fixed.take());
        }
    }
}

impl Entry {
    /// What was detached is to happen.
    fn is_to_cancel(&self) -> bool {
        match &self.stage {
            Stage::Orphan(_, true) => false,
            Stage::Lane(lane) => lane.is_parked(),
            _ => self.is_in_flight(),
        }
    }

    fn is_in_flight(&self) -> bool {
        match &self.stage {
            Stage::Waiting(_) | Stage::Orphan(..) => true,
            Stage::Done => false,
            Stage::Many(many) => many.is_armed(),
            Stage::Lane(lane) => lane.is_flying(),
        }
    }
}

fn tag_of(key: Key) -> u64 {
    tag::with(tag::OPERATION, key.into_raw())
}

/// The entry that cancels the operation under `key`; its own answer is nobody's.
fn cancel_of(key: Key) -> Sqe {
    Sqe::cancel(tag_of(key)).user_data(tag::with(tag::NOBODY, 0))
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("in_flight", &self.in_flight)
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
