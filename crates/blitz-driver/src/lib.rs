//! Outside events become wakes: the driver of blitz-io.
//!
//! No stability promise: use `blitz-io`.
//!
//! A [`Driver`] belongs to a worker's core and is *turned*: one wait in the kernel, then what happened is delivered. A
//! [`Handle`] is what others have of it. A [`Registration`] is what a socket holds. It knows neither tasks nor schedulers:
//! all it ever calls is a [`Waker`](std::task::Waker).
//!
//! # Examples
//! ```
//! use std::{net::UdpSocket, sync::Arc, task::{Context, Poll, Waker}};
//! use blitz_driver::{Config, Direction, Driver, Registration};
//!
//! let mut driver = Driver::new(Config::default())?;
//! driver.bind(); // this thread holds the core
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! socket.set_nonblocking(true)?;
//! let address = socket.local_addr()?;
//! let sender = socket.try_clone()?;
//! let socket = Registration::new(Arc::new(socket.into()), driver.handle().clone());
//!
//! let mut cx = Context::from_waker(Waker::noop());
//! assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
//! sender.send_to(b"hello", address)?;
//! while socket.poll_ready(&mut cx, Direction::Read).is_pending() {
//!     driver.turn(None); // waits in the kernel, then wakes whom it concerns
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod clock;
pub mod completion;
pub mod timer;

mod backend;
mod capabilities;
mod config;
mod counters;
mod current;
mod deadline;
mod engine;
mod flight;
mod grant;
mod interest;
mod metrics;
mod readiness;
mod registration;
mod shared;
mod shutdown;
mod sleeper;
mod submission;
mod tag;
mod turn;

pub use backend::{Backend, UnknownBackend};
pub use capabilities::{Capabilities, Capability};
pub use clock::Clock;
pub use config::{Config, RingUse, RingWakeup, SqPoll};
pub use current::{current, forget_seized, has_left_behind, with as with_current};
pub use deadline::Timer;
pub use interest::{Direction, Interest, Ready, ReadyEvent};
pub use metrics::{InFlight, RingMetrics};
pub use readiness::is_shutting_down;
pub use registration::{Readiness, Registration};
pub use shared::Handle;
pub use turn::Driver;
