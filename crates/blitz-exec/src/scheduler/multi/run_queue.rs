//! The tasks that wait at one worker: which of them runs next, and what thieves may take.
//!
//! Normal tasks have the queue and the last-woken slot; those of other priorities stand [beside](super::side). While there is none
//! of those, here or in the shared lanes, the one look for them is all that they cost.

use std::sync::Arc;

use blitz_core::queue::deque::Owner;
use blitz_core::wake::is_in_turn;

use super::pace::Pace;
use super::side::Side;
use super::{Remote, Shared};
use crate::scheduler::aging::{Aging, Waiting};
use crate::scheduler::config::Config;
use crate::scheduler::rng::Rng;
use crate::stats::WorkerStats;
use crate::task::{Lane, Notified};

/// So many polls in a row come from the last-woken slot before the queue has its turn.
const LIFO_STREAK_MAX: u32 = 3;

/// One worker's tasks. It goes where the worker's core goes.
pub(super) struct RunQueue {
    index: usize,
    queue: Owner<Notified>,
    /// The task woken last: it runs next, while what it needs is in the cache. Only this worker takes it, so filling it
    /// wakes nobody.
    lifo: Option<Notified>,
    lifo_enabled: bool,
    lifo_streak: u32,
    /// When the injector comes first.
    pace: Pace,
    /// Those that are not normal, and when they and others have their turns.
    side: Side,
    aging: Aging,
    rng: Rng,
    stats: Arc<WorkerStats>,
}

impl RunQueue {
    pub(super) fn new(
        index: usize,
        queue: Owner<Notified>,
        side: Side,
        config: &Config,
        stats: Arc<WorkerStats>,
    ) -> Self {
        Self {
            index,
            queue,
            lifo: None,
            lifo_enabled: !config.disable_lifo_slot,
            lifo_streak: 0,
            pace: Pace::new(config.global_queue_interval),
            side,
            aging: Aging::new(config.patience),
            rng: Rng::new(config.seed, index),
            stats,
        }
    }

    /// So many polls in a row have taken so long together.
    pub(super) fn pace(&mut self, polls: u32, ns: u64) {
        self.pace.row(polls, ns);
    }

    /// Queues a normal task that was woken here. Answers whether something waits behind what this worker does next.
    #[inline]
    pub(super) fn push_woken(&mut self, shared: &Shared, task: Notified) -> bool {
        let behind = if !self.lifo_enabled || (is_in_turn() && !self.normal_is_empty()) {
            Some(task)
        } else {
            self.lifo.replace(task)
        };
        let Some(task) = behind else { return false };
        self.push_normal(shared, task);
        true
    }

    /// Queues a task behind all others of its lane.
    #[inline]
    pub(super) fn push_back(&mut self, shared: &Shared, task: Notified) {
        if task.is_normal() {
            self.push_normal(shared, task);
        } else {
            self.push_side(shared, task);
        }
    }

    #[cold]
    fn push_side(&mut self, shared: &Shared, task: Notified) {
        if self.side.push(&shared.side, task) {
            self.stats.overflow();
        }
    }

    #[inline]
    fn push_normal(&mut self, shared: &Shared, task: Notified) {
        if let Some(batch) = self.queue.push(task) {
            self.stats.overflow();
            // A closed injector: everything is ending, and these are references only.
            let _ = shared.injector.push_chain(batch);
        }
    }

    /// Whether there is more than one worker does next.
    pub(super) fn has_surplus(&self, shared: &Shared) -> bool {
        let len = self.queue.len() + usize::from(self.lifo.is_some());
        len > 1 || (!self.is_plain(shared) && len + self.side.len() + shared.side_len() > 1)
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.normal_is_empty() && self.side.len() == 0
    }

    fn normal_is_empty(&self) -> bool {
        self.lifo.is_none() && self.queue.is_empty()
    }

    /// Whether all that waits is normal, here and in what is shared.
    #[inline]
    fn is_plain(&self, shared: &Shared) -> bool {
        self.side.waiting().is_empty() && shared.side.is_empty()
    }

    /// The task to run next, from here or from what is shared.
    #[inline]
    pub(super) fn next(&mut self, shared: &Shared) -> Option<Notified> {
        if self.is_plain(shared) {
            self.next_normal(shared)
        } else {
            self.next_by_class(shared)
        }
    }

