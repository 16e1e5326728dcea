//! Every task of a runtime, described: what it does, since when, and what it waits for.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use blitz_core::waiting::{Note, Resource, UNKNOWN};
use blitz_exec::scheduler::insight::Polls;
use blitz_exec::scheduler::warnings::{Warning, WarningKind};
use blitz_exec::task::{Id, Seen, TaskState, Tracked};

use super::handle::Inner;
use super::stuck_waits;

/// One task, as it was seen: plain data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id.
    pub id: Id,
    /// Its name, if it was spawned with one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// What it does.
    pub state: TaskState,
    /// For how long it has done that, to within a turn of its worker's driver.
    pub since: Duration,
    /// How often it was polled.
    pub polls: u64,
    /// How often it was woken while it was polled, mostly by itself.
    pub self_wakes: u64,
    /// How many can make it run again: its wakers, and handles that can abort it.
    pub wakers: usize,
    /// Whether its join handle lives.
    pub has_join_handle: bool,
    /// The bytes that it lies in.
    pub bytes: usize,
    /// What it waits for, if it is idle: the leaf future that its last poll came to, the last one if it came to several. `None`:
    /// unknown, mostly a future of another crate.
    pub awaits: Option<Awaited>,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Awaited {
    /// The call: `"time::sleep"`.
    pub what: &'static str,
    /// Which one.
    pub on: Option<Target>,
    /// The line of code that made the call, if it is known.
    pub at: Option<&'static Location<'static>>,
}

/// The thing that a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A descriptor.
    Descriptor {
        /// Its number.
        fd: i32,
        /// What it is: `"TcpStream"`.
        kind: &'static str,
        /// The other end, if it has one.
        peer: Option<String>,
    },
    /// A deadline, which is so far ahead.
    Deadline {
        /// So far.
        left: Duration,
    },
    /// A task.
    Task {
        /// Its id.
        id: u64,
    },
    /// A signal.
    Signal {
        /// Its number.
        number: i32,
    },
    /// Something that the call counts or numbers.
    Number(u64),
    /// A lock, a channel, or what else lies in the program's memory.
    Object {
        /// Where: those who wait for the same one have the same address.
        address: u64,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Descriptor { fd, kind, peer } => {
                write!(f, "{kind} fd {fd}")?;
                match peer {
                    Some(peer) => write!(f, " peer {peer}"),
                    None => Ok(()),
                }
            }
            Target::Deadline { left } => write!(f, "in {left:?}"),
            Target::Task { id } => write!(f, "task {id}"),
            Target::Signal { number } => write!(f, "signal {number}"),
            Target::Number(number) => number.fmt(f),
            Target::Object { address } => write!(f, "{address:#x}"),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(on) = &self.on {
            write!(f, " ({on})")?;
        }
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TaskInfo {
    /// One line: `task 7 "sleeper" idle for 1.2s in time::sleep (in 58.8s) at src/main.rs:5:9, spawned at src/main.rs:4:5, 1 polls`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, " {} for {:?}", self.state, self.since)?;
        match (&self.awaits, self.state) {
            (Some(awaits), _) => write!(f, " in {awaits}")?,
            (None, TaskState::Idle) => f.write_str(" in something unknown")?,
            (None, _) => {}
        }
        write!(f, ", spawned at {}, {} polls", self.spawned_at, self.polls)
    }
}

impl Awaited {
    /// `now` is of the runtime's clock, on which deadlines are.
    pub(crate) fn new(note: &Note, now: u64) -> Self {
        let number = note.resource;
        let signed = i32::try_from(number).unwrap_or(-1);
        let on = match note.site.resource {
            _ if number == UNKNOWN => None,
            Resource::None => None,
            Resource::Descriptor => Some(descriptor(signed)),
            Resource::Deadline => Some(Target::Deadline {
                left: Duration::from_nanos(number.saturating_sub(now)),
            }),
            Resource::Task => Some(Target::Task { id: number }),
            Resource::Signal => Some(Target::Signal { number: signed }),
            Resource::Number => Some(Target::Number(number)),
            Resource::Object => Some(Target::Object { address: number }),
        };
        Self {
            what: note.site.what,
            on,
            at: note.location,
        }
    }
}

fn descriptor(fd: i32) -> Target {
    let described = blitz_sys::socket::describe(fd);
    Target::Descriptor {
        fd,
        kind: described.kind,
        peer: described.peer,
    }
}

