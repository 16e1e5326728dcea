//! A stream with a tap on it: it breaks bytes up, stalls, ends early, and counts.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a tap does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The most bytes that go through in one call.
    pub(crate) step: usize,
    /// Whether every second call waits first.
    pub(crate) stalls: bool,
    /// After so many bytes were written, the stream ends in both directions.
    pub(crate) cut_written: usize,
}

impl Plan {
    pub(crate) const OPEN: Plan = Plan {
        step: usize::MAX,
        stalls: false,
        cut_written: usize::MAX,
    };
}

/// What went through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Mutex<(usize, usize)>>);

impl Counts {
    pub(crate) fn read(&self) -> usize {
        self.0.lock().unwrap().0
    }

    pub(crate) fn written(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

pub(crate) struct Tap<S> {
    stream: S,
    plan: Plan,
    /// Of reads and of writes: whether the next one waits.
    turns: [bool; 2],
    pub(crate) counts: Counts,
}

impl<S> Tap<S> {
    pub(crate) fn new(stream: S, plan: Plan) -> Self {
        Tap {
            stream,
            plan,
            turns: [false; 2],
            counts: Counts::default(),
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, way: usize) -> Poll<()> {
        self.turns[way] = !self.turns[way];
        if self.plan.stalls && self.turns[way] {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn left(&self) -> usize {
        self.plan.cut_written.saturating_sub(self.counts.written())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx, 0));
        if self.left() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut memory = vec![0; self.plan.step.min(buf.remaining()).min(64 * 1024)];
        let mut part = ReadBuf::new(&mut memory);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        self.counts.0.lock().unwrap().0 += part.filled().len();
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx, 1));
        let left = self.left();
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let part = &bytes[..bytes.len().min(self.plan.step).min(left)];
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, part))?;
        self.counts.0.lock().unwrap().1 += count;
        if self.left() == 0 {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
