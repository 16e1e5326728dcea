//! The methods that users call, as futures over the four traits.
//!
//! Each future borrows its stream, so it can be dropped at any await point and the stream used on; what that means for
//! the bytes stands under *Cancel safety* at each method. The futures have names, not `impl Future`, so that
//! code generic over the stream still knows them to be `Send` when the stream is. None is `Unpin`, as none is in tokio.

mod buf_read;
mod read;
mod seek;
mod write;

pub use buf_read::AsyncBufReadExt;
pub use read::{AsyncReadExt, poll_read_buf};
pub use seek::AsyncSeekExt;
pub use write::AsyncWriteExt;
