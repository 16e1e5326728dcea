//! Faults at the calls of the readiness path, in tests: at the selector, and at the calls on sockets.
//!
//! A [`Plan`] stands before these calls of the whole process while it is [in use](Plan::install), so a test that uses one runs
//! in a process of its own. Without debug assertions nothing stands before them, and nothing is asked.
//!
//! What happens to the n-th call of a kind depends on the seed and on nothing else, so a seed repeats its faults.
//!
//! An event is an edge: who is told that nothing is there, or is given less than there is, waits for the next. The kernel brings
//! one where it says such a thing itself; after an `EAGAIN` or a short transfer of ours it is asked to. Where it cannot be asked,
//! because a ring polls the descriptor, these two do not happen.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;
use crate::errno::{self, EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};

/// A call of the readiness path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// The wait for events.
    Wait,
    /// Registering a descriptor.
    Watch,
    /// `socket(2)`
    Socket,
    /// `connect(2)`
    Connect,
    /// `accept(2)`
    Accept,
    /// `recv(2)` and its kin.
    Receive,
    /// `send(2)` and its kin.
    Send,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not made, and answers with this error number. A connect that is interrupted was made: the kernel goes on with it.
    Refuse(i32),
    /// A transfer of half of the bytes.
    Short,
    /// A wait ends at once, with an event that did not happen.
    Spurious,
}

/// Which faults happen. Clones are one plan.
#[derive(Clone)]
pub struct Plan(Arc<Mutex<State>>);

struct State {
    seed: u64,
    per_mille: u64,
    spared: Vec<Call>,
    script: Vec<(Call, Fault)>,
    counts: BTreeMap<Call, u64>,
    injected: HashMap<(Call, String), u64>,
    watched: BTreeMap<i32, Watched>,
}

/// A descriptor that a selector watches.
struct Watched {
    token: usize,
    /// Has it reported anew if it is ready.
    report: Box<dyn Fn() + Send>,
}

/// The plan in use.
static IN_USE: Mutex<Option<Plan>> = Mutex::new(None);
static IS_IN_USE: AtomicBool = AtomicBool::new(false);

/// True while there is a plan in use.
#[inline]
pub(crate) fn is_on() -> bool {
    // ORDERING: Relaxed: the plan itself is behind its lock, and is put to use before the calls that are to meet it.
    cfg!(debug_assertions) && IS_IN_USE.load(Relaxed)
}

