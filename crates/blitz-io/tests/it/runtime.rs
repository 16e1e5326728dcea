//! Runtimes: their flavours, their limits and their ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use blitz_io::runtime::{Builder, Handle, RuntimeFlavor};
use blitz_io::task::{self, JoinHandle};

use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, on_every, run};

#[test]
fn spawned_tasks_run_and_give_their_outputs() {
    on_every(|runtime| {
        run(runtime, async {
            let handles: Vec<JoinHandle<usize>> = (0..1_000)
                .map(|n| blitz_io::spawn(async move { n }))
                .collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap();
            }
            assert_eq!(sum, 499_500);
        });
    });
}

#[test]
fn a_chain_of_spawns_reaches_its_end() {
    fn link(left: usize, done: std::sync::mpsc::Sender<()>) {
        blitz_io::spawn(async move {
            if left == 0 {
                done.send(()).unwrap();
            } else {
                link(left - 1, done);
            }
        });
    }
    on_every(|runtime| {
        let (done, wait) = std::sync::mpsc::channel();
        runtime.spawn(async move { link(1_000, done) });
        guarded(GUARD, || {
            runtime.block_on(async {
                while wait.try_recv().is_err() {
                    task::yield_now().await;
                }
            });
        });
    });
}

#[test]
fn timers_fire_on_every_flavor() {
    on_every(|runtime| {
        run(runtime, async {
            let start = std::time::Instant::now();
            blitz_io::time::sleep(Duration::from_millis(5)).await;
            let task = blitz_io::spawn(blitz_io::time::sleep(Duration::from_millis(5)));
            task.await.unwrap();
            assert!(start.elapsed() >= Duration::from_millis(10));
        });
    });
}

#[test]
fn paused_time_jumps_on_every_flavor() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().start_paused(true).build().unwrap();
        run(&runtime, async {
            let start = blitz_io::time::Instant::now();
            blitz_io::time::sleep(Duration::from_secs(3_600)).await;
            let task = blitz_io::spawn(async {
                blitz_io::time::sleep(Duration::from_secs(3_600)).await;
                task::spawn_blocking(|| ()).await.unwrap();
            });
            task.await.unwrap();
            assert!(start.elapsed() >= Duration::from_secs(7_200));
        });
    });
}

#[test]
fn a_wake_from_outside_ends_a_sleep() {
    on_every(|runtime| {
        run(runtime, async {
            for _ in 0..100 {
                let (send, receive) = futures::channel::oneshot::channel();
                let task = blitz_io::spawn(async move { receive.await.unwrap() });
                task::spawn_blocking(move || send.send(7).unwrap())
                    .await
                    .unwrap();
                assert_eq!(task.await.unwrap(), 7);
            }
        });
    });
}

#[test]
fn the_handle_knows_its_runtime() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().name("mine").build().unwrap();
        let flavor = match case.flavor {
            Flavor::CurrentThread => RuntimeFlavor::CurrentThread,
            Flavor::MultiThread => RuntimeFlavor::MultiThread,
            Flavor::ThreadPerCore => RuntimeFlavor::ThreadPerCore,
        };
        assert_eq!(runtime.handle().runtime_flavor(), flavor);
        assert_eq!(runtime.handle().name(), Some("mine"));
        assert_eq!(runtime.handle().capabilities().backend(), case.backend);
        let id = runtime.handle().id();
        assert_eq!(runtime.block_on(async { Handle::current().id() }), id);
        assert_eq!(
            runtime.block_on(async {
                blitz_io::spawn(async { Handle::current().id() })
                    .await
                    .unwrap()
            }),
            id
        );
        assert_eq!(
            runtime
                .block_on(runtime.spawn_blocking(|| Handle::current().id()))
                .unwrap(),
            id
        );
        let workers = if case.flavor == Flavor::CurrentThread {
            1
        } else {
            2
        };
        assert_eq!(runtime.metrics().num_workers(), workers);
    });
}

#[test]
fn dropping_a_runtime_drops_every_task_once() {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    each_case(&FLAVORS, |case| {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = case.runtime();
        for n in 0..200 {
            let count = Count(Arc::clone(&drops));
            runtime.spawn(async move {
                let _count = count;
                if n % 2 == 0 {
                    std::future::pending::<()>().await;
                } else {
                    blitz_io::time::sleep(Duration::from_secs(3_600)).await;
                }
            });
        }
        runtime.block_on(task::yield_now());
        guarded(GUARD, || drop(runtime));
        assert_eq!(drops.load(SeqCst), 200);
    });
}

#[test]
fn what_is_spawned_after_the_end_is_cancelled() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let handle = runtime.handle().clone();
        drop(runtime);
        let task = handle.spawn(async { 1 });
        assert!(
            futures::executor::block_on(task)
                .unwrap_err()
                .is_cancelled()
        );
        let call = handle.spawn_blocking(|| 1);
        assert!(
            futures::executor::block_on(call)
                .unwrap_err()
                .is_cancelled()
        );
    });
}

#[test]
fn shutdown_waits_no_longer_than_it_may_for_a_blocking_call() {
    each_case(&FLAVORS, |case| {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let runtime = case.runtime();
        let (begun, wait) = std::sync::mpsc::channel();
        runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        wait.recv().unwrap();
        guarded(GUARD, || {
            runtime.shutdown_timeout(Duration::from_millis(20))
        });
        drop(release);
    });
}

