//! Who gets a connection, and when.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use blitz_io::pool::{AcquireError, AcquirePhase, CloseReason};
use blitz_io::task::JoinSet;
use blitz_io::time::{Instant, sleep, timeout};

use super::{Act, ms, paused, pool_of, seconds, set, settle};

#[test]
fn one_that_comes_back_is_handed_out_again() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let first = pool.acquire(&7).await.unwrap();
        assert_eq!(
            (first.number, first.key, first.uses(), *first.key()),
            (1, 7, 1, 7)
        );
        drop(first);
        let again = pool.acquire(&7).await.unwrap();
        assert_eq!((again.number, again.uses()), (1, 2));
        let other = pool.acquire(&8).await.unwrap();
        assert_eq!((other.number, other.key), (2, 8));
        assert_eq!(world.live.load(SeqCst), 2);
        let metrics = pool.metrics();
        assert_eq!((metrics.in_use, metrics.idle, metrics.keys), (2, 0, 2));
        assert_eq!(
            (metrics.acquired_direct, metrics.acquired_after_wait),
            (1, 2)
        );
        assert_eq!(metrics.wait_time.count(), 3);
    });
}

#[test]
fn the_newest_is_taken_so_that_the_others_grow_old() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder);
        let (first, second) = (
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        );
        drop(second);
        drop(first);
        assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
        assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    });
}

#[test]
fn who_waits_longest_is_served_first() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.max_per_key(1));
        let held = pool.acquire(&1).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..20 {
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                let lease = pool.acquire(&1).await.unwrap();
                order.lock().unwrap().push(number);
                sleep(ms(1)).await;
                drop(lease);
            });
            settle().await;
        }
        assert_eq!(pool.metrics().waiting, 20);
        drop(held);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(pool.metrics().created, 1);
    });
}

#[test]
fn a_key_has_no_more_than_its_limit_and_all_have_no_more_than_theirs() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(3).max_total(5));
        set(&world.connect, Act::After(5));
        let mut tasks = JoinSet::new();
        for number in 0..60_u32 {
            let pool = pool.clone();
            tasks.spawn(async move {
                let lease = pool.acquire(&(number % 4)).await.unwrap();
                assert_eq!(lease.key, number % 4);
                sleep(ms(3)).await;
            });
        }
        let mut most = 0;
        while !tasks.is_empty() {
            blitz_io::select! {
                joined = tasks.join_next() => joined.unwrap().unwrap(),
                () = sleep(ms(1)) => {}
            }
            let metrics = pool.metrics();
            most = most.max(metrics.size);
            assert!(metrics.size <= 5, "{metrics:?}");
        }
        assert_eq!((most, world.live_max.load(SeqCst)), (5, 5));
    });
}

#[test]
fn a_wait_ends_at_its_deadline_and_says_why() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.max_per_key(1));
        let held = pool.acquire(&1).await.unwrap();
        let begun = Instant::now();
        let error = pool.acquire(&1).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 30, "the default");
        assert!(error.is_timeout());
        assert!(error.to_string().contains("all are in use"), "{error}");
        let AcquireError::TimedOut(why) = error else {
            unreachable!()
        };
        assert_eq!((why.waited.as_secs(), why.phase), (30, AcquirePhase::Wait));
        assert!(why.last.is_none());
        let begun = Instant::now();
        let error = pool.acquire_until(&1, begun + ms(70)).await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(begun.elapsed().as_millis(), 70);
        assert_eq!(pool.metrics().timeouts, 2);
        assert_eq!(pool.metrics().waiting, 0);
        drop(held);
        let lease = pool.acquire_until(&1, Instant::now()).await;
        drop(lease.expect("an idle one needs no time"));
    });
}

#[test]
fn no_timeout_is_no_timeout() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.max_per_key(1).acquire_timeout(None));
        let held = pool.acquire(&1).await.unwrap();
        assert!(timeout(seconds(86_400), pool.acquire(&1)).await.is_err());
        drop(held);
        drop(pool.acquire(&1).await.unwrap());
    });
}

#[test]
fn who_gets_what_another_gave_back_does_not_wait_for_its_own() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let held = pool.acquire(&1).await.unwrap();
        set(&world.connect, Act::After(2000));
        let begun = Instant::now();
        let (waited, ()) = blitz_io::join!(pool.acquire(&1), async {
            sleep(ms(10)).await;
            drop(held);
        });
        let waited = waited.unwrap();
        assert_eq!((waited.number, begun.elapsed().as_millis()), (1, 10));
        sleep(seconds(3)).await;
        // What was made for it in the meantime is idle.
        assert_eq!((pool.metrics().idle, pool.metrics().created), (1, 2));
    });
}

#[test]
fn idle_ones_of_other_keys_make_room_the_longest_idle_first() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_total(3));
        for key in [1, 2, 3] {
            drop(pool.acquire(&key).await.unwrap());
            sleep(ms(1)).await;
        }
        let four = pool.acquire(&4).await.unwrap();
        assert_eq!(pool.metrics().closed(CloseReason::Evicted), 1);
        assert!(pool.try_acquire(&1).is_none(), "the longest idle");
        drop(pool.try_acquire(&2).unwrap());
        drop(four);
        settle().await;
        assert_eq!(world.live.load(SeqCst), 3);
    });
}

