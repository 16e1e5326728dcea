//! Tasks: sets, scopes, locals, and what aborts and panics do.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use blitz_io::runtime::{LocalRuntime, RuntimeFlavor};
use blitz_io::task::{self, JoinSet, LocalSet};

use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, on_every, run};

#[test]
fn a_join_set_gives_each_output_once() {
    on_every(|runtime| {
        run(runtime, async {
            let mut set: JoinSet<usize> = (0..500).map(|n| async move { n }).collect();
            set.spawn_blocking(|| 500);
            set.build_task().name("named").spawn(async { 501 }).unwrap();
            let aborted = set.spawn(std::future::pending());
            aborted.abort();
            let (mut seen, mut cancelled) = (vec![0; 502], 0);
            while let Some(joined) = set.join_next().await {
                match joined {
                    Ok(n) => seen[n] += 1,
                    Err(error) => cancelled += usize::from(error.is_cancelled()),
                }
            }
            assert!(seen.iter().all(|&count| count == 1));
            assert_eq!(cancelled, 1);
            assert!(set.is_empty() && set.try_join_next().is_none());
        });
    });
}

#[test]
fn a_dropped_join_set_aborts_and_a_detached_one_does_not() {
    on_every(|runtime| {
        run(runtime, async {
            let (kept, was_kept) = futures::channel::oneshot::channel();
            let (cut, was_cut) = futures::channel::oneshot::channel::<()>();
            let mut set = JoinSet::new();
            set.spawn(async { kept.send(()).unwrap() });
            set.detach_all();
            set.spawn(async {
                std::future::pending::<()>().await;
                drop(cut);
            });
            drop(set);
            was_kept.await.unwrap();
            assert!(was_cut.await.is_err());
        });
    });
}

#[test]
fn a_scope_ends_after_all_that_it_spawned() {
    on_every(|runtime| {
        run(runtime, async {
            let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counted = std::sync::Arc::clone(&count);
            task::scope(|scope| async move {
                for _ in 0..10 {
                    let (inner, counted) = (scope.clone(), std::sync::Arc::clone(&counted));
                    scope.spawn(async move {
                        task::yield_now().await;
                        inner.spawn(async move {
                            blitz_io::time::sleep(Duration::from_millis(1)).await;
                            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        });
                    });
                }
            })
            .await;
            assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 10);
        });
    });
}

#[test]
fn a_dropped_scope_aborts_and_a_panic_ends_the_others() {
    on_every(|runtime| {
        run(runtime, async {
            let (cut, was_cut) = futures::channel::oneshot::channel::<()>();
            let scope = task::scope(|scope| async move {
                scope.spawn(async {
                    std::future::pending::<()>().await;
                    drop(cut);
                });
                std::future::pending::<()>().await;
            });
            let timed = blitz_io::time::timeout(Duration::from_millis(5), scope).await;
            assert!(timed.is_err());
            assert!(was_cut.await.is_err());

            let task = blitz_io::spawn(task::scope(|scope| async move {
                scope.spawn(std::future::pending::<()>());
                scope.spawn(async { panic!("expected") });
                std::future::pending::<()>().await;
            }));
            assert!(task.await.unwrap_err().is_panic());
        });
    });
}

#[test]
fn local_sets_run_what_is_not_send() {
    on_every(|runtime| {
        run(runtime, async {
            let set = LocalSet::new();
            let count = Rc::new(Cell::new(0));
            for _ in 0..200 {
                let count = Rc::clone(&count);
                set.spawn_local(async move {
                    task::yield_now().await;
                    let inner = Rc::clone(&count);
                    task::spawn_local(async move { inner.set(inner.get() + 1) })
                        .await
                        .unwrap();
                });
            }
            set.await;
            assert_eq!(count.get(), 200);
        });
    });
}

#[test]
fn a_local_task_is_woken_from_other_threads() {
    on_every(|runtime| {
        run(runtime, async {
            let set = LocalSet::new();
            for _ in 0..100 {
                let (send, receive) = futures::channel::oneshot::channel();
                let task = set.spawn_local(async move { (receive.await.unwrap(), Rc::new(())).0 });
                let sender = task::spawn_blocking(move || send.send(3).unwrap());
                assert_eq!(set.run_until(task).await.unwrap(), 3);
                sender.await.unwrap();
            }
        });
    });
}

#[test]
fn a_local_runtime_keeps_its_tasks() {
    let runtime = LocalRuntime::new().unwrap();
    let shared = Rc::new(Cell::new(1));
    let inner = Rc::clone(&shared);
    let task = runtime.spawn_local(async move {
        blitz_io::time::sleep(Duration::from_millis(1)).await;
        inner.set(2);
        std::thread::current().id()
    });
    let ran_on = guarded(GUARD, || runtime.block_on(task)).unwrap();
    assert_eq!((ran_on, shared.get()), (std::thread::current().id(), 2));
    assert_eq!(
        runtime.handle().runtime_flavor(),
        RuntimeFlavor::CurrentThread
    );
    let handle = runtime.handle().clone();
    let refused = std::thread::spawn(move || {
        std::panic::catch_unwind(move || drop(handle.spawn_local(async {}))).is_err()
    });
    assert!(refused.join().unwrap());
}

