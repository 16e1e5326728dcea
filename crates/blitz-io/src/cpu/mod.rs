//! The CPU bridge: what computes leaves the workers, and its result comes back by a wake.
//!
//! [`compute`] runs one closure on a pool of threads that do nothing else, [`parallel_map`] many items at once, and
//! [`Window`] and [`parallel_map_stream`] an endless row of them, in order and in bounded memory. The threads are rayon's:
//! inside, `rayon::join`, `par_iter` and the rest use the same ones.
//!
//! # Which of the three
//!
//! | the code | belongs in | because |
//! |---|---|---|
//! | computes for more than about 50 µs: parsing, hashing, compressing, images | [`compute`] | as many threads as processors, so nothing is gained by more, and workers keep their tasks moving |
//! | blocks: a file lock, a database driver, `std::process`, DNS by hand | [`spawn_blocking`](crate::task::spawn_blocking) | hundreds of threads, because each one mostly waits |
//! | blocks, and cannot leave its place (borrows, `!Send`) | [`block_in_place`](crate::task::block_in_place) | the worker's other tasks go on elsewhere, at the price of a hand-over; `multi_thread` only |
//! | computes for less | just there | the way across and back costs 5 to 20 µs |
//!
//! A computation on `spawn_blocking` competes with hundreds like it for the processors; a call that blocks in [`compute`]
//! takes a processor from all others. `block_on`, `block_in_place` and the `blocking_` methods of channels and locks say so when they
//! are called there, by a panic.
//!
//! # The threads
//!
//! Each runtime has its own, as many as this process may use processors ([`Builder::cpu_threads`] sets another number). They
//! start with the first call and end with the runtime, which waits for computations that have begun, up to the limit of
//! its shutdown. They are in the runtime: `Handle::current()` and `spawn` work. Paused time stands still while a call waits
//! or runs. [`Handle::compute_metrics`] counts.
//!
//! # Panics and drops
//!
//! A panic in the closure goes on in whoever awaits it, as from `rayon::join`; [`Compute::caught`] makes it an error instead.
//! Dropping the future cancels what has not begun; what has goes on to its end (between items, [`parallel_map`] looks), and
//! its result is dropped. [`Compute::detach`] lets it run with nobody waiting.
//!
//! [`Builder::cpu_threads`]: crate::runtime::Builder::cpu_threads
//! [`Handle::compute_metrics`]: crate::runtime::Handle::compute_metrics

mod compute;
mod crew;
mod parallel_map;
mod stream;
mod window;

pub use blitz_exec::compute::{ComputeError, ComputeMetrics};
pub use compute::{Caught, Compute, compute};
pub(crate) use crew::hire;
pub use parallel_map::{ParallelMap, parallel_map};
pub use stream::{ParallelMapStream, parallel_map_stream};
pub use window::Window;
