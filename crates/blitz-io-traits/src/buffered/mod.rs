//! Streams with a buffer of ours in front: few large calls below for many small ones above.

mod reader;
mod stream;
mod writer;

pub use reader::BufReader;
pub use stream::BufStream;
pub use writer::BufWriter;

/// The capacity of a buffer when the caller names none.
const CAPACITY_DEFAULT: usize = 8 * 1024;

/// How far a seek through a buffer has come.
#[derive(Clone, Copy, Debug)]
enum Seek {
    /// None is asked for.
    Idle,
    /// To this place, and the stream below knows nothing of it yet.
    Wanted(std::io::SeekFrom),
    /// The stream below steps back over what the buffer read ahead; then goes by this much from there.
    SteppingBack(i64),
    /// The stream below moves to the place itself.
    Moving,
}
