//! One stream as a source and a sink that go to different tasks.
//!
//! The halves share the stream through a lock that is only ever tried. A half that finds the other one inside
//! leaves its waker and is `Pending`; whoever comes out wakes it. So no thread waits for a peer that encrypts or copies,
//! and a stream that wakes the other half from within its own poll cannot deadlock, even where a wake polls at once.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use crate::{AsyncRead, AsyncWrite, ReadBuf};

/// Splits a stream into a half that reads and one that writes.
///
/// A stream that has its own `split` or `into_split`, as a TCP stream has, is split better by that. Dropping
/// one half does nothing to the stream: [`shutdown`](crate::AsyncWriteExt::shutdown) the writing one so that the other end sees
/// the end. [`ReadHalf::unsplit`] puts both together again.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, duplex, split};
/// # futures::executor::block_on(async {
/// let (here, mut there) = duplex(64);
/// let (mut reading, mut writing) = split(here);
/// writing.write_all(b"ping").await?;
/// there.write_all(b"pong").await?;
/// let mut word = [0; 4];
/// reading.read_exact(&mut word).await?;
/// assert_eq!(&word, b"pong");
/// let whole = reading.unsplit(writing);
/// # drop(whole);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn split<T>(stream: T) -> (ReadHalf<T>, WriteHalf<T>)
where
    T: AsyncRead + AsyncWrite,
{
    let is_write_vectored = stream.is_write_vectored();
    let shared = Arc::new(Shared {
        stream: Mutex::new(stream),
        waiting: Mutex::new(None),
        is_write_vectored,
    });
    let reading = ReadHalf {
        shared: Arc::clone(&shared),
    };
    (reading, WriteHalf { shared })
}

/// The half of a stream that reads; made by [`split`].
pub struct ReadHalf<T> {
    shared: Arc<Shared<T>>,
}

/// The half of a stream that writes; made by [`split`].
pub struct WriteHalf<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    /// Tried, never waited for. It is pinned: the stream in here is never moved but by `unsplit`.
    stream: Mutex<T>,
    /// The half that found the other one inside.
    waiting: Mutex<Option<Waker>>,
    is_write_vectored: bool,
}

impl<T> Shared<T> {
    /// Runs `poll` on the stream, or is `Pending` because the other half does so now.
    fn poll_stream<R>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(Pin<&mut T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if let Some(answer) = self.try_poll(cx, &mut poll) {
            return answer;
        }
        // The other half may leave between our try and the line that registers, and see no waker; so we try
        // again afterwards. If it is still inside then, it looks at `waiting` after it left.
        let left = self.exchange_waiting(Some(cx.waker().clone()));
        drop(left);
        match self.try_poll(cx, &mut poll) {
            Some(answer) => answer,
            None => Poll::Pending,
        }
    }

    /// Runs `poll` if the stream is free, and wakes whoever came meanwhile.
    fn try_poll<R>(
        &self,
        cx: &mut Context<'_>,
        poll: &mut impl FnMut(Pin<&mut T>, &mut Context<'_>) -> Poll<R>,
    ) -> Option<Poll<R>> {
        let stream = match self.stream.try_lock() {
            Ok(stream) => stream,
            // A poll that panicked left the stream as it left it; that is for the stream to know.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let mut inside = Inside {
            stream,
            _then: WakeOther(self),
        };
        // SAFETY: the stream stands in an `Arc` and is not moved before it is dropped; `unsplit` moves it,
        // and asks for `T: Unpin`, for whom pinning means nothing.
        let pinned = unsafe { Pin::new_unchecked(&mut *inside.stream) };
        Some(poll(pinned, cx))
    }

    fn exchange_waiting(&self, waker: Option<Waker>) -> Option<Waker> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut waiting, waker)
    }
}

/// One half is in the stream. Fields are dropped from the first to the last: it comes out, then wakes the other half,
/// also when the poll panicked.
struct Inside<'a, T> {
    stream: MutexGuard<'a, T>,
    _then: WakeOther<'a, T>,
}

struct WakeOther<'a, T>(&'a Shared<T>);

impl<T> Drop for WakeOther<'_, T> {
    fn drop(&mut self) {
        if let Some(waker) = self.0.exchange_waiting(None) {
            waker.wake();
        }
    }
}

impl<T> ReadHalf<T> {
    /// Returns whether both halves are of one stream.
    pub fn is_pair_of(&self, other: &WriteHalf<T>) -> bool {
        other.is_pair_of(self)
    }

    /// Puts both halves together again.
    ///
    /// It asks for `T: Unpin`, since the halves have pinned the stream.
    ///
    /// # Panics
    /// If the halves are not of one stream; [`is_pair_of`](ReadHalf::is_pair_of) tells.
    #[track_caller]
    pub fn unsplit(self, other: WriteHalf<T>) -> T
    where
        T: Unpin,
    {
        assert!(
            self.is_pair_of(&other),
            "unsplit was given halves of two streams"
        );
        drop(other);
        let Ok(shared) = Arc::try_unwrap(self.shared) else {
            unreachable!("a stream has two halves, and both are here");
        };
        shared
            .stream
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> WriteHalf<T> {
    /// Returns whether both halves are of one stream.
    pub fn is_pair_of(&self, other: &ReadHalf<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T: AsyncRead> AsyncRead for ReadHalf<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared
            .poll_stream(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl<T: AsyncWrite> AsyncWrite for WriteHalf<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .poll_stream(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared
            .poll_stream(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared
            .poll_stream(cx, |stream, cx| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .poll_stream(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.is_write_vectored
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf").finish_non_exhaustive()
    }
}
