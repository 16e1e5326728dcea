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
    /// Most of its polls that were looked at found nothing: others woke it, it took nothing, and waited for the same thing again. Who
    /// wakes it does so too often or too early; or it wakes itself by another's hand. (Progress of futures of other crates is not
    /// seen.)
    VainWakes {
        /// How many polls were so.
        vain: u64,
        /// Of how many that were looked at.
        polls: u64,
        /// The call that it waits in.
        what: &'static str,
        /// The line of code that made it, if that is known.
        at: Option<&'static Location<'static>>,
    },
    /// It waits, and nobody has its waker: nothing can make it run again. Only an abort ends it.
    LostWaker {
        /// For how long it has waited.
        idle_for: Duration,
    },
    /// A future of it was given the lock, the permits or the room that it waited for, and nobody has polled it since, though the task
    /// went on: whoever wants the same waits for a future that is kept and not polled. `Warning::other` is one who does.
    UnpolledWait {
        /// The call that has waited.
        what: &'static str,
        /// The line of code that made it.
        at: &'static Location<'static>,
        /// The address of what it waited for.
        object: usize,
        /// For how long, at least.
        unpolled_for: Duration,
    },
    /// It waits for a lock or permits whose holders wait as well, in the end for this very task, and nobody else can wake any of them.
    /// The holder, `Warning::other`, is mostly this task: the guard is in a future of it that is kept and not polled.
    Deadlock {
        /// The call that waits.
        what: &'static str,
        /// The line of code that made it.
        at: &'static Location<'static>,
        /// The address of what it waits for.
        object: usize,
        /// For how long it has waited.
        idle_for: Duration,
    },
    /// Its future is so large that it was moved to the heap at its spawn: make it smaller, or box its largest parts.
    LargeFuture {
        /// The future's size.
        bytes: usize,
    },
}

/// Another task that a warning speaks of, or another future of the same task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Other {
    /// The task's id.
    pub task: Id,
    /// Its name, if it was spawned with one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// The line of its code that matters: where it waits, or got what it holds.
    pub at: &'static Location<'static>,
}

impl Other {
    /// The task with that id, name and spawn site, of whose code `at` matters.
    pub fn new(
        task: Id,
        name: Option<&str>,
        spawned_at: &'static Location<'static>,
        at: &'static Location<'static>,
    ) -> Self {
        Self {
            task,
            name: name.map(str::to_owned),
            spawned_at,
            at,
        }
    }
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
    /// Who else has to do with it.
    pub other: Option<Other>,
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
            other: None,
        }
    }

    /// The same, which has to do with another task too.
    pub fn with(mut self, other: Option<Other>) -> Self {
        self.other = other;
        self
    }
}

fn name_task(
    f: &mut fmt::Formatter<'_>,
    task: Id,
    name: Option<&str>,
    spawned_at: &Location<'_>,
) -> fmt::Result {
    write!(f, "task {task}")?;
    if let Some(name) = name {
        write!(f, " ({name})")?;
    }
    write!(f, ", spawned at {spawned_at}")
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name_task(f, self.task, self.name.as_deref(), self.spawned_at)?;
        f.write_str(": ")?;
        let other = self.other.as_ref();
        // Whether the other is but another future of this task.
        let is_own = other.is_some_and(|other| other.task == self.task);
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
            WarningKind::VainWakes {
                vain,
                polls,
                what,
                at,
            } => {
                write!(
                    f,
                    "{vain} of {polls} polls were in vain: it was woken, took nothing and waited in {what} as before"
                )?;
                match at {
                    Some(at) => write!(f, ", at {at}"),
                    None => Ok(()),
                }
            }
            WarningKind::LostWaker { idle_for } => write!(
                f,
                "it has waited for {idle_for:?} and nobody has its waker, so nothing can wake it"
            ),
            WarningKind::UnpolledWait {
                what,
                at,
                object,
                unpolled_for,
            } => {
                write!(
                    f,
                    "{what} ({object:#x}) at {at} was given what it waited for at least {unpolled_for:?} ago and has not been polled \
                     since, though its task went on; poll it, or drop it"
                )?;
                match other {
                    Some(other) if is_own => {
                        write!(f, "; the same task waits for it at {}", other.at)
                    }
                    Some(other) => {
                        f.write_str("; ")?;
                        name_task(f, other.task, other.name.as_deref(), other.spawned_at)?;
                        write!(f, ", waits for it at {}", other.at)
                    }
                    None => Ok(()),
                }
            }
            WarningKind::Deadlock {
                what,
                at,
                object,
                idle_for,
            } => {
                write!(
                    f,
                    "it has waited for {idle_for:?} in {what} ({object:#x}) at {at}"
                )?;
                match other {
                    Some(other) if is_own => write!(
                        f,
                        ", which it has itself, since the call at {}, and nothing else can wake it; the guard is in this future, or in one \
                         that is kept and not polled",
                        other.at
                    ),
                    Some(other) => {
                        f.write_str(", which ")?;
                        name_task(f, other.task, other.name.as_deref(), other.spawned_at)?;
                        write!(
                            f,
                            ", has since the call at {}; that task waits too, and nothing can wake either",
                            other.at
                        )
                    }
                    None => Ok(()),
                }
            }
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
                kept.other = warning.other;
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
