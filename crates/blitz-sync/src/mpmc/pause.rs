//! What one does who has to wait for another thread that is in the middle of a move.

use blitz_core::primitive::hint;
use blitz_core::primitive::thread;

/// So often a wait doubles before other threads are let run: 127 spins in all.
const DOUBLINGS: u32 = 6;

/// Waits that grow. All are moments: who is waited for has claimed a slot, and has but a value to copy.
pub(super) struct Pause(u32);

impl Pause {
    pub(super) fn new() -> Self {
        Self(0)
    }

    /// Another has to make its move first; it may have been interrupted.
    pub(super) fn for_another(&mut self) {
        if cfg!(loom) || self.0 > DOUBLINGS {
            thread::yield_now();
        } else {
            self.spin();
        }
    }

    fn spin(&mut self) {
        if cfg!(loom) {
            return;
        }
        for _ in 0..1_u32 << self.0.min(DOUBLINGS) {
            hint::spin_loop();
        }
        self.0 += 1;
    }
}
