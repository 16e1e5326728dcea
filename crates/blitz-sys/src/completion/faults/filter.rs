//! A real ring whose entries and answers a plan tampers with.
//!
//! Both halves share what was tampered with under one lock, which is taken under the driver's and takes no other. A refused
//! entry never reaches the kernel; its answer is ours. What the kernel was given it answers itself, once, in the order that it
//! chose for that entry: answers are kept back, and never lost, doubled or reordered within one operation.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::plan::{Entry, Fault, Place, Plan};
use crate::completion::{Cqe, Entered, Features, Opcode, Refusal, Setup, Sqe, sqe_flags, uring};
use crate::errno::{self, ECANCELED, EINTR};

/// Opens a ring that `plan` tampers with.
pub(in crate::completion) fn open(
    setup: &Setup,
    plan: &Plan,
) -> Result<(Submissions, Completions, Features), Refusal> {
    let (submissions, completions, features) = uring::open(setup)?;
    let ring = plan.next_ring();
    let capacity = submissions.capacity();
    let state = State {
        plan: plan.clone(),
        ring,
        counts: HashMap::new(),
        calls: 0,
        capacity,
        is_behind: false,
        is_chain_refused: false,
        ours: VecDeque::new(),
        late: HashMap::new(),
        rewritten: HashMap::new(),
        kept: VecDeque::new(),
    };
    let shared = Shared(Arc::new(Mutex::new(state)));
    let submissions = Submissions {
        real: submissions,
        shared: shared.clone(),
    };
    let completions = Completions {
        real: completions,
        shared,
    };
    Ok((submissions, completions, features))
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    plan: Plan,
    ring: u64,
    /// How many entries of each opcode there were.
    counts: HashMap<u8, u64>,
    calls: u64,
    /// So many places the queue has until the next call.
    capacity: usize,
    /// The next entry belongs to the chain of the last.
    is_behind: bool,
    is_chain_refused: bool,
    /// Answers to entries that the kernel never saw.
    ours: VecDeque<Cqe>,
    /// How long the next answer of an operation is kept.
    late: HashMap<u64, u32>,
    /// Results that are replaced when they come.
    rewritten: HashMap<u64, i32>,
    kept: VecDeque<(u32, Cqe)>,
}

pub(in crate::completion) struct Submissions {
    real: uring::Submissions,
    shared: Shared,
}

pub(in crate::completion) struct Completions {
    real: uring::Completions,
    shared: Shared,
}

impl Submissions {
    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn push(&mut self, sqe: &Sqe) -> bool {
        if self.room() == 0 {
            return false;
        }
        let mut shared = self.shared.lock();
        let state = &mut *shared;
        let place = Place::of(
            sqe,
            std::mem::replace(&mut state.is_behind, sqe.is_linked()),
        );
        let ours = |result: i32| Cqe {
            user_data: sqe.get_user_data(),
            result,
            flags: 0,
        };
        if place == Place::Behind && state.is_chain_refused {
            state.is_chain_refused = sqe.is_linked();
            state.ours.push_back(ours(-ECANCELED));
            return true;
        }
        let count = state.counts.entry(sqe.opcode().0).or_default();
        *count += 1;
        let (ring, nth) = (state.ring, *count);
        let mut sqe = *sqe;
        match state.plan.fault(ring, nth, &sqe, place) {
            None => {}
            // A close that fails has closed all the same, and a connect that is interrupted goes on.
            Some(Fault::Refuse(number)) if is_begun(sqe.opcode(), number) => {
                state.rewritten.insert(sqe.get_user_data(), -number);
            }
            Some(Fault::Refuse(number)) => {
                state.is_chain_refused = sqe.is_linked();
                state.ours.push_back(ours(-number));
                return true;
            }
            // What answers nothing where it succeeds answers at once where it fails: the kernel does not put that off.
            Some(Fault::Late(_)) if sqe.has_flags(sqe_flags::CQE_SKIP_SUCCESS) => {}
            Some(Fault::Late(looks)) => {
                state.late.insert(sqe.get_user_data(), looks);
            }
            Some(Fault::Short) => sqe = sqe.halved().unwrap_or(sqe),
            Some(Fault::Once) => sqe = sqe.once().unwrap_or(sqe),
        }
        drop(shared);
        // SAFETY: the caller's promise; what was changed names the same memory, or less of it.
        unsafe { self.real.push(&sqe) }
    }

    pub(in crate::completion) fn len(&mut self) -> usize {
        self.real.len()
    }

    pub(in crate::completion) fn room(&mut self) -> usize {
        let capacity = self.shared.lock().capacity;
        self.real
            .room()
            .min(capacity.saturating_sub(self.real.len()))
    }

    pub(in crate::completion) fn capacity(&self) -> usize {
        self.real.capacity()
    }

    pub(in crate::completion) fn wants_entering(&mut self) -> bool {
        self.real.wants_entering()
    }

    pub(in crate::completion) fn has_overflowed(&mut self) -> bool {
        self.real.has_overflowed()
    }

