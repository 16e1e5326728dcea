//! What a worker does, for those who watch it.

use std::panic::Location;

use super::{Alarm, Handle};
use crate::park::Rest;
use crate::task::{Id, OwnedTasks};

/// What was seen of a worker at one moment. Two that are equal show a worker that has done nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    pub(super) holder: usize,
    pub(super) look: usize,
    pub(super) task: usize,
    moves: u64,
    inside: bool,
}

impl Beat {
    /// None of a worker that sleeps. `inside`: it is where it cannot be replaced.
    pub(super) fn new(
        holder: usize,
        (look, task): (usize, usize),
        rest: Rest,
        inside: bool,
    ) -> Option<Self> {
        (!rest.asleep).then_some(Self {
            holder,
            look,
            task,
            moves: rest.moves,
            // In a task's poll it may be so for a moment, which is no other beat.
            inside: inside && task == 0,
        })
    }

    /// Whether it polls or drops a task. If not it is in its own loop, in a hook, or in what a driver's turn calls.
    pub fn is_in_task(&self) -> bool {
        self.task != 0
    }

    /// Whether it is in its own loop or in its driver's turn, which cannot change hands half-way. In a hook it is not.
    pub fn is_inside(&self) -> bool {
        self.inside
    }
}

/// Who a task was when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSketch {
    /// Its id.
    pub id: Id,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
}

impl Handle {
    /// What a worker does; `None` if it sleeps, or if no thread is there to do anything.
    pub fn beat(&self, worker: usize) -> Option<Beat> {
        match self {
            Handle::Single(scheduler) => scheduler.beat(),
            Handle::Multi(scheduler) => scheduler.beat(worker),
            Handle::PerCore(scheduler) => scheduler.workers()[worker].beat(),
        }
    }

    /// What wakes who watches the workers.
    pub fn alarm(&self) -> &Alarm {
        match self {
            Handle::Single(scheduler) => scheduler.alarm(),
            Handle::Multi(scheduler) => scheduler.alarm(),
            Handle::PerCore(scheduler) => scheduler.workers()[0].alarm(),
        }
    }

    /// How many threads are stuck and have lost their cores to others.
    pub fn spares_lent(&self) -> usize {
        match self {
            Handle::Multi(scheduler) => scheduler.spares_lent(),
            Handle::Single(_) | Handle::PerCore(_) => 0,
        }
    }

    /// The task that a worker works on, if it still does what was seen.
    pub fn task_of(&self, worker: usize, seen: &Beat) -> Option<TaskSketch> {
        let find = |owned: &OwnedTasks| {
            let tasks = owned.collect();
            let task = tasks.iter().find(|task| task.address() == seen.task)?;
            let meta = task.meta();
            Some(TaskSketch {
                id: meta.id(),
                name: meta.name().map(str::to_owned),
                location: meta.spawned_at(),
            })
        };
        let sketch = match self {
            Handle::Single(scheduler) => find(scheduler.owned()),
            Handle::Multi(scheduler) => find(scheduler.owned()),
            Handle::PerCore(scheduler) => find(scheduler.workers()[worker].owned()),
        };
        // Another task may have come to the same address: not while the worker was in the same poll.
        sketch.filter(|_| self.beat(worker).as_ref() == Some(seen))
    }
}
