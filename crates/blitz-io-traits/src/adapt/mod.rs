//! Streams made of other streams: limited, one after the other, cut into lines or segments, joined, halved.

mod chain;
mod halves;
mod join;
mod lines;
mod segments;
mod take;

pub use chain::Chain;
pub use halves::{ReadHalf, WriteHalf, split};
pub use join::{Join, join};
pub use lines::Lines;
pub use segments::Split;
pub use take::Take;
