//! Tasks: `blitz_io::task`.

pub use blitz_io::task::{
    AbortHandle, Builder, Id, JoinError, JoinHandle, JoinSet, LocalEnterGuard, LocalKey, LocalSet,
    Unconstrained, block_in_place, consume_budget, coop, futures, id, join_set, spawn,
    spawn_blocking, spawn_local, try_id, unconstrained, yield_now,
};
