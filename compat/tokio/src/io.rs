//! Traits, buffers and adapters of I/O, standard streams: `blitz_io::io`.

pub use blitz_io::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufStream, BufWriter, Chain, DuplexStream, Empty, Error, ErrorKind,
    Interest, Join, Lines, ReadBuf, ReadHalf, Ready, Repeat, Result, SeekFrom, SimplexStream, Sink,
    Split, Stderr, Stdin, Stdout, Take, WriteHalf, copy, copy_bidirectional,
    copy_bidirectional_with_sizes, copy_buf, duplex, empty, join, repeat, simplex, sink, split,
    stderr, stdin, stdout,
};

/// Descriptors that are ready: `blitz_io::io::unix`.
#[cfg(unix)]
pub mod unix {
    pub use blitz_io::io::unix::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, AsyncFdTryNewError,
        TryIoError,
    };
}
