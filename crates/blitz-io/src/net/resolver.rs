//! The threads that ask the system's resolver, which waits for as long as it likes and cannot be interrupted.
//!
//! They belong to the process and to no runtime: a runtime that shuts down does not wait for an answer that may never come, and
//! its blocking pool loses no thread to one. There are [`THREADS_MAX`] of them at most; while all of them hang, further questions
//! stand in line. Whoever asks waits for a [`Question`], and may give up: one that was not put yet is never put then.
//! A thread without a question exits after a while.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::context::start_process_thread;

/// So many look-ups of the process are under way at once.
const THREADS_MAX: usize = 16;
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) type Answer = io::Result<Vec<SocketAddr>>;
type Lookup = Box<dyn FnOnce() -> Answer + Send>;

/// Asks on a thread of the process.
pub(super) fn ask(lookup: impl FnOnce() -> Answer + Send + 'static) -> Asking {
    static CREW: Crew = Crew::new(THREADS_MAX);
    CREW.ask(Box::new(lookup))
}

/// The threads, and the questions in line.
struct Crew {
    state: Mutex<State>,
    work: Condvar,
    threads_max: usize,
}

struct State {
    line: VecDeque<Arc<Question>>,
    threads: usize,
    /// Threads that wait for a question, those included that are on their way to one in the line.
    idle: usize,
    /// A child that was forked has none of its parent's threads; what its parent asked it may ask too.
    process: u32,
}

/// One look-up.
struct Question(Mutex<Stage>);

enum Stage {
    /// In line.
    Asked(Lookup, Option<Waker>),
    /// A thread asks.
    Running(Option<Waker>),
    Answered(Answer),
    /// The answer was taken, or nobody wants it any more.
    Over,
}

impl Crew {
    const fn new(threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                line: VecDeque::new(),
                threads: 0,
                idle: 0,
                process: 0,
            }),
            work: Condvar::new(),
            threads_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&'static self, lookup: Lookup) -> Asking {
        let question = Arc::new(Question(Mutex::new(Stage::Asked(lookup, None))));
        let mut state = self.lock();
        let process = std::process::id();
        if mem::replace(&mut state.process, process) != process {
            state.threads = 0;
            state.idle = 0;
        }
        state.line.push_back(Arc::clone(&question));
        let starts = state.line.len() > state.idle && state.threads < self.threads_max;
        if starts {
            state.threads += 1;
        }
        drop(state);
        if starts {
            self.start();
        } else {
            self.work.notify_one();
        }
        Asking {
            crew: self,
            question,
        }
    }

    /// Starts a thread that was counted. If that fails and there is no other, those in line are told.
    fn start(&'static self) {
        let started = start_process_thread("blitz-io-resolver".to_owned(), move || self.work());
        let Err(error) = started else {
            return;
        };
        let mut state = self.lock();
        state.threads -= 1;
        let line = if state.threads == 0 {
            mem::take(&mut state.line)
        } else {
            VecDeque::new()
        };
        drop(state);
        for question in line {
            let error =
                io::Error::new(error.kind(), "no thread can be started to ask the resolver");
            question.answer(Err(error));
        }
    }

    /// A thread's life.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(question) = state.line.pop_front() {
                drop(state);
                question.put();
                drop(question);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, KEEP_ALIVE);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if timeout.timed_out() && state.line.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    /// Takes a question out of the line.
    fn forget(&self, question: &Arc<Question>) {
        let mut state = self.lock();
        let place = state.line.iter().position(|one| Arc::ptr_eq(one, question));
        let gone = place.and_then(|place| state.line.remove(place));
        drop(state);
        drop(gone);
    }
}

impl Question {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, unless nobody wants the answer any more.
    fn put(&self) {
        let mut stage = self.lock();
        let lookup = match mem::replace(&mut *stage, Stage::Over) {
            Stage::Asked(lookup, waker) => {
                *stage = Stage::Running(waker);
                lookup
            }
            other => {
                *stage = other;
                return;
            }
        };
        drop(stage);
        let answer = catch_unwind(AssertUnwindSafe(lookup))
            .unwrap_or_else(|_| Err(io::Error::other("the look-up has panicked")));
        self.answer(answer);
    }

