//! The tasks that wait at one worker: which of them runs next, and what thieves may take.

use std::sync::Arc;

use blitz_core::queue::deque::Owner;

use super::Shared;
use crate::scheduler::config::Config;
use crate::scheduler::rng::Rng;
use crate::stats::WorkerStats;
use crate::task::Notified;

/// So many polls in a row come from the last-woken slot before the queue has its turn.
const LIFO_STREAK_MAX: u32 = 3;

/// One worker's tasks. It goes where the worker's core goes.
pub(super) struct RunQueue {
    queue: Owner<Notified>,
    /// The task woken last: it runs next, while what it needs is in the cache. Only this worker takes it, so filling it
    /// wakes nobody.
    lifo: Option<Notified>,
    lifo_enabled: bool,
    lifo_streak: u32,
    /// Polls until the injector comes first.
    polls_to_injector: u32,
    stats: Arc<WorkerStats>,
}

impl RunQueue {
    pub(super) fn new(queue: Owner<Notified>, config: &Config, stats: Arc<WorkerStats>) -> Self {
        Self {
            queue,
            lifo: None,
            lifo_enabled: !config.disable_lifo_slot,
            lifo_streak: 0,
            polls_to_injector: config.global_queue_interval,
            stats,
        }
    }

    /// Queues a task that was woken here. Answers whether there is more now than this worker does next.
    #[inline]
    pub(super) fn push(&mut self, shared: &Shared, task: Notified) -> bool {
        let behind = if self.lifo_enabled {
            self.lifo.replace(task)
        } else {
            Some(task)
        };
        let Some(task) = behind else { return false };
        self.push_back(shared, task);
        self.has_surplus()
    }

    /// Queues a task behind all others.
    #[inline]
    pub(super) fn push_back(&mut self, shared: &Shared, task: Notified) {
        if let Some(batch) = self.queue.push(task) {
            self.stats.overflow();
            // A closed injector: everything is ending, and these are references only.
            let _ = shared.injector.push_chain(batch);
        }
    }

    /// Whether there is more than one worker does next.
    pub(super) fn has_surplus(&self) -> bool {
        self.queue.len() + usize::from(self.lifo.is_some()) > 1
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.lifo.is_none() && self.queue.is_empty()
    }

    /// The task to run next, from here or from the shared queue.
    #[inline]
    pub(super) fn next(&mut self, shared: &Shared) -> Option<Notified> {
        self.polls_to_injector = self.polls_to_injector.saturating_sub(1);
        if self.polls_to_injector == 0 {
            self.polls_to_injector = shared.config.global_queue_interval;
            if let Some(task) = shared.injector.pop() {
                return Some(task);
            }
        }
        if let Some(task) = self.lifo.take() {
            if self.lifo_streak < LIFO_STREAK_MAX || self.queue.is_empty() {
                self.lifo_streak += 1;
                return Some(task);
            }
            // Two tasks that wake each other would keep the queue waiting.
            self.push_back(shared, task);
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

    /// Looks in the others' queues, from a random one on, and then in the shared one. `index` is this worker's.
    pub(super) fn steal(
        &mut self,
        shared: &Shared,
        index: usize,
        rng: &mut Rng,
    ) -> Option<Notified> {
        let count = shared.remotes.len();
        let start = rng.below(count);
        for at in (start..count).chain(0..start) {
            let before = self.queue.len();
            if at != index
                && let Some(task) = shared.remotes[at].thief.steal_into(&mut self.queue)
            {
                self.stats.steal((self.queue.len() - before) as u64 + 1);
                return Some(task);
            }
        }
        self.take_injected(shared)
    }

    /// Drops what waits here: the scheduler has ended, and these are references only.
    pub(super) fn clear(&mut self) {
        drop(self.lifo.take());
        while let Some(task) = self.queue.pop() {
            drop(task);
        }
    }
}
