//! A scene for each async method that is not a channel's: see `cancel_everywhere`.

use std::sync::Arc;

use blitz_sync::{
    Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce, TaskTracker,
    UnfairMutex, WaiterQueue,
};

use crate::cancel_everywhere::{Make, Other, Scene, Wait};

/// The methods by file and name, and after a colon which case of it.
pub(crate) const TABLE: &[(&str, Make)] = &[
    ("mutex lock", || {
        mutex(|lock| Box::pin(async move { drop(lock.lock().await) }))
    }),
    ("mutex lock_owned", || {
        mutex(|lock| Box::pin(async move { drop(lock.lock_owned().await) }))
    }),
    ("rwlock read", || {
        rwlock(|lock| Box::pin(async move { drop(lock.read().await) }))
    }),
    ("rwlock read_owned", || {
        rwlock(|lock| Box::pin(async move { drop(lock.read_owned().await) }))
    }),
    ("rwlock write", || {
        rwlock(|lock| Box::pin(async move { drop(lock.write().await) }))
    }),
    ("rwlock write_owned", || {
        rwlock(|lock| Box::pin(async move { drop(lock.write_owned().await) }))
    }),
    ("semaphore acquire", || {
        semaphore(|all| Box::pin(async move { drop(all.acquire().await) }))
    }),
    ("semaphore acquire_many", || {
        semaphore(|all| Box::pin(async move { drop(all.acquire_many(2).await) }))
    }),
    ("semaphore acquire_owned", || {
        semaphore(|all| Box::pin(async move { drop(all.acquire_owned().await) }))
    }),
    ("semaphore acquire_many_owned", || {
        semaphore(|all| Box::pin(async move { drop(all.acquire_many_owned(2).await) }))
    }),
    ("unfair lock", unfair),
    ("notify notified", || {
        notify(|notify| Box::pin(async move { notify.notified().await }))
    }),
    ("notify notified_owned", || {
        notify(|notify| Box::pin(async move { notify.notified_owned().await }))
    }),
    ("notify notified: all", || {
        notify_all(|notify| Box::pin(async move { notify.notified().await }))
    }),
    ("waiters add_waiter_if", queue),
    ("waiters WaitIf", queue),
    ("barrier wait", barrier),
    ("once_cell get_or_init", || {
        once_cell(|cell| Box::pin(async move { *cell.get_or_init(async || 2).await }))
    }),
    ("once_cell get_or_try_init", || {
        once_cell(|cell| {
            Box::pin(async move { *cell.get_or_try_init(async || Ok::<_, ()>(2)).await.unwrap() })
        })
    }),
    ("once_cell get_or_init: it makes the value", once_cell_maker),
    ("set_once wait", set_once),
    ("cancellation cancelled", || {
        cancelled(|token| Box::pin(async move { token.cancelled().await }))
    }),
    ("cancellation cancelled_owned", || {
        cancelled(|token| Box::pin(async move { token.cancelled_owned().await }))
    }),
    ("cancellation run_until_cancelled", || {
        cancelled(|token| {
            Box::pin(async move {
                assert!(
                    token
                        .run_until_cancelled(std::future::pending::<()>())
                        .await
                        .is_none()
                );
            })
        })
    }),
    ("cancellation run_until_cancelled_owned", || {
        cancelled(|token| {
            Box::pin(async move {
                assert!(
                    token
                        .run_until_cancelled_owned(std::future::pending::<()>())
                        .await
                        .is_none()
                );
            })
        })
    }),
    ("task_tracker wait", tracker_wait),
    ("task_tracker TaskTrackerWaitFuture", tracker_wait),
    ("task_tracker track_future", tracked),
    ("task_tracker TrackedFuture", tracked),
];

/// Held, wanted by another behind the wait, and let go.
fn mutex(victim: fn(Arc<Mutex<()>>) -> Wait) -> Scene {
    let lock = Arc::new(Mutex::new(()));
    let held = Arc::clone(&lock).try_lock_owned().unwrap();
    let other = Other::new(victim(Arc::clone(&lock)));
    let behind = other.clone();
    Scene::of(victim(Arc::clone(&lock)))
        .step(move || behind.poll())
        .step(move || drop(held))
        .settle(move |_| {
            other.done();
            assert!(lock.try_lock().is_ok());
        })
}

