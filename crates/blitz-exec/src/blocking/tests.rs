//! Models of the pool: no job is left behind, whoever goes to rest or leaves meanwhile.

use std::sync::Arc;
use std::time::Duration;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use blitz_core::primitive::thread;

use super::{Pool, PoolConfig};
use crate::park::{NoWatch, ThreadParker};
use crate::scheduler::block_on;
use crate::task::{JoinHandle, SpawnInfo};

fn pool(threads_max: usize, keep_alive: Duration) -> Pool {
    Pool::new(PoolConfig {
        threads_max,
        keep_alive,
        ..PoolConfig::default()
    })
}

fn wait<T>(handle: JoinHandle<T>) -> bool {
    block_on(handle, &ThreadParker::new(Arc::new(NoWatch))).is_ok()
}

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(body);
}

/// A job comes while the pool's thread goes to rest, twice. (tokio-rs/tokio#8056: callers hung.)
#[test]
fn no_job_is_lost_to_a_thread_at_rest() {
    model(|| {
        let pool = pool(1, Duration::MAX);
        assert!(wait(
            pool.spawner().spawn_blocking(|| (), SpawnInfo::here())
        ));
        assert!(wait(
            pool.spawner().spawn_blocking(|| (), SpawnInfo::here())
        ));
        assert!(pool.shutdown(None));
    });
}

/// A job comes while the keep-alive of the pool's only thread runs out.
#[test]
fn no_job_is_lost_to_a_thread_that_leaves() {
    model(|| {
        let pool = pool(1, Duration::ZERO);
        assert!(wait(
            pool.spawner().spawn_blocking(|| (), SpawnInfo::here())
        ));
        assert!(wait(
            pool.spawner().spawn_blocking(|| (), SpawnInfo::here())
        ));
        assert!(pool.shutdown(None));
    });
}

/// Two push at once, and there is a thread for each.
#[test]
fn two_jobs_at_once_both_run() {
    model(|| {
        let pool = pool(2, Duration::MAX);
        let spawner = pool.spawner().clone();
        let other = thread::spawn(move || wait(spawner.spawn_blocking(|| (), SpawnInfo::here())));
        assert!(wait(
            pool.spawner().spawn_blocking(|| (), SpawnInfo::here())
        ));
        assert!(other.join().unwrap());
        assert!(pool.shutdown(None));
    });
}

/// The shutdown comes while a job is pushed: it runs or is cancelled, its closure is dropped once, and its handle tells.
#[test]
fn shutdown_leaves_no_job_behind() {
    model(|| {
        let pool = pool(1, Duration::MAX);
        let spawner = pool.spawner().clone();
        let count = Arc::new(AtomicUsize::new(0));
        let other = {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                let handle = spawner.spawn_blocking(
                    move || {
                        count.fetch_add(1, SeqCst);
                    },
                    SpawnInfo::here(),
                );
                wait(handle)
            })
        };
        assert!(pool.shutdown(None));
        let ran = other.join().unwrap();
        assert_eq!(count.load(SeqCst), usize::from(ran));
    });
}
