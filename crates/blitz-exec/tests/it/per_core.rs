//! Workers that keep their tasks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use blitz_exec::blocking::{Pool, PoolConfig};
use blitz_exec::scheduler::Config;
use blitz_exec::scheduler::per_core::PerCore;
use blitz_exec::task::SpawnInfo;

use crate::fake::{FakePark, wait, yield_now};

#[test]
fn a_task_stays_on_its_worker() {
    let pool = Pool::new(PoolConfig::default());
    let (parks, tokens): (Vec<_>, Vec<_>) = (0..3).map(|_| FakePark::pair()).unzip();
    let scheduler = PerCore::new(
        parks,
        &Arc::new(Config {
            workers: 3,
            ..Config::default()
        }),
    );
    scheduler.start(pool.spawner()).unwrap();
    let tasks: Vec<_> = (0..300)
        .map(|n| {
            let make = move || async move {
                let (local, here) = (Rc::new(n), std::thread::current().id());
                for _ in 0..10 {
                    yield_now().await;
                    assert_eq!(std::thread::current().id(), here);
                }
                (*local, here)
            };
            scheduler.spawn_on(n % 3, make, SpawnInfo::here())
        })
        .collect();
    let mut threads = [None; 3];
    for (n, task) in tasks.into_iter().enumerate() {
        let (local, thread) = wait(task).unwrap();
        assert_eq!(local, n);
        assert_eq!(*threads[n % 3].get_or_insert(thread), thread);
    }
    scheduler.shutdown();
    assert!(pool.shutdown(Some(Duration::from_secs(30))));
    assert!(
        tokens
            .iter()
            .all(|token| token.shutdowns.load(SeqCst) == 1 && !token.bound.load(SeqCst))
    );
}
