//! Whether it pays to take tasks from other workers, by what the last thefts were worth.
//!
//! Tasks that wake each other in turn are done soonest by one worker: where a second one is called for each, it sleeps again
//! after a poll, and the call, the way of the tasks' memory from one processor to the other and the way to sleep cost many
//! times what it did. So a worker whose thefts were too small, several in a row, comes to look for work by itself after a
//! *nap*, and while one naps nobody calls sleepers for a surplus ([`Idle`](super::idle::Idle)). What another worker has too
//! much of waits for a nap at most; what comes from outside, or is urgent, still wakes at once.

use std::time::Duration;

/// A theft pays that keeps the thief busy for so long: a few times what a wake costs both sides.
const PAYS_NS: u64 = 20_000;
/// So does one of tasks that take so long each.
const POLL_PAYS_NS: u64 = 5_000;
/// After so many of those in a row the worker naps.
const UNPAID_MAX: u8 = 4;
/// How long it does.
const NAP: Duration = Duration::from_micros(200);
/// After so many naps in a row at whose end there was nothing to take, it sleeps until it is called.
const NAPS_MAX: u8 = 4;

/// What one worker's last thefts were worth. It goes where the worker's core goes.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// When the worker had nothing to do last, and how many polls there had been by then.
    since_ns: u64,
    since_polls: u64,
    /// It has stolen then.
    stole: bool,
    /// Somebody has ended its last wait to get help.
    called: bool,
    /// Thefts and calls in a row that were not worth it.
    unpaid: u8,
    /// Naps in a row after which there was nothing to take.
    naps: u8,
}

impl Thrift {
    /// The worker was called.
    pub(super) fn called(&mut self) {
        self.called = true;
    }

    /// The worker has run dry, at `now_ns`, after so many `polls` in all. Answers whether it is to look what others have; if not, it is
    /// to sleep.
    pub(super) fn dry(&mut self, now_ns: u64, polls: u64) -> bool {
        let took = now_ns.saturating_sub(self.since_ns);
        let ran = polls.wrapping_sub(self.since_polls);
        (self.since_ns, self.since_polls) = (now_ns, polls);
        if std::mem::take(&mut self.stole) {
            if took >= PAYS_NS.min(ran.saturating_mul(POLL_PAYS_NS)) {
                self.unpaid = 0;
            } else {
                self.missed();
            }
            return !self.naps_next();
        }
        if ran != 0 {
            // It has work of its own.
            self.unpaid = self.unpaid.saturating_sub(1);
        }
        true
    }

    /// It looked, and has taken something.
    pub(super) fn stole(&mut self) {
        self.stole = true;
        self.naps = 0;
    }

    fn missed(&mut self) {
        // A clock that stands still tells nothing.
        if self.since_ns != 0 {
            self.unpaid = UNPAID_MAX.min(self.unpaid + 1);
        }
    }

    fn naps_next(&self) -> bool {
        self.unpaid == UNPAID_MAX
    }

    /// It sleeps; `ran` if it has polled anything since it did so last. Answers for how long, if not until it is called.
    pub(super) fn sleep(&mut self, ran: bool) -> Option<Duration> {
        if std::mem::take(&mut self.called) && !ran {
            self.missed();
        }
        if !self.naps_next() {
            return None;
        }
        if self.naps == NAPS_MAX {
            *self = Self::default();
            return None;
        }
        self.naps += 1;
        Some(NAP)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A worker's thrift, and what it is told.
    #[derive(Default)]
    struct Worker {
        thrift: Thrift,
        now: u64,
        polls: u64,
    }

    impl Worker {
        fn new() -> Self {
            Self {
                now: 1_000_000,
                ..Self::default()
            }
        }

        /// Runs dry after so many polls in so long. Answers whether it looks for more.
        fn dry(&mut self, busy_ns: u64, polls: u64) -> bool {
            self.now += busy_ns;
            self.polls += polls;
            self.thrift.dry(self.now, self.polls)
        }

        /// The same after a theft.
        fn steal(&mut self, busy_ns: u64, polls: u64) -> bool {
            self.thrift.stole();
            self.dry(busy_ns, polls)
        }

        fn steal_until_it_naps(&mut self) {
            while self.steal(1, 1) {}
        }
    }

    #[test]
    fn who_steals_too_little_naps_until_it_pays() {
        for (little, enough) in [
            // Some tasks that take little, and one that takes long.
            ((PAYS_NS - 1, 10), (PAYS_NS, 10)),
            ((POLL_PAYS_NS - 1, 1), (POLL_PAYS_NS, 1)),
            ((2 * POLL_PAYS_NS - 1, 2), (2 * POLL_PAYS_NS, 2)),
        ] {
            let mut worker = Worker::new();
            assert!(worker.dry(0, 0));
            for _ in 1..UNPAID_MAX {
                assert!(worker.steal(little.0, little.1));
                assert_eq!(worker.thrift.sleep(true), None);
            }
            assert!(!worker.steal(little.0, little.1));
            for _ in 0..3 * NAPS_MAX {
                assert_eq!(worker.thrift.sleep(true), Some(NAP));
                // After a nap it looks, whatever was before.
                assert!(worker.dry(0, 0));
                assert!(!worker.steal(100, 1));
            }
            assert_eq!(worker.thrift.sleep(true), Some(NAP));
            assert!(worker.dry(0, 0));
            assert!(worker.steal(enough.0, enough.1));
            assert_eq!(worker.thrift.sleep(true), None);
        }
    }

    #[test]
    fn who_finds_nothing_any_more_sleeps() {
        let mut worker = Worker::new();
        worker.steal_until_it_naps();
        for _ in 0..NAPS_MAX {
            assert_eq!(worker.thrift.sleep(false), Some(NAP));
            assert!(worker.dry(1, 0));
        }
        assert_eq!(worker.thrift.sleep(false), None);
        assert_eq!(worker.thrift.sleep(false), None);
    }

    #[test]
    fn who_is_called_for_nothing_naps_and_who_wakes_by_itself_does_not() {
        let mut worker = Worker::new();
        for _ in 0..100 {
            assert!(worker.dry(1, 0));
            assert_eq!(worker.thrift.sleep(false), None);
        }
        for _ in 1..UNPAID_MAX {
            worker.thrift.called();
            assert!(worker.dry(0, 0));
            assert_eq!(worker.thrift.sleep(false), None);
        }
        worker.thrift.called();
        assert!(worker.dry(0, 1));
        assert_eq!(worker.thrift.sleep(true), None, "there was something");
        worker.thrift.called();
        assert!(worker.dry(0, 0));
        assert_eq!(worker.thrift.sleep(false), None);
        worker.thrift.called();
        assert!(worker.dry(0, 0));
        assert_eq!(worker.thrift.sleep(false), Some(NAP));
    }

    #[test]
    fn who_has_work_of_its_own_forgets() {
        let mut worker = Worker::new();
        worker.steal_until_it_naps();
        assert_eq!(worker.thrift.sleep(true), Some(NAP));
        assert!(worker.dry(0, 1));
        assert_eq!(worker.thrift.sleep(true), None);
    }

    #[test]
    fn without_a_clock_nobody_naps() {
        let mut worker = Worker::default();
        for _ in 0..100 {
            assert!(worker.dry(0, 1));
            assert!(worker.steal(0, 1));
            worker.thrift.called();
            assert_eq!(worker.thrift.sleep(false), None);
        }
    }
}