fn rwlock(victim: fn(Arc<RwLock<()>>) -> Wait) -> Scene {
    let lock = Arc::new(RwLock::new(()));
    let held = Arc::clone(&lock).try_write_owned().unwrap();
    let (reads, writes) = (Arc::clone(&lock), Arc::clone(&lock));
    let reader = Other::new(async move { drop(reads.read().await) });
    let writer = Other::new(async move { drop(writes.write().await) });
    let behind = (reader.clone(), writer.clone());
    Scene::of(victim(Arc::clone(&lock)))
        .step(move || {
            behind.0.poll();
            behind.1.poll();
        })
        .step(move || drop(held))
        .settle(move |_| {
            reader.done();
            writer.done();
            assert!(lock.try_write().is_ok());
        })
}

fn semaphore(victim: fn(Arc<Semaphore>) -> Wait) -> Scene {
    let all = Arc::new(Semaphore::new(2));
    let [one, two] = [(); 2].map(|()| Arc::clone(&all).try_acquire_owned().unwrap());
    let takes = Arc::clone(&all);
    let other = Other::new(async move { drop(takes.acquire().await) });
    let behind = other.clone();
    Scene::of(victim(Arc::clone(&all)))
        .step(move || behind.poll())
        .step(move || drop(one))
        .step(move || drop(two))
        .settle(move |_| {
            other.done();
            assert_eq!(all.available_permits(), 2);
        })
}

fn unfair() -> Scene {
    let lock = Arc::new(UnfairMutex::new(()));
    let locks = |lock: Arc<UnfairMutex<()>>| async move { drop(lock.lock().await) };
    let (held, hold) = std::sync::mpsc::channel::<()>();
    let (is_held, holds) = std::sync::mpsc::channel();
    // Its guard borrows it, so a thread holds it.
    let holder = std::thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            let _guard = lock.try_lock().unwrap();
            is_held.send(()).unwrap();
            let _ = hold.recv();
        }
    });
    holds.recv().unwrap();
    let other = Other::new(locks(Arc::clone(&lock)));
    let behind = other.clone();
    Scene::of(locks(Arc::clone(&lock)))
        .step(move || behind.poll())
        .step(move || {
            drop(held);
            holder.join().unwrap();
        })
        .settle(move |_| {
            other.done();
            assert!(lock.try_lock().is_ok());
        })
}

/// One notification, for one of two.
fn notify(victim: fn(Arc<Notify>) -> Wait) -> Scene {
    let notify = Arc::new(Notify::new());
    let other = Other::new(victim(Arc::clone(&notify)));
    let (behind, notifies) = (other.clone(), Arc::clone(&notify));
    Scene::of(victim(Arc::clone(&notify)))
        .step(move || behind.poll())
        .step(move || notifies.notify_one())
        .settle(move |outcome| {
            if outcome.finished {
                other.waits();
                notify.notify_one();
            }
            other.done();
        })
}

/// A notification of all.
fn notify_all(victim: fn(Arc<Notify>) -> Wait) -> Scene {
    let notify = Arc::new(Notify::new());
    let other = Other::new(victim(Arc::clone(&notify)));
    let behind = other.clone();
    Scene::of(victim(Arc::clone(&notify)))
        .step(move || behind.poll())
        .step(move || notify.notify_waiters())
        .settle(move |_| other.done())
}

fn queue() -> Scene {
    let queue = Arc::new(WaiterQueue::new());
    let waits = |queue: Arc<WaiterQueue>| async move {
        assert!(queue.add_waiter_if(|| true).await);
    };
    let other = Other::new(waits(Arc::clone(&queue)));
    let (behind, wakes) = (other.clone(), Arc::clone(&queue));
    Scene::of(waits(Arc::clone(&queue)))
        .step(move || behind.poll())
        .step(move || assert!(wakes.wake_one()))
        .settle(move |outcome| {
            if outcome.finished {
                other.waits();
                queue.wake_one();
            }
            other.done();
            assert_eq!(queue.waiter_count(), 0);
        })
}

