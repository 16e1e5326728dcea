//! Servers that are down, slow or broken: nobody is stranded, and nothing is tried too often.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use blitz_io::pool::{AcquireError, AcquirePhase, CloseReason, ConnectError};
use blitz_io::task::JoinSet;
use blitz_io::time::{Instant, sleep};

use super::{Act, Refused, ms, paused, pool_of, seconds, set, settle};

#[test]
fn a_server_that_is_down_is_tried_by_one_and_less_and_less_often() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.acquire_timeout(seconds(60)));
        set(&world.connect, Act::Fails);
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let pool = pool.clone();
            tasks.spawn(async move { pool.acquire(&1).await.map(|lease| lease.number) });
        }
        for error in tasks.join_all().await.into_iter().map(Result::unwrap_err) {
            let AcquireError::TimedOut(why) = &error else {
                panic!("{error}")
            };
            assert_eq!((why.waited.as_secs(), why.phase), (60, AcquirePhase::Wait));
            assert!(matches!(
                why.last.as_deref(),
                Some(ConnectError::Failed(Refused))
            ));
            assert!(error.to_string().contains("connecting fails"), "{error}");
            let cause = error.source().and_then(Error::source).unwrap();
            assert!(cause.is::<Refused>());
        }
        // Up to eight begin together; then one at a time, from 100 ms to 10 s apart.
        let attempts = world.attempts.load(SeqCst);
        assert!((1 + 7..=8 + 20).contains(&attempts), "{attempts} attempts");
        assert_eq!(pool.metrics().connect_failures as usize, attempts);
        assert_eq!((pool.metrics().size, pool.metrics().waiting), (0, 0));
    });
}

#[test]
fn who_waits_is_served_when_the_server_is_back() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        set(&world.connect, Act::Fails);
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let pool = pool.clone();
            tasks.spawn(async move {
                let lease = pool.acquire(&1).await.unwrap();
                sleep(ms(1)).await;
                drop(lease);
            });
        }
        sleep(seconds(5)).await;
        assert_eq!(pool.metrics().waiting, 8);
        set(&world.connect, Act::Well);
        tasks.join_all().await;
        assert!(pool.metrics().created <= 8);
        // It is forgotten that it was down.
        let created = pool.metrics().created;
        let held: Vec<_> = [pool.acquire(&1).await, pool.acquire(&1).await].into();
        assert!(held.iter().all(Result::is_ok));
        assert!(pool.metrics().created >= created);
    });
}

#[test]
fn an_error_that_lasts_is_told_at_once_to_one_for_each_attempt() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(2));
        world.lasting.store(true, SeqCst);
        set(&world.connect, Act::Fails);
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let pool = pool.clone();
            tasks.spawn(async move { pool.acquire(&1).await.map(|lease| lease.number) });
        }
        for error in tasks.join_all().await.into_iter().map(Result::unwrap_err) {
            assert!(matches!(
                error.connect_error(),
                Some(ConnectError::Failed(Refused))
            ));
            let AcquireError::Connect(error) = error else {
                panic!("{error}")
            };
            assert!(Arc::into_inner(error).is_some(), "it is the caller's own");
        }
        assert!(begun.elapsed() < ms(1));
        assert_eq!(world.attempts.load(SeqCst), 10);
        set(&world.connect, Act::Well);
        drop(pool.acquire(&1).await.unwrap());
    });
}

#[test]
fn a_connect_that_hangs_is_cut_off() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.connect_timeout(seconds(2)));
        world.lasting.store(true, SeqCst);
        set(&world.connect, Act::Hangs);
        let begun = Instant::now();
        let error = pool.acquire(&1).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 2);
        assert!(
            matches!(error.connect_error(), Some(ConnectError::TimedOut(after)) if *after == seconds(2))
        );
        assert_eq!(world.connecting.load(SeqCst), 0, "it was dropped");
    });
}

#[test]
fn a_connect_that_panics_is_a_failure_like_others() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        set(&world.connect, Act::Panics);
        let (lease, ()) = blitz_io::join!(pool.acquire(&1), async {
            sleep(ms(500)).await;
            set(&world.connect, Act::Well);
        });
        drop(lease.unwrap());
        let metrics = pool.metrics();
        assert!(metrics.connect_failures > 0);
        assert_eq!((metrics.created, metrics.size), (1, 1));
    });
}

