//! Schedulers and the blocking pool on real threads, with a driver that has no kernel behind it.

mod aging;
mod blocking;
mod fake;
mod local;
mod multi;
mod per_core;
mod priority;
mod rescue;
mod single;
