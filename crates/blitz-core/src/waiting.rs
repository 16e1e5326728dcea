//! What a task is and waits for, as others see it: figures and one note, written by plain stores, read at any time.
//!
//! A task's header begins with a [`Place`]. While the task is polled, its thread points to it ([`enter`]); a leaf future that
//! returns `Pending` leaves a note there ([`note`]): what it is, which resource it waits for, and the line of code that made
//! it. That costs a few stores and no look at anything but the place. The note goes with the next poll.
//!
//! In a traced poll ([`enter_traced`]) the runner polls with a waker of its own, which takes the stack's backtrace whenever it is
//! cloned or woken ([`leave_trace`]): that is what every leaf does before it returns `Pending`, be it ours or not. The runner
//! collects those afterwards ([`take_leaves`]): the frames between leaf and runner are the chain of futures that wait for each
//! other.
//!
//! Whoever reads a note reads it with the count of polls before and after: unchanged, the note is of one poll, and whole.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::{NonNull, null, null_mut};
// Plain std for what orders nothing: loom need not explore figures.
use std::sync::atomic::{AtomicPtr as Pointer, AtomicU64 as Figure, AtomicUsize as Count};

use crate::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence};

/// What the number in a note means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Nothing: the note has none.
    None,
    /// A descriptor's.
    Descriptor,
    /// Nanoseconds of the runtime's clock, at which the wait ends.
    Deadline,
    /// A task's id.
    Task,
    /// A signal's.
    Signal,
    /// A thing's that the note's text names: how many, or which.
    Number,
    /// A thing's address, which tells it from its like: all who wait for one lock have the same.
    Object,
}

/// In the place of a note's number: it is not known.
pub const UNKNOWN: u64 = u64::MAX;

/// A kind of leaf future: one `static` for each, which its notes point to.
#[derive(Debug)]
pub struct Site {
    /// The call, as a user knows it: `"time::sleep"`.
    pub what: &'static str,
    /// What the number beside it means.
    pub resource: Resource,
}

impl Site {
    /// A kind of leaf future.
    pub const fn new(what: &'static str, resource: Resource) -> Self {
        Self { what, resource }
    }
}

/// A note as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// Which kind of leaf future left it.
    pub site: &'static Site,
    /// The number that `site` says how to read.
    pub resource: u64,
    /// The line of code that made the leaf, if the leaf knows it.
    pub location: Option<&'static Location<'static>>,
}

/// What others see of one task: its figures, and the note of its last poll.
///
/// The runner writes, one at a time; anyone reads.
pub struct Place {
    /// The task's id; 0 for none that has one.
    task: u64,
    /// How often it was polled. Also the note's version: see `read`.
    polls: AtomicUsize,
    /// How often it was woken while it was polled.
    self_wakes: Count,
    /// When its state changed last, as far as its worker knew the time.
    since: Figure,
    site: AtomicPtr<Site>,
    resource: AtomicU64,
    location: AtomicPtr<Location<'static>>,
}

impl Place {
    /// Of a task that was not polled yet, and has no id.
    pub fn new() -> Self {
        Self::of(0)
    }

    /// Of the task with that id, not polled yet.
    #[inline]
    pub fn of(task: u64) -> Self {
        Self {
            task,
            polls: AtomicUsize::new(0),
            self_wakes: Count::new(0),
            since: Figure::new(0),
            site: AtomicPtr::new(null_mut()),
            resource: AtomicU64::new(0),
            location: AtomicPtr::new(null_mut()),
        }
    }

    /// The task's id; 0 for none that has one.
    #[inline]
    pub fn task(&self) -> u64 {
        self.task
    }

    /// A poll begins: it is counted, and the last one's note is void. For the runner, who is the only one.
    #[inline]
    pub fn begin_poll(&self) {
        // ORDERING: Relaxed to read what this side alone writes. Release pairs with the Acquire in `read`: who sees the count
        // sees that the task runs.
        self.polls
            .store(self.polls.load(Relaxed).wrapping_add(1), Release);
        // ORDERING: Release pairs with the fence in `read`: who sees this store also sees the count above.
        self.site.store(null_mut(), Release);
    }

