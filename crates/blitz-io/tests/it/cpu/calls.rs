//! One computation: what it gives, where it runs, and what a drop does to it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use blitz_io::runtime::{Builder, Handle};
use blitz_io::task::{self, JoinSet};
use blitz_io::{compute, time};
use futures::FutureExt;
use futures::future::join;

use super::{busy, later, on_every_with, one, panic_of, text_of};
use crate::harness::{GUARD, NO_ROOM, guarded, on_every, patient, run};

#[test]
fn a_result_comes_back_from_another_thread() {
    on_every(|runtime| {
        let here = thread::current().id();
        let (there, sum) = run(runtime, async {
            blitz_io::spawn(async {
                compute(|| (thread::current().id(), (1..=1_000_u64).sum::<u64>())).await
            })
            .await
            .expect("no panic")
        });
        assert_ne!(here, there);
        assert_eq!(sum, 500_500);
    });
}

#[test]
fn two_calls_run_side_by_side() {
    on_every_with(2, |runtime| {
        run(runtime, async {
            let both = Arc::new(Barrier::new(2));
            let meet = |both: &Arc<Barrier>| {
                let both = Arc::clone(both);
                compute(move || both.wait().is_leader())
            };
            let (left, right) = join(meet(&both), meet(&both)).await;
            assert!(left != right);
        });
    });
}

#[test]
fn a_panic_goes_on_in_whoever_awaits_it() {
    on_every(|runtime| {
        run(runtime, async {
            let task =
                blitz_io::spawn(async { compute(|| -> u8 { panic!("on purpose: {}", 7) }).await });
            let error = task.await.expect_err("the task panicked, too");
            assert_eq!(text_of(error.into_panic()), "on purpose: 7");
            // A payload that is no text.
            let call = compute(|| -> u8 { std::panic::panic_any(7_u64) });
            let error = call.caught().await.expect_err("it panicked");
            assert!(error.is_panic());
            assert_eq!(error.to_string(), "the computation panicked");
            assert_eq!(error.into_panic().downcast_ref(), Some(&7_u64));
            // The threads are still there.
            assert_eq!(compute(|| 1).await, 1);
        });
    });
}

#[test]
fn a_drop_cancels_what_has_not_begun() {
    on_every_with(1, |runtime| {
        let handle = runtime.handle();
        let (first, go) = busy(handle);
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let mut second = handle.compute(move || runs.store(true, SeqCst));
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        assert_eq!(Arc::strong_count(&ran), 1, "its closure is still there");
        // A detached one is not cancelled.
        let runs = Arc::clone(&ran);
        handle.compute(move || runs.store(true, SeqCst)).detach();
        drop(go);
        run(runtime, first);
        run(runtime, compute_on(handle));
        assert!(ran.load(SeqCst));
        let metrics = handle.compute_metrics();
        assert_eq!((metrics.cancelled, metrics.done), (1, 3));
        assert_eq!(
            (metrics.queued, metrics.running, metrics.threads),
            (0, 0, 1)
        );
    });
}

/// The last in the queue of one thread: when it is done, so are all before it.
async fn compute_on(handle: &Handle) {
    handle.compute(|| ()).await;
}

