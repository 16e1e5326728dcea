//! The models' twins on real threads: many tasks, woken, aborted, joined and shut down from everywhere.

use super::{Queue, Wakers};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::task::{Context, Poll, Waker};
use std::thread;

const TASKS: usize = 20_000;

/// Counts the drops of what a task holds.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        // ORDERING: read after the threads are joined.
        self.0.fetch_add(1, Relaxed);
    }
}

/// Two runners, a waker, an aborter, and a joiner: each future and each output goes once.
#[test]
fn no_future_and_no_output_is_lost_or_doubled() {
    let queue = Queue::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let wakers = Wakers::default();
    let done = AtomicBool::new(false);
    let (ready, cancelled) = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // ORDERING: pairs with the store below.
                while !done.load(Acquire) {
                    if !queue.run_one() {
                        thread::yield_now();
                    }
                }
            });
        }
        scope.spawn(|| {
            // ORDERING: as above.
            while !done.load(Acquire) {
                let batch = std::mem::take(&mut *wakers.0.lock());
                for (i, waker) in batch.into_iter().enumerate() {
                    if i % 2 == 0 {
                        waker.wake()
                    } else {
                        waker.wake_by_ref()
                    }
                }
                thread::yield_now();
            }
        });
        let mut counts = (0, 0);
        for batch in 0..TASKS / 100 {
            let mut handles: Vec<_> = (0..100)
                .map(|i| {
                    let (leave, held) = (wakers.clone(), Counted(dropped.clone()));
                    let mut left = i % 4;
                    queue.spawn(poll_fn(move |cx| {
                        let _ = &held;
                        if left == 0 {
                            return Poll::Ready(Counted(held.0.clone()));
                        }
                        left -= 1;
                        leave.leave(cx.waker());
                        Poll::Pending
                    }))
                })
                .collect();
            for (i, handle) in handles.iter().enumerate() {
                if (i + batch) % 5 == 0 {
                    handle.abort();
                }
            }
            // A third is left to itself.
            handles.retain(|handle| handle.id().as_u64() % 3 != 0);
            for mut handle in handles {
                loop {
                    match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(Ok(_)) => counts.0 += 1,
                        Poll::Ready(Err(error)) => {
                            assert!(error.is_cancelled(), "{error}");
                            counts.1 += 1;
                        }
                        Poll::Pending => {
                            thread::yield_now();
                            continue;
                        }
                    }
                    break;
                }
            }
        }
        while !queue.owned.is_empty() {
            thread::yield_now();
        }
        // ORDERING: see above.
        done.store(true, Release);
        counts
    });
    assert!(
        ready > 0 && cancelled > 0,
        "{ready} ready, {cancelled} cancelled"
    );
    drop(wakers);
    queue.shut_down();
    assert_eq!(Arc::strong_count(&queue), 1, "a task was not freed");
    assert_eq!(Arc::strong_count(&dropped), 1);
    // ORDERING: the threads are joined.
    let dropped = dropped.load(Relaxed);
    assert!((TASKS..=2 * TASKS).contains(&dropped), "{dropped}");
}

/// Spawns, runs and wakes meet a shutdown: nothing is left.
#[test]
fn no_task_survives_a_shutdown_in_full_flight() {
    for round in 0..50 {
        let queue = Queue::new();
        let wakers = Wakers::default();
        let spawned = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !queue.owned.is_closed() {
                        let (leave, held) = (wakers.clone(), Counted(dropped.clone()));
                        // ORDERING: read after the threads are joined.
                        spawned.fetch_add(1, Relaxed);
                        drop(queue.spawn(poll_fn(move |cx| {
                            let _ = &held;
                            leave.leave(cx.waker());
                            Poll::<()>::Pending
                        })));
                        queue.run_one();
                        let waker = wakers.0.lock().pop();
                        waker.inspect(Waker::wake_by_ref);
                    }
                });
            }
            while queue.owned.len() < 10 * round {
                thread::yield_now();
            }
            queue.shut_down();
        });
        queue.shut_down();
        drop(wakers);
        // ORDERING: the threads are joined.
        assert_eq!(spawned.load(Relaxed), dropped.load(Relaxed));
        assert!(queue.owned.is_empty());
        assert_eq!(Arc::strong_count(&queue), 1, "a task was not freed");
    }
}
