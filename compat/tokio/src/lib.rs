//! blitz-io under tokio's name.
//!
//! A program that says `tokio` runs on blitz-io with one line in its manifest, and so does every crate that it uses:
//!
//! ```toml
//! [patch.crates-io]
//! tokio = { git = "https://github.com/blitz-io/blitz-io" }
//! ```
//!
//! What stands here is named: the types, traits, functions and macros are blitz-io's own, so that a `tokio::net::TcpStream`
//! is a `blitz_io::net::TcpStream`, and a program may use both names. Only what tokio refuses and blitz-io does not is code:
//! a [`runtime::Builder`] that has to be told `enable_io` and `enable_time`, and [`time::pause`] on the `current_thread`
//! flavour alone. Where the two differ otherwise, `docs/differences.md` says so.
//!
//! ```
//! #[tokio::main]
//! async fn main() {
//!     let task = tokio::spawn(async { 6 * 7 });
//!     assert_eq!(task.await.unwrap(), 42);
//! }
//! ```
#![forbid(unsafe_code)]

pub mod fs;
pub mod io;
pub mod net;
pub mod process;
pub mod runtime;
pub mod signal;
pub mod sync;
pub mod task;
pub mod time;

/// Empty, as in tokio: streams are in the crate `tokio-stream`.
pub mod stream {}

/// What programs reach for although tokio promises nothing for it.
#[doc(hidden)]
pub mod macros {
    #[doc(hidden)]
    pub mod support {
        pub use blitz_io::macros::support::random_below as thread_rng_n;
        pub use std::future::{Future, IntoFuture, poll_fn};
        pub use std::pin::Pin;
        pub use std::task::{Context, Poll};
    }
}

pub use blitz_io::{join, pin, select, spawn, task_local, try_join};
pub use blitz_macros::{tokio_main as main, tokio_test as test};
