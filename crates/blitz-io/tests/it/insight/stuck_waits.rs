//! Futures that have or get what others wait for, and are not polled: told with both places. Honest waits are not told.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use blitz_io::runtime::Handle;
use blitz_io::runtime::dump::{TaskInfo, Warning, WarningKind};
use blitz_io::sync::{Mutex, Notify, RwLock, Semaphore, mpsc, oneshot};
use blitz_io::task::{self, JoinHandle};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::until;
use crate::harness::{Case, FLAVORS, each_case, run};

/// A wait that is stuck for as long is told.
const BOUND: Duration = Duration::from_millis(40);

/// On every flavour and back end, with that bound.
pub(super) fn on_every<F: Future<Output = ()>>(test: impl Fn() -> F) {
    each_case(&FLAVORS, |case: Case| {
        let mut builder = case.builder();
        let runtime = builder.stuck_wait_threshold(BOUND).build();
        run(&runtime.expect("built"), test());
    });
}

/// The stuck waits that a look finds now.
pub(super) fn look() -> Vec<Warning> {
    let mut found = Handle::current().check_tasks();
    found.retain(|warning| {
        matches!(
            warning.kind,
            WarningKind::UnpolledWait { .. } | WarningKind::Deadlock { .. }
        )
    });
    found
}

/// The stuck wait of a task, once it is found.
pub(super) async fn found(task: task::Id) -> Warning {
    let mut found = None;
    until("the wait is found stuck", || {
        found = look().into_iter().find(|warning| warning.task == task);
        found.is_some()
    })
    .await;
    found.expect("it was found")
}

/// Looks for some time, and finds nothing.
pub(super) async fn finds_nothing() {
    let begun = Instant::now();
    while begun.elapsed() < BOUND * 6 {
        assert_eq!(look(), [], "these are honest");
        blitz_io::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until a task waits in `what`.
pub(super) async fn until_in(what: &str) {
    until("a task waits there", || is_in(what, |_| true)).await;
}

/// Waits until a task waits in `what`, at `line` of this file.
async fn until_at(what: &str, line: u32) {
    until("a task waits there", || {
        is_in(what, |task| {
            let at = task.awaits.as_ref().and_then(|awaits| awaits.at);
            at.is_some_and(|at| at.line() == line)
        })
    })
    .await;
}

/// Does a task wait in `what` for which `is_it` holds?
fn is_in(what: &str, is_it: impl Fn(&TaskInfo) -> bool) -> bool {
    let tasks = Handle::current().tasks();
    tasks.iter().any(|task| {
        task.awaits
            .as_ref()
            .is_some_and(|awaits| awaits.what == what)
            && is_it(task)
    })
}

#[track_caller]
pub(super) fn assert_at(at: &Location<'_>, line: u32) {
    // Of this file, or its sibling about guards.
    assert!(at.file().contains("insight/stuck_"), "{at}");
    assert_eq!(at.line(), line);
}

pub(super) fn name<T: Send + 'static>(
    name: &str,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    task::Builder::new()
        .name(name)
        .spawn(future)
        .expect("a runtime is there")
}

/// The classic: one branch of a select waits in line and loses, and the other waits for the same behind it.
#[test]
fn a_lock_that_was_handed_to_a_branch_that_lost_is_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().await;
        let (go, gone) = oneshot::channel();
        let first_line = line!() + 5;
        let stuck = name("loser", {
            let lock = Arc::clone(&lock);
            async move {
                let mut first = pin!(async {
                    let _guard = lock.lock().await;
                });
                blitz_io::select! {
                    biased;
                    () = &mut first => unreachable!("it is held"),
                    _ = gone => {}
                }
                let _guard = lock.lock().await;
            }
        });
        let second_line = first_line + 7;
        until_in("oneshot::Receiver").await;
        go.send(()).expect("it waits");
        until_at("Mutex::lock", second_line).await;
        assert_eq!(look(), [], "the lock is held");
        drop(held);
        let warning = found(stuck.id()).await;
        assert_eq!(warning.name.as_deref(), Some("loser"));
        let WarningKind::UnpolledWait {
            what,
            at,
            unpolled_for,
            ..
        } = warning.kind
        else {
            panic!("{warning}")
        };
        assert_eq!(what, "Mutex::lock");
        assert_at(at, first_line);
        assert!(unpolled_for >= BOUND);
        let other = warning.other.as_ref().expect("it waits itself");
        assert_eq!(other.task, stuck.id());
        assert_at(other.at, second_line);
        let says = warning.to_string();
        assert!(says.contains("the same task waits for it at"), "{says}");
        assert!(Handle::current().warnings().contains(&warning));
        // It ends with the future that was not polled.
        stuck.abort();
        assert!(stuck.await.expect_err("aborted").is_cancelled());
        assert_eq!(look(), []);
        assert!(lock.try_lock().is_ok());
    });
}