    pub(in crate::completion) fn answers(&self) -> usize {
        self.real.answers()
    }

    pub(in crate::completion) fn submit(&mut self) -> Entered {
        let waiting = self.real.len() as u32;
        let (entry, _) = self.shared.lock().call(waiting, self.real.capacity());
        match entry {
            Entry::Real => self.real.submit(),
            Entry::Interrupted => Entered::Interrupted,
            Entry::Busy | Entry::Partial => Entered::Busy,
        }
    }

    pub(in crate::completion) fn enable(&self) -> io::Result<()> {
        refused(self.shared.lock().plan.enabling_refused())?;
        uring::enable(&self.real)
    }

    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn register_buf_ring(
        &mut self,
        address: *mut u8,
        entries: u16,
        group: u16,
    ) -> io::Result<()> {
        refused(self.shared.lock().plan.registration_refused())?;
        // SAFETY: the caller's promise.
        unsafe { self.real.register_buf_ring(address, entries, group) }
    }

    pub(in crate::completion) fn unregister_buf_ring(&mut self, group: u16) -> io::Result<()> {
        self.real.unregister_buf_ring(group)
    }

    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn register_buffer(
        &mut self,
        start: *mut u8,
        len: usize,
    ) -> io::Result<()> {
        refused(self.shared.lock().plan.registration_refused())?;
        // SAFETY: the caller's promise.
        unsafe { self.real.register_buffer(start, len) }
    }

    pub(in crate::completion) fn unregister_buffers(&mut self) -> io::Result<()> {
        self.real.unregister_buffers()
    }
}

/// Whether an operation that answers so was begun.
fn is_begun(opcode: Opcode, number: i32) -> bool {
    match opcode {
        Opcode::CLOSE => number != ECANCELED,
        Opcode::CONNECT => number == EINTR,
        _ => false,
    }
}

fn refused(number: Option<i32>) -> io::Result<()> {
    number.map_or(Ok(()), |number| Err(errno::error(number)))
}

impl State {
    /// What becomes of a call that offers `waiting` entries; a new measure of the queue comes with each.
    fn call(&mut self, waiting: u32, capacity: usize) -> (Entry, bool) {
        self.calls += 1;
        self.capacity = self.plan.capacity(self.ring, self.calls, capacity);
        let entry = self.plan.entry(self.ring, self.calls, waiting);
        (entry, self.ours.is_empty() && self.kept.is_empty())
    }
}

impl Completions {
    fn call(&self, to_submit: u32) -> (Entry, bool) {
        self.shared.lock().call(to_submit, self.real.entries())
    }

    pub(in crate::completion) fn enter(
        &mut self,
        to_submit: u32,
        limit: Option<Duration>,
    ) -> Entered {
        let (entry, may_wait) = self.call(to_submit);
        // Answers of ours are there: the kernel's are not waited for.
        let limit = if may_wait {
            limit
        } else {
            Some(Duration::ZERO)
        };
        match entry {
            Entry::Real => self.real.enter(to_submit, limit),
            Entry::Partial => self.real.enter(to_submit / 2, Some(Duration::ZERO)),
            Entry::Interrupted => Entered::Interrupted,
            Entry::Busy => Entered::Busy,
        }
    }

    pub(in crate::completion) fn make_room(&mut self, to_submit: u32) -> Entered {
        match self.call(to_submit).0 {
            Entry::Real => self.real.make_room(to_submit),
            Entry::Partial => self.real.make_room(to_submit / 2),
            Entry::Interrupted => Entered::Interrupted,
            Entry::Busy => Entered::Busy,
        }
    }

    pub(in crate::completion) fn is_empty(&mut self) -> bool {
        let state = self.shared.lock();
        let nothing_of_ours = state.ours.is_empty() && state.kept.is_empty();
        drop(state);
        nothing_of_ours && self.real.is_empty()
    }

    pub(in crate::completion) fn reap(&mut self, batch: &mut Vec<Cqe>, max: usize) {
        let mut real = Vec::new();
        self.real.reap(&mut real, max);
        let mut state = self.shared.lock();
        let state = &mut *state;
        for mut cqe in real {
            if let Some(result) = state.rewritten.remove(&cqe.user_data)
                && cqe.result >= 0
            {
                cqe.result = result;
            }
            let looks = state.late.remove(&cqe.user_data).unwrap_or(0);
            state.kept.push_back((looks, cqe));
        }
        batch.extend(state.ours.drain(..));
        // Those of one operation keep their order: one that is kept keeps those behind it.
        let mut waits = HashSet::new();
        for _ in 0..state.kept.len() {
            let Some((looks, cqe)) = state.kept.pop_front() else {
                break;
            };
            if looks == 0 && !waits.contains(&cqe.user_data) {
                batch.push(cqe);
            } else {
                waits.insert(cqe.user_data);
                state.kept.push_back((looks.saturating_sub(1), cqe));
            }
        }
    }
}
