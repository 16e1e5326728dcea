//! Who a task is: its id, its name, and where it was spawned.

use super::priority::{Lane, Priority};
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::time::Duration;

/// A task's number, unique among all tasks of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

#[cfg(target_has_atomic = "64")]
mod next {
    use std::cell::Cell;
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Threads take numbers by the block, so that spawning threads do not meet at one word.
    const BLOCK: u64 = 64;

    // Plain std: numbers order nothing, and loom need not explore them.
    static NEXT: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        /// The next number of this thread's block, and where the block ends.
        static MINE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    #[inline]
    pub(super) fn id() -> NonZeroU64 {
        let id = MINE.try_with(|mine| {
            let (mut next, mut end) = mine.get();
            if next == end {
                next = block(BLOCK);
                end = next + BLOCK;
            }
            mine.set((next + 1, end));
            next
        });
        // The thread is being torn down: one number, straight from the source.
        let id = id.unwrap_or_else(|_| block(1));
        NonZeroU64::new(id).unwrap_or(NonZeroU64::MIN)
    }

    #[cold]
    fn block(len: u64) -> u64 {
        // ORDERING: each caller gets numbers of its own; nothing else is ordered by it.
        NEXT.fetch_add(len, Relaxed)
    }
}

#[cfg(not(target_has_atomic = "64"))]
mod next {
    use std::num::NonZeroU64;
    use std::sync::Mutex;

    static NEXT: Mutex<u64> = Mutex::new(1);

    pub(super) fn id() -> NonZeroU64 {
        let mut next = NEXT.lock().unwrap_or_else(|poison| poison.into_inner());
        let id = *next;
        *next += 1;
        NonZeroU64::new(id).unwrap_or(NonZeroU64::MIN)
    }
}

impl Id {
    /// The next unused number.
    #[inline]
    pub fn next() -> Self {
        Self(next::id())
    }

    /// The id that has this number.
    #[inline]
    pub(super) fn of_u64(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// The number; never 0.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a task is spawned with, beside its future.
#[derive(Debug)]
pub struct SpawnInfo {
    /// Its id.
    pub id: Id,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    pub(crate) extra: Extra,
    /// Which shard of the owned list it enters, modulo their number: the worker's index keeps workers apart.
    pub shard: usize,
    pub(crate) lane: Lane,
}

/// What only some tasks are spawned with: the others pay one word.
#[derive(Debug, Default)]
pub(crate) struct Extra(Option<Box<Extras>>);

#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) name: Option<Box<str>>,
    /// The size of the future, if that was boxed because it is large.
    pub(crate) boxed_bytes: usize,
    /// The number of the span that watches the task; 0 for none.
    pub(crate) span: u64,
}

impl Extra {
    #[inline]
    pub(crate) fn get(&self) -> Option<&Extras> {
        self.0.as_deref()
    }

    fn make(&mut self) -> &mut Extras {
        self.0.get_or_insert_default()
    }

    #[inline]
    pub(crate) fn name(&self) -> Option<&str> {
        self.get().and_then(|extras| extras.name.as_deref())
    }
}

impl SpawnInfo {
    /// The same, of a task of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.extra.make().name = Some(name.into());
        self
    }

    /// The task's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.extra.name()
    }

    /// The same, of a future of so many bytes that is boxed because it is large.
    #[must_use]
    pub fn boxed(mut self, bytes: usize) -> Self {
        self.extra.make().boxed_bytes = bytes;
        self
    }

    /// The span of that number watches the task; 0 for none.
    pub fn set_span(&mut self, span: u64) {
        if span != 0 {
            self.extra.make().span = span;
        }
    }

    /// What a task was spawned with, as far as its `meta` says.
    pub(crate) fn of(meta: &TaskMeta<'_>) -> Self {
        let info = Self {
            id: meta.id,
            location: meta.location,
            extra: Extra::default(),
            shard: 0,
            lane: meta.priority.into(),
        };
        match meta.name {
            Some(name) => info.named(name),
            None => info,
        }
    }

    /// A task without a name, spawned where this is called, in a shard by its id.
    #[track_caller]
    #[inline]
    pub fn here() -> Self {
        let id = Id::next();
        Self {
            id,
            location: Location::caller(),
            extra: Extra::default(),
            shard: id.as_u64() as usize,
            lane: Lane::Normal,
        }
    }

    /// The same, of this priority.
    #[must_use]
    #[inline]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.lane = priority.into();
        self
    }

    /// The same, critical and at first ahead of everything that is queued.
    #[must_use]
    #[inline]
    pub fn urgent(mut self) -> Self {
        self.lane = Lane::Urgent;
        self
    }
}

/// What is known of a spawned task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskMeta<'a> {
    pub(super) id: Id,
    pub(super) name: Option<&'a str>,
    pub(super) location: &'static Location<'static>,
    pub(crate) schedule_latency: Option<Duration>,
    pub(super) priority: Priority,
}

impl<'a> TaskMeta<'a> {
    /// Of a task that is about to be spawned with `info`.
    #[inline]
    pub fn of_spawn(info: &'a SpawnInfo) -> Self {
        Self {
            id: info.id,
            name: info.extra.name(),
            location: info.location,
            schedule_latency: None,
            priority: info.lane.priority(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The task's name, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// Where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.location
    }

    /// How long the task was ready before this poll began: for the hooks around a poll, while latencies are measured
    /// (histogram or `track_task_schedule_latency`). Both hooks of one poll are told the same.
    pub fn schedule_latency(&self) -> Option<Duration> {
        self.schedule_latency
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        self.priority
    }
}
