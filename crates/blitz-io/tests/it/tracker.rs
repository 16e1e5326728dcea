//! Trackers that spawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use blitz_io::sync::CancellationToken;
use blitz_io::task::{LocalSet, TaskTracker};

use crate::harness;

#[test]
fn an_orderly_end_waits_for_all() {
    harness::on_every(|runtime| {
        let (tracker, stop, ended) = (
            TaskTracker::new(),
            CancellationToken::new(),
            Arc::new(AtomicUsize::new(0)),
        );
        runtime.block_on(async {
            for _ in 0..10 {
                let (stop, ended) = (stop.child_token(), Arc::clone(&ended));
                tracker.spawn(async move {
                    stop.cancelled().await;
                    blitz_io::task::yield_now().await;
                    ended.fetch_add(1, SeqCst);
                });
            }
            assert_eq!(tracker.len(), 10);
            stop.cancel();
            tracker.close();
            tracker.wait().await;
            assert_eq!(ended.load(SeqCst), 10);
        });
    });
}

#[test]
fn a_task_counts_however_it_ends() {
    harness::on_every(|runtime| {
        let tracker = TaskTracker::new();
        let handle = runtime.handle().clone();
        let aborted = tracker.spawn_on(std::future::pending::<()>(), &handle);
        let panics = tracker.spawn_on(
            async { std::panic::resume_unwind(Box::new("its own affair")) },
            &handle,
        );
        tracker.close();
        runtime.block_on(async {
            assert!(panics.await.unwrap_err().is_panic());
            assert!(!tracker.is_empty());
            aborted.abort();
            tracker.wait().await;
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn calls_that_block_are_tracked() {
    harness::on_every(|runtime| {
        let tracker = TaskTracker::new();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let blocking = tracker.spawn_blocking(move || wait.recv().is_ok());
            let panics = tracker.spawn_blocking_on(
                || std::panic::resume_unwind(Box::new("its own affair")),
                &handle,
            );
            tracker.close();
            assert!(panics.await.map(|(): ()| ()).unwrap_err().is_panic());
            assert_eq!(tracker.len(), 1);
            go.send(()).unwrap();
            tracker.wait().await;
            assert!(blocking.await.unwrap());
        });
    });
}

#[test]
fn tasks_of_one_thread_are_tracked() {
    harness::each_case(&[harness::Flavor::CurrentThread], |case| {
        let (tracker, set) = (TaskTracker::new(), LocalSet::new());
        let on_set = tracker.spawn_local_on(async { 1 }, &set);
        set.block_on(&case.runtime(), async {
            let local = tracker.spawn_local(async { 2 });
            assert_eq!(tracker.len(), 2);
            tracker.close();
            tracker.wait().await;
            assert_eq!(on_set.await.unwrap() + local.await.unwrap(), 3);
        });
        assert!(TaskTracker::ptr_eq(&tracker, &tracker.clone()));
        assert!(!TaskTracker::ptr_eq(
            &tracker,
            &TaskTracker::from(blitz_io::sync::TaskTracker::new())
        ));
    });
}
