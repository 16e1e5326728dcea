//! What was noticed that should not be: a short list, and a call to whoever wants to know at once.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use blitz_core::primitive::sync::Mutex;
use blitz_core::quiet::quietly;

use crate::task::Id;

/// So many warnings are kept; the oldest go first.
pub const WARNINGS_KEPT: usize = 256;

/// What is wrong with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// A poll took this long: other tasks of that worker, its sockets and timers waited.
    LongPoll {
        /// How long.
        took: Duration,
    },
    /// A poll has not come back for this long.
    NeverYields {
        /// Since the worker's last look at the time before it.
        running_for: Duration,
    },
    /// Most of its polls woke the task at once, which then is polled again without an event from outside: it spins.
    SelfWakes {
        /// How many polls did.
        self_wakes: u64,
        /// Of how many.
        polls: u64,
    },
    /// It waits, and nobody has its waker: nothing can make it run again. Only an abort ends it.
    LostWaker {
        /// For how long it has waited.
        idle_for: Duration,
    },
    /// Its future is so large that it was moved to the heap at its spawn: make it smaller, or box its largest parts.
    LargeFuture {
        /// The future's size.
        bytes: usize,
    },
}

/// A task about which something was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// The task's id.
    pub task: Id,
    /// Its name, if it was spawned with one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
}

impl Warning {
    /// A warning about one task.
    pub fn new(
        kind: WarningKind,
        task: Id,
        name: Option<&str>,
        spawned_at: &'static Location<'static>,
    ) -> Self {
        Self {
            kind,
            task,
            name: name.map(str::to_owned),
            spawned_at,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.task)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, ", spawned at {}: ", self.spawned_at)?;
        match self.kind {
            WarningKind::LongPoll { took } => write!(
                f,
                "a poll took {took:?}; move what blocks or computes to `spawn_blocking`, or yield"
            ),
            WarningKind::NeverYields { running_for } => {
                write!(f, "its poll has not come back for {running_for:?}")
            }
            WarningKind::SelfWakes { self_wakes, polls } => write!(
                f,
                "{self_wakes} of its {polls} polls woke it at once; it spins instead of waiting for an event"
            ),
            WarningKind::LostWaker { idle_for } => write!(
                f,
                "it has waited for {idle_for:?} and nobody has its waker, so nothing can wake it"
            ),
            WarningKind::LargeFuture { bytes } => write!(
                f,
                "its future of {bytes} bytes was boxed; box its largest parts where they are made"
            ),
        }
    }
}

type Callback = Arc<dyn Fn(&Warning) + Send + Sync>;

/// The warnings of one runtime.
#[derive(Default)]
pub struct Warnings {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    kept: VecDeque<Warning>,
    /// How many there were, those that are gone included.
    total: u64,
    callback: Option<Callback>,
}

impl Warnings {
    /// Keeps a warning, unless the same is kept already of that task (of that spawn site, for a large future), and tells of it.
    pub fn add(&self, warning: Warning) {
        let callback = {
            let mut list = self.list.lock();
            let by_site = matches!(warning.kind, WarningKind::LargeFuture { .. });
            let same = |kept: &Warning| {
                std::mem::discriminant(&kept.kind) == std::mem::discriminant(&warning.kind)
                    && if by_site {
                        kept.spawned_at == warning.spawned_at
                    } else {
                        kept.task == warning.task
                    }
            };
            if let Some(kept) = list.kept.iter_mut().find(|kept| same(kept)) {
                kept.kind = warning.kind;
                return;
            }
            if list.kept.len() == WARNINGS_KEPT {
                list.kept.pop_front();
            }
            list.kept.push_back(warning.clone());
            list.total += 1;
            list.callback.clone()
        };
        // The user's code: outside of the lock.
        if let Some(callback) = callback {
            quietly(|| callback(&warning));
        }
    }

    /// Those that are kept, oldest first.
    pub fn list(&self) -> Vec<Warning> {
        self.list.lock().kept.iter().cloned().collect()
    }

    /// How many there were so far.
    pub fn total(&self) -> u64 {
        self.list.lock().total
    }

    /// Calls `callback` with each new one, on the thread that notices it.
    pub fn set_callback(&self, callback: Callback) {
        let before = self.list.lock().callback.replace(callback);
        drop(before);
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warnings")
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}
