//! The I/O vocabulary of blitz-io: how bytes are read, written, sought, buffered, copied and split,
//! for any executor.
//!
//! Whoever makes a stream (a socket, a TLS session, a file) implements [`AsyncRead`], [`AsyncWrite`],
//! [`AsyncBufRead`] or [`AsyncSeek`] here; whoever uses one calls the methods of [`AsyncReadExt`] and its
//! siblings. Nothing in this crate knows a runtime, a thread or a clock: it meets an executor only
//! in [`Context`](std::task::Context), so the same code runs on blitz-io and elsewhere.
//!
//! The traits have the shape of tokio's, name by name. What tokio has not: the [`owned`] buffers for
//! rings that complete operations, and the [`compat`] adapter for the traits of `futures-io`.
//!
//! This crate makes no promise of stability by itself: use it as `blitz_io::io`.

mod adapt;
mod async_buf_read;
mod async_read;
mod async_seek;
mod async_write;
mod buffered;
pub mod compat;
#[doc(hidden)]
pub mod coop;
mod copy;
mod ext;
mod faults;
mod memory;
pub mod owned;
mod read_buf;
mod until;
#[doc(hidden)]
pub mod waiting;

pub use adapt::{Chain, Join, Lines, ReadHalf, Split, Take, WriteHalf, join, split};
pub use async_buf_read::AsyncBufRead;
pub use async_read::AsyncRead;
pub use async_seek::AsyncSeek;
pub use async_write::AsyncWrite;
pub use buffered::{BufReader, BufStream, BufWriter};
pub use copy::{copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf};
pub use ext::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, poll_read_buf};
pub use memory::{
    DuplexStream, Empty, Repeat, SimplexStream, Sink, duplex, empty, repeat, simplex, sink,
};
pub use owned::{AlignedBuf, IoBuf, IoBufMut, Slice};
pub use read_buf::ReadBuf;
#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};