#[test]
fn thread_per_core_keeps_tasks_where_they_are() {
    each_case(&[Flavor::ThreadPerCore], |case| {
        let runtime = case.runtime();
        for worker in 0..2 {
            let task = runtime.handle().spawn_on(worker, move || async move {
                let before = std::thread::current().id();
                let local = Rc::new(());
                for _ in 0..100 {
                    task::yield_now().await;
                }
                let child = blitz_io::spawn(async { std::thread::current().id() })
                    .await
                    .unwrap();
                let here = task::spawn_local(async move { (std::thread::current().id(), local).0 })
                    .await
                    .unwrap();
                assert_eq!((before, child), (here, here));
                before
            });
            assert_ne!(run(&runtime, task).unwrap(), std::thread::current().id());
        }
    });
}

#[test]
fn block_in_place_lets_the_other_tasks_go_on() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.builder().worker_threads(1).build().unwrap();
        run(&runtime, async {
            let task = blitz_io::spawn(async {
                let (send, receive) = std::sync::mpsc::channel();
                let other = blitz_io::spawn(async move {
                    blitz_io::time::sleep(Duration::from_millis(2)).await;
                    send.send(()).unwrap();
                });
                task::block_in_place(|| receive.recv().unwrap());
                other.await.unwrap();
                blitz_io::time::sleep(Duration::from_millis(2)).await;
            });
            task.await.unwrap();
            task::block_in_place(|| ());
        });
    });
}

#[test]
fn block_in_place_is_refused_where_nobody_could_go_on() {
    each_case(&[Flavor::CurrentThread, Flavor::ThreadPerCore], |case| {
        let runtime = case.runtime();
        run(&runtime, async {
            let task = blitz_io::spawn(async { task::block_in_place(|| ()) });
            assert!(task.await.unwrap_err().is_panic());
        });
    });
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.runtime();
        run(&runtime, async {
            let set = LocalSet::new();
            let task = set.spawn_local(async { task::block_in_place(|| ()) });
            assert!(set.run_until(task).await.unwrap_err().is_panic());
        });
    });
}

blitz_io::task_local! {
    static NUMBER: u32;
}

#[test]
fn a_task_local_is_seen_in_its_scope_alone() {
    on_every(|runtime| {
        run(runtime, async {
            let task = blitz_io::spawn(NUMBER.scope(1, async {
                task::yield_now().await;
                let inner = NUMBER.scope(2, async { NUMBER.get() }).await;
                let child = blitz_io::spawn(async { NUMBER.try_get().is_err() });
                (NUMBER.get(), inner, child.await.unwrap())
            }));
            assert_eq!(task.await.unwrap(), (1, 2, true));
            assert!(NUMBER.try_get().is_err());
            assert_eq!(NUMBER.sync_scope(3, || NUMBER.with(|n| *n)), 3);
        });
    });
}

#[test]
fn a_task_local_that_is_borrowed_is_not_replaced() {
    let words = |poll: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).unwrap_err();
        (*panic.downcast_ref::<&str>().unwrap()).to_owned()
    };
    NUMBER.sync_scope(1, || {
        NUMBER.with(|borrowed| {
            let polled = words(&|| {
                let scope = std::pin::pin!(NUMBER.scope(2, async {}));
                let waker = std::task::Waker::noop();
                assert!(
                    scope
                        .poll(&mut std::task::Context::from_waker(waker))
                        .is_ready()
                );
            });
            let called = words(&|| NUMBER.sync_scope(3, || ()));
            let expected = "cannot enter a task-local scope while the task-local is borrowed";
            assert_eq!((&*polled, &*called), (expected, expected));
            assert_eq!(*borrowed, 1);
        });
        assert_eq!(NUMBER.get(), 1);
    });
}

#[test]
fn a_task_that_is_always_ready_lets_others_go() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().worker_threads(1).build().unwrap();
        run(&runtime, async {
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let seen = std::sync::Arc::clone(&stop);
            let busy = blitz_io::spawn(async move {
                while !seen.load(std::sync::atomic::Ordering::SeqCst) {
                    task::consume_budget().await;
                }
            });
            blitz_io::spawn(async move { stop.store(true, std::sync::atomic::Ordering::SeqCst) })
                .await
                .unwrap();
            busy.await.unwrap();
        });
    });
}

#[test]
fn large_futures_are_spawned_from_the_heap() {
    on_every(|runtime| {
        run(runtime, async {
            let big = [1_u8; 64 * 1024];
            let task = blitz_io::spawn(async move {
                task::yield_now().await;
                big.iter().map(|&n| usize::from(n)).sum::<usize>()
            });
            assert_eq!(task.await.unwrap(), 64 * 1024);
        });
    });
}
