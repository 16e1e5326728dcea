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
//! Whoever reads a note reads it with the count of turns before and after: unchanged, the note is of one poll, and whole. A turn is
//! counted when a task is told to run, which is before its poll: so a poll itself counts nothing.

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
/// Who has the right to run the task writes, one at a time; anyone reads.
#[repr(align(8))]
pub struct Place {
    /// The task's id; 0 for none that has one.
    task: u64,
    /// How often it was told to run while it was not polled. With the next, the note's version: see `read`.
    wakes: AtomicUsize,
    /// How often it was woken while it was polled.
    self_wakes: AtomicUsize,
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
            wakes: AtomicUsize::new(0),
            self_wakes: AtomicUsize::new(0),
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

    /// The task is told to run, at `now`. For who has the right to run it, before it goes into a queue.
    #[inline]
    pub fn notify(&self, now: u64) {
        self.touch(now);
        // ORDERING: Relaxed to read what one at a time writes, who had it from the one before. Release pairs with the Acquire in
        // `read`: who sees the count sees that the task is to run.
        let wakes = self.wakes.load(Relaxed).wrapping_add(1);
        // ORDERING: as above.
        self.wakes.store(wakes, Release);
    }

    /// The task was woken while it was polled, and is told to run again. For its runner, before it goes into a queue.
    #[inline]
    pub fn notify_again(&self) {
        // ORDERING: as in `notify`.
        let wakes = self.self_wakes.load(Relaxed).wrapping_add(1);
        // ORDERING: as in `notify`.
        self.self_wakes.store(wakes, Release);
    }