#[test]
fn a_drop_lets_what_has_begun_go_on() {
    on_every_with(1, |runtime| {
        let handle = runtime.handle();
        let held = Arc::new(());
        let (begun, wait_begun) = channel();
        let (go, wait_go) = channel::<()>();
        let output = Arc::clone(&held);
        let call = handle.compute(move || {
            let _ = begun.send(());
            let _ = wait_go.recv();
            output
        });
        wait_begun.recv_timeout(patient(GUARD)).expect("it begins");
        drop(call);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(go);
        run(runtime, compute_on(handle));
        assert_eq!(Arc::strong_count(&held), 1, "nobody dropped the output");
        // And after its end.
        let output = Arc::clone(&held);
        let call = handle.compute(move || output);
        run(runtime, compute_on(handle));
        assert!(call.is_finished());
        drop(call);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_computation_is_in_its_runtime() {
    on_every(|runtime| {
        let id = runtime.handle().id();
        run(runtime, async move {
            let task = compute(move || {
                assert_eq!(Handle::current().id(), id);
                assert_eq!(blitz_io::runtime::worker_index(), None);
                // A task that waits for another computation, a timer and a wake.
                blitz_io::spawn(async {
                    time::sleep(time::Duration::from_millis(1)).await;
                    compute(|| 7).await
                })
            })
            .await;
            assert_eq!(task.await.ok(), Some(7));
            // Inside of rayon's own operations as well: they use the same threads.
            let ids = compute(|| rayon::join(|| Handle::current().id(), || Handle::current().id()));
            assert_eq!(ids.await, (id, id));
        });
    });
}

#[test]
fn rayon_uses_the_threads_of_the_runtime() {
    let mut builder = Builder::new_current_thread();
    let started = Arc::new(AtomicUsize::new(0));
    let starts = Arc::clone(&started);
    builder
        .cpu_threads(3)
        .cpu_thread_name("crunch")
        .on_thread_start(move || {
            starts.fetch_add(1, SeqCst);
        });
    let runtime = builder.build().expect("a runtime");
    assert_eq!(runtime.handle().compute_metrics().threads, 0);
    let (count, names) = runtime.block_on(runtime.handle().compute(|| {
        let names = rayon::broadcast(|_| thread::current().name().map(str::to_owned));
        (rayon::current_num_threads(), names)
    }));
    assert_eq!(count, 3);
    let names: HashSet<String> = names.into_iter().flatten().collect();
    let expected = ["crunch-0", "crunch-1", "crunch-2"].map(str::to_owned);
    assert_eq!(names, HashSet::from(expected));
    assert_eq!(started.load(SeqCst), 3);
    assert_eq!(runtime.handle().compute_metrics().threads, 3);
}

/// Threads that a tied worker starts are not tied with it: to compute, and for calls that block.
#[test]
fn only_workers_are_tied_to_processors() {
    let everywhere = thread::available_parallelism().expect("a system that tells");
    for mut builder in [Builder::new_thread_per_core(), Builder::new_multi_thread()] {
        let runtime = builder
            .worker_threads(1)
            .worker_affinity([0])
            .enable_all()
            .build()
            .expect("a runtime");
        let seen = run(&runtime, async {
            blitz_io::spawn(async {
                let computing = compute(thread::available_parallelism).await;
                let blocking = task::spawn_blocking(thread::available_parallelism).await;
                [computing.ok(), blocking.expect("no panic").ok()]
            })
            .await
        });
        assert_eq!(seen.expect("no panic"), [Some(everywhere); 2]);
    }
}

#[test]
fn a_panic_in_a_rayon_spawn_ends_nothing_else() {
    let runtime = one(1);
    runtime.block_on(async {
        compute(|| rayon::spawn(|| panic!("on purpose: nobody waits for it"))).await;
        assert_eq!(compute(|| 2).await, 2);
    });
}

#[test]
fn waiting_in_a_computation_is_reported_with_the_remedy() {
    on_every(|runtime| {
        let inside = |f: fn()| {
            let error = run(runtime, runtime.handle().compute(f).caught()).expect_err("it panics");
            text_of(error.into_panic())
        };
        let said = inside(|| Handle::current().block_on(async {}));
        assert!(
            said.contains("`block_on` was called in a computation"),
            "{said}"
        );
        assert!(said.contains("spawn_blocking"), "{said}");
        let said = inside(|| {
            let waits = task::spawn_blocking(|| 1);
            assert_eq!(Handle::current().block_on(waits).ok(), Some(1));
        });
        assert!(said.contains("`.await` what it needs"), "{said}");
        let said = inside(|| {
            let (_sender, receiver) = blitz_io::sync::oneshot::channel::<u8>();
            let _ = receiver.blocking_recv();
        });
        assert!(
            said.contains("`oneshot::Receiver::blocking_recv` was called in a computation"),
            "{said}"
        );
        let said = inside(|| task::block_in_place(|| ()));
        assert!(said.contains("`block_in_place` in a computation"), "{said}");
        let said = inside(|| {
            // Another runtime's is no better.
            let other = Builder::new_current_thread().build().expect("a runtime");
            let caught = std::panic::catch_unwind(|| other.block_on(async {}));
            other.shutdown_background();
            if let Err(payload) = caught {
                std::panic::resume_unwind(payload);
            }
        });
        assert!(said.contains("in a computation"), "{said}");
        // `spawn_blocking` is the place for it.
        let waited = task::spawn_blocking;
        let waited = run(runtime, async {
            waited(|| Handle::current().block_on(compute(|| 3))).await
        });
        assert_eq!(waited.ok(), Some(3));
    });
}

#[test]
fn outside_of_a_runtime_the_call_says_so() {
    let said = panic_of(|| compute(|| ()).detach());
    assert!(said.contains("no runtime here: `compute`"), "{said}");
}

#[test]
fn any_executor_may_wait_for_it() {
    on_every(|runtime| {
        let call = runtime.handle().compute(|| 6 * 7);
        assert_eq!(guarded(GUARD, || futures::executor::block_on(call)), 42);
    });
}

/// A dump says which computation a task waits for, and where it was begun.
#[test]
fn a_task_that_awaits_a_computation_says_so() {
    on_every_with(1, |runtime| {
        let handle = runtime.handle().clone();
        let (_first, go) = busy(&handle);
        run(runtime, async move {
            let waits = [
                blitz_io::spawn(async { compute(|| ()).await }),
                blitz_io::spawn(async { drop(blitz_io::cpu::parallel_map([()], |()| ()).await) }),
                blitz_io::spawn(async {
                    let mut window = blitz_io::cpu::Window::new(1, |()| ());
                    window.push(()).await;
                }),
            ];
            let awaited = || {
                let tasks = handle.tasks();
                let mut awaited: Vec<_> =
                    tasks.into_iter().filter_map(|task| task.awaits).collect();
                awaited.sort_by_key(|awaits| awaits.what);
                awaited
            };
            let mut seen = awaited();
            while seen.len() < 3 {
                task::yield_now().await;
                seen = awaited();
            }
            let what: Vec<_> = seen.iter().map(|awaits| awaits.what).collect();
            assert_eq!(what, ["compute", "cpu::Window", "cpu::parallel_map"]);
            assert!(
                seen.iter()
                    .all(|awaits| awaits.at.is_some_and(|at| at.file() == file!())),
                "{seen:?}"
            );
            drop(go);
            for task in waits {
                task.await.expect("no panic");
            }
        });
    });
}

#[test]
fn paused_time_does_not_jump_over_a_computation() {
    crate::harness::each_case(&crate::harness::FLAVORS, |case| {
        let runtime = case
            .builder()
            .start_paused(true)
            .build()
            .expect("a runtime");
        run(&runtime, async {
            let hour = time::Duration::from_secs(3600);
            let begun = time::Instant::now();
            let (call, go, wait_begun) = later(&Handle::current());
            let wake = thread::spawn(move || {
                wait_begun.recv_timeout(patient(GUARD)).expect("it begins");
                // The runtime has nothing else to do: it would jump, if it could.
                thread::sleep(time::Duration::from_millis(20));
                drop(go);
            });
            let late = time::timeout(hour, call).await;
            assert!(late.is_ok(), "time went on without the computation");
            assert_eq!(begun.elapsed(), time::Duration::ZERO);
            wake.join().expect("no panic");
            time::sleep(hour).await;
            assert_eq!(begun.elapsed(), hour);
            // Neither over one whose future is gone, but that goes on.
            let (call, go, wait_begun) = later(&Handle::current());
            wait_begun.recv_timeout(patient(GUARD)).expect("it begins");
            drop(call);
            let slept = time::timeout(hour, std::future::pending::<()>());
            let mut slept = Box::pin(slept);
            assert!((&mut slept).now_or_never().is_none());
            drop(go);
            assert!(slept.await.is_err());
        });
    });
}

#[test]
fn a_system_without_threads_is_an_error_that_names_the_remedy() {
    // `current_thread` starts no other thread, so only the bridge meets the absurd stack.
    let runtime = Builder::new_current_thread()
        .thread_stack_size(NO_ROOM)
        .build()
        .expect("a runtime");
    let error = runtime
        .block_on(runtime.handle().compute(|| ()).caught())
        .expect_err("no system has so much memory");
    assert!(error.is_no_threads() && !error.is_panic() && !error.is_cancelled());
    assert!(
        error.to_string().contains("Builder::cpu_threads"),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
    let said = panic_of(|| runtime.block_on(runtime.handle().compute(|| ())));
    assert!(said.contains("gives no threads"), "{said}");
    assert_eq!(runtime.handle().compute_metrics().threads, 0);
}

/// Tasks that await computations are aborted at every moment: nothing is lost, doubled or left behind.
#[test]
fn storms_of_cancellations_leave_nothing_behind() {
    on_every_with(2, |runtime| {
        let held = Arc::new(());
        let ran = Arc::new(AtomicUsize::new(0));
        run(runtime, async {
            for round in 0..40_usize {
                let mut tasks = JoinSet::new();
                for i in 0..50_usize {
                    let (held, ran) = (Arc::clone(&held), Arc::clone(&ran));
                    tasks.spawn(async move {
                        let call = compute(move || {
                            ran.fetch_add(1, SeqCst);
                            held
                        });
                        if (i + round) % 3 == 0 {
                            task::yield_now().await;
                        }
                        drop(call.await);
                    });
                }
                for _ in 0..round % 7 {
                    let ended = tasks.join_next().await;
                    assert!(ended.is_some_and(|ended| ended.is_ok()));
                }
                if round % 2 == 0 {
                    tasks.abort_all();
                }
                while let Some(ended) = tasks.join_next().await {
                    assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
                }
            }
            // Those that had begun when their tasks went may still run.
            let metrics = || Handle::current().compute_metrics();
            let settled = async {
                while metrics().running + metrics().queued > 0 {
                    task::yield_now().await;
                }
            };
            time::timeout(GUARD, settled).await.expect("they end");
        });
        let metrics = runtime.handle().compute_metrics();
        assert_eq!(metrics.done as usize, ran.load(SeqCst));
        assert!(metrics.done >= 20 * 50, "{metrics:?}");
        guarded(GUARD, || {
            // The last act of a call that nobody waits for is to drop its output.
            while Arc::strong_count(&held) > 1 {
                thread::yield_now();
            }
        });
    });
}