/// What tasks here wait for.
struct Things {
    mutex: Arc<Mutex<()>>,
    rwlock: Arc<RwLock<()>>,
    semaphore: Arc<Semaphore>,
    sender: mpsc::Sender<u8>,
}

type Calls = Vec<(&'static str, fn(Arc<Things>) -> Wait)>;
pub(super) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Each call that waits for permits, by its name: it takes what there is, and waits to give it back.
fn calls() -> Calls {
    vec![
        ("Mutex::lock", |all| {
            Box::pin(async move { drop(all.mutex.lock().await) })
        }),
        ("RwLock::read", |all| {
            Box::pin(async move { drop(all.rwlock.read().await) })
        }),
        ("RwLock::write", |all| {
            Box::pin(async move { drop(all.rwlock.write().await) })
        }),
        ("Semaphore::acquire", |all| {
            Box::pin(async move { drop(all.semaphore.acquire().await) })
        }),
        ("Semaphore::acquire_owned", |all| {
            Box::pin(async move { drop(all.semaphore.clone().acquire_owned().await) })
        }),
        ("Semaphore::acquire_many_owned", |all| {
            Box::pin(async move { drop(all.semaphore.clone().acquire_many_owned(1).await) })
        }),
        ("Mutex::lock_owned", |all| {
            Box::pin(async move { drop(all.mutex.clone().lock_owned().await) })
        }),
        ("RwLock::write_owned", |all| {
            Box::pin(async move { drop(all.rwlock.clone().write_owned().await) })
        }),
        ("Semaphore::acquire_many", |all| {
            Box::pin(async move { drop(all.semaphore.acquire_many(1).await) })
        }),
        ("mpsc::Sender::reserve", |all| {
            Box::pin(async move { drop(all.sender.reserve().await) })
        }),
        ("mpsc::Sender::send", |all| {
            Box::pin(async move { all.sender.send(1).await.expect("the receiver is there") })
        }),
    ]
}

/// Whatever is waited for, and whatever the task does instead: it waits for something else, and another task is behind it.
#[test]
fn what_was_handed_to_an_unpolled_future_is_told_with_who_is_behind() {
    for (what, wait) in calls() {
        on_every(|| async move {
            let (sender, mut receiver) = mpsc::channel(1);
            let things = Arc::new(Things {
                mutex: Arc::new(Mutex::new(())),
                rwlock: Arc::new(RwLock::new(())),
                semaphore: Arc::new(Semaphore::new(1)),
                sender,
            });
            let holds_mutex = things.mutex.lock().await;
            let holds_rwlock = things.rwlock.write().await;
            let holds_permit = things.semaphore.acquire().await.expect("open");
            things.sender.send(0).await.expect("there is room");
            let (go, gone) = oneshot::channel::<()>();
            let never = Arc::new(Notify::new());
            let stuck = name("stuck", {
                let (things, never) = (Arc::clone(&things), Arc::clone(&never));
                async move {
                    let mut first = wait(things);
                    blitz_io::select! {
                        biased;
                        () = &mut first => unreachable!("it is held"),
                        _ = gone => {}
                    }
                    never.notified().await;
                }
            });
            until_in("oneshot::Receiver").await;
            let behind = name("behind", wait(Arc::clone(&things)));
            until("both are in line", || {
                is_in(what, |task| task.id == behind.id())
            })
            .await;
            go.send(()).expect("it waits");
            until_in("Notify::notified").await;
            drop((holds_mutex, holds_rwlock, holds_permit));
            assert_eq!(receiver.recv().await, Some(0));
            let warning = found(stuck.id()).await;
            let WarningKind::UnpolledWait { what: told, at, .. } = warning.kind else {
                panic!("{warning}")
            };
            assert_eq!(told, what);
            assert!(at.file().ends_with("stuck_waits.rs"), "{at}");
            // Readers let each other in.
            if what != "RwLock::read" {
                let other = warning.other.expect("another task is behind it");
                assert_eq!(other.name.as_deref(), Some("behind"));
                assert_eq!(other.at, at, "both call at the same line");
            }
            never.notify_one();
            stuck.await.expect("no panic");
            behind.await.expect("no panic");
            assert_eq!(look(), []);
        });
    }
}

/// One of several futures has the lock and is not polled while their task waits for it.
#[test]
fn a_guard_in_a_future_that_its_own_task_does_not_poll_is_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let event = Arc::new(Notify::new());
        let held_line = line!() + 6;
        let stuck = name("streams", {
            let (lock, event) = (Arc::clone(&lock), Arc::clone(&event));
            async move {
                let mut several = FuturesUnordered::new();
                several.push(async {
                    let _guard = lock.lock().await;
                    event.notified().await;
                });
                // One poll, as by a stream that has an item ready.
                poll_fn(|cx| {
                    assert!(several.poll_next_unpin(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                let _guard = lock.lock().await;
            }
        });
        let waits_line = held_line + 9;
        until_at("Mutex::lock", waits_line).await;
        // Its event may be what it waits for.
        finds_nothing().await;
        event.notify_one();
        let warning = found(stuck.id()).await;
        let WarningKind::Deadlock { what, at, .. } = warning.kind else {
            panic!("{warning}")
        };
        assert_eq!(what, "Mutex::lock");
        assert_at(at, waits_line);
        let other = warning.other.as_ref().expect("it has the lock itself");
        assert_eq!(other.task, stuck.id());
        assert_at(other.at, held_line);
        let says = warning.to_string();
        assert!(says.contains("which it has itself"), "{says}");
        stuck.abort();
        assert!(stuck.await.expect_err("aborted").is_cancelled());
    });
}

/// The same of a lock with readers, where the writer is not polled.
#[test]
fn a_writer_in_a_branch_that_lost_is_told() {
    on_every(|| async {
        let lock = Arc::new(RwLock::new(()));
        let event = Arc::new(Notify::new());
        let (go, gone) = oneshot::channel();
        let stuck = name("writes and reads", {
            let (lock, event) = (Arc::clone(&lock), Arc::clone(&event));
            async move {
                let mut writes = pin!(async {
                    let _guard = lock.write().await;
                    event.notified().await;
                });
                blitz_io::select! {
                    biased;
                    () = &mut writes => unreachable!("nobody notifies yet"),
                    _ = gone => {}
                }
                let _guard = lock.read().await;
            }
        });
        until_in("oneshot::Receiver").await;
        go.send(()).expect("it waits");
        until_in("RwLock::read").await;
        event.notify_one();
        let warning = found(stuck.id()).await;
        assert!(
            matches!(warning.kind, WarningKind::Deadlock { what, .. } if what == "RwLock::read"),
            "{warning}"
        );
        stuck.abort();
        assert!(stuck.await.expect_err("aborted").is_cancelled());
    });
}

/// Two tasks that each wait for what the other has: both are told, and name each other.
#[test]
fn tasks_that_wait_for_each_other_are_told() {
    on_every(|| async {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let both = Arc::new(blitz_io::sync::Barrier::new(2));
        let one = name("one", {
            let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
            async move {
                let _first = locks.0.lock().await;
                both.wait().await;
                let _second = locks.1.lock().await;
            }
        });
        let two = name("two", {
            let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
            async move {
                let _first = locks.1.lock().await;
                both.wait().await;
                let _second = locks.0.lock().await;
            }
        });
        for (stuck, other) in [(&one, &two), (&two, &one)] {
            let warning = found(stuck.id()).await;
            assert!(
                matches!(warning.kind, WarningKind::Deadlock { .. }),
                "{warning}"
            );
            let told = warning.other.as_ref().map(|other| other.task);
            assert_eq!(told, Some(other.id()), "{warning}");
            assert!(
                warning.to_string().contains("that task waits too"),
                "{warning}"
            );
        }
        one.abort();
        assert!(one.await.expect_err("aborted").is_cancelled());
        two.await.expect("no panic");
        assert_eq!(look(), []);
    });
}

/// Whoever has a lock for long and is polled is honest, and so is who waits for it.
#[test]
fn a_lock_that_is_held_for_long_is_not_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let event = Arc::new(Notify::new());
        // On a timer in the very same future, with one who waits behind it.
        let holds = blitz_io::spawn({
            let (lock, event) = (Arc::clone(&lock), Arc::clone(&event));
            async move {
                let _guard = lock.lock().await;
                let long = blitz_io::time::sleep(Duration::from_secs(3600));
                blitz_io::select! {
                    () = long => {}
                    () = event.notified() => {}
                }
            }
        });
        until("it has the lock", || lock.try_lock().is_err()).await;
        let waits = blitz_io::spawn({
            let lock = Arc::clone(&lock);
            async move { drop(lock.lock().await) }
        });
        finds_nothing().await;
        event.notify_one();
        holds.await.expect("no panic");
        waits.await.expect("no panic");
    });
}

