//! Whether it pays to take tasks from other workers, by what the last thefts were worth.
//!
//! Tasks that wake each other in turn are done soonest by one worker: where a second one is called for each, it sleeps again
//! after a poll, and the call, the way of the tasks' memory from one processor to the other and the way to sleep cost many
//! times what it did. So a worker whose thefts were too small, several in a row, comes to look for work by itself after a
//! *nap*, and while one naps nobody calls sleepers for a surplus ([`Idle`](super::idle::Idle)). What another worker has too
//! much of waits for a nap at most; what comes from outside, or is urgent, still wakes at once.

use std::time::Duration;

/// A theft that kept the thief busy for less was not worth it: about what a wake costs both sides.
const PAYS_NS: u64 = 5_000;
/// After so many of those in a row the worker naps.
const UNPAID_MAX: u8 = 4;
/// How long it does.
const NAP: Duration = Duration::from_micros(200);
/// After so many naps in a row at whose end there was nothing to take, it sleeps until it is called.
const NAPS_MAX: u8 = 4;

/// What one worker's last thefts were worth. It goes where the worker's core goes.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// When the worker had nothing to do last.
    since_ns: u64,
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

    /// The worker has run dry, at `now_ns`; `ran` if it has polled anything meanwhile. Answers whether it is to look what others
    /// have; if not, it is to sleep.
    pub(super) fn dry(&mut self, now_ns: u64, ran: bool) -> bool {
        let took = now_ns.saturating_sub(self.since_ns);
        self.since_ns = now_ns;
        if std::mem::take(&mut self.stole) {
            if took < PAYS_NS {
                self.missed();
            } else {
                self.unpaid = 0;
            }
            return !self.naps_next();
        }
        if ran {
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

    /// A theft that kept the thief busy for so long. Answers whether it looks for more.
    fn steal(thrift: &mut Thrift, now: &mut u64, busy_ns: u64) -> bool {
        thrift.stole();
        *now += busy_ns;
        thrift.dry(*now, true)
    }

    #[test]
    fn who_steals_too_little_naps_until_it_pays() {
        let (mut thrift, mut now) = (Thrift::default(), 1_000_000);
        assert!(thrift.dry(now, false));
        for _ in 1..UNPAID_MAX {
            assert!(steal(&mut thrift, &mut now, PAYS_NS - 1));
            assert_eq!(thrift.sleep(true), None);
        }
        assert!(!steal(&mut thrift, &mut now, 0));
        for _ in 0..3 * NAPS_MAX {
            assert_eq!(thrift.sleep(true), Some(NAP));
            // After a nap it looks, whatever was before.
            assert!(thrift.dry(now, false));
            assert!(!steal(&mut thrift, &mut now, 100));
        }
        assert_eq!(thrift.sleep(true), Some(NAP));
        assert!(thrift.dry(now, false));
        assert!(steal(&mut thrift, &mut now, PAYS_NS));
        assert_eq!(thrift.sleep(true), None);
    }

    #[test]
    fn who_finds_nothing_any_more_sleeps() {
        let (mut thrift, mut now) = (Thrift::default(), 1);
        assert!(thrift.dry(now, false));
        while steal(&mut thrift, &mut now, 1) {}
        for _ in 0..NAPS_MAX {
            assert_eq!(thrift.sleep(false), Some(NAP));
            now += 1;
            assert!(thrift.dry(now, false));
        }
        assert_eq!(thrift.sleep(false), None);
        assert_eq!(thrift.sleep(false), None);
    }

    #[test]
    fn who_is_called_for_nothing_naps_and_who_wakes_by_itself_does_not() {
        let (mut thrift, mut now) = (Thrift::default(), 1);
        for _ in 0..100 {
            assert!(thrift.dry(now, false));
            assert_eq!(thrift.sleep(false), None);
            now += 1;
        }
        for _ in 1..UNPAID_MAX {
            thrift.called();
            assert!(thrift.dry(now, false));
            assert_eq!(thrift.sleep(false), None);
        }
        thrift.called();
        assert!(thrift.dry(now, true));
        assert_eq!(thrift.sleep(true), None, "there was something");
        thrift.called();
        assert!(thrift.dry(now, false));
        assert_eq!(thrift.sleep(false), None);
        thrift.called();
        assert!(thrift.dry(now, false));
        assert_eq!(thrift.sleep(false), Some(NAP));
    }

    #[test]
    fn who_has_work_of_its_own_forgets() {
        let (mut thrift, mut now) = (Thrift::default(), 1);
        assert!(thrift.dry(now, false));
        while steal(&mut thrift, &mut now, 1) {}
        assert_eq!(thrift.sleep(true), Some(NAP));
        assert!(thrift.dry(now, true));
        assert_eq!(thrift.sleep(true), None);
    }

    #[test]
    fn without_a_clock_nobody_naps() {
        let mut thrift = Thrift::default();
        for _ in 0..100 {
            assert!(thrift.dry(0, false));
            assert!(steal(&mut thrift, &mut 0, 0));
            thrift.called();
            assert_eq!(thrift.sleep(false), None);
        }
    }
}