    #[cold]
    fn next_by_class(&mut self, shared: &Shared) -> Option<Notified> {
        // Lanes that somebody else has emptied meanwhile.
        let mut gone = Waiting::NONE;
        loop {
            let mut waiting = self.side.waiting().union(shared.side.waiting());
            if !self.normal_is_empty() || !shared.injector.is_empty() {
                waiting.insert(Lane::Normal);
            }
            let waiting = waiting.without(gone);
            let lane = self.aging.choose(waiting)?;
            let task = match lane {
                Lane::Normal => self.next_normal(shared),
                Lane::Low if waiting.best() == Some(Lane::Low) => self
                    .rob_one(shared)
                    .or_else(|| self.next_of_side(shared, lane)),
                lane => self.next_of_side(shared, lane),
            };
            if task.is_some() {
                return task;
            }
            gone.insert(lane);
        }
    }

    fn next_of_side(&mut self, shared: &Shared, lane: Lane) -> Option<Notified> {
        self.side.pop(&shared.side, lane, shared.remotes.len())
    }

    #[inline]
    fn next_normal(&mut self, shared: &Shared) -> Option<Notified> {
        if self.pace.is_due()
            && let Some(task) = shared.injector.pop()
        {
            return Some(task);
        }
        if let Some(task) = self.lifo.take() {
            if self.lifo_streak < LIFO_STREAK_MAX || self.queue.is_empty() {
                self.lifo_streak += 1;
                return Some(task);
            }
            // Two tasks that wake each other would keep the queue waiting.
            self.push_normal(shared, task);
        }
        self.lifo_streak = 0;
        self.queue.pop().or_else(|| self.take_injected(shared))
    }

    /// A fair share of the shared queue.
    fn take_injected(&mut self, shared: &Shared) -> Option<Notified> {
        let waiting = shared.injector.len();
        if waiting == 0 {
            return None;
        }
        let share = (waiting / shared.remotes.len() + 1).min(self.queue.capacity() / 2);
        let mut batch = shared.injector.pop_chain(share);
        let first = batch.pop_front();
        self.queue.push_chain(&mut batch);
        debug_assert!(
            batch.is_empty(),
            "the queue was empty, and the batch is half of it"
        );
        first
    }

    /// Looks in the others' queues, from a random one on, and in what is shared: the most urgent first.
    pub(super) fn steal(&mut self, shared: &Shared) -> Option<Notified> {
        if !shared.side.is_used() {
            return self.steal_normal(shared);
        }
        Lane::ALL.into_iter().find_map(|lane| match lane {
            Lane::Normal => self.steal_normal(shared),
            Lane::High | Lane::Low => self
                .victims(shared)
                .find_map(|at| self.rob(lane, &shared.remotes[at]))
                .or_else(|| self.next_of_side(shared, lane)),
            lane => self.next_of_side(shared, lane),
        })
    }

    fn steal_normal(&mut self, shared: &Shared) -> Option<Notified> {
        self.victims(shared)
            .find_map(|at| self.rob(Lane::Normal, &shared.remotes[at]))
            .or_else(|| self.take_injected(shared))
    }

    /// Takes tasks of one lane from another worker: the first to run, the others to keep.
    fn rob(&mut self, lane: Lane, victim: &Remote) -> Option<Notified> {
        let before = self.len();
        let task = match lane {
            Lane::Normal => victim.thief.steal_into(&mut self.queue),
            lane => self.side.steal(lane, &victim.side),
        }?;
        let kept = self.len().saturating_sub(before);
        self.stats.steal(kept as u64 + 1);
        Some(task)
    }

    /// How many tasks wait in the queues that thieves see.
    fn len(&self) -> usize {
        self.queue.len() + self.side.len()
    }

    /// The other workers, from a random one on.
    fn victims(&mut self, shared: &Shared) -> impl Iterator<Item = usize> + use<> {
        let (count, index) = (shared.remotes.len(), self.index);
        let start = self.rng.below(count);
        (start..count)
            .chain(0..start)
            .filter(move |at| *at != index)
    }

    /// Before something low: does one of the others, a random one, have what is more urgent? (All of them together so find what
    /// one has too much of, though none of them is idle.)
    fn rob_one(&mut self, shared: &Shared) -> Option<Notified> {
        let at = self.rng.below(shared.remotes.len());
        if at == self.index {
            return None;
        }
        let victim = &shared.remotes[at];
        self.rob(Lane::High, victim)
            .or_else(|| self.rob(Lane::Normal, victim))
    }

    /// Drops what waits here: the scheduler has ended, and these are references only.
    pub(super) fn clear(&mut self) {
        drop(self.lifo.take());
        while let Some(task) = self.queue.pop() {
            drop(task);
        }
        self.side.clear();
    }
}
