//! One thread's run queue: the tasks of each priority, and which of them runs next.
//!
//! For the schedulers of one thread and for `LocalSet`. Nothing here is shared; while all tasks are normal it is one chain.

use blitz_core::queue::Chain;

use super::aging::{Aging, Patience, Waiting};
use crate::task::{Header, Lane, Notified};

/// The tasks that one thread runs.
pub(super) struct Classes {
    normal: Chain<Notified>,
    /// Those of the other lanes, by number; the normal one's stays empty.
    others: [Chain<Notified>; Lane::COUNT],
    /// Which of the others hold something.
    waiting: Waiting,
    /// Something is to be done around each poll.
    is_observed: bool,
    /// All that waits is normal, and nothing is to be done around polls: one look says both.
    is_plain: bool,
    aging: Aging,
}

/// What [`Classes::next`] found.
pub(super) enum Next {
    /// This runs next.
    Run(Notified),
    /// It is the turn of a normal one, and the caller wants none from here.
    Normal,
    /// Nothing waits.
    Nothing,
}

impl Classes {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            normal: Chain::new(),
            others: std::array::from_fn(|_| Chain::new()),
            waiting: Waiting::NONE,
            is_observed: false,
            is_plain: true,
            aging: Aging::new(patience),
        }
    }

    /// Whether all that waits is normal, and nothing is to be done around its polls.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether all that waits is normal.
    pub(super) fn is_normal(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something is to be done around each poll.
    pub(super) fn is_observed(&self) -> bool {
        self.is_observed
    }

    /// From now on something is to be done around each poll, or nothing.
    pub(super) fn observe(&mut self, is_observed: bool) {
        self.is_observed = is_observed;
        self.look();
    }

    fn look(&mut self) {
        self.is_plain = self.waiting.is_empty() && !self.is_observed;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.normal.is_empty()
    }

    /// The normal tasks that come next, `count` at most, are seen at `now`. While tasks are observed their polls see to that.
    pub(super) fn touch_next(&self, count: usize, now: u64) {
        if !self.is_observed {
            let touch = |task: &Header| task.place().touch(now);
            self.normal.for_first(count, touch);
        }
    }

    /// Queues tasks that are all normal, and were told to run at a time that may have been long ago when this thread came back from its
    /// wait, at `now`.
    pub(super) fn append_seen(&mut self, tasks: Chain<Notified>, now: u64) {
        if !self.is_observed {
            tasks.for_first(tasks.len(), |task| task.place().touch(now));
        }
        self.normal.append(tasks);
    }

    /// How many tasks wait in each lane, by number.
    pub(super) fn lens(&self) -> [usize; Lane::COUNT] {
        let mut lens = std::array::from_fn(|lane| self.others[lane].len());
        lens[Lane::Normal.number()] = self.normal.len();
        lens
    }

    /// How many normal tasks wait.
    #[inline]
    pub(super) fn normal_len(&self) -> usize {
        self.normal.len()
    }

    /// Queues a task behind all others of its lane.
    #[inline]
    pub(super) fn push(&mut self, task: Notified) {
        if task.is_normal() {
            self.normal.push_back(task);
        } else {
            self.push_other(task);
        }
    }

    #[cold]
    fn push_other(&mut self, task: Notified) {
        let lane = task.lane();
        self.others[lane.number()].push_back(task);
        self.waiting.insert(lane);
        self.look();
    }

    /// Queues tasks of any lane.
    #[inline]
    pub(super) fn sort_in(&mut self, tasks: Chain<Notified>) {
        for task in tasks {
            self.push(task);
        }
    }

    /// The task that has waited longest, if all are [plain](Self::is_plain).
    #[inline]
    pub(super) fn pop_if_plain(&mut self) -> Option<Notified> {
        if self.is_plain {
            self.normal.pop_front()
        } else {
            None
        }
    }

    /// The task that has waited longest, if all are normal.
    pub(super) fn pop_if_normal(&mut self) -> Option<Notified> {
        if self.is_normal() {
            self.normal.pop_front()
        } else {
            None
        }
    }

    /// The task to run next. `normal_waits`: whether the caller has something to do that counts as normal; `take_normal`: whether
    /// a normal task from here may run.
    pub(super) fn next(&mut self, normal_waits: bool, take_normal: bool) -> Next {
        let mut waiting = self.waiting;
        if normal_waits || !self.normal.is_empty() {
            waiting.insert(Lane::Normal);
        }
        match self.aging.choose(waiting) {
            None => Next::Nothing,
            Some(Lane::Normal) if take_normal => {
                self.normal.pop_front().map_or(Next::Normal, Next::Run)
            }
            Some(Lane::Normal) => Next::Normal,
            Some(lane) => self.pop(lane).map_or(Next::Nothing, Next::Run),
        }
    }

    fn pop(&mut self, lane: Lane) -> Option<Notified> {
        let task = self.others[lane.number()].pop_front();
        if self.others[lane.number()].is_empty() {
            self.waiting.remove(lane);
            self.look();
        }
        if lane == Lane::Urgent
            && let Some(task) = &task
        {
            task.settle();
        }
        task
    }

    /// Takes everything, in no order that counts.
    pub(super) fn take_all(&mut self) -> Chain<Notified> {
        let mut all = std::mem::take(&mut self.normal);
        for chain in &mut self.others {
            all.append(std::mem::take(chain));
        }
        self.waiting = Waiting::NONE;
        self.look();
        all
    }
}
