//! Waits for locks, permits and room that are stuck: served and not polled, or for what nobody can give back any more.
//!
//! What is looked at is the register of waits ([`blitz_core::register`]) and the tasks' figures. Neither is of one moment, and a
//! healthy program has waits that look stuck between the wake and the poll. So nothing is told before a later look finds that
//! nothing has happened to the wait since an earlier one, and the bound lies between the two.

use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;

use blitz_core::register::{self, Standing, Step};
use blitz_exec::scheduler::warnings::{Other, Warning, WarningKind};
use blitz_exec::task::{Seen, TaskState, Tracked};

// What is suspected of a wait.
const UNPOLLED: usize = 1;
const DEADLOCK: usize = 2;

/// The tasks that waits are of, by id.
struct Tasks<'a>(HashMap<u64, (&'a Tracked, Seen)>);

impl<'a> Tasks<'a> {
    /// Those of `tasks` that wait, or have what others wait for.
    fn of(waits: &[Standing], tasks: &'a [Tracked]) -> Self {
        let holders = waits.iter().filter_map(|wait| Some(wait.holder?.task));
        let mut wanted: HashMap<u64, Option<(&Tracked, Seen)>> = waits
            .iter()
            .map(|wait| wait.task)
            .chain(holders)
            .map(|id| (id, None))
            .collect();
        for task in tasks {
            if let Some(found) = wanted.get_mut(&task.meta().id().as_u64()) {
                *found = Some((task, task.look()));
            }
        }
        let known = wanted.into_iter();
        Self(known.filter_map(|(id, task)| Some((id, task?))).collect())
    }

    fn warning(&self, kind: WarningKind, task: &Tracked, other: Option<Other>) -> Warning {
        let meta = task.meta();
        Warning::new(kind, meta.id(), meta.name(), meta.spawned_at()).with(other)
    }

    fn other(&self, id: u64, at: &'static Location<'static>) -> Option<Other> {
        let meta = self.0.get(&id)?.0.meta();
        Some(Other::new(meta.id(), meta.name(), meta.spawned_at(), at))
    }
}

/// Looks for stuck waits of `tasks`, and adds a warning for each that is so for `bound_ns` at least. Answers whether others may turn
/// out to be.
pub(super) fn find(tasks: &[Tracked], now: u64, bound_ns: u64, found: &mut Vec<Warning>) -> bool {
    register::look(|waits| {
        if waits.iter().all(|wait| wait.step == Step::Held) {
            return false;
        }
        let tasks = Tasks::of(waits, tasks);
        let unpolled = find_unpolled(waits, &tasks, now, bound_ns, found);
        let deadlocks = find_deadlocks(waits, &tasks, now, bound_ns, found);
        unpolled || deadlocks
    })
}

/// Waits that were served and have not been polled since, though their task was or has nothing else to do.
fn find_unpolled(
    waits: &[Standing],
    tasks: &Tasks<'_>,
    now: u64,
    bound_ns: u64,
    found: &mut Vec<Warning>,
) -> bool {
    let mut is_unsure = false;
    for wait in waits.iter().filter(|wait| wait.step == Step::Served) {
        let Some((task, seen)) = tasks.0.get(&wait.task) else {
            continue;
        };
        // Its last poll came to the wait: the next may as well.
        if seen.turns == wait.turns {
            continue;
        }
        let Some(before) = wait.suspect(UNPOLLED, now, seen.turns) else {
            is_unsure = true;
            continue;
        };
        let went_on = seen.state == TaskState::Idle || seen.turns != before.turns;
        let unpolled_for = now.saturating_sub(before.since);
        if !went_on || unpolled_for < bound_ns {
            is_unsure = true;
            continue;
        }
        let is_same = |other: &Standing| other.share.object == wait.share.object;
        let behind = |other: &&Standing| other.step == Step::InLine && is_same(other);
        let other = waits
            .iter()
            .find(|other| behind(other) && other.task != wait.task)
            .or_else(|| waits.iter().find(behind));
        let kind = WarningKind::UnpolledWait {
            what: wait.call.site.what,
            at: wait.call.at,
            object: wait.share.object,
            unpolled_for: Duration::from_nanos(unpolled_for),
        };
        let other = other.and_then(|other| tasks.other(other.task, other.call.at));
        found.push(tasks.warning(kind, task, other));
    }
    is_unsure
}

/// One who has some of what others wait for.
#[derive(Clone, Copy)]
struct Has {
    task: u64,
    at: &'static Location<'static>,
    count: usize,
    /// Whether it has not been polled since it was given that.
    is_unpolled: bool,
}

/// A thing that is waited for, as far as it is known who has it.
#[derive(Default)]
struct Thing {
    has: Vec<Has>,
    /// The first in line.
    first: Option<u64>,
    /// How many permits there are in all; 0 if they come and go otherwise too.
    all: usize,
}

