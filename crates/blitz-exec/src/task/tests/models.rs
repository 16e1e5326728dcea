//! A task's word, explored: what wakers, runners, aborters, joiners and owners can never do to each other.
//!
//! Each test is named by what can never happen. Wakers are made by a first poll, before the threads begin.

use super::{Queue, Wakers};
use crate::task::state::State;
use crate::task::{self, JoinError, JoinHandle, Lane, SpawnInfo};
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

/// Takes the output of a task that has ended.
fn output<T>(handle: &mut JoinHandle<T>) -> Result<T, JoinError> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the task has not ended"),
    }
}

/// Waits for `events` to be true; leaves as many wakers at its first poll.
async fn wait_for(events: [Arc<AtomicBool>; 2], wakers: Wakers) {
    poll_fn(|cx| {
        if wakers.0.lock().is_empty() {
            events.iter().for_each(|_| wakers.leave(cx.waker()));
        }
        let all = events.iter().all(|event| event.load(Relaxed));
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}

/// Whoever takes a task that rests to a queue writes the link by which the queue holds it: never while, or without knowing what, the
/// last runner's queue wrote there.
#[test]
fn no_two_queues_write_the_link_of_a_task() {
    let ways: [fn(&State) -> task::state::Wake; 4] =
        [State::abort, State::trace, State::wake_by_ref, |state| {
            state.wake_by_value(true)
        }];
    for submit in ways {
        loom::model(move || {
            let task = Arc::new((State::owned(Lane::Normal), UnsafeCell::new(())));
            let theirs = Arc::clone(&task);
            let runner = thread::spawn(move || {
                let (state, link) = &*theirs;
                link.with_mut(|_| ());
                let _ = state.start();
                let _ = state.rest();
            });
            let (state, link) = &*task;
            if submit(state) == task::state::Wake::Submit {
                link.with_mut(|_| ());
            }
            runner.join().unwrap();
        });
    }
}

/// However two wakes (by value and by reference) meet two runners, the task sees both events: also those of a wake that
/// finds the task notified already.
#[test]
fn no_wake_is_lost() {
    loom::model(|| {
        let queue = Queue::new();
        let events = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let wakers = Wakers::default();
        let mut handle = queue.spawn(wait_for(events.clone(), wakers.clone()));
        queue.run_all();
        let [first, second] = events;
        let (by_value, by_ref) = (wakers.take(), wakers.take());
        let waking = [
            thread::spawn(move || {
                first.store(true, Relaxed);
                by_value.wake();
            }),
            thread::spawn(move || {
                second.store(true, Relaxed);
                by_ref.wake_by_ref();
            }),
        ];
        queue.run_one();
        waking.into_iter().for_each(|thread| thread.join().unwrap());
        queue.run_all();
        assert!(output(&mut handle).is_ok());
        drop((handle, wakers));
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A task is polled by one thread at a time, and each sees what the last has left.
#[test]
fn no_two_threads_poll_at_once() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let polls = loom::cell::UnsafeCell::new(0);
        let leave = wakers.clone();
        let mut handle = queue.spawn(poll_fn(move |cx| {
            // SAFETY: the test's point: the poll has the future for itself.
            let polls = polls.with_mut(|polls| unsafe {
                *polls += 1;
                *polls
            });
            if polls == 1 {
                leave.leave(cx.waker());
            }
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        queue.run_all();
        let waker = wakers.take();
        let other = {
            let (queue, waker) = (queue.clone(), waker.clone());
            thread::spawn(move || {
                waker.wake_by_ref();
                queue.run_one();
            })
        };
        waker.wake_by_ref();
        queue.run_one();
        other.join().unwrap();
        queue.run_all();
        if !handle.is_finished() {
            waker.wake_by_ref();
            queue.run_all();
        }
        assert!(output(&mut handle).is_ok());
    });
}

/// An abort that meets a wake and a runner: the future goes once, the task ends, and what it says fits what happened.
#[test]
fn no_abort_is_lost() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let alive = Arc::new(());
        let (leave, held) = (wakers.clone(), alive.clone());
        let mut handle = queue.spawn(async move {
            let _held = held;
            poll_fn(|cx| {
                leave.leave(cx.waker());
                Poll::<()>::Pending
            })
            .await
        });
        queue.run_all();
        let waker = wakers.take();
        let abort = handle.abort_handle();
        let aborting = thread::spawn(move || abort.abort());
        let waking = thread::spawn(move || waker.wake());
        queue.run_one();
        aborting.join().unwrap();
        waking.join().unwrap();
        queue.run_all();
        assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        assert_eq!(Arc::strong_count(&alive), 1);
        drop((handle, wakers));
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// The aborting thread never drops the future (it may not be `Send`: RUSTSEC-2021-0072), not even that of an idle task.
#[test]
fn no_future_is_dropped_by_its_aborter() {
    struct OnThread(thread::ThreadId);
    impl Drop for OnThread {
        fn drop(&mut self) {
            assert_eq!(self.0, thread::current().id());
        }
    }
    loom::model(|| {
        let queue = Queue::new();
        let held = OnThread(thread::current().id());
        let future = async move {
            let _held = held;
            pending::<()>().await
        };
        // SAFETY: only this thread runs and shuts down.
        let (mut handle, notified) = unsafe {
            queue
                .owned
                .bind_local(future, queue.clone(), SpawnInfo::here())
        };
        assert!(notified.and_then(task::Notified::run).is_none());
        let abort = handle.abort_handle();
        let aborting = thread::spawn(move || {
            abort.abort();
            abort.abort();
        });
        queue.run_one();
        queue.shut_down();
        aborting.join().unwrap();
        queue.shut_down();
        // A panic in the drop would be in the error.
        assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        drop(handle);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A future that is dropped for an abort, or for a shutdown, sees what came before that, whoever drops it.
#[test]
fn no_cancellation_hides_what_came_before_it() {
    struct Sees(Arc<AtomicBool>);
    impl Drop for Sees {
        fn drop(&mut self) {
            assert!(self.0.load(Relaxed));
        }
    }
    for by_shutdown in [false, true] {
        loom::model(move || {
            let queue = Queue::new();
            let before = Arc::new(AtomicBool::new(false));
            let sees = Sees(before.clone());
            let mut handle = queue.spawn(async move {
                let _sees = sees;
                pending::<()>().await
            });
            let abort = handle.abort_handle();
            let cancelling = {
                let queue = queue.clone();
                thread::spawn(move || {
                    before.store(true, Relaxed);
                    if by_shutdown {
                        queue.owned.close_and_shutdown_all(0);
                    } else {
                        abort.abort();
                    }
                })
            };
            queue.run_one();
            queue.run_one();
            cancelling.join().unwrap();
            queue.run_all();
            // A panic in the drop would be in the error.
            assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        });
    }
}

/// A joiner that waits while the task ends elsewhere is woken, and gets the output.
#[test]
fn no_joiner_sleeps_for_ever() {
    loom::model(|| {
        let queue = Queue::new();
        let alive = Arc::new(());
        let value = alive.clone();
        let handle = queue.spawn(async move { value });
        let running = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        let value = block_on(handle).expect("it does not panic");
        running.join().unwrap();
        drop(value);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A join handle that changes its waker, and then goes, while the task ends: each waker and the output are dropped once,
/// and only a waker that was registered last is woken.
#[test]
fn no_join_waker_is_lost_or_leaked() {
    loom::model(|| {
        let queue = Queue::new();
        let alive = Arc::new(());
        let value = alive.clone();
        let mut handle = queue.spawn(async move { value });
        let running = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        let counts = [(); 2].map(|()| StdArc::new(Count(AtomicUsize::new(0))));
        let mut pending = true;
        for count in &counts {
            let waker = Waker::from(count.clone());
            pending = pending && handle.set_join_waker(&waker);
            // The same again changes nothing.
            pending = pending && handle.set_join_waker(&waker);
        }
        drop(handle);
        running.join().unwrap();
        for count in counts {
            assert_eq!(StdArc::strong_count(&count), 1, "a waker was leaked");
            assert!(count.0.load(Relaxed) <= 1);
        }
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A registered waker that stays registered is woken, once.
#[test]
fn no_registered_waker_is_forgotten() {
    loom::model(|| {
        let queue = Queue::new();
        let mut handle = queue.spawn(async { 7 });
        let running = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        let [first, last] = [(); 2].map(|()| StdArc::new(Count(AtomicUsize::new(0))));
        handle.set_join_waker(&Waker::from(first));
        let registered = handle.set_join_waker(&Waker::from(last.clone()));
        running.join().unwrap();
        assert_eq!(last.0.load(Relaxed), usize::from(registered));
        assert_eq!(output(&mut handle).ok(), Some(7));
    });
}

/// Whoever of waker, join handle and runner is last frees the task, and nobody before.
#[test]
fn no_task_is_freed_too_early_or_never() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let alive = Arc::new(());
        let (leave, value) = (wakers.clone(), alive.clone());
        let handle = queue.spawn(async move {
            poll_fn(|cx| {
                leave.leave(cx.waker());
                Poll::Ready(())
            })
            .await;
            value
        });
        let task = queue.next().expect("it was spawned");
        let leaving = thread::spawn(move || drop(handle));
        assert!(task.run().is_none());
        let waker = wakers.take();
        let waking = thread::spawn(move || waker.wake());
        let waker = wakers.0.lock().pop();
        drop(waker);
        leaving.join().unwrap();
        waking.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1);
        drop(wakers);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A runtime that shuts down and goes while a foreign thread wakes: the scheduler outlives the wake.
#[test]
fn no_scheduler_goes_while_a_wake_uses_it() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let leave = wakers.clone();
        let handle = queue.spawn(poll_fn(move |cx| {
            leave.leave(cx.waker());
            Poll::<()>::Pending
        }));
        queue.run_all();
        drop(handle);
        let waker = wakers.take();
        let waking = thread::spawn(move || waker.wake());
        queue.shut_down();
        drop(queue);
        waking.join().unwrap();
    });
}

/// Shutdown against a runner and a wake: the future goes once, and the joiner hears of it.
#[test]
fn no_task_outlives_a_shutdown() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let alive = Arc::new(());
        let (leave, held) = (wakers.clone(), alive.clone());
        let mut handle = queue.spawn(async move {
            let _held = held;
            poll_fn(|cx| {
                leave.leave(cx.waker());
                Poll::<()>::Pending
            })
            .await
        });
        queue.run_all();
        let waker = wakers.take();
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                waker.wake();
                queue.run_one();
            })
        };
        queue.shut_down();
        other.join().unwrap();
        queue.shut_down();
        assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(queue.owned.is_empty());
        drop((handle, wakers));
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A spawn that meets the closing of the list either is drained with it or is cancelled on the spot.
#[test]
fn no_task_slips_into_a_closed_list() {
    loom::model(|| {
        let queue = Queue::new();
        let alive = Arc::new(());
        let spawning = {
            let (queue, held) = (queue.clone(), alive.clone());
            thread::spawn(move || {
                queue.spawn(async move {
                    let _held = held;
                    pending::<()>().await
                })
            })
        };
        queue.shut_down();
        let mut handle = spawning.join().unwrap();
        assert!(queue.owned.is_empty() && queue.owned.is_closed());
        assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        assert_eq!(Arc::strong_count(&alive), 1);
        queue.shut_down();
        drop(handle);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A task that ends while the list is drained is taken out once.
#[test]
fn no_task_is_removed_twice() {
    loom::model(|| {
        let queue = Queue::new();
        let handles = [(); 2].map(|()| queue.spawn(async {}));
        let running = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_one())
        };
        queue.shut_down();
        running.join().unwrap();
        queue.shut_down();
        assert!(queue.owned.is_empty());
        for mut handle in handles {
            assert!(
                output(&mut handle)
                    .err()
                    .is_none_or(|error| error.is_cancelled())
            );
        }
        assert_eq!(StdArc::strong_count(&queue), 1, "a task was not freed");
    });
}

/// An unowned task (a blocking call) that is aborted while its thread begins it.
#[test]
fn no_blocking_call_is_both_run_and_cancelled() {
    loom::model(|| {
        let queue = Queue::new();
        let ran = Arc::new(AtomicBool::new(false));
        let runs = ran.clone();
        let (task, mut handle) = task::unowned(
            async move { runs.store(true, Relaxed) },
            queue.clone(),
            SpawnInfo::here(),
        );
        let running = thread::spawn(move || task.run().is_none());
        handle.abort();
        assert!(running.join().unwrap());
        assert_eq!(output(&mut handle).is_ok(), ran.load(Relaxed));
        drop(handle);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// An unowned task whose last holder, runner or join handle, frees it although it has not ended.
#[test]
fn no_abandoned_task_is_leaked() {
    loom::model(|| {
        let queue = Queue::new();
        let alive = Arc::new(());
        let held = alive.clone();
        let future = async move {
            let _held = held;
            pending::<()>().await
        };
        let (task, handle) = task::unowned(future, queue.clone(), SpawnInfo::here());
        let running = thread::spawn(move || assert!(task.run().is_none()));
        drop(handle);
        running.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// Two who ask for traces of one task, while it is run and woken: each is told of a poll, whenever the other's trace ends.
#[test]
fn no_trace_is_lost() {
    loom::model(|| {
        let queue = Queue::new();
        let mut handle = queue.spawn(pending::<()>());
        queue.run_all();
        let ask = |queue: &StdArc<Queue>, who| {
            let task = queue.owned.collect().pop().expect("it has not ended");
            queue.sinks.fetch_or(who, Relaxed);
            task.trace();
        };
        ask(&queue, 1);
        let asking = {
            let queue = queue.clone();
            thread::spawn(move || ask(&queue, 2))
        };
        queue.run_one();
        asking.join().unwrap();
        queue.run_all();
        assert_eq!(queue.told.load(Relaxed), 3, "who was told, a bit each");
        handle.abort();
        queue.run_all();
        assert!(output(&mut handle).is_err());
        drop(handle);
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}

/// A trace that meets a wake, an abort and the runner takes nothing from them: the wake is polled for, the future goes once, and
/// the references come out even.
#[test]
fn no_trace_hides_a_wake_or_an_abort() {
    loom::model(|| {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let event = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicBool::new(false));
        let (leave, comes, sees) = (wakers.clone(), event.clone(), seen.clone());
        let mut handle = queue.spawn(poll_fn(move |cx| {
            if leave.0.lock().is_empty() {
                leave.leave(cx.waker());
            }
            sees.fetch_or(comes.load(Relaxed), Relaxed);
            Poll::<()>::Pending
        }));
        queue.run_all();
        let waker = wakers.take();
        let task = queue.owned.collect().pop().expect("it has not ended");
        let tracing = thread::spawn(move || task.trace());
        event.store(true, Relaxed);
        waker.wake();
        queue.run_one();
        tracing.join().unwrap();
        queue.run_all();
        assert!(seen.load(Relaxed), "the wake was lost");
        handle.abort();
        queue.run_all();
        assert!(output(&mut handle).is_err_and(|error| error.is_cancelled()));
        drop((handle, wakers));
        assert_eq!(StdArc::strong_count(&queue), 1, "the task was not freed");
    });
}
