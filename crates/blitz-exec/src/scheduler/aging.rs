//! Which of the waiting lanes is served next: the most urgent, unless a lesser one has waited for too long.
//!
//! Pure: the queues are elsewhere, and time is counted in polls. Each lane has a patience, a number of polls. It is *due* when
//! it has waited while so many less one went to others, and then it goes first, the one that is overdue most before others. So a
//! lane that waits is served at least once in `patience` + [`SLACK`] polls, whatever comes to the others: three others may be
//! due before it, an urgent task may go ahead of each of them and of it, and none of them is due again within so few polls.

use std::fmt;

use crate::task::{Lane, Priority};

/// The shares that are promised must leave something to the most urgent: three times a quarter less an eighth.
pub const PATIENCE_MIN: u32 = 4;

/// Critical tasks wait for so many polls while urgent ones come without end.
const CRITICAL_PATIENCE: u32 = 8;

/// How many polls a lane that is due may wait for others that are.
pub const SLACK: u32 = 7;

/// So many polls, and a few, pass at most before a class that waits has its turn: once in so many polls of a worker, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// While critical tasks have theirs.
    pub high: u32,
    /// While high and critical ones have theirs.
    pub normal: u32,
    /// While all others have theirs.
    pub low: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            high: 8,
            normal: 16,
            low: 64,
        }
    }
}

impl Patience {
    /// Sets that of one class.
    ///
    /// # Panics
    /// If it is below [`PATIENCE_MIN`], or for [`Priority::Critical`].
    #[track_caller]
    pub fn set(&mut self, priority: Priority, polls: u32) {
        assert!(
            polls >= PATIENCE_MIN,
            "priority_aging: a class that has a turn in each {polls} polls would leave too few to the others; at least \
             {PATIENCE_MIN}"
        );
        match priority {
            Priority::Critical => {
                panic!("priority_aging: critical tasks have the first turn already")
            }
            Priority::High => self.high = polls,
            Priority::Normal => self.normal = polls,
            Priority::Low => self.low = polls,
        }
    }
}

/// A set of lanes: those in which something waits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waiting(u8);

impl Waiting {
    pub(super) const NONE: Self = Self(0);

    /// Bit `i` for the lane of number `i`.
    #[inline]
    pub(super) fn of_bits(bits: usize) -> Self {
        Self((bits & ((1 << Lane::COUNT) - 1)) as u8)
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) fn has(self, lane: Lane) -> bool {
        self.0 & (1 << lane.number()) != 0
    }

    #[inline]
    pub(super) fn insert(&mut self, lane: Lane) {
        self.0 |= 1 << lane.number();
    }

    #[inline]
    pub(super) fn remove(&mut self, lane: Lane) {
        self.0 &= !(1 << lane.number());
    }

    #[inline]
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[inline]
    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The most urgent.
    #[inline]
    pub(super) fn best(self) -> Option<Lane> {
        (self.0 != 0).then(|| Lane::of_number(self.0.trailing_zeros() as usize))
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = Lane::ALL.into_iter().filter(|lane| self.has(*lane));
        f.debug_set().entries(lanes).finish()
    }
}

/// How long each lane has waited.
#[derive(Debug)]
pub(super) struct Aging {
    patience: [u32; Lane::COUNT],
    /// Polls of others since the lane was served last, or began to wait.
    passed: [u32; Lane::COUNT],
    /// An urgent task went ahead of a lane that is due.
    gave_way: bool,
}

impl Aging {
    pub(super) fn new(patience: Patience) -> Self {
        let mut all = [u32::MAX; Lane::COUNT];
        all[Lane::Critical.number()] = CRITICAL_PATIENCE;
        all[Lane::High.number()] = patience.high;
        all[Lane::Normal.number()] = patience.normal;
        all[Lane::Low.number()] = patience.low;
        Self {
            patience: all,
            passed: [0; Lane::COUNT],
            gave_way: false,
        }
    }

    /// The lane to serve, of those in which something waits. The caller does serve it, or asks again without it.
    pub(super) fn choose(&mut self, waiting: Waiting) -> Option<Lane> {
        let best = waiting.best()?;
        let lane = match self.due(waiting) {
            None => {
                self.gave_way = false;
                best
            }
            Some(_) if best == Lane::Urgent && !self.gave_way => {
                self.gave_way = true;
                best
            }
            Some(due) => {
                self.gave_way = false;
                due
            }
        };
        for other in Lane::ALL {
            let passed = &mut self.passed[other.number()];
            *passed = if waiting.has(other) && other != lane {
                passed.saturating_add(1)
            } else {
                0
            };
        }
        Some(lane)
    }

    /// The lane whose patience is over, by most polls if there are several; the least urgent of those that are level.
    fn due(&self, waiting: Waiting) -> Option<Lane> {
        let mut found = None;
        let mut most = 0;
        for lane in Lane::ALL {
            // One more than it is overdue by.
            let overdue = (self.passed[lane.number()].saturating_add(2))
                .saturating_sub(self.patience[lane.number()]);
            if waiting.has(lane) && overdue >= most.max(1) {
                (found, most) = (Some(lane), overdue);
            }
        }
        found
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/aging.rs"]
mod unit;
