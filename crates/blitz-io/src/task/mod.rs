//! Tasks: light, cheap to make, run by the runtime.
//!
//! [`spawn`] starts one, its [`JoinHandle`] tells how it ended. [`JoinSet`] and [`scope`] keep many together, a [`TaskTracker`]
//! waits for many, [`LocalSet`] runs those that are not `Send`, [`spawn_blocking`] takes what would hold a worker up. A [`Priority`] says which of them go
//! first when there is more to do than workers to do it.

mod blocking;
mod builder;
pub mod coop;
pub mod join_set;
mod local_key;
mod local_set;
mod scope;
mod spawn;
mod tracker;
mod yield_now;

pub use blitz_exec::task::{
    AbortHandle, Id, JoinError, JoinHandle, Priority, id, priority, set_priority, try_id,
};
pub use blocking::{block_in_place, spawn_blocking};
pub use builder::Builder;
pub use coop::{Unconstrained, consume_budget, unconstrained};
#[doc(inline)]
pub use join_set::JoinSet;
pub use local_key::LocalKey;
pub use local_set::{LocalEnterGuard, LocalSet, spawn_local};
pub use scope::{Scope, scope};
pub use spawn::{spawn, spawn_urgent, spawn_with_priority};
pub use tracker::TaskTracker;
pub use yield_now::yield_now;

/// [`TaskTracker`], and what it is made of.
pub mod task_tracker {
    pub use super::tracker::TaskTracker;
    pub use blitz_sync::{TaskTrackerToken, TaskTrackerWaitFuture, TrackedFuture};
}

/// Futures of this module that have a name.
pub mod futures {
    pub use super::local_key::TaskLocalFuture;
}

pub(crate) use spawn::spawn_boxed_if_large;
