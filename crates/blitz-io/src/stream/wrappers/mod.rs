//! Streams of what this crate receives, accepts and reads.

mod channels;
mod entries;
mod listeners;
mod produced;
mod tasks;
mod text;
mod ticks;
mod values;

pub use channels::{ReceiverStream, UnboundedReceiverStream};
pub use entries::ReadDirStream;
pub use listeners::TcpListenerStream;
#[cfg(unix)]
pub use listeners::UnixListenerStream;
pub use tasks::JoinSetStream;
pub use text::{LinesStream, SplitStream};
pub use ticks::IntervalStream;
#[cfg(unix)]
pub use ticks::SignalStream;
pub use values::{BroadcastStream, WatchStream};

/// What can go wrong in these streams.
pub mod errors {
    pub use super::values::BroadcastStreamRecvError;
}

/// The parts that are the same for each wrapper of something that is polled.
macro_rules! wraps {
    ($([$($generic:tt)*] $name:ty, of $inside:ty;)*) => {
        $(
            impl<$($generic)*> $name {
                /// Makes a stream of it.
                pub fn new(inner: $inside) -> Self {
                    Self { inner }
                }

                /// What the stream was made of, with all that it has not given yet.
                pub fn into_inner(self) -> $inside {
                    self.inner
                }
            }

            impl<$($generic)*> AsRef<$inside> for $name {
                fn as_ref(&self) -> &$inside {
                    &self.inner
                }
            }

            impl<$($generic)*> AsMut<$inside> for $name {
                fn as_mut(&mut self) -> &mut $inside {
                    &mut self.inner
                }
            }

            impl<$($generic)*> From<$inside> for $name {
                fn from(inner: $inside) -> Self {
                    Self::new(inner)
                }
            }
        )*
    };
}
use wraps;
