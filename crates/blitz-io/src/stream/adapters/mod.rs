//! One stream in, another out.
//!
//! `each` changes or leaves out items one by one, `then` by a future; `ends` shortens a stream, `both` makes one of two,
//! `peekable` looks ahead, `timed` knows the time.

mod both;
mod each;
mod ends;
mod peekable;
mod then;
mod timed;

pub use both::{Chain, Merge};
pub use each::{Filter, FilterMap, Map, MapWhile};
pub use ends::{Fuse, Skip, SkipWhile, Take, TakeWhile};
pub use peekable::Peekable;
pub use then::Then;
pub use timed::{ChunksTimeout, Throttle, Timeout, TimeoutRepeating};

/// `Debug` that shows the stream, since functions show nothing.
macro_rules! shows_stream {
    ($($name:ident),*) => {
        $(
            impl<S: ::std::fmt::Debug, F> ::std::fmt::Debug for $name<S, F> {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.debug_struct(stringify!($name))
                        .field("stream", &self.stream)
                        .finish_non_exhaustive()
                }
            }
        )*
    };
}
use shows_stream;

/// The hint for what comes of two streams, one after or beside the other.
pub(super) fn added(
    one: (usize, Option<usize>),
    other: (usize, Option<usize>),
) -> (usize, Option<usize>) {
    let high = one.1.zip(other.1);
    (
        one.0.saturating_add(other.0),
        high.and_then(|(one, other)| one.checked_add(other)),
    )
}
