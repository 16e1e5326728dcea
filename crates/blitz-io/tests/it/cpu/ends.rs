//! The end of a runtime whose threads compute: within its limit, whatever they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use blitz_io::compute;
use blitz_io::runtime::Builder;

use super::{busy, later, one, panic_of, text_of};
use crate::harness::{FLAVORS, GUARD, each_case, guarded, patient, run};

#[test]
fn a_shutdown_with_a_limit_leaves_what_runs_to_itself() {
    each_case(&FLAVORS, |case| {
        let mut builder = case.builder();
        let runtime = builder.cpu_threads(1).build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (first, go) = busy(&handle);
        let (second, _go, _) = later(&handle);
        guarded(GUARD, || {
            runtime.shutdown_timeout(Duration::from_millis(50))
        });
        assert!(!first.is_finished());
        assert_eq!(handle.compute_metrics().running, 1);
        // It ends in its own time, its waiter learns of it, and the rest is cancelled.
        drop(go);
        guarded(GUARD, || {
            futures::executor::block_on(first);
            let cancelled = futures::executor::block_on(second.caught());
            assert!(cancelled.is_err_and(|error| error.is_cancelled()));
            while handle.compute_metrics().threads > 0 {
                thread::yield_now();
            }
        });
        let late = handle.compute(|| 1);
        assert!(late.is_finished());
        let said = panic_of(|| assert_eq!(futures::executor::block_on(late), 1));
        assert!(said.contains("its runtime ended before its turn"), "{said}");
    });
}

#[test]
fn a_shutdown_in_the_background_waits_for_nothing() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().cpu_threads(1).build().expect("a runtime");
        let (first, go) = busy(runtime.handle());
        let ended = thread::spawn(move || runtime.shutdown_background());
        guarded(GUARD, || ended.join().expect("no panic"));
        assert!(!first.is_finished());
        drop(go);
        guarded(GUARD, || futures::executor::block_on(first));
    });
}

#[test]
fn a_dropped_runtime_waits_for_what_runs_and_cancels_the_rest() {
    each_case(&FLAVORS, |case| {
        let stopped = Arc::new(AtomicUsize::new(0));
        let stops = Arc::clone(&stopped);
        let mut builder = case.builder();
        builder.cpu_threads(2).on_thread_stop(move || {
            stops.fetch_add(1, SeqCst);
        });
        let runtime = builder.build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (_first, go) = busy(&handle);
        let (_second, go_too) = busy(&handle);
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let waits = handle.compute(move || runs.store(true, SeqCst));
        drop(waits);
        let release = thread::spawn(move || drop((go, go_too)));
        guarded(GUARD, || drop(runtime));
        assert!(!ran.load(SeqCst));
        assert!(stopped.load(SeqCst) >= 2);
        let metrics = handle.compute_metrics();
        assert_eq!(
            (metrics.threads, metrics.running, metrics.queued),
            (0, 0, 0)
        );
        assert_eq!((metrics.done, metrics.cancelled), (2, 1));
        release.join().expect("no panic");
    });
}

#[test]
fn a_graceful_shutdown_waits_for_tasks_that_wait_for_computations() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().cpu_threads(1).build().expect("a runtime");
        let (done, wait_done) = channel();
        let task = runtime.spawn(async move {
            for _ in 0..20 {
                compute(|| (0..10_000_u64).map(std::hint::black_box).sum::<u64>()).await;
            }
            let _ = done.send(());
        });
        let report = guarded(GUARD, || runtime.shutdown_graceful(GUARD));
        assert!(report.is_clean() && report.threads_ended, "{report}");
        assert!(wait_done.try_recv().is_ok());
        drop(task);
    });
}

#[test]
fn a_report_says_that_a_computation_kept_its_thread() {
    let runtime = one(1);
    let (first, go) = busy(runtime.handle());
    let report = guarded(GUARD, || {
        runtime.shutdown_graceful(Duration::from_millis(20))
    });
    assert!(report.is_clean() && !report.threads_ended);
    drop(go);
    guarded(GUARD, || futures::executor::block_on(first));
}

#[test]
fn a_computation_may_end_a_runtime_in_the_background_only() {
    let outer = one(1);
    let inner = one(1);
    let ended = run(
        &outer,
        outer
            .handle()
            .compute(move || {
                drop(inner.handle().compute(|| ()));
                inner.shutdown_background();
            })
            .caught(),
    );
    assert!(ended.is_ok());
    let inner = one(1);
    let dropped = run(&outer, outer.handle().compute(move || drop(inner)).caught());
    let said = text_of(dropped.expect_err("it would wait").into_panic());
    assert!(said.contains("shutdown_background"), "{said}");
    // Its own, whose thread waits for no one.
    let own = one(1);
    let handle = own.handle().clone();
    let begun = Instant::now();
    let call = handle.compute(move || own.shutdown_background());
    guarded(GUARD, || futures::executor::block_on(call));
    assert!(begun.elapsed() < patient(GUARD));
}

/// A runtime that never computes starts no thread for it; one that is built and dropped in a hurry leaves none.
#[test]
fn runtimes_come_and_go_with_their_threads() {
    for round in 0..30 {
        let runtime = Builder::new_current_thread()
            .cpu_threads(2)
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        if round % 3 != 0 {
            let call = handle.compute(move || round);
            if round % 3 == 1 {
                assert_eq!(runtime.block_on(call), round);
            }
        }
        guarded(GUARD, || drop(runtime));
        assert_eq!(handle.compute_metrics().threads, 0);
    }
}
