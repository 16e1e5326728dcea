//! A clock for figures that are taken around each wait: the processor's own counter, held to the system's clock.
//!
//! The system's clock costs fifty instructions and a call, of which two a wait were half of what all figures of a runtime cost. The
//! counter costs one. It is used only where the kernel itself takes the time from it, and never for longer than [`HOLDS_NS`] after the system's
//! clock was asked; so it may be off by what that clock is corrected by meanwhile, microseconds at most, and a counter that
//! begins anew, or goes at another pace, as after a suspended machine, is noticed at the next look.

use super::{monotonic_ns, ticks};

/// So long the counter is trusted after a look at the system's clock.
const HOLDS_NS: u64 = 50_000_000;
/// The pace is taken from looks at least so far apart, so that the time between two reads of a look counts for nothing.
const APART_NS: u64 = 10_000_000;
/// And at most so far: what lies between may be a suspended machine.
const APART_MAX_NS: u64 = 10_000_000_000;
/// A look during which the counter went on by more than this part of the way since the last one tells no pace; by more than this part
/// of how long it would be held by, it is no anchor either.
const LOOK_SHARE: u64 = 4096;
/// A pace that differs by more than this part from the one before is none.
const PACE_SHARE: u64 = 128;
/// A pace is in nanoseconds a tick, in units of one by two to this power.
const SHIFT: u32 = 32;

/// Nanoseconds by [`monotonic_ns`], nearly, for one reader at a time.
#[derive(Debug, Default)]
pub struct Clock {
    anchor: Look,
    /// How many ticks after the anchor the pace holds; 0 where the system's clock is asked always.
    span: u64,
    pace: u64,
    /// Never told less than before.
    last: u64,
    uses_ticks: bool,
}

/// What both showed at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    ticks: u64,
    ns: u64,
}

