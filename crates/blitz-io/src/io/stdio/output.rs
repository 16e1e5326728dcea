//! A sink that blocks, written by a thread of the process behind those who write.

use std::io;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::waiting::{self, Resource, Site};

use crate::context::start_process_thread;

static WRITE: Site = Site::new("stdout or stderr", Resource::None);

/// So much is taken before it is written.
const ROOM: usize = 64 * 1024;

/// The sink, and what is to go there; `write` is what blocks.
pub(super) struct Output<F> {
    name: &'static str,
    write: F,
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Everything is out.
    out: Condvar,
}

struct State {
    bytes: Vec<u8>,
    is_writing: bool,
    /// Why the last write failed, if nobody was told yet.
    error: Option<io::Error>,
    waiting: Vec<Waker>,
    /// Which process has the thread: a child that was forked has none.
    process: u32,
}

impl State {
    fn is_out(&self) -> bool {
        self.bytes.is_empty() && !self.is_writing
    }
}

impl<F: Fn(&[u8]) -> io::Result<()> + Sync> Output<F> {
    pub(super) const fn new(name: &'static str, write: F) -> Self {
        Self {
            name,
            write,
            state: Mutex::new(State {
                bytes: Vec::new(),
                is_writing: false,
                error: None,
                waiting: Vec::new(),
                process: 0,
            }),
            work: Condvar::new(),
            out: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_write(
        &'static self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |state| {
            let len = buf.len().min(ROOM - state.bytes.len().min(ROOM));
            state.bytes.extend_from_slice(&buf[..len]);
            (len > 0 || buf.is_empty()).then_some(len)
        })
    }

    pub(super) fn poll_flush(&'static self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |state| state.is_out().then_some(()))
    }

    /// Tries `call`, and waits until something was written if it answers `None`.
    fn poll<R>(
        &'static self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut State) -> Option<R>,
    ) -> Poll<io::Result<R>> {
        let coop = ready!(budget::poll_proceed(cx));
        // Foreign code: cloned before the lock, and what is not used is dropped after it.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            drop(state);
            coop.made_progress();
            return Poll::Ready(Err(error));
        }
        let process = std::process::id();
        let mut starts = false;
        let done = call(&mut state);
        if !state.bytes.is_empty() {
            starts = mem::replace(&mut state.process, process) != process;
        }
        let mut unused = None;
        if done.is_some() || state.waiting.iter().any(|waits| waits.will_wake(&waker)) {
            unused = Some(waker);
        } else {
            state.waiting.push(waker);
        }
        drop(state);
        drop(unused);
        if starts {
            self.start()?;
        } else {
            self.work.notify_one();
        }
        match done {
            Some(done) => {
                coop.made_progress();
                Poll::Ready(Ok(done))
            }
            None => {
                waiting::note(&WRITE, waiting::UNKNOWN, None);
                Poll::Pending
            }
        }
    }

    /// Starts the thread. If that fails nothing was taken.
    fn start(&'static self) -> io::Result<()> {
        let started = start_process_thread(format!("blitz-io-{}", self.name), move || self.run());
        if started.is_err() {
            let mut state = self.lock();
            state.process = 0;
            state.bytes.clear();
        }
        started
    }

    fn run(&self) {
        let mut bytes = Vec::new();
        loop {
            let mut state = self.lock();
            while state.bytes.is_empty() {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            mem::swap(&mut state.bytes, &mut bytes);
            state.is_writing = true;
            // There is room again.
            let waiting = mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
            let written = (self.write)(&bytes);
            bytes.clear();
            let mut state = self.lock();
            state.is_writing = false;
            // The first of several errors is the one to tell.
            if let Err(error) = written {
                state.error.get_or_insert(error);
            }
            let waiting = mem::take(&mut state.waiting);
            if state.is_out() {
                self.out.notify_all();
            }
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until everything is out, or for as long as `limit`.
    pub(super) fn drain(&self, limit: Duration) {
        let state = self.lock();
        // In a child that was forked nobody writes.
        if state.is_out() || state.process != std::process::id() {
            return;
        }
        let waited = self
            .out
            .wait_timeout_while(state, limit, |state| !state.is_out());
        drop(waited);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::runtime::Builder;

    type Ends = mpsc::Sender<io::Result<()>>;
    type Written = Arc<Mutex<Vec<u8>>>;
    type Sink = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

    /// A sink whose writes end when they are told how.
    fn sink() -> (Ends, Written, &'static Output<Sink>) {
        let (send, receive) = mpsc::channel();
        let (receive, written) = (Mutex::new(receive), Written::default());
        let all = Arc::clone(&written);
        let write = move |bytes: &[u8]| {
            receive.lock().unwrap().recv().unwrap_or(Ok(()))?;
            all.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        };
        let output: Output<Sink> = Output::new("test", Box::new(write));
        (send, written, Box::leak(Box::new(output)))
    }

    #[test]
    fn everything_is_written_in_order_and_a_flush_waits() {
        let (end, written, output) = sink();
        let runtime = Builder::new_current_thread().build().unwrap();
        drop(end);
        runtime.block_on(async {
            let bytes: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let len = poll_fn(|cx| output.poll_write(cx, rest)).await.unwrap();
                rest = &rest[len..];
            }
            poll_fn(|cx| output.poll_flush(cx)).await.unwrap();
            assert!(*written.lock().unwrap() == bytes);
        });
    }

    #[test]
    fn a_sink_that_hangs_takes_so_much_and_holds_up_nobody() {
        let (end, written, output) = sink();
        let runtime = Builder::new_multi_thread().build().unwrap();
        runtime.block_on(async {
            let mut taken = 0;
            let full = poll_fn(|cx| {
                loop {
                    match output.poll_write(cx, &[1; 10_000]) {
                        Poll::Ready(len) => taken += len.unwrap(),
                        Poll::Pending => return Poll::Ready(taken),
                    }
                }
            });
            // What is being written, and what waits behind it.
            assert!(full.await <= 2 * ROOM);
        });
        runtime.spawn(poll_fn(|cx| output.poll_flush(cx)));
        drop(runtime);
        output.drain(Duration::from_millis(1));
        assert!(written.lock().unwrap().is_empty());
        drop(end);
        output.drain(Duration::from_secs(60));
        assert!(output.lock().is_out());
    }

    #[test]
    fn an_error_comes_with_the_next_call_and_once() {
        let (end, written, output) = sink();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(
                poll_fn(|cx| output.poll_write(cx, b"lost")).await.unwrap(),
                4
            );
            end.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
            let error = poll_fn(|cx| output.poll_flush(cx)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            end.send(Ok(())).unwrap();
            poll_fn(|cx| output.poll_write(cx, b"kept")).await.unwrap();
            poll_fn(|cx| output.poll_flush(cx)).await.unwrap();
            assert_eq!(*written.lock().unwrap(), b"kept");
        });
    }
}
