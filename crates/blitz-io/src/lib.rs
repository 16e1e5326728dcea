//! An async runtime with tokio's API: io_uring where the kernel allows it, epoll where it does not.
//!
//! Change `use tokio::…` to `use blitz_io::…` and the program compiles; what differs is listed in `docs/differences.md`.
//!
//! ```
//! #[blitz_io::main]
//! async fn main() {
//!     let task = blitz_io::spawn(async { 6 * 7 });
//!     assert_eq!(task.await.ok(), Some(42));
//! }
//! ```

mod context;

#[cfg(feature = "cpu")]
pub mod cpu;
#[cfg(not(feature = "cpu"))]
#[path = "cpu/disabled.rs"]
mod cpu;
pub mod fs;
pub mod io;
pub mod macros;
pub mod net;
pub mod pool;
#[cfg(unix)]
pub mod process;
pub mod runtime;
pub mod signal;
pub mod stream;
pub mod sync;
pub mod task;
pub mod time;

pub use blitz_macros::{main, test};
#[cfg(feature = "cpu")]
pub use cpu::compute;
pub use task::spawn;