    /// A poll begins: the last one's note is void. For the runner.
    #[inline]
    pub fn begin_poll(&self) {
        // ORDERING: Release pairs with the fence in `read`: who sees this store also sees that this turn was counted.
        self.site.store(null_mut(), Release);
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

    /// How often the task was told to run: how often it was polled, and once more if it is to be.
    #[inline]
    pub fn turns(&self) -> usize {
        // ORDERING: Acquire, twice: for `read`; others want a figure.
        let wakes = self.wakes.load(Acquire);
        // ORDERING: as above.
        wakes.wrapping_add(self.self_wakes.load(Acquire))
    }

    /// How often the task was woken while it was polled.
    #[inline]
    pub fn self_wakes(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.self_wakes.load(Relaxed)
    }

    #[inline]
    fn leave(&self, site: &'static Site, resource: u64, location: *const Location<'static>) {
        // ORDERING: Release, three times: pairs with the fence in `read`. Who sees any of these stores also sees that this turn
        // was counted, and so knows that what it read may be of two polls.
        self.location.store(location.cast_mut(), Release);
        // ORDERING: as above.
        self.resource.store(resource, Release);
        // ORDERING: as above.
        self.site
            .store(std::ptr::from_ref(site).cast_mut(), Release);
    }

    /// Puts the name and the line of a call over the note of the leaf that it came to. The leaf's number stays if it means the
    /// same and `number` is `UNKNOWN`.
    #[inline]
    fn relabel(&self, site: &'static Site, number: u64, location: &'static Location<'static>) {
        // ORDERING: Relaxed: this thread wrote it.
        let inner = self.site.load(Relaxed).cast_const();
        // SAFETY: null, or a `&'static Site`: nothing else is stored.
        let Some(inner) = (unsafe { inner.as_ref() }) else {
            return self.leave(site, number, location);
        };
        let number = if number == UNKNOWN && inner.resource == site.resource {
            // ORDERING: as above.
            self.resource.load(Relaxed)
        } else {
            number
        };
        self.leave(site, number, location);
    }

    /// The line of a call for the note of the leaf that it came to, and the call's name too if its number means the same; a note of its
    /// own if there is none.
    #[inline]
    fn locate(&self, site: &'static Site, location: &'static Location<'static>) {
        // ORDERING: Relaxed: this thread wrote it.
        let inner = self.site.load(Relaxed).cast_const();
        // SAFETY: null, or a `&'static Site`: nothing else is stored.
        let Some(inner) = (unsafe { inner.as_ref() }) else {
            return self.leave(site, UNKNOWN, location);
        };
        // ORDERING: Release, twice: as in `leave`.
        self.location
            .store(std::ptr::from_ref(location).cast_mut(), Release);
        if inner.resource == site.resource {
            // ORDERING: as above.
            self.site
                .store(std::ptr::from_ref(site).cast_mut(), Release);
        }
    }

    /// The note of a task that waits; `None` if it runs, is to run or has left none.
    ///
    /// `waits` looks at the task's state, with Acquire: whether nobody polls it now, nor is to.
    pub fn read(&self, waits: impl FnOnce() -> bool) -> Option<Note> {
        // ORDERING: Acquire, there, pairs with the Release in `notify` and `notify_again`: `waits`, which comes next, sees that this
        // turn has begun, or is over.
        let turns = self.turns();
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
        if self.turns() != turns {
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
            .field("turns", &self.turns())
            .field("self_wakes", &self.self_wakes())
            .finish_non_exhaustive()
    }
}

/// Set in the thread's pointer while nothing is to be noted by plain stores: in a traced poll, outside of a task, and once somebody
/// has seen it.
const COLD: usize = 1;
/// With `COLD`: in a traced poll.
const TRACED: usize = 1 << 1;
/// With `COLD`: somebody has seen this word. The thread's next store takes it away.
const SEEN: usize = 1 << 2;
/// A place is aligned to more than this.
const FLAGS: usize = COLD | TRACED | SEEN;

/// No task.
const NOBODY: *const Place = null::<Place>().wrapping_byte_add(COLD);

/// The same word, as if nobody had seen it.
#[inline]
fn unseen(word: *const Place) -> *const Place {
    word.map_addr(|word| {
        if word & SEEN == 0 {
            word
        } else if word & !FLAGS == 0 || word & TRACED != 0 {
            word & !SEEN
        } else {
            word & !FLAGS
        }
    })
}

/// What a thread works for. The thread stores its word plainly whenever it enters or leaves a task; who watches it marks the word that
/// it has seen. A word that is marked still was not stored since: the thread has entered and left nothing. So those who watch
/// pay for it, and not each poll.
///
/// ```text
///  from      move           to        who moved
///  any       enter, leave   a place or NOBODY, not SEEN   the thread
///  not SEEN  see            the same, SEEN                who watches, after it has counted a look
///  SEEN      see            same                          who watches: nothing has happened since that look
/// ```
#[derive(Debug)]
struct Thread {
    /// The place of the task, or `NOBODY`; with flags.
    place: Pointer<Place>,
    /// How many looks have found something new: wraps.
    looks: Count,
}

impl Thread {
    /// What it works for, and a number that is another one if it has entered or left a task since a look before.
    fn see(&self) -> (usize, usize) {
        loop {
            // ORDERING: Acquire pairs with the Release below: who finds another's mark finds its count, or a later one.
            let word = self.place.load(Acquire);
            if word.addr() & SEEN != 0 {
                // ORDERING: Relaxed: as above.
                return (self.looks.load(Relaxed), word.addr() & !FLAGS);
            }
            // Before the mark: with it the number is new. If the mark fails a number was left out, which nobody misses.
            // ORDERING: Relaxed: the exchange below publishes it.
            self.looks.fetch_add(1, Relaxed);
            let marked = word.map_addr(|word| word | SEEN | COLD);
            // ORDERING: Release as said above. The thread itself only compares its word, and never follows what others stored.
            // A failure looks again, by Acquire as above.
            let _ = self.place.compare_exchange(word, marked, Release, Relaxed);
        }
    }
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

    /// A number, and the address of the place of the task that its thread is in, 0 for none. If both are the same as at an earlier
    /// read, the thread has entered and left nothing since.
    ///
    /// # Safety
    /// The thread has not ended.
    pub unsafe fn read(&self) -> (usize, usize) {
        // SAFETY: as the caller says; the words have no destructor and stay as long as the thread.
        unsafe { self.0.as_ref() }.see()
    }
}

/// The place of the task that this thread works for, or `NOBODY`; with flags.
#[inline]
fn here() -> *const Place {
    // ORDERING: Relaxed, here and below: this thread's own word, in which others only set a flag.
    let place = CURRENT.try_with(|thread| thread.place.load(Relaxed));
    place.map_or(NOBODY, <*mut Place>::cast_const)
}

/// From now on this thread works for `place`, which may have flags.
#[inline]
fn set_here(place: *const Place) {
    // At a thread's end there may be no words any more, and nobody who asks.
    // ORDERING: Relaxed: as in `here`.
    let _ = CURRENT.try_with(|thread| thread.place.store(place.cast_mut(), Relaxed));
}

crate::thread_local_const! {
    /// Without a destructor: there as long as the thread.
    static CURRENT: Thread = Thread {
        place: Pointer::new(NOBODY.cast_mut()),
        looks: Count::new(0),
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

/// This thread works for the task at `place`, until the guard goes; then for whom it did before.
#[inline]
pub fn enter<'a>(place: NonNull<Place>) -> Entered<'a> {
    enter_as(place.as_ptr())
}

/// The same, and afterwards for nobody: for who runs tasks, one after the other. Around all of it there is to be a [`step_out`], if the
/// thread may work for somebody already.
#[inline]
pub fn enter_next<'a>(place: NonNull<Place>) -> Running<'a> {
    set_here(place.as_ptr());
    Running(PhantomData)
}

/// [`enter_next`] for a poll whose leaves shall leave their backtraces.
#[cold]
pub fn enter_traced<'a>(place: NonNull<Place>) -> Running<'a> {
    // What a traced poll has left that completed its task: nobody wants it.
    drop(take_leaves());
    // Without the list, at a thread's end, there is nothing to collect.
    let _ = LEAVES.try_with(|leaves| *leaves.borrow_mut() = Some(Vec::new()));
    set_here(place.as_ptr().wrapping_byte_add(COLD | TRACED));
    Running(PhantomData)
}

/// This thread works for nobody, or for those that it [enters](enter_next) one after the other, until the guard goes; then for whom it did
/// before.
pub fn step_out<'a>() -> Entered<'a> {
    enter_as(NOBODY)
}

#[inline]
fn enter_as<'a>(place: *const Place) -> Entered<'a> {
    let before = unseen(here());
    set_here(place);
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
        set_here(self.before);
    }
}

/// Ends what [`enter_next`] began. `'a` is how long the place lasts at least.
#[derive(Debug)]
pub struct Running<'a>(PhantomData<&'a Place>);

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        set_here(NOBODY);
    }
}