/// One future of a task has the lock and another waits for it, and both are polled.
#[test]
fn futures_of_one_task_that_share_a_lock_are_not_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let event = Arc::new(Notify::new());
        let holds = |lock: Arc<Mutex<()>>, event: Arc<Notify>| async move {
            let _guard = lock.lock().await;
            event.notified().await;
        };
        let waits = |lock: Arc<Mutex<()>>| async move { drop(lock.lock().await) };
        let joined = blitz_io::spawn({
            let (holds, waits) = (holds(lock.clone(), event.clone()), waits(lock.clone()));
            async move {
                blitz_io::join!(holds, waits);
            }
        });
        finds_nothing().await;
        event.notify_one();
        joined.await.expect("no panic");
        // The same where each is polled with a waker of its own.
        let streamed = blitz_io::spawn({
            let (holds, waits) = (holds(lock.clone(), event.clone()), waits(lock.clone()));
            async move {
                let mut several = FuturesUnordered::<Wait>::new();
                several.push(Box::pin(holds));
                several.push(Box::pin(waits));
                while several.next().await.is_some() {}
            }
        });
        finds_nothing().await;
        event.notify_one();
        streamed.await.expect("no panic");
    });
}

/// Who waits in a loop beside other things, and polls its wait each time, is served when its turn comes.
#[test]
fn a_wait_that_is_polled_beside_others_is_not_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().await;
        let waits = blitz_io::spawn({
            let lock = Arc::clone(&lock);
            async move {
                let mut wait = pin!(lock.lock());
                let mut ticks = blitz_io::time::interval(Duration::from_millis(1));
                loop {
                    blitz_io::select! {
                        guard = &mut wait => break drop(guard),
                        _ = ticks.tick() => {}
                    }
                }
            }
        });
        finds_nothing().await;
        drop(held);
        waits.await.expect("no panic");
    });
}

/// A guard that went to another task is where it is, and its first owner may wait for it.
#[test]
fn a_guard_that_moved_to_another_task_is_not_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(()));
        let event = Arc::new(Notify::new());
        let first = blitz_io::spawn({
            let (lock, event) = (Arc::clone(&lock), Arc::clone(&event));
            async move {
                let guard = Arc::clone(&lock).lock_owned().await;
                let second = blitz_io::spawn(async move {
                    event.notified().await;
                    drop(guard);
                });
                drop(lock.lock().await);
                second.await.expect("no panic");
            }
        });
        finds_nothing().await;
        event.notify_one();
        first.await.expect("no panic");
    });
}

/// A lock that goes round between tasks is handed over all the time.
#[test]
fn a_busy_lock_is_not_told() {
    on_every(|| async {
        let lock = Arc::new(Mutex::new(0_u64));
        let stop = blitz_io::sync::CancellationToken::new();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (lock, stop) = (Arc::clone(&lock), stop.clone());
                blitz_io::spawn(async move {
                    while !stop.is_cancelled() {
                        let mut count = lock.lock().await;
                        task::yield_now().await;
                        *count += 1;
                    }
                })
            })
            .collect();
        finds_nothing().await;
        stop.cancel();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}
