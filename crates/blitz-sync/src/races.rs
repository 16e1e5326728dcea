//! What one does who has lost a race for an index, or finds that the other side has just begun: lets others get ahead.
//!
//! Where two threads move one word as fast as they can, each value takes its cache lines to and fro, which costs three times what the
//! values cost one thread. So who loses stays away for as long as others move at such a pace; where the one receiver may be in the same
//! thread, no longer than they can go on without it, for which half of the channel's bound is enough. Who races by chance finds at the
//! first look that nobody moves so fast, and goes on after a moment; so does who waits for a thread that is not running.

use blitz_core::primitive::hint;

/// So many spins for the others to show their pace.
const MOMENT: usize = 8;
/// The most between two looks.
const SLICE: usize = 64;
/// The most in all.
const MOST: usize = 1_024;
/// As many moves as are made at a pace.
pub(crate) const NO_END: usize = usize::MAX;
/// Who moves at a pace does so at least once in so many spins.
const PACE: usize = 2;

/// To be called by who has lost a race. `mark` is a figure that grows by one with each of the others' moves; `enough` of them are.
#[cold]
#[inline(never)]
pub(crate) fn stay_away(enough: usize, mark: impl Fn() -> usize) {
    let_ahead(MOMENT, enough, mark);
}

/// Waits for as long as others move at a pace, and at least so many spins. The mark may fall or wrap, too: that ends the wait.
pub(crate) fn let_ahead(at_least: usize, enough: usize, mark: impl Fn() -> usize) {
    // Another look is nothing new to a model.
    if cfg!(loom) {
        return;
    }
    let first = mark();
    let (mut before, mut slice, mut all) = (first, at_least, 0);
    loop {
        spin(slice);
        let now = mark();
        let moves = now.wrapping_sub(before).cast_signed();
        all += slice;
        let is_enough = now.wrapping_sub(first) >= enough || all >= MOST;
        if is_enough || moves < (slice / PACE).cast_signed() {
            return;
        }
        before = now;
        slice = SLICE.min(2 * slice);
    }
}

pub(crate) fn spin(times: usize) {
    for _ in 0..times {
        hint::spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often a mark that moves so much between two looks is looked at.
    fn looks(step: isize, enough: usize) -> usize {
        let looks = Cell::new(0);
        let at = Cell::new(usize::MAX - 40);
        stay_away(enough, || {
            looks.set(looks.get() + 1);
            at.set(at.get().wrapping_add_signed(step));
            at.get()
        });
        looks.get()
    }

    #[test]
    fn nobody_waits_for_who_does_not_move_or_is_slow() {
        assert_eq!(looks(0, usize::MAX), 2);
        assert_eq!(looks(1, usize::MAX), 2);
        assert_eq!(looks(-1_000, usize::MAX), 2);
    }

    #[test]
    fn who_is_fast_gets_ahead_as_far_as_is_enough() {
        assert_eq!(looks(100, 100), 2);
        assert_eq!(looks(100, 101), 3);
        assert_eq!(looks(100, 300), 4);
        assert_eq!(looks(100, 0), 2);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let whole_slices = (MOST - MOMENT * 7) / SLICE + 1;
        assert_eq!(looks(1_000, usize::MAX), 1 + 3 + whole_slices);
    }

    #[test]
    fn who_gets_slower_is_not_waited_for() {
        assert_eq!(looks((MOMENT / PACE).cast_signed(), usize::MAX), 3);
        assert_eq!(looks((2 * MOMENT / PACE).cast_signed(), usize::MAX), 4);
    }
}