    /// The task was woken while it was polled.
    #[inline]
    pub fn count_self_wake(&self) {
        // ORDERING: Relaxed: a figure with one writer.
        self.self_wakes
            .store(self.self_wakes.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The task's state has changed, at `now`.
    #[inline]
    pub fn touch(&self, now: u64) {
        // ORDERING: Relaxed: a figure.
        self.since.store(now, Relaxed);
    }

    /// When the task's state changed last.
    #[inline]
    pub fn since(&self) -> u64 {
        // ORDERING: Relaxed: a figure.
        self.since.load(Relaxed)
    }

    /// How often the task was polled.
    #[inline]
    pub fn polls(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.polls.load(Relaxed)
    }

    /// How often the task was woken while it was polled.
    #[inline]
    pub fn self_wakes(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.self_wakes.load(Relaxed)
    }

    #[inline]
    fn leave(&self, site: &'static Site, resource: u64, location: *const Location<'static>) {
        // ORDERING: Release, three times: pairs with the fence in `read`. Who sees any of these stores also sees the count
        // of this poll, and so knows that what it read may be of two polls.
        self.location.store(location.cast_mut(), Release);
        // ORDERING: as above.
        self.resource.store(resource, Release);
        // ORDERING: as above.
        self.site
            .store(std::ptr::from_ref(site).cast_mut(), Release);
    }

    /// Puts the name and the line of a call over the note of the leaf that it came to. The leaf's number stays if it means the
    /// same and `number` is `UNKNOWN`. Answers whether there was a note.
    #[inline]
    fn relabel(
        &self,
        site: &'static Site,
        number: u64,
        location: &'static Location<'static>,
        keep_others: bool,
    ) {
        // ORDERING: Relaxed: this thread wrote it.
        let inner = self.site.load(Relaxed).cast_const();
        // SAFETY: null, or a `&'static Site`: nothing else is stored.
        let Some(inner) = (unsafe { inner.as_ref() }) else {
            return self.leave(site, number, location);
        };
        let is_same = inner.resource == site.resource;
        let (site, number) = match (is_same, keep_others) {
            // ORDERING: as above.
            (true, _) if number == UNKNOWN => (site, self.resource.load(Relaxed)),
            // ORDERING: as above.
            (false, true) => (inner, self.resource.load(Relaxed)),
            _ => (site, number),
        };
        self.leave(site, number, location);
    }

    /// The note of a task that waits; `None` if it runs or has left none.
    ///
    /// `waits` looks at the task's state, with Acquire: whether nobody polls it now.
    pub fn read(&self, waits: impl FnOnce() -> bool) -> Option<Note> {
        // ORDERING: Acquire pairs with the Release in `begin_poll`: `waits`, which comes next, sees that this poll has begun.
        let polls = self.polls.load(Acquire);
        if !waits() {
            return None;
        }
        // ORDERING: Relaxed, three times: the fence below makes them acquire.
        let site = self.site.load(Relaxed);
        // ORDERING: as above.
        let resource = self.resource.load(Relaxed);
        // ORDERING: as above.
        let location = self.location.load(Relaxed);
        // ORDERING: pairs with each Release store of a later poll: had we read one, we would see its count below.
        fence(Acquire);
        // ORDERING: Relaxed: after the fence.
        if self.polls.load(Relaxed) != polls {
            return None;
        }
        // SAFETY: null, or a `&'static Site`: nothing else is stored.
        let site = unsafe { site.cast_const().as_ref() }?;
        // SAFETY: null, or a `&'static Location`: nothing else is stored.
        let location = unsafe { location.cast_const().as_ref() };
        Some(Note {
            site,
            resource,
            location,
        })
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("polls", &self.polls())
            .field("self_wakes", &self.self_wakes())
            .finish_non_exhaustive()
    }
}

/// Set in the thread's pointer while nothing is to be noted by plain stores: in a traced poll, and outside of a task.
const COLD: usize = 1;

/// No task.
const NOBODY: *const Place = null::<Place>().wrapping_byte_add(COLD);

/// What a thread works for. Written by that thread alone, with plain stores.
#[derive(Debug)]
struct Thread {
    /// The place of the task, or `NOBODY`; with `COLD` in a traced poll.
    place: Pointer<Place>,
    /// How often it has entered a task: wraps.
    entries: Count,
}

/// What a thread works for, to be watched by others while the thread lives.
#[derive(Debug)]
pub struct Pulse(NonNull<Thread>);

// SAFETY: what is behind it is atomic.
unsafe impl Send for Pulse {}
// SAFETY: as above.
unsafe impl Sync for Pulse {}

impl Pulse {
    /// This thread's.
    pub fn here() -> Self {
        Self(CURRENT.with(|thread| NonNull::from(thread)))
    }

    /// How many tasks its thread has entered, and the address of the place of the one that it is in, 0 for none.
    ///
    /// # Safety
    /// The thread has not ended.
    pub unsafe fn read(&self) -> (usize, usize) {
        // SAFETY: as the caller says; the words have no destructor and stay as long as the thread.
        let thread = unsafe { self.0.as_ref() };
        // The count first: if it is the same afterwards, the task was there all the time.
        // ORDERING: Relaxed, twice: figures, which are compared and not followed.
        let entries = thread.entries.load(Relaxed);
        // ORDERING: as above.
        let place = thread.place.load(Relaxed);
        (entries, place.addr() & !COLD)
    }
}

/// The place of the task that this thread works for, or `NOBODY`; with `COLD` in a traced poll.
#[inline]
fn here() -> *const Place {
    // ORDERING: Relaxed, here and below: this thread's own word, which others only compare.
    let place = CURRENT.try_with(|thread| thread.place.load(Relaxed));
    place.map_or(NOBODY, <*mut Place>::cast_const)
}

crate::thread_local_const! {
    /// Without a destructor: there as long as the thread.
    static CURRENT: Thread = Thread {
        place: Pointer::new(NOBODY.cast_mut()),
        entries: Count::new(0),
    };
}

std::thread_local! {
    /// What the leaves of this thread's traced poll have left; `None` before there was one, and once it was taken.
    static LEAVES: RefCell<Option<Vec<Leaf>>> = const { RefCell::new(None) };
}

/// What a leaf left in a traced poll.
#[derive(Debug)]
pub struct Leaf {
    /// Its note, if it left one.
    pub note: Option<Note>,
    /// The stack at that moment, down to the thread's start.
    pub backtrace: Backtrace,
}

/// This thread works for the task at `place`, until the guard goes.
#[inline]
pub fn enter<'a>(place: NonNull<Place>) -> Entered<'a> {
    enter_as(place.as_ptr())
}

/// The same for a poll whose leaves shall leave their backtraces.
#[cold]
pub fn enter_traced<'a>(place: NonNull<Place>) -> Entered<'a> {
    // What a traced poll has left that completed its task: nobody wants it.
    drop(take_leaves());
    // Without the list, at a thread's end, there is nothing to collect.
    let _ = LEAVES.try_with(|leaves| *leaves.borrow_mut() = Some(Vec::new()));
    enter_as(place.as_ptr().wrapping_byte_add(COLD))
}

#[inline]
fn enter_as<'a>(place: *const Place) -> Entered<'a> {
    let before = here();
    // At a thread's end there may be no words any more, and nobody who asks.
    let _ = CURRENT.try_with(|thread| {
        // ORDERING: Relaxed: this thread's own word, which others only compare.
        let entries = thread.entries.load(Relaxed).wrapping_add(1);
        // ORDERING: as above.
        thread.entries.store(entries, Relaxed);
        // ORDERING: as above.
        thread.place.store(place.cast_mut(), Relaxed);
    });
    Entered {
        before,
        _task: PhantomData,
    }
}

/// Puts back whom the thread worked for before. `'a` is how long the place lasts at least.
#[derive(Debug)]
pub struct Entered<'a> {
    before: *const Place,
    _task: PhantomData<&'a Place>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        // At a thread's end there may be no cell any more, and nobody who asks.
        // ORDERING: Relaxed: as in `enter_as`.
        let _ = CURRENT.try_with(|thread| thread.place.store(self.before.cast_mut(), Relaxed));
    }
}