#[test]
fn at_the_total_who_waits_longest_goes_first_whichever_the_key() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.max_total(1));
        let held = pool.acquire(&1).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for key in [2, 1, 2, 1, 3] {
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                let lease = pool.acquire(&key).await.unwrap();
                order.lock().unwrap().push(key);
                sleep(ms(1)).await;
                drop(lease);
            });
            settle().await;
        }
        drop(held);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), [2, 1, 2, 1, 3]);
    });
}

#[test]
fn a_lease_may_be_given_up_and_taken_out() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        pool.acquire(&1).await.unwrap().discard();
        let second = pool.acquire(&1).await.unwrap();
        assert_eq!(second.number, 2);
        let mine = second.detach();
        let third = pool.acquire(&1).await.unwrap();
        assert_eq!(third.number, 3);
        // The first is closed by a task.
        settle().await;
        assert_eq!(world.live.load(SeqCst), 2);
        drop(mine);
        let metrics = pool.metrics();
        assert_eq!(metrics.closed(CloseReason::Broken), 1);
        assert_eq!(metrics.closed(CloseReason::Detached), 1);
        assert_eq!((metrics.size, metrics.in_use), (1, 1));
    });
}

#[test]
fn a_task_that_panics_gives_back_nothing() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        let task = blitz_io::spawn({
            let pool = pool.clone();
            async move {
                let _lease = pool.acquire(&1).await.unwrap();
                panic!("with a connection in an unknown state");
            }
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(pool.acquire(&1).await.unwrap().number, 2);
        settle().await;
        assert_eq!(world.live.load(SeqCst), 1);
    });
}

#[test]
fn other_limits_hold_at_once() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        let first = pool.acquire(&1).await.unwrap();
        let mut limits = pool.limits();
        limits.max_per_key = 3;
        let grown = limits.clone();
        let (second, ()) = blitz_io::join!(pool.acquire(&1), async {
            sleep(ms(5)).await;
            pool.set_limits(grown);
        });
        let third = pool.acquire(&1).await.unwrap();
        drop((second.unwrap(), third));
        assert_eq!(pool.metrics().idle, 2);
        limits.max_per_key = 1;
        pool.set_limits(limits);
        settle().await;
        // The idle ones went; the one that is out may come back.
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (0, 1));
        assert_eq!(pool.metrics().closed(CloseReason::Surplus), 2);
        drop(first);
        assert_eq!(
            (pool.metrics().idle, pool.acquire(&1).await.unwrap().number),
            (1, 1)
        );
    });
}

#[test]
#[should_panic(expected = "must be 1 at least")]
fn a_pool_of_none_is_refused() {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        pool_of(|builder| builder.max_per_key(0));
    });
}

#[test]
fn a_suspended_pool_serves_nobody_until_it_goes_on() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(2).max_total(3));
        let (out, idle) = (
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        );
        drop(idle);
        pool.suspend();
        pool.suspend();
        assert!(pool.is_suspended() && !pool.is_closed());
        assert!(pool.try_acquire(&1).is_none());
        // Who waits in vain is told why.
        let late = pool
            .acquire_until(&1, Instant::now() + seconds(5))
            .await
            .unwrap_err();
        let AcquireError::TimedOut(timed_out) = &late else {
            panic!("{late:?}");
        };
        assert_eq!(timed_out.phase, AcquirePhase::Suspended);
        assert_eq!(
            late.to_string(),
            "no connection within 5s: the pool is suspended"
        );
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for (number, key) in [2, 1, 1, 1, 2].into_iter().enumerate() {
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                let lease = pool.acquire(&key).await.unwrap();
                order.lock().unwrap().push((number, lease.number));
                sleep(seconds(1)).await;
            });
            settle().await;
        }
        drop(out);
        settle().await;
        let metrics = pool.metrics();
        assert_eq!((metrics.idle, metrics.in_use, metrics.waiting), (2, 0, 5));
        assert_eq!(world.attempts.load(SeqCst), 2);
        pool.resume();
        assert!(!pool.is_suspended());
        settle().await;
        let mut first = order.lock().unwrap().clone();
        first.sort_unstable();
        // Those that lay there go to two of them, and one is made; the others stand in line as before.
        assert_eq!(first, [(0, 3), (1, 1), (2, 2)]);
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(order.lock().unwrap().len(), 5);
        // What is suspended can be closed, and what is closed is not suspended.
        pool.suspend();
        let closing = pool.clone();
        let waits = blitz_io::spawn(async move { pool.acquire(&9).await.map(drop) });
        settle().await;
        assert_eq!(closing.close(seconds(1)).await, 0);
        assert!(waits.await.unwrap().unwrap_err().is_closed());
        assert!(closing.is_closed() && !closing.is_suspended());
        closing.suspend();
        closing.resume();
        assert!(closing.is_closed());
    });
}
