//! The tasks of one worker that are not normal.
//!
//! Critical ones wait in the lanes that all workers share, so that whoever is done with its poll first takes them. High and low
//! ones have a queue each beside the worker's own, which thieves see; the high one is short: what is more than a few goes to
//! the shared lane, where workers that would poll something normal find it.

use blitz_core::primitive::sync::atomic::AtomicBool;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::queue::deque::{Owner, Thief, deque};
use blitz_core::queue::lanes::Lanes;

use crate::scheduler::aging::Waiting;
use crate::scheduler::config::Config;
use crate::task::{Lane, Notified};

/// So many high tasks wait for one worker at most while others poll what is normal.
const HIGH_LEN: usize = 8;

/// What all workers share of the tasks that are not normal.
pub(super) struct SharedSide {
    lanes: Lanes<Notified, { Lane::COUNT }>,
    /// Whether there ever was one. Until then thieves and sleepers need not look for them.
    used: AtomicBool,
}

impl SharedSide {
    pub(super) fn new() -> Self {
        Self {
            lanes: Lanes::new(),
            used: AtomicBool::new(false),
        }
    }

    /// Which shared lanes hold something.
    #[inline]
    pub(super) fn waiting(&self) -> Waiting {
        Waiting::of_bits(self.lanes.waiting())
    }

    /// Whether nothing waits there.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// How many tasks of a lane wait in the shared one.
    pub(super) fn len(&self, lane: Lane) -> usize {
        self.lanes.len(lane.number())
    }

    /// Whether a task that is not normal was ever queued.
    #[inline]
    pub(super) fn is_used(&self) -> bool {
        // ORDERING: Relaxed: stored before the first such task is queued, so whoever is to see that task sees this.
        self.used.load(Relaxed)
    }

    #[inline]
    fn note_use(&self) {
        if !self.is_used() {
            // ORDERING: Relaxed: see `is_used`. The fence of whoever then looks for sleepers is after it.
            self.used.store(true, Relaxed);
        }
    }

    /// Queues a task in its shared lane. Gives it back if everything is ending.
    pub(super) fn push(&self, task: Notified) -> Result<(), Notified> {
        self.note_use();
        self.lanes.push(task.lane().number(), task)
    }

    /// Takes the oldest task of a shared lane, for its poll.
    pub(super) fn pop(&self, lane: Lane) -> Option<Notified> {
        let task = self.lanes.pop(lane.number())?;
        if lane == Lane::Urgent {
            task.settle();
        }
        Some(task)
    }

    /// Everything is ending: drops what waits, and takes nothing from now on.
    pub(super) fn close(&self) {
        drop(self.lanes.close());
    }
}

/// A worker's own queues, by lane.
pub(super) struct Side {
    high: Class,
    low: Class,
    /// Which of them may hold something: thieves take what they want without a word.
    waiting: Waiting,
}

struct Class {
    lane: Lane,
    queue: Owner<Notified>,
    /// The shared lane comes first this time.
    shared_first: bool,
}

/// What others may do with them.
pub(super) struct SideThief {
    high: Thief<Notified>,
    low: Thief<Notified>,
}

impl Side {
    pub(super) fn new(config: &Config) -> (Self, SideThief) {
        let (high, low) = (
            Class::new(Lane::High, HIGH_LEN.min(config.local_queue_len)),
            Class::new(Lane::Low, config.local_queue_len),
        );
        let thief = SideThief {
            high: high.queue.thief(),
            low: low.queue.thief(),
        };
        let side = Self {
            high,
            low,
            waiting: Waiting::NONE,
        };
        (side, thief)
    }

    /// Which of the queues may hold something.
    #[inline]
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// How many tasks are in them.
    pub(super) fn len(&self) -> usize {
        self.high.queue.len() + self.low.queue.len()
    }

    /// Queues a task that is not normal behind all others of its lane. Answers whether a queue overflowed.
    #[cold]
    pub(super) fn push(&mut self, shared: &SharedSide, task: Notified) -> bool {
        let class = match task.lane() {
            Lane::High => &mut self.high,
            Lane::Low => &mut self.low,
            _ => {
                // Closed: everything is ending, and this is a reference only.
                let _ = shared.push(task);
                return false;
            }
        };
        shared.note_use();
        self.waiting.insert(class.lane);
        let Some(batch) = class.queue.push(task) else {
            return false;
        };
        // As above.
        let _ = shared.lanes.push_chain(class.lane.number(), batch);
        true
    }

    /// Takes a task of a lane that is not normal, for its poll. `workers`: how many share what is shared.
    pub(super) fn pop(
        &mut self,
        shared: &SharedSide,
        lane: Lane,
        workers: usize,
    ) -> Option<Notified> {
        let class = match lane {
            Lane::High => &mut self.high,
            Lane::Low => &mut self.low,
            lane => return shared.pop(lane),
        };
        // In turns, so that neither waits for the other to be empty.
        class.shared_first = !class.shared_first;
        let task = if class.shared_first {
            class
                .take_share(shared, workers)
                .or_else(|| class.queue.pop())
        } else {
            class
                .queue
                .pop()
                .or_else(|| class.take_share(shared, workers))
        };
        if class.queue.is_empty() {
            self.waiting.remove(lane);
        } else {
            self.waiting.insert(lane);
        }
        task
    }

    /// Takes tasks of a lane from one other worker.
    pub(super) fn steal(&mut self, lane: Lane, from: &SideThief) -> Option<Notified> {
        let (class, thief) = match lane {
            Lane::High => (&mut self.high, &from.high),
            Lane::Low => (&mut self.low, &from.low),
            _ => return None,
        };
        let task = thief.steal_into(&mut class.queue)?;
        if !class.queue.is_empty() {
            self.waiting.insert(lane);
        }
        Some(task)
    }

    /// Drops what waits here.
    pub(super) fn clear(&mut self) {
        while let Some(task) = self.high.queue.pop() {
            drop(task);
        }
        while let Some(task) = self.low.queue.pop() {
            drop(task);
        }
    }
}

impl Class {
    fn new(lane: Lane, len: usize) -> Self {
        let (queue, _) = deque(len);
        Self {
            lane,
            queue,
            shared_first: false,
        }
    }

    /// A fair share of the shared lane.
    fn take_share(&mut self, shared: &SharedSide, workers: usize) -> Option<Notified> {
        let lane = self.lane.number();
        let waiting = shared.lanes.len(lane);
        if waiting == 0 {
            return None;
        }
        let most = (self.queue.capacity() / 2).min(self.queue.room() + 1);
        let mut batch = shared
            .lanes
            .pop_chain(lane, (waiting / workers + 1).min(most));
        let first = batch.pop_front();
        self.queue.push_chain(&mut batch);
        debug_assert!(batch.is_empty(), "there is room for all but the first");
        first
    }
}

impl SideThief {
    /// How many tasks of a lane are in the worker's queue.
    pub(super) fn len(&self, lane: Lane) -> usize {
        match lane {
            Lane::High => self.high.len(),
            Lane::Low => self.low.len(),
            _ => 0,
        }
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.high.is_empty() && self.low.is_empty()
    }
}
