//! A task as somebody sees it who does not run it: for lists, dumps and warnings.

use super::id::TaskMeta;
use super::reference::{Notified, TaskRef};
use super::state::Wake;
use blitz_core::waiting::Note;
use std::fmt;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits to be woken.
    Idle,
    /// It was woken, or just spawned, and waits for a worker.
    Scheduled,
    /// A worker polls it.
    Running,
    /// It has ended, a moment ago.
    Complete,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TaskState::Idle => "idle",
            TaskState::Scheduled => "scheduled",
            TaskState::Running => "running",
            TaskState::Complete => "complete",
        })
    }
}

/// What was seen of a task at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it does.
    pub state: TaskState,
    /// When it began to, on the clock that its workers see.
    pub since: u64,
    /// How often it was polled.
    pub polls: usize,
    /// How often it was told to run: that, and once more while it is to be polled.
    pub turns: usize,
    /// How often it was woken while it was polled.
    pub self_wakes: usize,
    /// Its wakers, and handles that can abort it: whoever can make it run again, but for the join handle.
    pub wakers: usize,
    /// Whether its join handle lives.
    pub has_join_handle: bool,
    /// The bytes that it lies in, its future's box included.
    pub bytes: usize,
    /// What it waits for, if its last poll left a note.
    pub note: Option<Note>,
}

/// A reference to a task that keeps its memory, and not its future, while somebody looks at it.
pub struct Tracked {
    pub(super) task: TaskRef,
}

impl Tracked {
    /// Its id, name and spawn site.
    pub fn meta(&self) -> TaskMeta<'_> {
        self.task.header().meta()
    }

    /// Where it lies: what a thread that works for it is seen to work for.
    pub(crate) fn address(&self) -> usize {
        self.task.as_raw().addr().get()
    }

    /// What it is and does now.
    pub fn look(&self) -> Seen {
        let header = self.task.header();
        let note = header.place.read(|| {
            let look = header.state.look();
            !look.running && !look.complete && !look.notified
        });
        let look = header.state.look();
        let turns = header.place.turns();
        let state = if look.complete {
            TaskState::Complete
        } else if look.running {
            TaskState::Running
        } else if look.notified {
            TaskState::Scheduled
        } else {
            TaskState::Idle
        };
        // The list's reference, ours, the join handle's, and that of a `Notified` or a runner.
        let known = 2
            + usize::from(look.joined)
            + usize::from(matches!(state, TaskState::Running | TaskState::Scheduled));
        let boxed = header.extra.get().map_or(0, |extras| extras.boxed_bytes);
        Seen {
            state,
            since: header.place.since(),
            polls: turns.saturating_sub(usize::from(state == TaskState::Scheduled)),
            turns,
            self_wakes: header.place.self_wakes(),
            wakers: look.refs.saturating_sub(known),
            has_join_handle: look.joined,
            bytes: header.vtable.bytes + boxed,
            note: note.filter(|_| state == TaskState::Idle),
        }
    }

    /// Whether nobody is left who could make it run again: it waits, and only its list, and perhaps its join handle, know it.
    pub fn is_lost(&self) -> bool {
        // The word alone decides, so that nothing changes between two looks.
        let look = self.task.header().state.look();
        let idle = !look.running && !look.complete && !look.notified;
        // Read while it is idle: a wake that comes now finds NOTIFIED unset, and is not one of these references.
        idle && !look.cancelled && look.refs == 2 + usize::from(look.joined)
    }

    /// Asks for a traced poll: what the leaves of that poll leave goes to [`Schedule::traced`](super::Schedule::traced).
    pub fn trace(&self) {
        let header = self.task.header();
        if header.state.trace() == Wake::Submit {
            // SAFETY: `Submit` made a reference for it.
            let task = unsafe { Notified::from_raw(self.task.as_raw()) };
            header.scheduler.schedule(task);
        }
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracked").field(self.task.header()).finish()
    }
}
