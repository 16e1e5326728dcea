//! Locks, signals and channels between tasks.
//!
//! They wait with a waker and know no runtime: the same values serve tasks of any executor, and plain threads by their
//! `blocking_` methods. Who waits first is served first, but for [`UnfairMutex`] and [`mpmc`], which let whoever comes when
//! something is there be faster than who has to be woken; a wait allocates nothing.

#[doc(inline)]
pub use blitz_sync::*;
