//! Who is to be woken: one waiting task ([`WakeSlot`]), and wakers collected under a lock and called
//! after it ([`WakeBatch`]).
//!
//! Users: the driver's readiness words, timers and operations; the scheduler's join handles.

mod batch;
mod slot;
mod turn;

pub use batch::WakeBatch;
pub use slot::WakeSlot;
pub use turn::{in_turn, is_in_turn};

#[cfg(test)]
mod tests;
