//! Who stands in which line, and who has what is waited for, as others see it: one [`Record`] for each wait of a task that could
//! not have at once what it wants, and for guards whose lock does not remember them.
//!
//! The line's own lock orders whoever writes a wait's record, and a guard's is its own; anyone reads. A record's memory is never given
//! back, so a reader needs no lock of any line, and finds out by the record's version whether what it read is of one moment. Threads
//! keep records that nobody uses, so standing in a line costs some plain stores and no allocation; a wait that is served at once, and
//! one under another executor, has no record, and a guard has none that its lock remembers itself ([`remembered`]).

use std::cell::RefCell;
use std::panic::Location;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence};
use crate::waiting::{self, Place, Site};

/// So many records are made at once.
const CHUNK: usize = 32;
/// So many a thread keeps that nobody uses; half of them go to the others when there are more.
const KEPT: usize = 64;

// What a record's state may be.
const FREE: usize = 0;
const IN_LINE: usize = 1;
const SERVED: usize = 2;
const HELD: usize = 3;

/// A call that may have to wait.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What is called.
    pub site: &'static Site,
    /// The line of code that calls it.
    pub at: &'static Location<'static>,
}

/// Permits that are waited for, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The address of what they are of.
    pub object: usize,
    /// How many they are.
    pub count: usize,
    /// Of how many there are in all; 0 if that is not known, and nobody can say who would have to give some back.
    pub of: usize,
}

/// Who has permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of its task.
    pub task: u64,
    /// Where it asked.
    pub at: &'static Location<'static>,
    /// How many they are.
    pub count: usize,
}

/// A figure of a record, whose version decides what it is worth.
#[derive(Debug)]
struct Figure<T>(T);

impl Figure<AtomicUsize> {
    #[inline]
    fn set(&self, value: usize) {
        // ORDERING: Relaxed: the version's stores and fences order it; see `Record::write` and `read`.
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn get(&self) -> usize {
        // ORDERING: as in `set`.
        self.0.load(Relaxed)
    }
}

impl Figure<AtomicU64> {
    #[inline]
    fn set(&self, value: u64) {
        // ORDERING: as above.
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        // ORDERING: as above.
        self.0.load(Relaxed)
    }
}

impl<T> Figure<AtomicPtr<T>> {
    #[inline]
    fn set(&self, value: Option<&'static T>) {
        let value = value.map_or(null_mut(), |value| std::ptr::from_ref(value).cast_mut());
        // ORDERING: as above.
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn get(&self) -> Option<&'static T> {
        // ORDERING: as above.
        let value = self.0.load(Relaxed).cast_const();
        // SAFETY: null, or a `&'static T`: nothing else is stored.
        unsafe { value.as_ref() }
    }
}

/// One wait, in a line or just served; or one guard.
#[derive(Debug)]
pub struct Record {
    /// Odd while it is written.
    version: AtomicUsize,
    state: Figure<AtomicUsize>,
    object: Figure<AtomicUsize>,
    /// How many permits it wants or has, and of how many; see [`Share`].
    count: Figure<AtomicUsize>,
    of: Figure<AtomicUsize>,
    /// Whether the line has the task's own waker: 1, else 0.
    wakes_task: Figure<AtomicUsize>,
    site: Figure<AtomicPtr<Site>>,
    at: Figure<AtomicPtr<Location<'static>>>,
    /// The task that polled the wait last, and the number of that poll.
    task: Figure<AtomicU64>,
    turns: Figure<AtomicUsize>,
    /// Whether it is the first in its line: 1, else 0.
    is_first: Figure<AtomicUsize>,
    /// Who has what it waits for, as the lock itself remembers it, if it is the first in line; no place: nobody.
    holder: Figure<AtomicU64>,
    holder_count: Figure<AtomicUsize>,
    holder_at: Figure<AtomicPtr<Location<'static>>>,
    /// For those who look, one at a time: what was thought of it, of which version, when, and how often its task had been polled.
    suspicion: Figure<AtomicUsize>,
    suspected_version: Figure<AtomicUsize>,
    suspected_at: Figure<AtomicU64>,
    suspected_turns: Figure<AtomicUsize>,
}

/// What a record said at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    record: &'static Record,
    version: usize,
    /// What it waits for, or has.
    pub share: Share,
    /// How far it is.
    pub step: Step,
    /// The call.
    pub call: Call,
    /// The id of the task that polled it last.
    pub task: u64,
    /// Its turns at that poll: see [`Place::turns`].
    pub turns: usize,
    /// Whether the line has the waker of the task itself, and not one of a future between the two.
    pub wakes_task: bool,
    /// Whether it is the first in its line.
    pub is_first: bool,
    /// Who has what it waits for, as the lock itself remembers it, if it is the first in line. Others may have some of it too.
    pub holder: Option<Holder>,
}