/// The place of the task that this thread works for. It lasts as long as whoever entered it said.
#[inline]
pub fn current() -> Option<NonNull<Place>> {
    let current = here();
    NonNull::new(current.map_addr(|addr| addr & !COLD).cast_mut())
}

/// The id of the task that this thread works for; 0 outside of a task.
#[inline]
pub fn current_task() -> u64 {
    // SAFETY: the guard of whoever entered it still lives, further up this thread's stack, and the place with it.
    current().map_or(0, |place| unsafe { place.as_ref() }.task)
}

/// What the leaves of this thread's last traced poll have left, in the order in which they were polled. `None` if it was taken
/// already, or there was none.
pub fn take_leaves() -> Option<Vec<Leaf>> {
    LEAVES.try_with(RefCell::take).unwrap_or_default()
}

/// Says what the current task waits for. To be called by a leaf future that returns `Pending`, on the thread that polls it.
///
/// `resource` is the number that `site` says how to read, and `location` the line that made the leaf, by `#[track_caller]`. If
/// several leaves of one poll do this, the last one's note stays. Outside of a task it does nothing.
#[inline]
pub fn note(site: &'static Site, resource: u64, location: Option<&'static Location<'static>>) {
    note_by(|| (site, resource, location));
}

/// The same; `what` is asked inside of a task only.
#[inline]
pub fn note_by(what: impl FnOnce() -> (&'static Site, u64, Option<&'static Location<'static>>)) {
    let current = here();
    if current.addr() & COLD != 0 {
        if current != NOBODY {
            let (site, resource, location) = what();
            // SAFETY: as below; not null, since it is not `NOBODY`.
            let place = unsafe { &*current.wrapping_byte_sub(COLD) };
            note_traced(place, site, resource, location);
        }
        return;
    }
    let (site, resource, location) = what();
    let location = location.map_or(null(), std::ptr::from_ref);
    // SAFETY: the guard of whoever entered it still lives, further up this thread's stack, and the place with it.
    unsafe { &*current }.leave(site, resource, location);
}

#[cold]
#[inline(never)]
fn note_traced(
    place: &Place,
    site: &'static Site,
    resource: u64,
    location: Option<&'static Location<'static>>,
) {
    place.leave(site, resource, location.map_or(null(), std::ptr::from_ref));
    name_last_leaf(place);
}

/// In a traced poll, the place's note is that of the leaf that was traced last.
fn name_last_leaf(place: &Place) {
    let note = place.read(|| true);
    // At a thread's end there may be no list any more, and nobody who asks.
    let _ = LEAVES.try_with(|leaves| {
        let mut leaves = leaves.borrow_mut();
        if let Some(leaf) = leaves.as_mut().and_then(|leaves| leaves.last_mut()) {
            leaf.note = note;
        }
    });
}

/// Takes the backtrace of a leaf in a traced poll: its task's waker is about to be cloned or woken on this thread.
#[cold]
pub fn leave_trace() {
    let leaf = Leaf {
        note: None,
        backtrace: Backtrace::force_capture(),
    };
    // As above.
    let _ = LEAVES.try_with(|leaves| {
        if let Some(leaves) = leaves.borrow_mut().as_mut() {
            leaves.push(leaf);
        }
    });
}

/// Does this thread poll the task at `place` for a trace, now?
pub fn is_traced(place: NonNull<Place>) -> bool {
    let current = here();
    current == place.as_ptr().wrapping_byte_add(COLD)
}

/// Is what this thread polls traced, whichever task it is?
pub fn is_tracing() -> bool {
    let current = here();
    current.addr() & COLD != 0 && current != NOBODY
}

/// Puts a call's name and line over the note of the leaf that it came to, or leaves a note if there is none: for an async function
/// around leaves that do not know it. The leaf's number stays if it means the same and `number` is [`UNKNOWN`].
#[inline]
pub fn call(site: &'static Site, number: u64, location: &'static Location<'static>) {
    relabel(site, number, location, false);
}

/// The same for an adapter around something that it knows nothing of, such as `read` of any `AsyncRead`: a leaf whose number means
/// something else keeps its name, and gets the line only.
#[inline]
pub fn locate(site: &'static Site, location: &'static Location<'static>) {
    relabel(site, UNKNOWN, location, true);
}

#[inline]
fn relabel(
    site: &'static Site,
    number: u64,
    location: &'static Location<'static>,
    keep_others: bool,
) {
    let current = here();
    if current.addr() & COLD != 0 {
        if current != NOBODY {
            // SAFETY: as in `note`.
            let place = unsafe { &*current.wrapping_byte_sub(COLD) };
            place.relabel(site, number, location, keep_others);
            name_last_leaf(place);
        }
        return;
    }
    // SAFETY: as in `note`.
    let place = unsafe { &*current };
    place.relabel(site, number, location, keep_others);
}

/// Has a leaf of this poll left a note? For an adapter that has something to say only if nobody else has.
#[inline]
pub fn is_noted() -> bool {
    // SAFETY: as in `note`.
    // ORDERING: Relaxed: this thread wrote it.
    current().is_some_and(|place| !unsafe { place.as_ref() }.site.load(Relaxed).is_null())
}

#[cfg(test)]
#[path = "tests/waiting.rs"]
mod tests;
