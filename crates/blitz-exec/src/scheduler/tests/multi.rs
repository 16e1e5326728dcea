//! Workers, their hand-over and their end.

use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::FakePark;
use crate::blocking::{Pool, PoolConfig};
use crate::park::{NoWatch, ThreadParker};
use crate::scheduler::multi::MultiThread;
use crate::scheduler::{Beat, Config, Handle, block_in_place, block_on};
use crate::task::SpawnInfo;

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(1);
    builder.max_branches = 20_000;
    builder.check(body);
}

fn start(workers: usize, blocking: usize) -> (Arc<MultiThread>, Pool) {
    let pool = Pool::new(PoolConfig {
        threads_max: workers + blocking,
        ..PoolConfig::default()
    });
    let parks = (0..workers).map(|_| FakePark::boxed()).collect();
    let scheduler = MultiThread::new(
        parks,
        Arc::new(Config {
            workers,
            ..Config::default()
        }),
        pool.spawner().clone(),
    );
    scheduler.start().unwrap();
    (scheduler, pool)
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A task spawned from outside runs, however the worker goes to sleep meanwhile.
#[test]
fn no_task_from_outside_is_lost() {
    model(|| {
        let (scheduler, pool) = start(1, 0);
        let task = scheduler.spawn(async { 5 }, SpawnInfo::here());
        let output = block_on(task, &ThreadParker::new(Arc::new(NoWatch)));
        assert_eq!(output.ok(), Some(5));
        scheduler.shutdown();
        assert!(pool.shutdown(None));
    });
}

/// The same for one that is not normal, which waits elsewhere: in a shared lane.
#[test]
fn no_urgent_task_from_outside_is_lost() {
    model(|| {
        let (scheduler, pool) = start(1, 0);
        let task = scheduler.spawn(async { 5 }, SpawnInfo::here().urgent());
        let output = block_on(task, &ThreadParker::new(Arc::new(NoWatch)));
        assert_eq!(output.ok(), Some(5));
        scheduler.shutdown();
        assert!(pool.shutdown(None));
    });
}

/// The shutdown comes while a task is spawned: the task's future is dropped exactly once, and every thread ends.
#[test]
fn shutdown_drops_each_task_once() {
    model(|| {
        let (scheduler, pool) = start(2, 0);
        let drops = Arc::new(AtomicUsize::new(0));
        let count = CountDrop(Arc::clone(&drops));
        let task = scheduler.spawn(
            async move {
                let _count = count;
                std::future::pending::<()>().await;
            },
            SpawnInfo::here(),
        );
        scheduler.shutdown();
        assert!(pool.shutdown(None));
        assert_eq!(drops.load(SeqCst), 1);
        drop(task);
        assert_eq!(scheduler.workers_left(), 0);
    });
}

/// A task blocks in place until another task of the same worker has run: only a thread that takes the core over can run it.
#[test]
fn a_core_that_is_handed_over_goes_on() {
    model(|| {
        let (scheduler, pool) = start(1, 1);
        let parker = ThreadParker::new(Arc::new(NoWatch));
        let waker = parker.waker();
        let other = Arc::clone(&scheduler);
        let task = scheduler.spawn(
            async move {
                let child = other.spawn(async move { waker.wake() }, SpawnInfo::here());
                block_in_place(|| parker.park());
                child.await.is_ok()
            },
            SpawnInfo::here(),
        );
        let output = block_on(task, &ThreadParker::new(Arc::new(NoWatch)));
        assert_eq!(output.ok(), Some(true));
        scheduler.shutdown();
        assert!(pool.shutdown(None));
    });
}

/// A rescue comes while a task wakes another and ends: whoever has the core then, both run, and every thread ends.
#[test]
fn no_task_is_lost_in_a_rescue() {
    model(|| {
        let (scheduler, pool) = start(1, 0);
        let other = Arc::clone(&scheduler);
        let task = scheduler.spawn(
            async move { other.spawn(async { 7 }, SpawnInfo::here()).await.ok() },
            SpawnInfo::here(),
        );
        let handle = Handle::Multi(Arc::clone(&scheduler));
        if let Some(seen) = handle.beat(0).filter(Beat::is_in_task) {
            // Refused if the worker was quicker.
            let _ = scheduler.rescue(0, seen, |_| (), || ());
        }
        let output = block_on(task, &ThreadParker::new(Arc::new(NoWatch)));
        assert_eq!(output.ok(), Some(Some(7)));
        scheduler.shutdown();
        assert!(pool.shutdown(None));
        assert_eq!((scheduler.spares_lent(), scheduler.workers_left()), (0, 0));
    });
}