/// How far a wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It stands in line.
    InLine,
    /// It was given what it wants, and has not been polled since.
    Served,
    /// It is over, and its guard has what it wanted.
    Held,
}

/// What is thought of a wait: see [`Standing::suspect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspected {
    /// Since when, on the looker's clock.
    pub since: u64,
    /// The turns of its task by then.
    pub turns: usize,
}

fn all() -> MutexGuard<'static, Vec<&'static [Record]>> {
    static CHUNKS: Mutex<Vec<&'static [Record]>> = Mutex::new(Vec::new());
    CHUNKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unused() -> MutexGuard<'static, Vec<&'static Record>> {
    static UNUSED: Mutex<Vec<&'static Record>> = Mutex::new(Vec::new());
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that nobody uses and a thread keeps.
struct Pool(Vec<&'static Record>);

impl Pool {
    #[inline]
    fn take(&mut self) -> &'static Record {
        match self.0.pop() {
            Some(record) => record,
            None => self.refill(),
        }
    }

    #[inline]
    fn put(&mut self, record: &'static Record) {
        if self.0.len() >= KEPT {
            unused().extend(self.0.drain(KEPT / 2..));
        }
        self.0.push(record);
    }

    #[cold]
    fn refill(&mut self) -> &'static Record {
        self.0.reserve(KEPT);
        {
            let mut unused = unused();
            let left = unused.len().saturating_sub(CHUNK);
            self.0.extend(unused.drain(left..));
        }
        if let Some(record) = self.0.pop() {
            return record;
        }
        let chunk: Vec<Record> = (0..CHUNK).map(|_| Record::new()).collect();
        let chunk: &'static [Record] = chunk.leak();
        all().push(chunk);
        self.0.extend(&chunk[1..]);
        &chunk[0]
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        unused().append(&mut self.0);
    }
}

std::thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool(Vec::new())) };
}

/// The current task begins to wait for `share`, and `waker` is what the line gets; `first` is `None` if others stand in front, else
/// who has it as far as the lock remembers. `None` outside of a task.
///
/// The record is the caller's until it gives it [back](Record::leave); who serves the wait may write to it before the wait knows.
#[inline]
pub fn enter(
    call: Call,
    share: Share,
    waker: &Waker,
    first: Option<Option<Holder>>,
) -> Option<&'static Record> {
    begin(|record, task, place| {
        let wakes_task = waker.data().addr() == place;
        record.set_share(share);
        record.wakes_task.set(usize::from(wakes_task));
        record.set_call(call, task);
        record.is_first.set(usize::from(first.is_some()));
        record.set_holder(first.flatten());
        record.state.set(IN_LINE);
    })
}

/// The current task has got `share` by `call`, without a wait. `None` outside of a task. The record is the guard's until it gives it
/// [back](Record::leave).
pub fn hold(call: Call, share: Share) -> Option<&'static Record> {
    begin(|record, task, _| {
        record.set_share(share);
        record.set_call(call, task);
        record.state.set(HELD);
    })
}

/// In the place of a guard's record: the lock remembers itself who has it.
#[cfg(not(loom))]
pub fn remembered() -> Option<&'static Record> {
    static REMEMBERED: Record = Record::new();
    Some(&REMEMBERED)
}