/// As documented, one who came counts even if it goes.
fn barrier() -> Scene {
    let barrier = Arc::new(Barrier::new(2));
    let waits = |barrier: Arc<Barrier>| async move {
        barrier.wait().await;
    };
    let other = Other::new(waits(Arc::clone(&barrier)));
    let comes = other.clone();
    Scene::of(waits(Arc::clone(&barrier)))
        .step(move || comes.poll())
        .settle(move |outcome| {
            if outcome.polls == 0 {
                other.waits();
                Other::new(waits(barrier)).poll();
            }
            other.done();
        })
}

/// The one who makes the value is dropped, with the wait and another behind it.
fn once_cell(victim: fn(Arc<OnceCell<u8>>) -> Wait<u8>) -> Scene {
    let cell = Arc::new(OnceCell::new());
    let makes = Arc::clone(&cell);
    let maker = Other::new(async move {
        makes.get_or_init(std::future::pending).await;
    });
    maker.poll();
    let wait = victim(Arc::clone(&cell));
    let turn = Arc::clone(&cell);
    let other = Other::new(async move { *turn.get_or_init(async || 3).await });
    let behind = other.clone();
    Scene::of(async move { assert!(matches!(wait.await, 2 | 3)) })
        .step(move || behind.poll())
        .step(move || maker.cancel())
        .settle(move |outcome| {
            let value = other.done();
            assert!(outcome.finished || value == 3);
            assert_eq!(cell.get(), Some(&value));
        })
}

/// The one who makes the value is the wait itself.
fn once_cell_maker() -> Scene {
    let (cell, event) = (Arc::new(OnceCell::new()), Arc::new(Notify::new()));
    let (makes, waits) = (Arc::clone(&cell), Arc::clone(&event));
    let turn = Arc::clone(&cell);
    let other = Other::new(async move { *turn.get_or_init(async || 3).await });
    let behind = other.clone();
    Scene::of(async move {
        let made = makes.get_or_init(async || {
            waits.notified().await;
            2
        });
        assert!(matches!(made.await, 2 | 3));
    })
    .step(move || event.notify_one())
    .step(move || behind.poll())
    .settle(move |outcome| {
        let value = other.done();
        assert!(outcome.finished || value == 3);
        assert_eq!(cell.get(), Some(&value));
    })
}

fn set_once() -> Scene {
    let cell = Arc::new(SetOnce::new());
    let waits = |cell: Arc<SetOnce<u8>>| async move { assert_eq!(cell.wait().await, &1) };
    let other = Other::new(waits(Arc::clone(&cell)));
    let behind = other.clone();
    Scene::of(waits(Arc::clone(&cell)))
        .step(move || behind.poll())
        .step(move || cell.set(1).unwrap())
        .settle(move |_| other.done())
}

fn cancelled(victim: fn(CancellationToken) -> Wait) -> Scene {
    let token = CancellationToken::new();
    let other = Other::new(victim(token.child_token()));
    let behind = other.clone();
    Scene::of(victim(token.clone()))
        .step(move || behind.poll())
        .step(move || token.cancel())
        .settle(move |_| other.done())
}

fn tracker_wait() -> Scene {
    let tracker = TaskTracker::new();
    let token = tracker.token();
    let waits = |tracker: TaskTracker| async move { tracker.wait().await };
    let other = Other::new(waits(tracker.clone()));
    let behind = other.clone();
    let closes = tracker.clone();
    Scene::of(waits(tracker))
        .step(move || behind.poll())
        .step(move || assert!(closes.close()))
        .step(move || drop(token))
        .settle(move |_| other.done())
}

/// A future that is dropped is no longer tracked.
fn tracked() -> Scene {
    let (tracker, event) = (TaskTracker::new(), Arc::new(Notify::new()));
    tracker.close();
    let waits = Arc::clone(&event);
    let victim = tracker.track_future(async move { waits.notified().await });
    let other = Other::new({
        let tracker = tracker.clone();
        async move { tracker.wait().await }
    });
    let behind = other.clone();
    Scene::of(victim)
        .step(move || behind.poll())
        .step(move || event.notify_one())
        .settle(move |_| {
            other.done();
            assert!(tracker.is_empty());
        })
}
