//! Streams in memory: pipes, and sources and sinks of nothing.
//!
//! All of them are ready most of the time, so each step asks for a unit of the task's budget (`coop.rs`).

mod duplex;
mod nothing;
mod pipe;
mod simplex;

pub use duplex::{DuplexStream, duplex};
pub use nothing::{Empty, Repeat, Sink, empty, repeat, sink};
pub use simplex::{SimplexStream, simplex};
