//! Guards in futures that nobody polls, while their task waits for what they have: told with both places, whichever guard it is.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;

use blitz_io::runtime::dump::{Warning, WarningKind};
use blitz_io::sync::{
    Barrier, Mutex, MutexGuard, Notify, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard,
    Semaphore, oneshot,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::stuck_waits::{Wait, assert_at, finds_nothing, found, look, name, on_every, until_in};

/// What guards here are of, and the line where the last one was got.
struct Things {
    mutex: Mutex<(u8, u8)>,
    rwlock: RwLock<(u8, u8)>,
    one: Semaphore,
    three: Semaphore,
    cell: OnceCell<u8>,
    event: Notify,
    line: AtomicU32,
}

impl Things {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            mutex: Mutex::new((0, 0)),
            rwlock: RwLock::new((0, 0)),
            one: Semaphore::new(1),
            three: Semaphore::new(3),
            cell: OnceCell::new(),
            event: Notify::new(),
            line: AtomicU32::new(0),
        })
    }

    /// What was got at that line.
    fn at<T>(&self, line: u32, got: T) -> T {
        self.line.store(line, SeqCst);
        got
    }

    /// What is kept while the event is waited for.
    async fn keep<T>(&self, guard: T) {
        self.event.notified().await;
        drop(guard);
    }
}

type Call = fn(Arc<Things>) -> Wait;

/// How guards are got and kept, what their task then waits for, and the name of that.
fn guards() -> Vec<(Call, Call, &'static str)> {
    let lock: Call = |all| Box::pin(async move { drop(all.mutex.lock().await) });
    let write: Call = |all| Box::pin(async move { drop(all.rwlock.write().await) });
    let read: Call = |all| Box::pin(async move { drop(all.rwlock.read().await) });
    let one: Call = |all| Box::pin(async move { drop(all.one.acquire().await) });
    let two: Call = |all| Box::pin(async move { drop(all.three.acquire_many(2).await) });
    let init: Call = |all| {
        Box::pin(async move {
            all.cell.get_or_init(async || 1).await;
        })
    };
    vec![
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.mutex.try_lock())).await }),
            lock,
            "Mutex::lock",
        ),
        (
            |all| {
                Box::pin(async move {
                    let guard = all.at(line!(), all.mutex.lock().await);
                    all.keep(MutexGuard::map(guard, |both| &mut both.0)).await;
                })
            },
            lock,
            "Mutex::lock",
        ),
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.rwlock.read().await)).await }),
            write,
            "RwLock::write",
        ),
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.rwlock.try_read())).await }),
            write,
            "RwLock::write",
        ),
        (
            |all| {
                Box::pin(async move {
                    let guard = all.at(line!(), all.rwlock.read().await);
                    let part = RwLockReadGuard::map(guard, |both| &both.0);
                    all.keep(part).await;
                })
            },
            write,
            "RwLock::write",
        ),
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.rwlock.try_write())).await }),
            read,
            "RwLock::read",
        ),
        (
            |all| {
                Box::pin(async move {
                    let guard = all.at(line!(), all.rwlock.write().await);
                    let part = RwLockWriteGuard::map(guard, |both| &mut both.0);
                    all.keep(part).await;
                })
            },
            read,
            "RwLock::read",
        ),
        (
            |all| {
                Box::pin(async move {
                    let guard = all.at(line!(), all.rwlock.write().await);
                    all.keep(guard.downgrade()).await;
                })
            },
            write,
            "RwLock::write",
        ),
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.one.acquire().await)).await }),
            one,
            "Semaphore::acquire",
        ),
        (
            |all| Box::pin(async move { all.keep(all.at(line!(), all.one.try_acquire())).await }),
            one,
            "Semaphore::acquire",
        ),
        (
            |all| {
                Box::pin(async move {
                    let permit = all.at(line!(), all.three.acquire_many(2).await);
                    all.keep(permit).await;
                })
            },
            two,
            "Semaphore::acquire_many",
        ),
        (
            |all| {
                Box::pin(async move {
                    let permit = all.at(line!(), all.three.try_acquire_many(3));
                    let mut permit = permit.unwrap();
                    let part = permit.split(2).unwrap();
                    drop(permit);
                    all.keep(part).await;
                })
            },
            two,
            "Semaphore::acquire_many",
        ),
        (
            |all| {
                Box::pin(async move {
                    let mut permit = all.at(line!(), all.three.acquire().await.unwrap());
                    permit.merge(all.three.acquire().await.unwrap());
                    all.keep(permit).await;
                })
            },
            two,
            "Semaphore::acquire_many",
        ),
        (
            |all| {
                Box::pin(async move {
                    let making = async || {
                        all.event.notified().await;
                        all.at(0, ());
                    };
                    let made = all.cell.get_or_init(async || {
                        making().await;
                        2
                    });
                    made.await;
                })
            },
            init,
            "OnceCell::get_or_init",
        ),
    ]
}

