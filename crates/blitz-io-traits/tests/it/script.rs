//! Streams that follow a plan, and ways to poll without an executor.

use std::future::Future;
use std::io::{self, ErrorKind, SeekFrom};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io_traits::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use proptest::prelude::*;

/// What a stream does when it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Moves at most so many bytes.
    Move(usize),
    /// Wakes the task and is `Pending`.
    Wait,
    /// Fails with `Interrupted`.
    Interrupt,
}

/// Steps, taken in turn for ever.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    next: usize,
}

impl Plan {
    /// A plan that gets somewhere: some step moves a byte.
    pub(crate) fn new(mut steps: Vec<Step>) -> Self {
        if !steps.iter().any(|step| matches!(step, Step::Move(1..))) {
            steps.push(Step::Move(1));
        }
        Plan { steps, next: 0 }
    }

    /// Moves all it can at once.
    pub(crate) fn smooth() -> Self {
        Plan::new(vec![Step::Move(usize::MAX)])
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let step = self.steps[self.next % self.steps.len()];
        self.next += 1;
        match step {
            // Moving nothing would be the end; a plan says that by its bytes alone.
            Step::Move(n) => Poll::Ready(Ok(n.max(1))),
            Step::Interrupt => Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Step::Wait => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    prop::collection::vec(
        prop_oneof![
            4 => (1_usize..40).prop_map(Step::Move),
            3 => Just(Step::Wait),
            1 => Just(Step::Interrupt),
        ],
        1..8,
    )
    .prop_map(Plan::new)
}

/// A plan without `Interrupt`, for calls that pass it on.
pub(crate) fn calm_plans() -> impl Strategy<Value = Plan> {
    plans().prop_map(|plan| {
        Plan::new(
            plan.steps
                .into_iter()
                .filter(|step| *step != Step::Interrupt)
                .collect(),
        )
    })
}

/// Bytes with lines, blanks and some that are no text.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // One draw a byte: a choice among strategies for each would cost more than the tests.
    let kind = |b: u8| match b {
        0..128 => b'a' + b % 5,
        128..192 => b'\n',
        192..224 => b'\r',
        _ => b,
    };
    prop::collection::vec(any::<u8>(), 0..300)
        .prop_map(move |draws| draws.into_iter().map(kind).collect())
}

/// Text with lines and characters of every width.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!['a', 'b', '\n', '\r', 'é', '€', '🦀']),
        0..200,
    )
    .prop_map(String::from_iter)
}

/// Gives out its bytes as the plan says; fails at the end if told to.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) data: Vec<u8>,
    pub(crate) plan: Plan,
    pub(crate) last: Option<ErrorKind>,
}

impl Source {
    pub(crate) fn new(data: impl Into<Vec<u8>>, plan: Plan) -> Self {
        Source {
            data: data.into(),
            plan,
            last: None,
        }
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = std::task::ready!(self.plan.poll_step(cx))?;
        if self.data.is_empty()
            && let Some(kind) = self.last.take()
        {
            return Poll::Ready(Err(kind.into()));
        }
        let n = n.min(self.data.len()).min(buf.remaining());
        buf.put_slice(&self.data[..n]);
        self.data.drain(..n);
        Poll::Ready(Ok(()))
    }
}

/// Takes bytes as the plan says, and remembers what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    pub(crate) data: Vec<u8>,
    /// So many bytes were there when it was flushed last.
    pub(crate) flushed: usize,
    pub(crate) shut_down: bool,
    pub(crate) vectored: bool,
    pub(crate) plan: Plan,
}

impl Drain {
    pub(crate) fn new(plan: Plan) -> Self {
        Drain {
            data: Vec::new(),
            flushed: 0,
            shut_down: false,
            vectored: false,
            plan,
        }
    }
}

impl AsyncWrite for Drain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.shut_down, "written to after shutdown");
        let n = std::task::ready!(self.plan.poll_step(cx))?.min(buf.len());
        self.data.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An interrupt is for reads and writes; here it only costs a turn.
        if !matches!(self.plan.poll_step(cx), Poll::Ready(Ok(_))) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flushed = self.data.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.vectored {
            let joined: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            return self.poll_write(cx, &joined);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }
}

/// A file whose seeks take their time.
#[derive(Debug)]
pub(crate) struct SlowFile {
    inner: io::Cursor<&'static [u8]>,
    begun: Option<SeekFrom>,
    waits: usize,
}

impl SlowFile {
    pub(crate) fn new(bytes: &'static [u8]) -> Self {
        SlowFile {
            inner: io::Cursor::new(bytes),
            begun: None,
            waits: 0,
        }
    }
}

impl AsyncRead for SlowFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncSeek for SlowFile {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        assert!(
            self.begun.is_none(),
            "a seek began while another was under way"
        );
        (self.begun, self.waits) = (Some(to), 3);
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if self.begun.is_some() {
            if self.waits > 0 {
                self.waits -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let to = self.begun.take().expect("looked at above");
            io::Seek::seek(&mut self.inner, to)?;
        }
        Poll::Ready(Ok(self.inner.position()))
    }
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn new() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, without a task.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls at most `n` times and then drops the future; returns the answer if it came in time.
pub(crate) fn poll_times<F: Future>(future: F, n: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..n {
        if let Poll::Ready(answer) = poll_once(future.as_mut()) {
            return Some(answer);
        }
    }
    None
}

pub(crate) use futures::executor::block_on;
