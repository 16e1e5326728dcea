//! Streams: values that come one after the other, each of which may have to be waited for.
//!
//! [`Stream`] is the trait that everybody implements; [`StreamExt`] has its methods, under the names that the ecosystem uses.
//!
//! | part | what it is |
//! |---|---|
//! | `ext`, `adapters` | the methods, and the streams that they make |
//! | `futures`, `collect` | the methods that end with a value |
//! | `map` | [`StreamMap`], many streams of which each has a key |
//! | `make` | streams of values that are there |
//! | `wrappers` | streams of what this crate receives, accepts and reads |
//!
//! What asks a stream again and again within one poll (`filter`, `fold`, …) lets other tasks run after 128 items.

/// The streams that the methods of [`StreamExt`] make.
pub mod adapters;
mod collect;
mod ext;
mod futures;
mod make;
mod map;
mod notify_close;
mod turn;
pub mod wrappers;

pub use futures_core::Stream;

pub use crate::time::error::Elapsed;
pub use collect::FromStream;
pub use ext::StreamExt;
pub use futures::{All, Any, Collect, Fold, Next, Peek, TryNext};
pub use make::{Empty, Iter, Once, Pending, empty, iter, once, pending};
pub use map::StreamMap;
pub use notify_close::StreamNotifyClose;