#[test]
fn one_key_that_is_down_holds_up_no_other() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_total(1));
        set(&world.connect, Act::Fails);
        let (down, up) = blitz_io::join!(
            pool.acquire_until(&1, Instant::now() + seconds(20)),
            async {
                sleep(ms(10)).await;
                // The other key's pause takes no place.
                set(&world.connect, Act::After(1));
                let lease = pool.acquire(&2).await.unwrap();
                set(&world.connect, Act::Fails);
                sleep(seconds(30)).await;
                lease.number
            }
        );
        assert!(down.unwrap_err().is_timeout());
        assert!(up > 0);
    });
}

#[test]
fn an_idle_one_is_checked_before_it_is_handed_out_if_nobody_knows_whether_it_works() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        drop(pool.acquire(&1).await.unwrap());
        sleep(ms(400)).await;
        drop(pool.acquire(&1).await.unwrap());
        assert_eq!(world.checks.load(SeqCst), 0, "it worked 400 ms ago");
        sleep(ms(600)).await;
        assert!(
            pool.try_acquire(&1).is_none(),
            "what does not wait cannot check"
        );
        drop(pool.acquire(&1).await.unwrap());
        assert_eq!(world.checks.load(SeqCst), 1);
        sleep(ms(600)).await;
        set(&world.check, Act::Fails);
        assert_eq!(pool.acquire(&1).await.unwrap().number, 2);
        assert_eq!(pool.metrics().closed(CloseReason::CheckFailed), 1);
        sleep(ms(600)).await;
        set(&world.check, Act::Hangs);
        let begun = Instant::now();
        assert_eq!(pool.acquire(&1).await.unwrap().number, 3);
        assert_eq!(begun.elapsed().as_secs(), 5, "the check's own time");
        sleep(ms(600)).await;
        let error = pool
            .acquire_until(&1, Instant::now() + seconds(1))
            .await
            .unwrap_err();
        let AcquireError::TimedOut(why) = error else {
            panic!("{error}")
        };
        assert_eq!(why.phase, AcquirePhase::Check);
        settle().await;
        assert_eq!((pool.metrics().size, world.live.load(SeqCst)), (0, 0));
    });
}

#[test]
fn one_that_is_dead_is_not_handed_out_nor_kept() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let mut lease = pool.acquire(&1).await.unwrap();
        lease.is_dead = true;
        drop(lease);
        assert_eq!(pool.metrics().idle, 0);
        let second = pool.acquire(&1).await.unwrap();
        assert_eq!(
            (second.number, pool.metrics().closed(CloseReason::Broken)),
            (2, 1)
        );
        settle().await;
        assert_eq!(world.live.load(SeqCst), 1);
    });
}

#[test]
fn who_finds_a_bad_one_keeps_its_place() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        drop(pool.acquire(&1).await.unwrap());
        sleep(seconds(1)).await;
        set(&world.check, Act::Hangs);
        let order = std::sync::Mutex::new(Vec::new());
        let take = async |name, after| {
            sleep(ms(after)).await;
            let lease = pool.acquire(&1).await.unwrap();
            order.lock().unwrap().push(name);
            sleep(ms(1)).await;
            drop(lease);
        };
        // The first has the idle one, and its check fails while the second waits.
        blitz_io::join!(take("first", 0), take("second", 100));
        assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    });
}

#[test]
fn what_is_dirty_is_reset_before_the_next_has_it() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        set(&world.reset, Act::After(50));
        let mut lease = pool.acquire(&1).await.unwrap();
        lease.is_dirty = true;
        drop(lease);
        let begun = Instant::now();
        let mut lease = pool.acquire(&1).await.unwrap();
        assert_eq!((lease.number, lease.is_dirty), (1, false));
        assert_eq!((begun.elapsed(), world.resets.load(SeqCst)), (ms(50), 1));
        set(&world.reset, Act::Hangs);
        lease.is_dirty = true;
        drop(lease);
        let begun = Instant::now();
        assert_eq!(pool.acquire(&1).await.unwrap().number, 2);
        assert_eq!(begun.elapsed().as_secs(), 5);
    });
}

#[test]
fn the_last_step_before_a_new_one_is_handed_out_may_fail() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        set(&world.before, Act::Fails);
        let error = pool.acquire(&1).await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        set(&world.before, Act::Well);
        drop(pool.acquire(&1).await.unwrap());
        assert_eq!(pool.metrics().closed(CloseReason::CheckFailed), 1);
        assert_eq!(world.attempts.load(SeqCst), 2);
    });
}
