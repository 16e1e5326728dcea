//! Which of those who are woken are in no hurry.

use std::cell::Cell;

crate::thread_local_const! {
    static IN_TURN: Cell<bool> = Cell::new(false);
}

/// Calls `f`; the tasks that it wakes are in no hurry: they run behind all that wait to.
#[inline]
pub fn in_turn<R>(f: impl FnOnce() -> R) -> R {
    /// Sets back what was before.
    struct Restore(bool);

    impl Drop for Restore {
        #[inline]
        fn drop(&mut self) {
            // It fails at a thread's end, when nobody looks any more.
            let _ = IN_TURN.try_with(|flag| flag.set(self.0));
        }
    }

    let before = IN_TURN.try_with(|flag| flag.replace(true));
    let _restore = Restore(before.unwrap_or(false));
    f()
}

/// Whether a wake by this thread, at this moment, is one of those.
#[inline]
pub fn is_in_turn() -> bool {
    IN_TURN.try_with(Cell::get).unwrap_or(false)
}