/// The things that are waited for, by their addresses.
struct Things(HashMap<usize, Thing>);

impl Things {
    fn of(waits: &[Standing]) -> Self {
        let mut things: HashMap<usize, Thing> = HashMap::new();
        for wait in waits {
            let thing = things.entry(wait.share.object).or_default();
            if wait.step != Step::InLine {
                thing.has.push(Has {
                    task: wait.task,
                    at: wait.call.at,
                    count: wait.share.count,
                    is_unpolled: wait.step == Step::Served,
                });
            }
            if wait.is_first {
                (thing.first, thing.all) = (Some(wait.task), wait.share.of);
            }
            thing.has.extend(wait.holder.map(|holder| Has {
                task: holder.task,
                at: holder.at,
                count: holder.count,
                is_unpolled: false,
            }));
        }
        Self(things)
    }

    /// Will `wait` never have what it wants, if none of the `stuck` tasks gives anything back or leaves a line?
    fn is_in_vain(&self, wait: &Standing, stuck: &HashMap<u64, Seen>) -> bool {
        let Some(thing) = self.0.get(&wait.share.object) else {
            return false;
        };
        // Nobody passes the first in line.
        if !wait.is_first && thing.first.is_some_and(|first| stuck.contains_key(&first)) {
            return true;
        }
        let has = thing.has.iter().filter(|has| stuck.contains_key(&has.task));
        let lost: usize = has.map(|has| has.count).sum();
        thing.all != 0 && thing.all.saturating_sub(lost) < wait.share.count
    }

    /// Who keeps `wait` from what it wants, if it is in vain: its own task, if that is one of them.
    fn holder(&self, wait: &Standing, stuck: &HashMap<u64, Seen>) -> Option<Has> {
        let thing = self.0.get(&wait.share.object)?;
        let mut has = thing.has.iter().filter(|has| stuck.contains_key(&has.task));
        let own = has.clone().find(|has| has.task == wait.task);
        own.or_else(|| has.next()).copied()
    }
}

/// Tasks that wait for locks and permits alone, of which these tasks have too many themselves.
///
/// Whether a task waits for those alone is said by its wakers: as many as it stands in lines with. Who waits for anything else as
/// well, be it of another crate, has one more.
fn find_deadlocks(
    waits: &[Standing],
    tasks: &Tasks<'_>,
    now: u64,
    bound_ns: u64,
    found: &mut Vec<Warning>,
) -> bool {
    let things = Things::of(waits);
    let mut lines: HashMap<u64, Vec<&Standing>> = HashMap::new();
    for wait in waits
        .iter()
        .filter(|wait| wait.wakes_task && wait.step == Step::InLine)
    {
        lines.entry(wait.task).or_default().push(wait);
    }
    let in_line = |id: &u64| lines.get(id).map_or(&[][..], Vec::as_slice);
    let mut stuck: HashMap<u64, Seen> = HashMap::new();
    for (id, (_, seen)) in &tasks.0 {
        if seen.state == TaskState::Idle && seen.wakers == in_line(id).len() {
            stuck.insert(*id, *seen);
        }
    }
    // Whoever waits for one that is not stuck is not stuck either, and so on.
    loop {
        let is_free = |id: &&u64| {
            let mut waits = in_line(id).iter();
            !waits.all(|wait| things.is_in_vain(wait, &stuck))
        };
        let free: Vec<u64> = stuck.keys().filter(is_free).copied().collect();
        if free.is_empty() {
            break;
        }
        for id in free {
            stuck.remove(&id);
        }
    }
    let mut is_unsure = false;
    for (id, seen) in &stuck {
        let Some((task, _)) = tasks.0.get(id) else {
            continue;
        };
        for wait in in_line(id) {
            let holder = things.holder(wait, &stuck);
            // What a served wait has that nobody polls is told already.
            if holder.is_some_and(|holder| holder.is_unpolled) {
                continue;
            }
            let before = wait.suspect(DEADLOCK, now, seen.turns);
            let before = before.filter(|before| before.turns == seen.turns);
            let Some(before) = before.filter(|before| now.saturating_sub(before.since) >= bound_ns)
            else {
                is_unsure = true;
                continue;
            };
            let idle_for = now.saturating_sub(seen.since.min(before.since));
            let kind = WarningKind::Deadlock {
                what: wait.call.site.what,
                at: wait.call.at,
                object: wait.share.object,
                idle_for: Duration::from_nanos(idle_for),
            };
            let other = holder.and_then(|holder| tasks.other(holder.task, holder.at));
            found.push(tasks.warning(kind, task, other));
        }
    }
    is_unsure
}
