//! Server-sent events, the `text/event-stream` of WHATWG's HTML: [`Event`] writes them, [`Decoder`] reads them.

mod decode;
mod encode;

pub use decode::{Decoder, Received, TooLarge};
pub use encode::{Event, InvalidField};