/// In the place of a guard's record: models have no tasks, and nothing is remembered of them.
#[cfg(loom)]
pub fn remembered() -> Option<&'static Record> {
    None
}

/// A new record, written by `f`, which gets the current task and the address of its place.
#[inline]
fn begin(f: impl FnOnce(&Record, &Place, usize)) -> Option<&'static Record> {
    let place = waiting::current()?;
    // None at a thread's end.
    let record = POOL.try_with(|pool| pool.borrow_mut().take()).ok()?;
    // SAFETY: the guard of whoever entered the task lives, further up this thread's stack, and the place with it.
    let task = unsafe { place.as_ref() };
    record.write(|record| f(record, task, place.addr().get()));
    Some(record)
}

/// The body of `Record::new`, which loom's atomics do not let be `const`.
macro_rules! new_record {
    () => {
        Self {
            version: AtomicUsize::new(0),
            state: Figure(AtomicUsize::new(FREE)),
            object: Figure(AtomicUsize::new(0)),
            count: Figure(AtomicUsize::new(0)),
            of: Figure(AtomicUsize::new(0)),
            wakes_task: Figure(AtomicUsize::new(0)),
            site: Figure(AtomicPtr::new(null_mut())),
            at: Figure(AtomicPtr::new(null_mut())),
            task: Figure(AtomicU64::new(0)),
            turns: Figure(AtomicUsize::new(0)),
            is_first: Figure(AtomicUsize::new(0)),
            holder: Figure(AtomicU64::new(0)),
            holder_count: Figure(AtomicUsize::new(0)),
            holder_at: Figure(AtomicPtr::new(null_mut())),
            suspicion: Figure(AtomicUsize::new(0)),
            suspected_version: Figure(AtomicUsize::new(0)),
            suspected_at: Figure(AtomicU64::new(0)),
            suspected_turns: Figure(AtomicUsize::new(0)),
        }
    };
}

impl Record {
    #[cfg(not(loom))]
    const fn new() -> Self {
        new_record!()
    }

    #[cfg(loom)]
    fn new() -> Self {
        new_record!()
    }

    /// For the one who may write now: the line's lock, or the wait that is in no line, says who that is.
    #[inline]
    fn write(&self, f: impl FnOnce(&Self)) {
        // ORDERING: Relaxed: who wrote last is before us, by the line's lock.
        let version = self.version.load(Relaxed);
        // ORDERING: Relaxed: the fence below puts it before what follows.
        self.version.store(version.wrapping_add(1), Relaxed);
        // ORDERING: Release pairs with the Acquire fence in `read`: who sees anything of what follows sees the odd version.
        fence(Release);
        f(self);
        // ORDERING: Release pairs with the Acquire in `read`: who sees this version sees all that was written before it.
        self.version.store(version.wrapping_add(2), Release);
    }

    fn set_waker(&self, waker: &Waker) {
        let task = waiting::current().map_or(0, |place| place.addr().get());
        let wakes_task = waker.data().addr() == task;
        self.wakes_task.set(usize::from(wakes_task));
    }

    /// The wait was polled, by the task of this thread, and goes on.
    pub fn stay(&self) {
        if let Some(place) = waiting::current() {
            // SAFETY: as in `begin`.
            let place = unsafe { place.as_ref() };
            self.task.set(place.task());
            self.turns.set(place.turns());
        }
    }

    /// The line has another waker now. For who holds the line's lock.
    pub fn replace_waker(&self, waker: &Waker) {
        self.write(|record| record.set_waker(waker));
    }

    /// The wait has what it wanted and is told next. For who holds the line's lock.
    #[inline]
    pub fn serve(&self) {
        self.write(|record| record.state.set(SERVED));
    }

    #[inline]
    fn set_share(&self, share: Share) {
        self.object.set(share.object);
        self.count.set(share.count);
        self.of.set(share.of);
    }

    #[inline]
    fn set_call(&self, call: Call, task: &Place) {
        self.site.set(Some(call.site));
        self.at.set(Some(call.at));
        self.task.set(task.task());
        self.turns.set(task.turns());
    }