fn is_deadlock(warning: &Warning, in_call: &str) -> bool {
    matches!(warning.kind, WarningKind::Deadlock { what, .. } if what == in_call)
}

/// Polls `first` once, as a loop that has something else to do, and then waits in `then`.
async fn keep_unpolled(first: Vec<Wait>, then: Wait) {
    let mut several: FuturesUnordered<Wait> = first.into_iter().collect();
    poll_fn(|cx| {
        assert!(several.poll_next_unpin(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    then.await;
}

#[test]
fn each_guard_in_a_future_that_its_own_task_does_not_poll_is_told() {
    on_every(|| async {
        for (takes, wants, what) in guards() {
            let all = Things::new();
            let first = vec![takes(Arc::clone(&all))];
            let stuck = name("stuck", keep_unpolled(first, wants(Arc::clone(&all))));
            until_in(what).await;
            all.event.notify_waiters();
            let warning = found(stuck.id()).await;
            assert!(is_deadlock(&warning, what), "{what}: {warning}");
            let other = warning.other.as_ref().expect("it has it itself");
            assert_eq!(other.task, stuck.id(), "{what}");
            let line = all.line.load(SeqCst);
            if line != 0 {
                assert_at(other.at, line);
            }
            stuck.abort();
            assert!(stuck.await.expect_err("aborted").is_cancelled());
            assert_eq!(look(), [], "{what}");
        }
    });
}

/// Several futures of one task have all the permits there are, as in a stream of buffered futures.
#[test]
fn permits_of_several_unpolled_futures_are_counted_together() {
    on_every(|| async {
        let all = Things::new();
        let takes: Call =
            |all| Box::pin(async move { all.keep(all.three.acquire().await.unwrap()).await });
        let first = (0..3).map(|_| takes(Arc::clone(&all))).collect();
        let wants = Arc::clone(&all);
        let then = Box::pin(async move { drop(wants.three.acquire().await) });
        let stuck = name("stuck", keep_unpolled(first, then));
        until_in("Semaphore::acquire").await;
        // What they wait for may still come, and wake the task.
        finds_nothing().await;
        all.event.notify_waiters();
        let warning = found(stuck.id()).await;
        assert!(is_deadlock(&warning, "Semaphore::acquire"), "{warning}");
        stuck.abort();
        assert!(stuck.await.expect_err("aborted").is_cancelled());
    });
}

/// Who reads twice lets a writer in between wait for the first guard, and waits for the writer: both are told.
#[test]
fn a_reader_behind_a_writer_that_waits_for_it_is_told() {
    on_every(|| async {
        let all = Things::new();
        let (go, gone) = oneshot::channel::<()>();
        let reads = name("reads", {
            let all = Arc::clone(&all);
            async move {
                let _first = all.at(line!(), all.rwlock.read().await);
                let _ = gone.await;
                let _second = all.rwlock.read().await;
            }
        });
        until_in("oneshot::Receiver").await;
        let writes = name("writes", {
            let all = Arc::clone(&all);
            async move { drop(all.rwlock.write().await) }
        });
        until_in("RwLock::write").await;
        finds_nothing().await;
        go.send(()).expect("it waits");
        for (stuck, what) in [(&reads, "RwLock::read"), (&writes, "RwLock::write")] {
            let warning = found(stuck.id()).await;
            assert!(is_deadlock(&warning, what), "{warning}");
            let other = warning.other.as_ref().expect("the reader has it");
            assert_eq!(other.task, reads.id());
            assert_at(other.at, all.line.load(SeqCst));
        }
        reads.abort();
        assert!(reads.await.expect_err("aborted").is_cancelled());
        writes.await.expect("no panic");
        assert_eq!(look(), []);
    });
}

/// Another task has a permit as well, and will give it back.
#[test]
fn who_waits_for_what_another_gives_back_is_not_told() {
    on_every(|| async {
        let all = Things::new();
        let (go, gone) = oneshot::channel::<()>();
        let (has, both) = (Arc::clone(&all), Arc::new(Barrier::new(2)));
        let met = Arc::clone(&both);
        let other = blitz_io::spawn(async move {
            let _permit = has.three.acquire().await;
            let _reader = has.rwlock.read().await;
            met.wait().await;
            let _ = gone.await;
        });
        both.wait().await;
        let mut waits = Vec::new();
        let takes: Call =
            |all| Box::pin(async move { all.keep(all.three.acquire_many(2).await.unwrap()).await });
        let then = Arc::clone(&all);
        let first = vec![takes(Arc::clone(&all))];
        waits.push(blitz_io::spawn(keep_unpolled(
            first,
            Box::pin(async move { drop(then.three.acquire().await) }),
        )));
        until_in("Semaphore::acquire").await;
        // Another waits for a reader that is polled, with nothing of its own.
        let writer = Arc::clone(&all);
        waits.push(blitz_io::spawn(async move {
            drop(writer.rwlock.write().await);
        }));
        until_in("RwLock::write").await;
        all.event.notify_waiters();
        finds_nothing().await;
        go.send(()).expect("it waits");
        other.await.expect("no panic");
        for wait in waits {
            wait.await.expect("no panic");
        }
    });
}

/// Where permits are added, as signals are, who holds one is not who has to give one back.
#[test]
fn who_waits_for_a_permit_that_is_added_is_not_told() {
    on_every(|| async {
        let all = Things::new();
        all.one.add_permits(1);
        let waits = Arc::clone(&all);
        let waits = blitz_io::spawn(async move {
            let _both = waits.one.acquire_many(2).await;
            drop(waits.one.acquire().await);
        });
        until_in("Semaphore::acquire").await;
        finds_nothing().await;
        all.one.add_permits(1);
        waits.await.expect("no panic");
    });
}

/// The permits of tasks that are under way, taken where they were spawned: the one who waits has none itself.
#[test]
fn who_took_permits_for_others_is_not_told() {
    on_every(|| async {
        let seats = Arc::new(Semaphore::new(2));
        let event = Arc::new(Notify::new());
        let accepts = blitz_io::spawn({
            let (seats, event) = (Arc::clone(&seats), Arc::clone(&event));
            async move {
                let mut tasks = Vec::new();
                for _ in 0..3 {
                    let seat = Arc::clone(&seats).acquire_owned().await;
                    let event = Arc::clone(&event);
                    tasks.push(blitz_io::spawn(async move {
                        event.notified().await;
                        drop(seat);
                    }));
                }
                tasks
            }
        });
        until_in("Semaphore::acquire_owned").await;
        finds_nothing().await;
        event.notify_one();
        event.notify_one();
        let tasks = accepts.await.expect("no panic");
        event.notify_waiters();
        event.notify_one();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// A permit that its holder gives back in the branch that lost, before the task waits.
#[test]
fn a_guard_that_was_dropped_is_not_told() {
    on_every(|| async {
        let all = Things::new();
        let event = Arc::clone(&all);
        let waits = name("waits", {
            let all = Arc::clone(&all);
            async move {
                let held = all.rwlock.read().await;
                let other = all.rwlock.read().await;
                drop(held);
                {
                    let first = pin!(all.keep(other));
                    let ready = futures::future::ready(());
                    futures::future::select(ready, first).await;
                }
                drop(all.rwlock.write().await);
                all.event.notified().await;
            }
        });
        until_in("Notify::notified").await;
        assert_eq!(look(), []);
        event.event.notify_one();
        waits.await.expect("no panic");
    });
}