/// The place of the task that this thread works for. It lasts as long as whoever entered it said.
#[inline]
pub fn current() -> Option<NonNull<Place>> {
    let current = here();
    NonNull::new(current.map_addr(|addr| addr & !FLAGS).cast_mut())
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
        if current.addr() & !FLAGS != 0 {
            let (site, resource, location) = what();
            note_otherwise(site, resource, location);
        }
        return;
    }
    let (site, resource, location) = what();
    let location = location.map_or(null(), std::ptr::from_ref);
    // SAFETY: the guard of whoever entered it still lives, further up this thread's stack, and the place with it.
    unsafe { &*current }.leave(site, resource, location);
}

/// A note where `COLD` is set: in a traced poll, or in one that somebody has seen.
#[cold]
#[inline(never)]
fn note_otherwise(
    site: &'static Site,
    resource: u64,
    location: Option<&'static Location<'static>>,
) {
    let Some(place) = current() else { return };
    // SAFETY: as in `note`.
    let place = unsafe { place.as_ref() };
    place.leave(site, resource, location.map_or(null(), std::ptr::from_ref));
    if is_tracing() {
        name_last_leaf(place);
    }
}

/// [`note`] unless a leaf of this poll has left one: for an adapter that has something to say only if nobody else has.
#[inline]
pub fn note_if_none(
    site: &'static Site,
    resource: u64,
    location: Option<&'static Location<'static>>,
) {
    let word = here();
    if word.addr() & COLD != 0 {
        if !is_noted() {
            note_otherwise(site, resource, location);
        }
        return;
    }
    // SAFETY: as in `note`.
    let place = unsafe { &*word };
    // ORDERING: Relaxed: this thread wrote it.
    if place.site.load(Relaxed).is_null() {
        place.leave(site, resource, location.map_or(null(), std::ptr::from_ref));
    }
}

/// Has a leaf of this poll left a note?
#[cold]
pub fn is_noted() -> bool {
    // SAFETY: as in `note`.
    // ORDERING: Relaxed: this thread wrote it.
    current().is_some_and(|place| !unsafe { place.as_ref() }.site.load(Relaxed).is_null())
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
    is_tracing() && current() == Some(place)
}

/// Is what this thread polls traced, whichever task it is?
pub fn is_tracing() -> bool {
    here().addr() & TRACED != 0
}

/// Puts a call's name and line over the note of the leaf that it came to, or leaves a note if there is none: for an async function
/// around leaves that do not know it. The leaf's number stays if it means the same and `number` is [`UNKNOWN`].
#[inline]
pub fn call(site: &'static Site, number: u64, location: &'static Location<'static>) {
    renote(|place| place.relabel(site, number, location));
}

/// The same for an adapter around something that it knows nothing of, such as `read` of any `AsyncRead`: a leaf whose number means
/// something else keeps its name, and gets the line only.
#[inline]
pub fn locate(site: &'static Site, location: &'static Location<'static>) {
    renote(|place| place.locate(site, location));
}

/// Changes the note of the task that this thread works for, if there is one.
#[inline]
fn renote(change: impl FnOnce(&Place)) {
    let word = here();
    if word.addr() & COLD == 0 {
        // SAFETY: as in `note`.
        change(unsafe { &*word });
    } else if word.addr() & !FLAGS != 0 {
        renote_otherwise(change);
    }
}

/// The same where `COLD` is set.
#[cold]
#[inline(never)]
fn renote_otherwise(change: impl FnOnce(&Place)) {
    let Some(place) = current() else { return };
    // SAFETY: as in `note`.
    let place = unsafe { place.as_ref() };
    change(place);
    if is_tracing() {
        name_last_leaf(place);
    }
}

#[cfg(test)]
#[path = "tests/waiting.rs"]
mod tests;