fn in_use() -> Option<Plan> {
    IN_USE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// To be asked before a `call` on `fd` that moves `len` bytes: how many it may move.
///
/// # Errors
/// What the call is to answer instead of being made.
#[inline]
pub(crate) fn before(call: Call, fd: i32, len: usize) -> io::Result<usize> {
    if !is_on() {
        return Ok(len);
    }
    in_use().map_or(Ok(len), |plan| plan.meet(call, fd, len))
}

/// To be asked before a wait: the token of an event that did not happen, if that is what it is to end with.
///
/// # Errors
/// What the wait is to answer.
#[inline]
pub(super) fn before_wait() -> io::Result<Option<usize>> {
    if !is_on() {
        return Ok(None);
    }
    in_use().map_or(Ok(None), |plan| plan.meet_wait())
}

/// A selector watches `fd` from now on; `report` has it report anew.
pub(super) fn watched(fd: i32, token: usize, report: impl Fn() + Send + 'static) {
    if !is_on() {
        return;
    }
    if let Some(plan) = in_use() {
        let report = Box::new(report);
        plan.state().watched.insert(fd, Watched { token, report });
    }
}

/// No selector watches `fd` any more.
pub(super) fn unwatched(fd: i32) {
    if !is_on() {
        return;
    }
    if let Some(plan) = in_use() {
        plan.state().watched.remove(&fd);
    }
}

/// Keeps a plan in use until it is dropped.
#[derive(Debug)]
#[must_use = "the plan is in use until this is dropped"]
pub struct InUse(());

impl Drop for InUse {
    fn drop(&mut self) {
        // ORDERING: Relaxed: see `is_on`.
        IS_IN_USE.store(false, Relaxed);
        *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Plan {
    /// No fault but those that are [added](Self::add).
    pub fn none() -> Self {
        Self::random(0, 0)
    }

    /// So many calls of a thousand meet a fault, which ones and which faults by `seed`.
    pub fn random(seed: u64, per_mille: u32) -> Self {
        Self(Arc::new(Mutex::new(State {
            seed,
            per_mille: u64::from(per_mille),
            spared: Vec::new(),
            script: Vec::new(),
            counts: BTreeMap::new(),
            injected: HashMap::new(),
            watched: BTreeMap::new(),
        })))
    }

    /// The same, but chance leaves these calls alone.
    #[must_use]
    pub fn sparing(self, calls: &[Call]) -> Self {
        self.state().spared = calls.to_vec();
        self
    }

    /// The next `call` that no earlier word is about meets `fault`.
    pub fn add(&self, call: Call, fault: Fault) {
        self.state().script.push((call, fault));
    }

    /// Puts the plan before the calls of this process: before those on descriptors that are watched from now on.
    ///
    /// # Panics
    /// If another is in use.
    pub fn install(&self) -> InUse {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(in_use.is_none(), "two plans of faults in one process");
        *in_use = Some(self.clone());
        // ORDERING: Relaxed: see `is_on`.
        IS_IN_USE.store(true, Relaxed);
        InUse(())
    }

    /// How many faults were injected, by call and fault.
    pub fn injected(&self) -> Vec<(Call, String, u64)> {
        let state = self.state();
        let all = state.injected.iter();
        let mut all: Vec<_> = all
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

    fn meet(&self, call: Call, fd: i32, len: usize) -> io::Result<usize> {
        let mut state = self.state();
        let Some((fault, _)) = state.draw(call) else {
            return Ok(len);
        };
        let done = match fault {
            Fault::Spurious => return Ok(len),
            Fault::Short if len < 2 => return Ok(len),
            Fault::Short | Fault::Refuse(EAGAIN) => {
                let Some(watched) = state.watched.get(&fd) else {
                    return Ok(len);
                };
                (watched.report)();
                match fault {
                    Fault::Short => Ok(len / 2),
                    _ => Err(errno::error(EAGAIN)),
                }
            }
            Fault::Refuse(number) => Err(errno::error(number)),
        };
        state.note(call, fault);
        done
    }

    fn meet_wait(&self) -> io::Result<Option<usize>> {
        let mut state = self.state();
        let Some((fault, mut dice)) = state.draw(Call::Wait) else {
            return Ok(None);
        };
        let done = match fault {
            Fault::Refuse(number) => Err(errno::error(number)),
            Fault::Short => return Ok(None),
            Fault::Spurious => {
                let count = state.watched.len() as u64;
                if count == 0 {
                    return Ok(None);
                }
                let chosen = state.watched.values().nth(dice.below(count) as usize);
                Ok(chosen.map(|watched| watched.token))
            }
        };
        state.note(Call::Wait, fault);
        done
    }
}

impl State {
    /// What the next `call` meets, and numbers for more questions.
    fn draw(&mut self, call: Call) -> Option<(Fault, Dice)> {
        let nth = self.counts.entry(call).or_default();
        *nth += 1;
        let mut dice = Dice::new(self.seed, &[call as u64, *nth]);
        if let Some(at) = self.script.iter().position(|(of, _)| *of == call) {
            return Some((self.script.remove(at).1, dice));
        }
        if self.spared.contains(&call) || !dice.hits(self.per_mille) {
            return None;
        }
        let faults = possible(call);
        let fault = faults[dice.below(faults.len() as u64) as usize];
        Some((fault, dice))
    }

    fn note(&mut self, on: Call, fault: Fault) {
        *self.injected.entry((on, format!("{fault:?}"))).or_default() += 1;
    }
}

/// What may become of such a call.
pub fn possible(call: Call) -> &'static [Fault] {
    use Fault::{Refuse, Short, Spurious};
    match call {
        Call::Wait => &[Refuse(EINTR), Spurious],
        Call::Watch => &[Refuse(ENOMEM), Refuse(ENOSPC)],
        Call::Socket => &[
            Refuse(EMFILE),
            Refuse(ENFILE),
            Refuse(ENOBUFS),
            Refuse(ENOMEM),
        ],
        Call::Connect => &[Refuse(EINTR), Refuse(ENOBUFS), Refuse(ENOMEM)],
        Call::Accept => &[
            Refuse(EINTR),
            Refuse(libc::ECONNABORTED),
            Refuse(EAGAIN),
            Refuse(EMFILE),
            Refuse(ENFILE),
            Refuse(ENOBUFS),
            Refuse(ENOMEM),
        ],
        Call::Receive | Call::Send => &[Refuse(EINTR), Refuse(EAGAIN), Short],
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

    #[test]
    fn a_seed_repeats_its_faults_and_another_has_others() {
        let faults = |seed| {
            let plan = Plan::random(seed, 200);
            plan.state().watched.insert(
                7,
                Watched {
                    token: 1,
                    report: Box::new(|| ()),
                },
            );
            let meet = |_| {
                plan.meet(Call::Send, 7, 8)
                    .map_err(|error| error.raw_os_error())
            };
            (0..500).map(meet).collect::<Vec<_>>()
        };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        let hit = faults(7).iter().filter(|met| **met != Ok(8)).count();
        assert!((50..150).contains(&hit), "{hit} of 500 at 20 %");
    }

    /// Who waits for an edge gets one.
    #[test]
    fn what_takes_an_edge_has_it_reported_anew() {
        let plan = Plan::none();
        for fault in [Fault::Refuse(EAGAIN), Fault::Short] {
            plan.add(Call::Receive, fault);
            assert_eq!(plan.meet(Call::Receive, 7, 8).unwrap(), 8, "not watched");
        }
        assert_eq!(plan.injected_count(), 0);
        let reports = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&reports);
        let report = Box::new(move || {
            count.fetch_add(1, Relaxed);
        });
        let watched = Watched { token: 1, report };
        plan.state().watched.insert(7, watched);
        plan.add(Call::Receive, Fault::Short);
        assert_eq!(plan.meet(Call::Receive, 7, 8).unwrap(), 4);
        plan.add(Call::Receive, Fault::Refuse(EAGAIN));
        assert!(plan.meet(Call::Receive, 7, 8).is_err());
        assert_eq!(reports.load(Relaxed), 2);
        plan.add(Call::Wait, Fault::Spurious);
        assert_eq!(plan.meet_wait().unwrap(), Some(1));
    }
}