/// Two clocks: of the workers' figures, and of the runtime's deadlines.
struct Now {
    real: u64,
    virtual_: u64,
}

impl Now {
    fn of(inner: &Inner) -> Self {
        Self {
            real: blitz_sys::cpu::monotonic_ns(),
            virtual_: inner.clock.now_ns(),
        }
    }
}

fn info(task: &Tracked, seen: &Seen, now: &Now) -> TaskInfo {
    let meta = task.meta();
    TaskInfo {
        id: meta.id(),
        name: meta.name().map(str::to_owned),
        spawned_at: meta.spawned_at(),
        state: seen.state,
        since: Duration::from_nanos(now.real.saturating_sub(seen.since)),
        polls: seen.polls as u64,
        self_wakes: seen.self_wakes as u64,
        wakers: seen.wakers,
        has_join_handle: seen.has_join_handle,
        bytes: seen.bytes,
        awaits: seen.note.map(|note| Awaited::new(&note, now.virtual_)),
    }
}

/// All tasks.
pub(crate) fn list(inner: &Inner) -> Vec<TaskInfo> {
    describe(inner, &inner.scheduler.tasks())
}

/// What `tasks` are and do. Those that have ended meanwhile are left out.
pub(crate) fn describe(inner: &Inner, tasks: &[Tracked]) -> Vec<TaskInfo> {
    let now = Now::of(inner);
    tasks
        .iter()
        .map(|task| info(task, &task.look(), &now))
        .filter(|task| task.state != TaskState::Complete)
        .collect()
}

/// A poll that has not come back for so long is worth a warning.
const NEVER_YIELDS: Duration = Duration::from_millis(100);
/// A task that was polled so often can be judged by its habits.
const POLLS_ENOUGH: u64 = 1_000;

/// So long at most the polls of such tasks are looked at after a look.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Looks for what should not be, and keeps what it finds. Answers as well whether a later look may find more.
pub(crate) fn check(inner: &Inner) -> (Vec<Warning>, bool) {
    let tasks = inner.scheduler.tasks();
    let now = Now::of(inner);
    let mut found = Vec::new();
    let looks: Vec<_> = tasks.iter().map(Tracked::look).collect();
    let often = |seen: &Seen| seen.polls as u64 >= POLLS_ENOUGH;
    let polls = |(task, seen): (&Tracked, &Seen)| Polls {
        id: task.meta().id().as_u64(),
        polls: seen.polls as u64,
    };
    let mut alive: Vec<_> = tasks.iter().zip(&looks).map(polls).collect();
    alive.sort_unstable_by_key(|task| task.id);
    let habits = inner.insight.habits(&alive);
    for (task, seen) in tasks.iter().zip(&looks) {
        let info = info(task, seen, &now);
        let id = info.id.as_u64();
        let habit = habits.binary_search_by_key(&id, |habit| habit.id);
        let kind = if task.is_lost() {
            WarningKind::LostWaker {
                idle_for: info.since,
            }
        } else if info.state == TaskState::Running && info.since >= NEVER_YIELDS {
            WarningKind::NeverYields {
                running_for: info.since,
            }
        } else if let Ok(place) = habit
            && let habit = habits[place]
            && let Some((what, at)) = habit.vain_wait()
        {
            WarningKind::VainWakes {
                vain: habit.vain,
                polls: habit.polls,
                what,
                at,
            }
        } else if often(seen) && info.self_wakes >= info.polls / 2 {
            WarningKind::SelfWakes {
                self_wakes: info.self_wakes,
                polls: info.polls,
            }
        } else {
            continue;
        };
        found.push(Warning::new(
            kind,
            info.id,
            info.name.as_deref(),
            info.spawned_at,
        ));
    }
    let bound = inner.insight.stuck_wait_ns();
    let mut is_unsure = stuck_waits::find(&tasks, now.real, bound, &mut found);
    // Those that are polled often may be woken in vain: their polls are looked at until somebody asks again, or nobody does.
    let suspects = tasks
        .iter()
        .zip(&looks)
        .filter(|(_, seen)| often(seen) && seen.self_wakes < seen.polls / 2)
        .map(polls);
    is_unsure |= inner.insight.suspect(suspects, LOOKED_AT.as_nanos() as u64);
    // Whoever drops the last reference frees a task: not while its runtime's hooks may look at it.
    drop(tasks);
    for warning in &found {
        inner.insight.warnings().add(warning.clone());
    }
    (found, is_unsure)
}
