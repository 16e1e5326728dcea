//! A call's word, explored: what a caller and a runner can never do to each other.
//!
//! Each test is named by what can never happen. What is freed or read too early, loom sees at the cells; what is never freed,
//! it sees as a leak.

use super::call;
use crate::compute::standby::Standby;
use crate::compute::{Call, ComputeError};
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

/// Counts its wakes.
struct Count(AtomicUsize);

impl Count {
    fn new() -> StdArc<Self> {
        StdArc::new(Self(AtomicUsize::new(0)))
    }

    fn wakes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn poll<R>(call: &mut Call<R>, waker: &Waker) -> Poll<Result<R, ComputeError>> {
    Pin::new(call).poll(&mut Context::from_waker(waker))
}

/// Written by the closure, read by whoever has the output: loom sees a read that is not after the write.
struct Output(loom::cell::UnsafeCell<u8>);

impl Output {
    fn read(&self) -> u8 {
        // SAFETY: the test's point: the output is its reader's alone.
        self.0.with(|cell| unsafe { *cell })
    }
}

// SAFETY: handed over as a whole.
unsafe impl Send for Output {}

/// The caller sleeps until it is woken, and sees the output.
#[test]
fn no_wake_is_lost() {
    loom::model(|| {
        let (job, call) = call(|| Output(loom::cell::UnsafeCell::new(7)));
        let running = thread::spawn(move || job.run());
        let output = block_on(call);
        assert_eq!(output.map(|output| output.read()).ok(), Some(7));
        running.join().unwrap();
    });
}

/// A caller that changes its waker while the call ends: the last one is woken, or a poll gives the output.
#[test]
fn no_change_of_wakers_loses_a_wake() {
    loom::model(|| {
        let (job, mut call) = call(|| 7);
        let (first, last) = (Count::new(), Count::new());
        let pending = poll(&mut call, &first.clone().into());
        assert!(pending.is_pending());
        let running = thread::spawn(move || job.run());
        let seen = poll(&mut call, &last.clone().into());
        running.join().unwrap();
        match seen {
            Poll::Ready(output) => assert_eq!(output.ok(), Some(7)),
            Poll::Pending => {
                assert_eq!(last.wakes(), 1);
                assert!(poll(&mut call, Waker::noop()).is_ready());
            }
        }
    });
}

/// What a call holds goes once, whether the drop of its future meets its start, its end or the taking of its waker; a closure
/// that was dropped did not run.
#[test]
fn no_drop_of_the_future_loses_or_doubles_anything() {
    for polled in [false, true] {
        loom::model(move || {
            let held = Arc::new(());
            let ran = Arc::new(AtomicBool::new(false));
            let (in_closure, runs) = (held.clone(), ran.clone());
            let (job, mut call) = call(move || {
                runs.store(true, Relaxed);
                in_closure
            });
            let waker = Count::new();
            if polled {
                assert!(poll(&mut call, &waker.clone().into()).is_pending());
            }
            let running = thread::spawn(move || job.run());
            let finished = call.is_finished();
            drop(call);
            let gone = Arc::strong_count(&held) == 1;
            running.join().unwrap();
            assert_eq!(Arc::strong_count(&held), 1);
            assert_eq!(StdArc::strong_count(&waker), 1);
            if finished {
                assert!(gone && ran.load(Relaxed));
            }
        });
    }
}

/// A detached call runs, and what it gives is dropped.
#[test]
fn no_detached_call_is_cancelled() {
    loom::model(|| {
        let held = Arc::new(AtomicBool::new(false));
        let in_closure = held.clone();
        let (job, mut call) = call(move || {
            in_closure.store(true, Relaxed);
            in_closure
        });
        let waker = Count::new();
        assert!(poll(&mut call, &waker.clone().into()).is_pending());
        let running = thread::spawn(move || job.run());
        call.detach();
        running.join().unwrap();
        assert!(held.load(Relaxed));
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(StdArc::strong_count(&waker), 1);
    });
}

/// A job that is dropped unused, by a crew that goes, ends the wait.
#[test]
fn no_dropped_job_leaves_its_caller_waiting() {
    loom::model(|| {
        let held = Arc::new(());
        let in_closure = held.clone();
        let (job, call) = call(move || in_closure);
        let dropping = thread::spawn(move || drop(job));
        assert!(block_on(call).is_err_and(|error| error.is_cancelled()));
        dropping.join().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// A thread that stands by and a caller: a job that was given is run, whether the thread takes it or meets it when it leaves; a
/// job that was not is still its caller's.
#[test]
fn no_job_is_given_to_a_thread_that_has_left() {
    for looks in [0, 1, 2] {
        loom::model(move || {
            let standby = Arc::new(Standby::new());
            let stands = standby.clone();
            let running = thread::spawn(move || {
                assert!(stands.stand());
                for _ in 0..looks {
                    if let Some(job) = stands.take() {
                        return job.run_here();
                    }
                }
                if let Some(job) = stands.leave() {
                    job.run_here();
                }
            });
            // Made after the thread was: only the word says that it is whole.
            let (job, call) = call(|| Output(loom::cell::UnsafeCell::new(7)));
            if let Err(job) = standby.offer(job) {
                job.run_here();
            }
            let output = block_on(call);
            assert_eq!(output.map(|output| output.read()).ok(), Some(7));
            running.join().unwrap();
        });
    }
}

/// Two threads stand by in turn: the second one's job is not the first one's.
#[test]
fn no_job_is_taken_twice() {
    loom::model(|| {
        let standby = Arc::new(Standby::new());
        let (job, call) = call(|| 7);
        let stand = |standby: Arc<Standby>| {
            move || {
                if !standby.stand() {
                    return;
                }
                if let Some(job) = standby.take().or_else(|| standby.leave()) {
                    job.run_here();
                }
            }
        };
        let first = thread::spawn(stand(standby.clone()));
        let second = thread::spawn(stand(standby.clone()));
        if let Err(job) = standby.offer(job) {
            job.run_here();
        }
        assert_eq!(block_on(call).ok(), Some(7));
        first.join().unwrap();
        second.join().unwrap();
    });
}
