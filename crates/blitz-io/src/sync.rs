//! Locks, signals and channels between tasks.
//!
//! They wait with a waker and know no runtime: the same values serve tasks of any executor, and plain threads by their
//! `blocking_` methods. Who waits first is served first; a wait allocates nothing.

#[doc(inline)]
pub use blitz_sync::*;