    #[inline]
    fn set_holder(&self, holder: Option<Holder>) {
        self.holder_at.set(holder.map(|holder| holder.at));
        if let Some(holder) = holder {
            self.holder.set(holder.task);
            self.holder_count.set(holder.count);
        }
    }

    /// The wait is the first in its line, of `of` permits are known to be in all, and `holder` is who has some as the lock itself
    /// remembers it. For who holds the line's lock.
    #[inline]
    pub fn lead(&self, of: usize, holder: Option<Holder>) {
        // Nothing new to say.
        let is_first = self.is_first.get() != 0;
        if is_first && of == self.of.get() && holder.is_none() && self.holder_at.get().is_none() {
            return;
        }
        self.write(|record| {
            record.is_first.set(1);
            record.of.set(of);
            record.set_holder(holder);
        });
    }

    /// The guard has `count` permits now. For the guard.
    pub fn recount(&self, count: usize) {
        self.write(|record| record.count.set(count));
    }

    /// The call by which the guard got its permits. For the guard.
    pub fn call(&self) -> Option<Call> {
        Some(Call {
            site: self.site.get()?,
            at: self.at.get()?,
        })
    }

    /// The wait is over, and in no line; or the guard goes.
    #[inline]
    pub fn leave(&'static self) {
        self.write(|record| record.state.set(FREE));
        // At a thread's end the others get it.
        if POOL.try_with(|pool| pool.borrow_mut().put(self)).is_err() {
            unused().push(self);
        }
    }

    fn read(&'static self) -> Option<Standing> {
        // ORDERING: Acquire pairs with the Release at the end of `write`.
        let version = self.version.load(Acquire);
        let state = self.state.get();
        let step = match state {
            IN_LINE => Step::InLine,
            SERVED => Step::Served,
            HELD => Step::Held,
            _ => return None,
        };
        if version & 1 != 0 {
            return None;
        }
        let (site, at) = (self.site.get(), self.at.get());
        let holder = self.holder_at.get().map(|at| Holder {
            task: self.holder.get(),
            at,
            count: self.holder_count.get(),
        });
        let standing = Standing {
            record: self,
            version,
            share: Share {
                object: self.object.get(),
                count: self.count.get(),
                of: self.of.get(),
            },
            step,
            call: Call {
                site: site?,
                at: at?,
            },
            task: self.task.get(),
            turns: self.turns.get(),
            wakes_task: self.wakes_task.get() != 0,
            is_first: state == IN_LINE && self.is_first.get() != 0,
            holder: holder.filter(|_| state == IN_LINE),
        };
        // ORDERING: pairs with the Release fence in `write`: had we read anything of a later one, we would see its version below.
        fence(Acquire);
        // ORDERING: Relaxed: after the fence.
        (self.version.load(Relaxed) == version).then_some(standing)
    }
}

/// Looks at all waits and guards, of every runtime of the process. Only one at a time looks: what is [suspected](Standing::suspect) meanwhile is
/// not overwritten.
pub fn look<R>(f: impl FnOnce(&[Standing]) -> R) -> R {
    let chunks = all();
    let records = chunks.iter().flat_map(|chunk| chunk.iter());
    let standing: Vec<Standing> = records.filter_map(Record::read).collect();
    f(&standing)
}

impl Standing {
    /// Remembers that something is suspected of this wait, of the kind `what`, by who looks at `now` and finds that its task had
    /// so many turns. Answers what was remembered before, if nothing has happened to the wait since.
    ///
    /// For who is in [`look`].
    pub fn suspect(&self, what: usize, now: u64, turns: usize) -> Option<Suspected> {
        let record = self.record;
        if record.suspicion.get() == what && record.suspected_version.get() == self.version {
            return Some(Suspected {
                since: record.suspected_at.get(),
                turns: record.suspected_turns.get(),
            });
        }
        record.suspicion.set(what);
        record.suspected_version.set(self.version);
        record.suspected_at.set(now);
        record.suspected_turns.set(turns);
        None
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/register.rs"]
mod tests;

#[cfg(all(test, loom))]
#[path = "tests/loom_register.rs"]
mod models;
