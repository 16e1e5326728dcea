//! How often a worker looks at the shared queue first.
//!
//! While a worker has tasks of its own, those that were spawned or woken elsewhere wait in the shared queue. They are to wait as long as
//! the worker's own take in [`TARGET_NS`], so many polls of short tasks and few of long ones. What a poll takes is known without a clock
//! of its own: from one turn of the driver to the next, between which the worker has done nothing else.

/// So long others may keep a task waiting in the shared queue.
const TARGET_NS: u64 = 200_000;
/// However short or long the polls are.
const RANGE: std::ops::RangeInclusive<u32> = 2..=127;
/// While nothing is known.
const START: u32 = 31;
/// A row of polls counts so much of the mean: one part in so many.
const MEAN_OVER: u64 = 8;

pub(super) struct Pace {
    /// What the user has set.
    fixed: Option<u32>,
    interval: u32,
    /// Of a poll; 0 while nothing is known.
    mean_ns: u64,
    /// Polls until the shared queue comes first.
    left: u32,
}

impl Pace {
    pub(super) fn new(fixed: Option<u32>) -> Self {
        let interval = fixed.unwrap_or(START);
        Self {
            fixed,
            interval,
            mean_ns: 0,
            left: interval,
        }
    }

    /// Before a look for the next task: whether the shared queue comes first.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = self.interval;
            return true;
        }
        false
    }

    /// So many polls in a row have taken so long together.
    pub(super) fn row(&mut self, polls: u32, ns: u64) {
        if self.fixed.is_some() || polls == 0 {
            return;
        }
        let mean = (ns / u64::from(polls)).max(1);
        self.mean_ns = match self.mean_ns {
            0 => mean,
            before => before - before / MEAN_OVER + mean / MEAN_OVER,
        };
        let polls = TARGET_NS / self.mean_ns.max(1);
        let (least, most) = RANGE.into_inner();
        self.interval = u32::try_from(polls).map_or(most, |polls| polls.clamp(least, most));
        // Polls that have become long are not waited out.
        self.left = self.left.min(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks the shared queue comes first.
    fn looks(pace: &mut Pace) -> u32 {
        let mut looks = 1;
        while !pace.is_due() {
            looks += 1;
        }
        looks
    }

    #[test]
    fn long_polls_make_it_come_soon_and_short_ones_late() {
        let mut pace = Pace::new(None);
        assert_eq!(looks(&mut pace), START);
        for (mean_ns, interval) in [
            (10_000, 20),
            (50, 127),
            (5_000_000, 2),
            (0, 127),
            (u64::MAX / 64, 2),
        ] {
            for _ in 0..400 {
                pace.row(61, mean_ns * 61);
            }
            looks(&mut pace);
            assert_eq!(looks(&mut pace), interval, "polls of {mean_ns} ns");
        }
    }

    #[test]
    fn one_long_row_is_no_measure() {
        let mut pace = Pace::new(None);
        for _ in 0..100 {
            pace.row(61, 61_000);
        }
        looks(&mut pace);
        pace.row(61, 61 * 9_000);
        looks(&mut pace);
        let after = looks(&mut pace);
        assert!((50..127).contains(&after), "{after}");
    }

    #[test]
    fn what_the_user_has_set_stays() {
        for set in [1, 7, u32::MAX] {
            let mut pace = Pace::new(Some(set));
            pace.row(61, 61_000_000);
            assert_eq!(pace.interval, set);
            assert_eq!(pace.is_due(), set == 1);
        }
    }

    #[test]
    fn a_wait_that_has_begun_becomes_shorter_too() {
        let mut pace = Pace::new(None);
        pace.row(61, 61 * 100_000);
        assert_eq!(looks(&mut pace), 2);
    }
}
