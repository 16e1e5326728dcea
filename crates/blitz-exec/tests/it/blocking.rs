//! The pool on real threads.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use blitz_exec::blocking::{Pool, PoolConfig, Refused};
use blitz_exec::task::SpawnInfo;

use crate::fake::wait;

#[test]
fn threads_are_bounded_and_named_and_hooked() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (start, stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let pool = Pool::new(PoolConfig {
        threads_max: 2,
        name: Arc::new(|| "mine".to_owned()),
        on_start: Some(Arc::new(move || {
            start.fetch_add(1, SeqCst);
        })),
        on_stop: Some(Arc::new(move || {
            stop.fetch_add(1, SeqCst);
        })),
        ..PoolConfig::default()
    });
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let call = move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, SeqCst);
                std::thread::current().name().map(str::to_owned)
            };
            pool.spawner().spawn_blocking(call, SpawnInfo::here())
        })
        .collect();
    for call in calls {
        assert_eq!(wait(call).unwrap().as_deref(), Some("mine"));
    }
    assert!(most.load(SeqCst) <= 2);
    assert!(pool.shutdown(None));
    assert_eq!(started.load(SeqCst), stopped.load(SeqCst));
}

#[test]
fn a_full_queue_refuses_and_an_abort_comes_before_the_start() {
    let pool = Pool::new(PoolConfig {
        threads_max: 1,
        queue_len_max: Some(1),
        ..PoolConfig::default()
    });
    let (begun, begins) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let first = pool.spawner().spawn_blocking(
        move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        },
        SpawnInfo::here(),
    );
    begins.recv().unwrap();
    let second = pool.spawner().spawn_blocking(
        || panic!("it was aborted before its turn"),
        SpawnInfo::here(),
    );
    let third = pool.spawner().spawn_blocking(|| (), SpawnInfo::here());
    assert!(wait(third).unwrap_err().is_cancelled());
    second.abort();
    drop(release);
    wait(first).unwrap();
    assert!(wait::<_>(second).unwrap_err().is_cancelled());
    assert!(pool.shutdown(None));
    assert_eq!(
        pool.spawner()
            .spawn_mandatory(|| (), SpawnInfo::here())
            .err(),
        Some(Refused)
    );
}

#[test]
fn shutdown_keeps_its_deadline_and_cancels_what_has_not_begun() {
    let pool = Pool::new(PoolConfig {
        threads_max: 1,
        ..PoolConfig::default()
    });
    let (begun, begins) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let first = pool.spawner().spawn_blocking(
        move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        },
        SpawnInfo::here(),
    );
    begins.recv().unwrap();
    let queued = pool.spawner().spawn_blocking(|| (), SpawnInfo::here());
    let must = pool
        .spawner()
        .spawn_mandatory(|| 5, SpawnInfo::here())
        .unwrap();
    assert!(
        !pool.shutdown(Some(Duration::from_millis(10))),
        "one call does not end"
    );
    drop(release);
    assert!(pool.shutdown(None));
    wait(first).unwrap();
    assert!(wait(queued).unwrap_err().is_cancelled());
    assert_eq!(wait(must).unwrap(), 5);
}

#[test]
fn a_call_that_panics_leaves_its_thread_to_others() {
    let pool = Pool::new(PoolConfig {
        threads_max: 1,
        ..PoolConfig::default()
    });
    let bad = pool
        .spawner()
        .spawn_blocking(|| panic!("expected"), SpawnInfo::here());
    assert!(wait::<_>(bad).unwrap_err().is_panic());
    assert_eq!(
        wait(pool.spawner().spawn_blocking(|| 3, SpawnInfo::here())).unwrap(),
        3
    );
    assert_eq!(pool.spawner().threads(), 1);
    assert!(pool.shutdown(None));
}

#[test]
fn a_call_may_end_its_own_pool() {
    let pool = Arc::new(Pool::new(PoolConfig::default()));
    let inside = Arc::clone(&pool);
    let call = pool
        .spawner()
        .spawn_blocking(move || inside.shutdown(None), SpawnInfo::here());
    assert!(wait(call).unwrap());
    assert!(pool.shutdown(None));
}

/// What keeps the thread in its runtime may panic when it goes. (The shutdown waited for ever.)
#[test]
fn a_context_that_panics_at_a_thread_s_end_holds_no_shutdown_up() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("the context");
        }
    }
    let pool = Pool::new(PoolConfig {
        enter: Some(Arc::new(|| Box::new(Panics))),
        ..PoolConfig::default()
    });
    wait(pool.spawner().spawn_blocking(|| (), SpawnInfo::here())).unwrap();
    assert!(pool.shutdown(Some(Duration::from_secs(30))));
}
