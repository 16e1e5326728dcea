//! Waits for locks, permits and room that are stuck: served and not polled, or for what nobody can give back any more.
//!
//! What is looked at is the register of waits ([`blitz_core::register`]) and the tasks' figures. Neither is of one moment, and a
//! healthy program has waits that look stuck between the wake and the poll. So nothing is told before a later look finds that
//! nothing has happened to the wait since an earlier one, and the bound lies between the two.

use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::time::Duration;

use blitz_core::register::{self, Holder, Standing};
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
        let holders = waits.iter().filter_map(|wait| Some(wait.holder?.0));
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
        if waits.is_empty() {
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
    for wait in waits.iter().filter(|wait| wait.is_served) {
        let Some((task, seen)) = tasks.0.get(&wait.task) else {
            continue;
        };
        // Its last poll came to the wait: the next may as well.
        if seen.polls == wait.polls {
            continue;
        }
        let Some(before) = wait.suspect(UNPOLLED, now, seen.polls) else {
            is_unsure = true;
            continue;
        };
        let went_on = seen.state == TaskState::Idle || seen.polls != before.polls;
        let unpolled_for = now.saturating_sub(before.since);
        if !went_on || unpolled_for < bound_ns {
            is_unsure = true;
            continue;
        }
        let behind = |other: &&Standing| !other.is_served && other.object == wait.object;
        let other = waits
            .iter()
            .find(|other| behind(other) && other.task != wait.task)
            .or_else(|| waits.iter().find(behind));
        let kind = WarningKind::UnpolledWait {
            what: wait.call.site.what,
            at: wait.call.at,
            object: wait.object,
            unpolled_for: Duration::from_nanos(unpolled_for),
        };
        let other = other.and_then(|other| tasks.other(other.task, other.call.at));
        found.push(tasks.warning(kind, task, other));
    }
    is_unsure
}

/// Tasks that wait for locks alone, whose holders are among these tasks.
///
/// Whether a task waits for locks alone is said by its wakers: as many as it stands in lines with. Who waits for anything else as
/// well, be it of another crate, has one more.
fn find_deadlocks(
    waits: &[Standing],
    tasks: &Tasks<'_>,
    now: u64,
    bound_ns: u64,
    found: &mut Vec<Warning>,
) -> bool {
    let holders: HashMap<usize, Holder> = waits
        .iter()
        .filter_map(|wait| Some((wait.object, wait.holder?)))
        .collect();
    let mut lines: HashMap<u64, Vec<&Standing>> = HashMap::new();
    for wait in waits
        .iter()
        .filter(|wait| wait.wakes_task && !wait.is_served)
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
        let has_stuck_holder = |wait: &&Standing| {
            let holder = holders.get(&wait.object);
            holder.is_some_and(|(holder, _)| stuck.contains_key(holder))
        };
        let is_free = |id: &&u64| !in_line(id).iter().all(has_stuck_holder);
        let free: Vec<u64> = stuck.keys().filter(is_free).copied().collect();
        if free.is_empty() {
            break;
        }
        for id in free {
            stuck.remove(&id);
        }
    }
    let mut is_unsure = false;
    // What a served wait has that nobody polls is told already.
    let served: HashSet<(usize, Holder)> = waits
        .iter()
        .filter(|wait| wait.is_served)
        .map(|wait| (wait.object, (wait.task, wait.call.at)))
        .collect();
    for (id, seen) in &stuck {
        let Some((task, _)) = tasks.0.get(id) else {
            continue;
        };
        for wait in in_line(id) {
            let holder = holders.get(&wait.object);
            if holder.is_some_and(|holder| served.contains(&(wait.object, *holder))) {
                continue;
            }
            let before = wait.suspect(DEADLOCK, now, seen.polls);
            let before = before.filter(|before| before.polls == seen.polls);
            let Some(before) = before.filter(|before| now.saturating_sub(before.since) >= bound_ns)
            else {
                is_unsure = true;
                continue;
            };
            let idle_for = now.saturating_sub(seen.since.min(before.since));
            let kind = WarningKind::Deadlock {
                what: wait.call.site.what,
                at: wait.call.at,
                object: wait.object,
                idle_for: Duration::from_nanos(idle_for),
            };
            let other = holder.and_then(|(holder, at)| tasks.other(*holder, at));
            found.push(tasks.warning(kind, task, other));
        }
    }
    is_unsure
}