impl Clock {
    /// One that asks the system until it knows the counter's pace, 10 ms at least; for ever where there is no counter that the kernel
    /// trusts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            uses_ticks: ticks::are_time(),
            ..Self::default()
        }
    }

    /// Nanoseconds since the machine started. Never less than the time before.
    #[inline]
    pub fn now_ns(&mut self) -> u64 {
        if self.span == 0 {
            return self.ask();
        }
        match self.at(ticks::now()) {
            Some(ns) => self.tell(ns),
            None => self.ask(),
        }
    }

    /// The time at this state of the counter, while the anchor holds.
    #[inline]
    fn at(&self, ticks: u64) -> Option<u64> {
        // A counter that went back is far ahead here.
        let passed = ticks.wrapping_sub(self.anchor.ticks);
        // `span` is `HOLDS_NS` in ticks: no overflow.
        (passed < self.span).then(|| self.anchor.ns + ((passed * self.pace) >> SHIFT))
    }

    #[inline]
    fn tell(&mut self, ns: u64) -> u64 {
        self.last = self.last.max(ns);
        self.last
    }

    #[cold]
    #[inline(never)]
    fn ask(&mut self) -> u64 {
        if !self.uses_ticks {
            return monotonic_ns();
        }
        let before = ticks::now();
        let ns = monotonic_ns();
        let look = Look { ticks: before, ns };
        self.look(look, ticks::now().wrapping_sub(before));
        self.tell(ns)
    }

    /// Both were read, within so many ticks.
    fn look(&mut self, look: Look, within: u64) {
        let ticks = look.ticks.wrapping_sub(self.anchor.ticks);
        let ns = look.ns.saturating_sub(self.anchor.ns);
        let within = within.saturating_mul(LOOK_SHARE);
        if self.anchor.ns == 0 || ns > APART_MAX_NS {
            // The first, or too long ago to say more than the time, and not even that if somebody else ran meanwhile.
            if self.span == 0 || within <= self.span {
                self.anchor = look;
            }
            return;
        }
        // Below 2^34 nanoseconds.
        let pace = (ns << (SHIFT - 4)) / (ticks >> 4).max(1);
        let span = (HOLDS_NS << SHIFT).checked_div(pace).unwrap_or(0);
        if ns < APART_NS || within > ticks || (pace != 0 && within > span) {
            // Too near, or somebody else ran meanwhile: the anchor may be held by for a while yet. If not, the next look is soon.
            return;
        }
        self.anchor = look;
        let known = std::mem::replace(&mut self.pace, pace);
        let is_kept = known != 0 && pace.abs_diff(known) <= known / PACE_SHARE;
        self.span = if is_kept { span } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const MS: u64 = 1_000_000;

    fn look(clock: &mut Clock, ns: u64, ticks: u64) {
        clock.look(Look { ticks, ns }, 100);
    }

    fn paced() -> Clock {
        let mut clock = Clock::default();
        for at in [5, 16, 27] {
            look(&mut clock, at * MS, at * MS * 3);
        }
        clock
    }

    #[test]
    fn between_looks_the_counter_tells_the_time() {
        let mut clock = Clock::default();
        look(&mut clock, 5 * MS, 15 * MS);
        assert_eq!(clock.span, 0);
        look(&mut clock, 16 * MS, 48 * MS);
        assert_eq!(clock.span, 0, "one pace has nothing to be held to");
        let clock = paced();
        let told = clock.at(81 * MS + 3_000).expect("the anchor holds");
        assert!(told.abs_diff(27 * MS + 1_000) <= 1, "{told}");
        let last = clock.at((27 + 49) * MS * 3).expect("the anchor holds");
        assert!(last.abs_diff(76 * MS) < 1_000, "{last}");
    }

    #[test]
    fn an_anchor_holds_for_a_while_and_never_before_itself() {
        let clock = paced();
        assert_eq!(clock.at((27 + 51) * MS * 3), None);
        assert_eq!(clock.at(27 * MS * 3 - 1), None);
        assert_eq!(clock.at(0), None);
    }

    #[test]
    fn a_counter_that_began_anew_is_left_until_its_pace_is_known_again() {
        let mut clock = paced();
        look(&mut clock, 1_000 * MS, 7);
        assert_eq!(clock.span, 0);
        for at in [20, 40, 60] {
            look(&mut clock, (1_000 + at) * MS, at * MS * 3);
        }
        assert_ne!(clock.span, 0);
    }

    #[test]
    fn another_pace_is_believed_the_second_time() {
        let mut clock = paced();
        let (mut ns, mut ticks) = (27 * MS, 81 * MS);
        let mut spans = Vec::new();
        for _ in 0..3 {
            (ns, ticks) = (ns + 20 * MS, ticks + 40 * MS);
            look(&mut clock, ns, ticks);
            spans.push(clock.span != 0);
        }
        assert_eq!(spans, [false, true, true]);
    }

    #[test]
    fn a_long_wait_is_no_pace_and_its_end_is_the_anchor() {
        let mut clock = paced();
        look(&mut clock, 3_600_000 * MS, 3_600_000 * MS * 3);
        let told = clock.at(3_600_000 * MS * 3 + 300).expect("the pace holds");
        assert!(told.abs_diff(3_600_000 * MS + 100) <= 1, "{told}");
    }

    #[test]
    fn a_look_that_took_long_tells_nothing() {
        let mut clock = paced();
        let looked = Look {
            ticks: 141 * MS,
            ns: 47 * MS,
        };
        clock.look(looked, MS);
        assert_eq!(clock.anchor.ns, 27 * MS);
    }

    /// (It was let pass by how long the wait was: the time was off by a millisecond and more for as long as the anchor held.)
    #[test]
    fn nor_does_one_after_a_long_wait() {
        for wait in [5_000, 3_600_000] {
            let mut clock = paced();
            let ns = (27 + wait) * MS;
            let (ticks, late) = (ns * 3, MS);
            let looked = Look {
                ticks,
                ns: ns + late,
            };
            clock.look(looked, late * 3);
            assert_eq!(clock.anchor.ns, 27 * MS, "{wait} ms");
            assert_eq!(clock.at(ticks), None, "the system is asked again");
            look(&mut clock, ns, ticks);
            assert_eq!(clock.at(ticks), Some(ns));
        }
    }

    /// Whatever counts here: it never goes back, and stays beside the system's.
    #[test]
    fn it_goes_as_the_systems_clock_does() {
        let mut clock = Clock::new();
        let (began, mut last) = (Instant::now(), 0);
        // For a while after its pace is known, which takes three looks that nobody comes between, and until it is.
        let mut ends = Duration::from_millis(120);
        let is_paced = |clock: &Clock| !clock.uses_ticks || clock.span != 0;
        while began.elapsed() < ends || !is_paced(&clock) {
            if !is_paced(&clock) {
                assert!(began.elapsed() < Duration::from_secs(60), "{clock:?}");
                ends = began.elapsed() + Duration::from_millis(120);
            }
            let before = monotonic_ns();
            let told = clock.now_ns();
            let after = monotonic_ns();
            assert!(told >= last, "{told} after {last}");
            last = told;
            assert!(
                told + MS >= before && told <= after + MS,
                "{before} {told} {after}"
            );
        }
    }
}
