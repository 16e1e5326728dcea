//! A source that blocks, read by a thread of the process when somebody waits.

use std::io;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::waiting::{self, Resource, Site};
use blitz_io_traits::ReadBuf;

use crate::context::start_process_thread;

static READ: Site = Site::new("stdin", Resource::None);

/// So much is read at once.
const READ_LEN: usize = 8 * 1024;

/// The source, and what came of it; `read` is what blocks.
pub(super) struct Input<F> {
    name: &'static str,
    read: F,
    state: Mutex<State>,
    asked: Condvar,
}

struct State {
    /// What came and was not taken; `taken` bytes of it were.
    bytes: Vec<u8>,
    taken: usize,
    /// The read ended so, and nobody was told yet. Zero bytes are the end.
    ended: Option<io::Result<()>>,
    /// The thread reads, or is on its way to.
    is_asked: bool,
    waiting: Vec<Waker>,
    /// Which process has the thread: a child that was forked has none.
    process: u32,
}

impl<F: Fn(&mut [u8]) -> io::Result<usize> + Sync> Input<F> {
    pub(super) const fn new(name: &'static str, read: F) -> Self {
        Self {
            name,
            read,
            state: Mutex::new(State {
                bytes: Vec::new(),
                taken: 0,
                ended: None,
                is_asked: false,
                waiting: Vec::new(),
                process: 0,
            }),
            asked: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read(
        &'static self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let coop = ready!(budget::poll_proceed(cx));
        // Foreign code: cloned before the lock, and what is not used is dropped after it.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if state.taken < state.bytes.len() {
            let bytes = &state.bytes[state.taken..];
            let len = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..len]);
            state.taken += len;
            drop(state);
            coop.made_progress();
            return Poll::Ready(Ok(()));
        }
        if let Some(ended) = state.ended.take() {
            drop(state);
            coop.made_progress();
            return Poll::Ready(ended);
        }
        let mut unused = None;
        if state.waiting.iter().any(|waits| waits.will_wake(&waker)) {
            unused = Some(waker);
        } else {
            state.waiting.push(waker);
        }
        let process = std::process::id();
        let starts = state.process != process;
        if starts {
            state.is_asked = false;
        }
        let asks = !mem::replace(&mut state.is_asked, true);
        state.process = process;
        drop(state);
        drop(unused);
        if starts {
            self.start()?;
        } else if asks {
            self.asked.notify_one();
        }
        waiting::note(&READ, waiting::UNKNOWN, None);
        Poll::Pending
    }

    /// Starts the thread; if that fails the next read tries again.
    fn start(&'static self) -> io::Result<()> {
        let started = start_process_thread(format!("blitz-io-{}", self.name), move || self.run());
        if started.is_err() {
            let mut state = self.lock();
            state.process = 0;
            state.is_asked = false;
        }
        started
    }

    fn run(&self) {
        let mut buf = vec![0; READ_LEN];
        loop {
            let mut state = self.lock();
            while !state.is_asked {
                state = self
                    .asked
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let read = loop {
                match (self.read)(&mut buf) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            let mut state = self.lock();
            state.bytes.clear();
            state.taken = 0;
            match read {
                Ok(0) => state.ended = Some(Ok(())),
                Ok(len) => state.bytes.extend_from_slice(&buf[..len]),
                Err(error) => state.ended = Some(Err(error)),
            }
            state.is_asked = false;
            let waiting = mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::{Builder, Runtime};

    type Source = Box<dyn Fn(&mut [u8]) -> io::Result<usize> + Send + Sync>;

    /// A source that gives what is sent, and ends or fails when it is told so.
    fn source() -> (
        mpsc::Sender<io::Result<&'static str>>,
        &'static Input<Source>,
    ) {
        let (send, receive) = mpsc::channel::<io::Result<&'static str>>();
        let receive = Mutex::new(receive);
        let read = move |buf: &mut [u8]| {
            let told = receive.lock().unwrap().recv();
            let text = told.unwrap_or(Ok(""))?;
            buf[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        };
        let input: Input<Source> = Input::new("test", Box::new(read));
        (send, Box::leak(Box::new(input)))
    }

    async fn read(input: &'static Input<Source>, len: usize) -> io::Result<String> {
        let mut space = vec![0; len];
        let mut buf = ReadBuf::new(&mut space);
        poll_fn(|cx| input.poll_read(cx, &mut buf)).await?;
        Ok(String::from_utf8(buf.filled().to_vec()).unwrap())
    }

    fn runtimes() -> [Runtime; 2] {
        [
            Builder::new_current_thread().build().unwrap(),
            Builder::new_multi_thread().build().unwrap(),
        ]
    }

    #[test]
    fn bytes_errors_and_the_end() {
        for runtime in runtimes() {
            let (send, input) = source();
            runtime.block_on(async {
                send.send(Ok("hello")).unwrap();
                assert_eq!(read(input, 3).await.unwrap(), "hel");
                assert_eq!(read(input, 0).await.unwrap(), "");
                assert_eq!(read(input, 3).await.unwrap(), "lo");
                send.send(Err(io::ErrorKind::InvalidData.into())).unwrap();
                let error = read(input, 3).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                send.send(Ok("")).unwrap();
                assert_eq!(read(input, 3).await.unwrap(), "");
                // A terminal goes on after its end.
                send.send(Ok("more")).unwrap();
                assert_eq!(read(input, 8).await.unwrap(), "more");
            });
        }
    }

    #[test]
    fn a_dropped_read_leaves_its_bytes_to_the_next() {
        for runtime in runtimes() {
            let (send, input) = source();
            runtime.block_on(async {
                for _ in 0..3 {
                    let mut dropped = Box::pin(read(input, 8));
                    poll_fn(|cx| {
                        assert!(dropped.as_mut().poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                    drop(dropped);
                    send.send(Ok("kept")).unwrap();
                    assert_eq!(read(input, 8).await.unwrap(), "kept");
                }
            });
        }
    }

    #[test]
    fn a_runtime_ends_under_a_read_that_hangs() {
        let (send, input) = source();
        for runtime in runtimes() {
            runtime.spawn(read(input, 8));
            runtime.block_on(crate::task::yield_now());
            drop(runtime);
        }
        send.send(Ok("late")).unwrap();
        let [runtime, _] = runtimes();
        assert_eq!(runtime.block_on(read(input, 8)).unwrap(), "late");
    }
}