#[test]
fn a_graceful_shutdown_waits_for_tasks_and_names_those_it_cut() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let finished = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            let finished = Arc::clone(&finished);
            runtime.spawn(async move {
                blitz_io::time::sleep(Duration::from_millis(10)).await;
                finished.fetch_add(1, SeqCst);
            });
        }
        let report = guarded(GUARD, || runtime.shutdown_graceful(GUARD));
        assert!(
            report.is_clean() && report.threads_ended && report.leaked == 0,
            "{report}"
        );
        assert_eq!(finished.load(SeqCst), 10);

        let runtime = case.runtime();
        let _endless = task::Builder::new()
            .name("endless")
            .spawn_on(std::future::pending::<()>(), runtime.handle());
        let report = guarded(GUARD, || {
            runtime.shutdown_graceful(Duration::from_millis(20))
        });
        assert_eq!(report.cut.len(), 1);
        assert_eq!(report.cut[0].name.as_deref(), Some("endless"));
        assert!(report.cut[0].spawned_at.file().ends_with("runtime.rs"));
        assert_eq!(report.leaked, 0);
    });
}

/// (It was told as leaked if it had no processor for a tenth of a second.)
#[test]
fn a_thread_that_comes_late_to_its_end_is_not_leaked() {
    each_case(&[Flavor::MultiThread, Flavor::ThreadPerCore], |case| {
        let is_late = Arc::new(AtomicBool::new(false));
        let late = Arc::clone(&is_late);
        let mut builder = case.builder_of_one();
        builder.on_thread_unpark(move || {
            // It is woken two or three times.
            if late.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        let runtime = builder.build().unwrap();
        let _endless = runtime.spawn(std::future::pending::<()>());
        run(&runtime, async {
            blitz_io::time::sleep(Duration::from_millis(1)).await
        });
        is_late.store(true, SeqCst);
        let report = guarded(GUARD, || {
            runtime.shutdown_graceful(Duration::from_millis(20))
        });
        assert_eq!((report.cut.len(), report.leaked), (1, 0), "{report}");
    });
}

#[test]
fn a_runtime_dropped_in_async_code_says_what_to_do() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let inner = case.runtime();
        let panic = std::panic::catch_unwind(|| runtime.block_on(async { drop(inner) }));
        let message = *panic.unwrap_err().downcast::<&str>().unwrap();
        assert!(
            message.contains("Cannot drop a runtime in a context where blocking is not allowed"),
            "{message}"
        );
        assert!(message.contains("shutdown_background"), "{message}");
        let inner = case.runtime();
        runtime.block_on(async { inner.shutdown_background() });
    });
}

#[test]
fn block_on_within_a_runtime_says_what_to_do() {
    on_every(|runtime| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { Handle::current().block_on(async {}) });
        }));
        let message = *panic.unwrap_err().downcast::<&str>().unwrap();
        assert!(
            message.contains("Cannot start a runtime from within a runtime"),
            "{message}"
        );
    });
}

#[test]
fn no_runtime_names_the_call_and_the_remedies() {
    let panic = std::panic::catch_unwind(|| drop(blitz_io::spawn(async {})));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("`spawn`") && message.contains("Runtime::block_on"),
        "{message}"
    );
    assert!(Handle::try_current().unwrap_err().is_missing_context());
}

#[test]
fn the_smallest_limits_still_work() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .worker_threads(1)
            .event_interval(1)
            .global_queue_interval(1)
            .max_io_events_per_tick(1)
            .max_blocking_threads(1)
            .local_queue_len(0)
            .ring_submission_entries(1)
            .ring_completion_entries(2)
            .ring_buffers(1, 1)
            .buffer_pool_len(1)
            .disable_lifo_slot()
            .thread_keep_alive(Duration::ZERO)
            .rng_seed(0.into())
            .build()
            .unwrap();
        exercise(&runtime);
    });
}

#[test]
fn the_largest_limits_still_work() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .worker_threads(9)
            .event_interval(u32::MAX)
            .global_queue_interval(u32::MAX)
            .max_io_events_per_tick(65_536)
            .max_blocking_threads(usize::MAX)
            .local_queue_len(usize::MAX)
            .ring_submission_entries(4_096)
            .ring_completion_entries(65_536)
            .thread_keep_alive(Duration::MAX)
            .thread_stack_size(8 << 20)
            .build()
            .unwrap();
        exercise(&runtime);
    });
}

fn exercise(runtime: &blitz_io::runtime::Runtime) {
    run(runtime, async {
        let tasks: Vec<_> = (0..300)
            .map(|n| {
                blitz_io::spawn(async move {
                    task::yield_now().await;
                    if n % 100 == 0 {
                        blitz_io::time::sleep(Duration::from_millis(1)).await;
                        task::spawn_blocking(|| ()).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn limits_of_zero_are_refused() {
    fn refused(set: impl Fn(&mut Builder)) {
        assert!(
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| set(
                &mut Builder::new_multi_thread()
            )))
            .is_err()
        );
    }
    refused(|builder| drop(builder.worker_threads(0).build()));
    refused(|builder| drop(builder.max_blocking_threads(0).build()));
    refused(|builder| drop(builder.event_interval(0).build()));
    refused(|builder| drop(builder.global_queue_interval(0).build()));
    refused(|builder| drop(builder.max_io_events_per_tick(0).build()));
    refused(|builder| drop(builder.ring_submission_entries(0).build()));
    refused(|builder| drop(builder.ring_completion_entries(0).build()));
    refused(|builder| drop(builder.ring_buffers(3, 16).build()));
}
