//! Which operation meets which fault: by a script, or by a seed.
//!
//! What happens to the n-th operation of an opcode on the n-th ring depends on the seed and on nothing else, so a seed
//! repeats its faults whatever order the kernel answers in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::completion::{Opcode, Sqe, sqe_flags};
use crate::dice::Dice;
use crate::errno::{EAGAIN, ECANCELED, EINTR, EMFILE, ENOBUFS, ENOMEM, EPERM};

/// What is done to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not begun, and answers with this error number.
    Refuse(i32),
    /// It is begun with half of its bytes.
    Short,
    /// Its answer is kept back while so many others may overtake it: for so many looks at the queue.
    Late(u32),
    /// One that would answer many times ends after its first answer.
    Once,
}

/// What becomes of a call into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Real,
    Interrupted,
    Busy,
    /// Fewer entries are taken than were offered.
    Partial,
}

/// Which faults happen. Clones are one plan.
#[derive(Clone)]
pub struct Plan(Arc<Mutex<State>>);

struct State {
    seed: u64,
    per_mille: u64,
    refusals: Vec<i32>,
    script: Vec<(Opcode, Fault)>,
    /// What registering buffers and enabling answer.
    refuse_registrations: Option<i32>,
    refuse_enabling: Option<i32>,
    rings: u64,
    injected: HashMap<(&'static str, String), u64>,
}

impl Plan {
    /// No fault but those that are [`scripted`](Self::then).
    pub fn none() -> Self {
        Self::random(0, 0)
    }

    /// So many operations and calls of a thousand meet a fault, which ones and which faults by `seed`.
    pub fn random(seed: u64, per_mille: u32) -> Self {
        Self(Arc::new(Mutex::new(State {
            seed,
            per_mille: u64::from(per_mille),
            refusals: vec![EAGAIN, EINTR, ECANCELED, EPERM, ENOMEM, ENOBUFS, EMFILE],
            script: Vec::new(),
            refuse_registrations: None,
            refuse_enabling: None,
            rings: 0,
            injected: HashMap::new(),
        })))
    }

    /// The same, refusing with these error numbers instead of all that the driver may meet.
    #[must_use]
    pub fn refusing(self, numbers: &[i32]) -> Self {
        self.state().refusals = numbers.to_vec();
        self
    }

    /// The next operation of `opcode` that no earlier word is about meets `fault`.
    #[must_use]
    pub fn then(self, opcode: Opcode, fault: Fault) -> Self {
        self.add(opcode, fault);
        self
    }

    /// As [`then`](Self::then), for a plan in use.
    pub fn add(&self, opcode: Opcode, fault: Fault) {
        self.state().script.push((opcode, fault));
    }

    /// Registering buffers answers so from now on.
    pub fn refuse_registrations(&self, number: Option<i32>) {
        self.state().refuse_registrations = number;
    }

    /// Enabling a ring answers so from now on.
    pub fn refuse_enabling(&self, number: Option<i32>) {
        self.state().refuse_enabling = number;
    }

    /// How many faults were injected, by opcode (or call) and fault.
    pub fn injected(&self) -> Vec<(&'static str, String, u64)> {
        let mut all: Vec<_> = self
            .state()
            .injected
            .iter()
            .map(|((on, fault), count)| (*on, fault.clone(), *count))
            .collect();
        all.sort();
        all
    }