    fn answer(&self, answer: Answer) {
        let mut stage = self.lock();
        let (unwanted, before) = match &*stage {
            Stage::Over => (Some(answer), None),
            _ => (
                None,
                Some(mem::replace(&mut *stage, Stage::Answered(answer))),
            ),
        };
        drop(stage);
        drop(unwanted);
        if let Some(Stage::Asked(_, Some(waker)) | Stage::Running(Some(waker))) = before {
            waker.wake();
        }
    }
}

/// Waits for an answer; dropped it gives up.
pub(super) struct Asking {
    crew: &'static Crew,
    question: Arc<Question>,
}

impl Future for Asking {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        // Foreign code: cloned before the lock, and what it replaces is dropped after it.
        let waker = cx.waker().clone();
        let mut stage = self.question.lock();
        let (answer, unused) = match &mut *stage {
            Stage::Asked(_, slot) | Stage::Running(slot) => (None, slot.replace(waker)),
            Stage::Answered(_) | Stage::Over => {
                let Stage::Answered(answer) = mem::replace(&mut *stage, Stage::Over) else {
                    panic!("a look-up was polled after its end")
                };
                (Some(answer), Some(waker))
            }
        };
        drop(stage);
        drop(unused);
        answer.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let before = mem::replace(&mut *self.question.lock(), Stage::Over);
        if matches!(before, Stage::Asked(..)) {
            self.crew.forget(&self.question);
        }
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Builder;

    const GUARD: Duration = Duration::from_secs(60);

    fn crew(threads_max: usize) -> &'static Crew {
        Box::leak(Box::new(Crew::new(threads_max)))
    }

    /// A look-up that has begun when the receiver says so, and hangs until the sender is dropped or sends.
    fn hanging(crew: &'static Crew) -> (Asking, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begins, begun) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let asking = crew.ask(Box::new(move || {
            let _ = begins.send(());
            let _ = ends.recv();
            Ok(Vec::new())
        }));
        (asking, begun, end)
    }

    fn some() -> Answer {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], 7))])
    }

    #[test]
    fn an_answer_wakes_and_comes_once() {
        let crew = crew(2);
        let runtime = Builder::new_current_thread().build().unwrap();
        let (asking, begun, end) = hanging(crew);
        let waits = runtime.spawn(asking);
        begun.recv_timeout(GUARD).unwrap();
        drop(end);
        runtime.block_on(waits).unwrap().unwrap();
        let answer = runtime.block_on(crew.ask(Box::new(some)));
        assert_eq!(answer.unwrap().len(), 1);
    }

    #[test]
    fn hung_look_ups_have_so_many_threads_and_the_rest_stand_in_line() {
        let crew = crew(2);
        let (one, one_begun, end_one) = hanging(crew);
        let (two, two_begun, _end_two) = hanging(crew);
        one_begun.recv_timeout(GUARD).unwrap();
        two_begun.recv_timeout(GUARD).unwrap();
        let third = crew.ask(Box::new(some));
        let (dropped, dropped_begun, _end) = hanging(crew);
        assert_eq!(crew.lock().threads, 2);
        assert_eq!(crew.lock().line.len(), 2);
        drop(dropped);
        assert_eq!(crew.lock().line.len(), 1);
        // Nobody waits for the first any more, and its thread goes on to the third.
        drop(one);
        drop(end_one);
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(third).unwrap();
        assert!(dropped_begun.try_recv().is_err(), "it was never asked");
        drop(two);
    }

    #[test]
    fn a_runtime_ends_under_a_look_up_that_hangs() {
        let crew = crew(1);
        let (asking, begun, _end) = hanging(crew);
        for runtime in [
            Builder::new_current_thread().build().unwrap(),
            Builder::new_multi_thread().build().unwrap(),
        ] {
            let (asking, ..) = hanging(crew);
            runtime.spawn(asking);
            drop(runtime);
        }
        let runtime = Builder::new_multi_thread().build().unwrap();
        runtime.spawn(asking);
        begun.recv_timeout(GUARD).unwrap();
        drop(runtime); // returns although the thread hangs
        assert_eq!(crew.lock().line.len(), 0, "the others were given up");
    }

    #[test]
    fn a_panic_is_an_error() {
        let crew = crew(1);
        let runtime = Builder::new_current_thread().build().unwrap();
        let asking = crew.ask(Box::new(|| panic!("in a test")));
        let error = runtime.block_on(asking).unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
        runtime.block_on(crew.ask(Box::new(some))).unwrap();
    }
}
