//! The end of a pool.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use blitz_io::pool::{AcquireError, CloseReason};
use blitz_io::time::{Instant, sleep, timeout};

use super::{Act, ms, paused, pool_of, seconds, set, settle};

#[test]
fn a_close_tells_who_waits_and_waits_for_what_is_out() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        drop(pool.acquire(&2).await.unwrap());
        let held = pool.acquire(&1).await.unwrap();
        let begun = Instant::now();
        let (waiter, out, ()) = blitz_io::join!(
            pool.acquire(&1),
            async {
                sleep(ms(10)).await;
                pool.close(seconds(30)).await
            },
            async {
                sleep(seconds(2)).await;
                assert!(pool.is_closed());
                drop(held);
            }
        );
        assert!(waiter.unwrap_err().is_closed());
        assert_eq!((out, begun.elapsed().as_secs()), (0, 2));
        assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Closed)));
        assert!(matches!(pool.warm_up(&1).await, Err(AcquireError::Closed)));
        assert!(pool.try_acquire(&2).is_none());
        assert_eq!(
            (world.live.load(SeqCst), world.closed_well.load(SeqCst)),
            (0, 2)
        );
        assert_eq!(pool.metrics().closed(CloseReason::Shutdown), 2);
        assert_eq!((pool.metrics().size, pool.metrics().keys), (0, 0));
        assert_eq!(pool.close(seconds(1)).await, 0, "once more");
    });
}

#[test]
fn what_does_not_come_back_in_time_is_revoked() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let stubborn = pool.acquire(&1).await.unwrap();
        let obliging = pool.acquire(&1).await.unwrap();
        let task = blitz_io::spawn(async move {
            obliging.revoked().await;
        });
        assert!(timeout(ms(100), stubborn.revoked()).await.is_err());
        assert_eq!(pool.close(seconds(5)).await, 2);
        task.await.unwrap();
        stubborn.revoked().await;
        drop(stubborn);
        settle().await;
        assert_eq!((pool.metrics().size, world.live.load(SeqCst)), (0, 0));
    });
}

#[test]
fn a_close_waits_for_the_leave_of_each_but_not_for_ever() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        drop([
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        ]);
        set(&world.close, Act::After(300));
        let begun = Instant::now();
        assert_eq!(pool.close(seconds(30)).await, 0);
        assert_eq!(
            (begun.elapsed(), world.closed_well.load(SeqCst)),
            (ms(300), 2)
        );

        let (pool, world) = pool_of(|builder| builder);
        drop(pool.acquire(&1).await.unwrap());
        set(&world.close, Act::Hangs);
        let begun = Instant::now();
        assert_eq!(pool.close(seconds(30)).await, 0);
        assert_eq!((begun.elapsed().as_secs(), world.live.load(SeqCst)), (5, 0));
    });
}

#[test]
fn a_connect_that_is_under_way_at_the_end_is_closed_too() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        set(&world.connect, Act::After(1000));
        let (waiter, out) = blitz_io::join!(pool.acquire(&1), async {
            sleep(ms(1)).await;
            pool.close(seconds(10)).await
        });
        assert!(waiter.unwrap_err().is_closed());
        assert_eq!(
            (out, world.live.load(SeqCst), world.closed_well.load(SeqCst)),
            (0, 0, 1)
        );
    });
}

#[test]
fn without_handles_and_leases_nothing_is_left() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.keepalive(seconds(5)));
        drop(pool.acquire(&1).await.unwrap());
        let lease = pool.acquire(&2).await.unwrap();
        drop(pool);
        sleep(seconds(20)).await;
        assert_eq!(world.live.load(SeqCst), 2);
        drop(lease);
        settle().await;
        assert_eq!(
            (world.live.load(SeqCst), Arc::strong_count(&world)),
            (0, 1),
            "the keeper has gone too"
        );
    });
}

#[test]
fn with_its_runtime_a_pool_ends_and_strands_nobody() {
    for act in [Act::Hangs, Act::Fails] {
        let runtime = || {
            blitz_io::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap()
        };
        let (of_pool, other) = (runtime(), runtime());
        let (pool, world) =
            of_pool.block_on(async { pool_of(|builder| builder.acquire_timeout(None)) });
        set(&world.connect, act);
        let waiter = other.spawn({
            let pool = pool.clone();
            async move { pool.acquire(&1).await.map(|lease| lease.number) }
        });
        while world.attempts.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        drop(of_pool);
        let waited = crate::harness::run(&other, waiter).unwrap();
        assert!(waited.unwrap_err().is_closed(), "{act:?}");
        assert!(pool.is_closed());
    }
}