    /// How many in all.
    pub fn injected_count(&self) -> u64 {
        self.state().injected.values().sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn registration_refused(&self) -> Option<i32> {
        self.state().refuse_registrations
    }

    pub(super) fn enabling_refused(&self) -> Option<i32> {
        self.state().refuse_enabling
    }

    /// The number of a ring that was opened.
    pub(super) fn next_ring(&self) -> u64 {
        let mut state = self.state();
        state.rings += 1;
        state.rings
    }

    /// What happens to `sqe`, the `nth` of its opcode on this ring. In a chain only the first can be refused, and none cut.
    pub(super) fn fault(&self, ring: u64, nth: u64, sqe: &Sqe, place: Place) -> Option<Fault> {
        let opcode = sqe.opcode();
        let mut state = self.state();
        let scripted = state.script.iter().position(|(of, _)| *of == opcode);
        let fault = match scripted {
            Some(at) => Some(state.script.remove(at).1),
            None => {
                let dice = Dice::new(state.seed, &[ring, u64::from(opcode.0), nth]);
                state.roll(dice, sqe)
            }
        };
        let fault = fault.filter(|fault| match fault {
            // A cancel is looked up and nothing else: the kernel never refuses one.
            Fault::Refuse(_) => opcode != Opcode::ASYNC_CANCEL && place != Place::Behind,
            Fault::Short => place == Place::Alone && sqe.halved().is_some(),
            Fault::Late(_) => true,
            Fault::Once => place == Place::Alone && sqe.once().is_some(),
        });
        if let Some(fault) = fault {
            state.note(opcode.name(), format!("{fault:?}"));
        }
        fault
    }

    /// What becomes of the `nth` call into the kernel.
    pub(super) fn entry(&self, ring: u64, nth: u64, to_submit: u32) -> Entry {
        let mut state = self.state();
        let mut dice = Dice::new(state.seed, &[ring, 0x00e1, nth]);
        if !dice.hits(state.per_mille) {
            return Entry::Real;
        }
        let entry = match dice.below(3) {
            0 => Entry::Interrupted,
            1 => Entry::Busy,
            _ if to_submit > 1 => Entry::Partial,
            _ => return Entry::Real,
        };
        state.note("enter", format!("{entry:?}"));
        entry
    }

    /// How much of a queue of `capacity` there is until the `nth` call into the kernel: at least one place.
    pub(super) fn capacity(&self, ring: u64, nth: u64, capacity: usize) -> usize {
        let mut state = self.state();
        let mut dice = Dice::new(state.seed, &[ring, 0x5911, nth]);
        if !dice.hits(state.per_mille) {
            return capacity;
        }
        state.note("queue", "Full".to_owned());
        1 + dice.below(4) as usize
    }
}

impl State {
    fn roll(&mut self, mut dice: Dice, sqe: &Sqe) -> Option<Fault> {
        if !dice.hits(self.per_mille) {
            return None;
        }
        let refusals = self.refusals.len() as u64;
        Some(match dice.below(4) {
            0 if refusals != 0 && !is_readiness(sqe) => {
                Fault::Refuse(self.refusals[dice.below(refusals) as usize])
            }
            // A poll can be refused for want of memory, or for what says that nothing was done; else it is not pollable.
            0 => Fault::Refuse([EINTR, ECANCELED, EAGAIN, ENOMEM][dice.below(4) as usize]),
            1 if sqe.halved().is_some() => Fault::Short,
            1 | 2 if sqe.once().is_some() => Fault::Once,
            _ => Fault::Late(1 + dice.below(6) as u32),
        })
    }

    fn note(&mut self, on: &'static str, fault: String) {
        *self.injected.entry((on, fault)).or_default() += 1;
    }
}

fn is_readiness(sqe: &Sqe) -> bool {
    sqe.opcode() == Opcode::POLL_ADD
}

/// Where an entry stands in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    First,
    Behind,
}

impl Place {
    pub(super) fn of(sqe: &Sqe, is_behind: bool) -> Self {
        if is_behind {
            Self::Behind
        } else if sqe.has_flags(sqe_flags::LINK) {
            Self::First
        } else {
            Self::Alone
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("seed", &self.state().seed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(plan: &Plan) -> Vec<Option<Fault>> {
        let sqe = Sqe::recv(3, std::ptr::null_mut(), 64, 0);
        (0..500)
            .map(|nth| plan.fault(1, nth, &sqe, Place::Alone))
            .collect()
    }

    #[test]
    fn a_seed_repeats_its_faults_and_another_has_others() {
        let first = faults(&Plan::random(7, 200));
        assert_eq!(first, faults(&Plan::random(7, 200)));
        assert_ne!(first, faults(&Plan::random(8, 200)));
        let hit = first.iter().flatten().count();
        assert!((50..150).contains(&hit), "{hit} of 500 at 20 %");
        assert!(faults(&Plan::none()).iter().all(Option::is_none));
    }

    #[test]
    fn the_script_comes_first_and_each_word_is_used_once() {
        let plan = Plan::none()
            .then(Opcode::RECV, Fault::Short)
            .then(Opcode::READ, Fault::Refuse(EINTR))
            .then(Opcode::RECV, Fault::Late(2));
        let met: Vec<Fault> = faults(&plan).into_iter().flatten().collect();
        assert_eq!(met, [Fault::Short, Fault::Late(2)]);
        assert_eq!(plan.injected_count(), 2);
    }

    /// A chain runs or is refused as a whole, and a cancel is never refused.
    #[test]
    fn what_the_kernel_never_does_is_not_done() {
        let sqe = Sqe::recv(3, std::ptr::null_mut(), 64, 0).flags(sqe_flags::LINK);
        for fault in [Fault::Short, Fault::Once] {
            let plan = Plan::none().then(Opcode::RECV, fault);
            assert_eq!(plan.fault(1, 0, &sqe, Place::First), None);
        }
        let plan = Plan::none().then(Opcode::RECV, Fault::Refuse(EINTR));
        assert_eq!(plan.fault(1, 0, &sqe, Place::Behind), None);
        let plan = Plan::none().then(Opcode::ASYNC_CANCEL, Fault::Refuse(EINTR));
        assert_eq!(plan.fault(1, 0, &Sqe::cancel(1), Place::Alone), None);
    }
}
