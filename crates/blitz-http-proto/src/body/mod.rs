//! Bodies: [`decoder`] takes them out of a stream, [`chunks`] is the grammar of those in pieces, [`encoder`] writes them.

mod chunks;
mod decoder;
mod encoder;

pub use decoder::{BodyDecoder, BodyEvent};
pub use encoder::BodyEncoder;
