//! Tasks that are polled often: whether their wakes are in vain is found by looking at some polls of theirs, for a while and only
//! when somebody asks.
//!
//! A poll is in vain if nothing was taken in it (no unit of the budget) and the task waits for the very same thing afterwards, as
//! its note says. Only notes of things are judged whose every progress takes a unit: descriptors, deadlines, tasks, signals.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use blitz_core::primitive::sync::Mutex;
use blitz_core::sharded::Sharded;
use blitz_core::waiting::{Note, Resource};

use crate::task::Tracked;

/// A task that was looked at so often can be judged.
const POLLS_ENOUGH: u64 = 100;
/// A task that was not polled as often in this time is let go.
const GIVEN_UP_AFTER_NS: u64 = 10_000_000_000;
const SHARDS: usize = 16;

/// The tasks whose polls are looked at, and those that were. Each list is in the order of ids.
pub(super) struct Suspects {
    watched: Sharded<Vec<Habit>>,
    /// How often a task had been polled when it was judged last.
    judged: Mutex<Vec<Polls>>,
    /// On the clock of what is measured.
    until_ns: AtomicU64,
}

/// What a task was seen to do.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// Its id.
    pub id: u64,
    /// How many of its polls were looked at.
    pub polls: u64,
    /// How many of them were in vain.
    pub vain: u64,
    /// What it waits for.
    last: Option<Wait>,
    /// Since when it is looked at.
    from_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    what: &'static str,
    resource: u64,
    location: Option<&'static Location<'static>>,
}

impl Wait {
    fn of(note: Note) -> Option<Self> {
        let is_counted = matches!(
            note.site.resource,
            Resource::Descriptor | Resource::Deadline | Resource::Task | Resource::Signal
        );
        is_counted.then_some(Self {
            what: note.site.what,
            resource: note.resource,
            location: note.location,
        })
    }

    fn is_same(self, other: Wait) -> bool {
        let at = |wait: Wait| wait.location.map(std::ptr::from_ref);
        self.what == other.what && self.resource == other.resource && at(self) == at(other)
    }
}

impl Habit {
    fn of(id: u64, from_ns: u64) -> Self {
        Self {
            id,
            polls: 0,
            vain: 0,
            last: None,
            from_ns,
        }
    }

    /// The name of the call that it waits in, and the line of code that made it, if most of its polls were in vain.
    pub fn vain_wait(&self) -> Option<(&'static str, Option<&'static Location<'static>>)> {
        let last = self.last.filter(|_| 2 * self.vain >= self.polls)?;
        Some((last.what, last.location))
    }

    fn add(&mut self, wait: Option<Wait>, took_nothing: bool) {
        self.polls += 1;
        if let (true, Some(last), Some(wait)) = (took_nothing, self.last, wait)
            && last.is_same(wait)
        {
            self.vain += 1;
        }
        self.last = wait;
    }
}

/// How often a task was polled.
#[derive(Clone, Copy, Debug)]
pub struct Polls {
    /// Its id.
    pub id: u64,
    /// How often.
    pub polls: u64,
}

impl Suspects {
    pub(super) fn new() -> Self {
        Self {
            watched: Sharded::new(SHARDS, Vec::new),
            judged: Mutex::new(Vec::new()),
            until_ns: AtomicU64::new(0),
        }
    }

    /// Whether this task's polls are looked at.
    pub(super) fn has(&self, id: u64) -> bool {
        let shard = self.watched.shard(id as usize).lock();
        shard.binary_search_by_key(&id, |habit| habit.id).is_ok()
    }

    /// Whether nobody has asked for so long that polls are not looked at any more.
    pub(super) fn is_over(&self, now: u64) -> bool {
        // ORDERING: Relaxed: a limit.
        now >= self.until_ns.load(Relaxed)
    }

    /// The task was polled, not woken in its poll, and rests now unless it has ended or somebody woke it since.
    pub(super) fn polled(&self, id: u64, task: &Tracked, took_nothing: bool) {
        let wait = task.look().note.and_then(Wait::of);
        let mut shard = self.watched.shard(id as usize).lock();
        if let Ok(at) = shard.binary_search_by_key(&id, |habit| habit.id) {
            shard[at].add(wait, took_nothing);
        }
    }

