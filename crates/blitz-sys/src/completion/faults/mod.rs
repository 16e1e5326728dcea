//! What stands in for a ring in tests, behind the same door: a real one whose answers are tampered with by a seeded
//! [`Plan`], or a [`Kernel`] that is no kernel at all and answers when and what the test says.
//!
//! Chosen by [`Setup::faults`](super::Setup::faults) when a ring is opened; no program has it set.

pub(super) mod filter;
pub(super) mod kernel;
mod plan;

pub use kernel::{Kernel, Mercy};
pub use plan::{Fault, Plan};

/// What a ring is replaced by.
#[derive(Clone, Debug)]
pub enum Faults {
    /// A real ring, tampered with.
    Plan(Plan),
    /// No ring.
    Kernel(Kernel),
}