    /// What was seen until `now` of those that can be judged, by their ids; they are looked at no more. `alive` are all tasks, in the
    /// order of their ids.
    pub(super) fn take(&self, alive: &[Polls], now: u64) -> Vec<Habit> {
        let polls = |id| {
            let at = alive.binary_search_by_key(&id, |task| task.id).ok()?;
            Some(alive[at].polls)
        };
        let mut seen = Vec::new();
        for shard in self.watched.iter_from(0) {
            shard.lock().retain(|habit| {
                let waited = now.saturating_sub(habit.from_ns);
                if habit.polls < POLLS_ENOUGH && waited < GIVEN_UP_AFTER_NS {
                    return polls(habit.id).is_some();
                }
                seen.push(*habit);
                false
            });
        }
        seen.sort_unstable_by_key(|habit| habit.id);
        let newly = seen.iter().filter_map(|habit| {
            let polls = polls(habit.id)?;
            Some(Polls {
                id: habit.id,
                polls,
            })
        });
        let mut judged = self.judged.lock();
        judged.retain(|task| polls(task.id).is_some());
        for task in newly {
            match judged.binary_search_by_key(&task.id, |judged| judged.id) {
                Ok(at) => judged[at] = task,
                Err(at) => judged.insert(at, task),
            }
        }
        drop(judged);
        seen
    }

    /// Looks at the polls of these from `now` until `until_ns`, but for those that were judged when they had been polled more than half as
    /// often. Answers whether any task is looked at.
    pub(super) fn watch(
        &self,
        tasks: impl Iterator<Item = Polls>,
        now: u64,
        until_ns: u64,
    ) -> bool {
        for task in tasks {
            let judged = self.judged.lock();
            let before = judged.binary_search_by_key(&task.id, |judged| judged.id);
            let is_known = before.is_ok_and(|at| task.polls / 2 < judged[at].polls);
            drop(judged);
            if is_known {
                continue;
            }
            let mut shard = self.watched.shard(task.id as usize).lock();
            if let Err(at) = shard.binary_search_by_key(&task.id, |habit| habit.id) {
                shard.insert(at, Habit::of(task.id, now));
            }
        }
        let any = self
            .watched
            .iter_from(0)
            .any(|shard| !shard.lock().is_empty());
        if any {
            // ORDERING: Relaxed: a limit.
            self.until_ns.store(until_ns, Relaxed);
        }
        any
    }
}

impl fmt::Debug for Suspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspects").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn wait(resource: u64) -> Option<Wait> {
        Some(Wait {
            what: "read",
            resource,
            location: None,
        })
    }

    #[test]
    fn a_poll_is_in_vain_if_nothing_was_taken_and_nothing_changed() {
        let mut habit = Habit::of(1, 0);
        habit.add(wait(1), true);
        assert_eq!((habit.polls, habit.vain), (1, 0), "not known before");
        habit.add(wait(1), true);
        habit.add(wait(1), false);
        habit.add(wait(2), true);
        habit.add(None, true);
        habit.add(wait(2), true);
        assert_eq!((habit.polls, habit.vain), (6, 1));
        assert!(habit.vain_wait().is_none());
        for _ in 0..4 {
            habit.add(wait(2), true);
        }
        assert_eq!(habit.vain_wait(), Some(("read", None)));
    }

    #[test]
    fn who_was_judged_is_looked_at_again_when_it_was_polled_twice_as_often() {
        let suspects = Suspects::new();
        let of = |polls| [Polls { id: 7, polls }];
        assert!(suspects.is_over(10));
        assert!(suspects.watch(of(1_000).into_iter(), 10, 20));
        assert!(suspects.has(7) && !suspects.is_over(19) && suspects.is_over(20));
        // It is hardly polled: given up after a while.
        assert!(suspects.take(&of(1_000), 20).is_empty());
        let later = 10 + GIVEN_UP_AFTER_NS;
        assert_eq!(suspects.take(&of(1_000), later)[0].id, 7);
        assert!(!suspects.watch(of(1_999).into_iter(), later, later));
        assert!(suspects.watch(of(2_000).into_iter(), later, later));
        assert!(suspects.take(&[], later).is_empty(), "it has ended");
        assert!(suspects.watch(of(1).into_iter(), 40, 40), "it is forgotten");
    }
}
