//! How old connections grow, how many are kept, and who has had one for too long.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use blitz_io::pool::{AcquireError, CloseReason};
use blitz_io::time::{Instant, sleep};

use super::{Act, ms, paused, pool_of, seconds, set, settle};

#[test]
fn what_is_idle_for_too_long_goes() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.idle_timeout(seconds(10)));
        let held: Vec<_> = [pool.acquire(&1).await, pool.acquire(&2).await].into();
        drop(held);
        sleep(ms(9900)).await;
        assert_eq!(world.live.load(SeqCst), 2);
        drop(pool.acquire(&2).await.unwrap());
        sleep(ms(400)).await;
        assert_eq!((world.live.load(SeqCst), pool.metrics().keys), (1, 1));
        sleep(seconds(10)).await;
        assert_eq!((world.live.load(SeqCst), pool.metrics().keys), (0, 0));
        assert_eq!(pool.metrics().closed(CloseReason::IdleTimeout), 2);
        assert_eq!(world.closed_well.load(SeqCst), 2);
    });
}

#[test]
fn what_is_too_old_goes_a_little_before_its_time_and_not_all_at_once() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_age(seconds(100)).max_per_key(20));
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(pool.acquire(&1).await.unwrap());
        }
        let in_use = held.pop();
        drop(held);
        sleep(seconds(89)).await;
        assert_eq!(world.live.load(SeqCst), 20);
        sleep(seconds(6)).await;
        let half = world.live.load(SeqCst);
        assert!((2..=19).contains(&half), "{half} are left in the middle");
        sleep(seconds(7)).await;
        assert_eq!(world.live.load(SeqCst), 1);
        assert_eq!(pool.metrics().closed(CloseReason::MaxAge), 19);
        // One that is out goes when it comes back.
        drop(in_use);
        settle().await;
        assert_eq!((world.live.load(SeqCst), pool.metrics().idle), (0, 0));
    });
}

#[test]
fn idle_ones_are_asked_whether_they_are_there() {
    paused(|| async {
        let (pool, world) =
            pool_of(|builder| builder.keepalive(seconds(30)).idle_timeout(seconds(100)));
        drop(pool.acquire(&1).await.unwrap());
        sleep(seconds(95)).await;
        let checks = world.checks.load(SeqCst);
        assert!((3..=4).contains(&checks), "{checks}");
        sleep(seconds(10)).await;
        assert_eq!(
            world.live.load(SeqCst),
            0,
            "a check is no use: it was idle all the time"
        );
        drop(pool.acquire(&1).await.unwrap());
        set(&world.check, Act::Fails);
        sleep(seconds(32)).await;
        assert_eq!(
            (
                world.live.load(SeqCst),
                pool.metrics().closed(CloseReason::CheckFailed)
            ),
            (0, 1)
        );
    });
}

#[test]
fn who_comes_during_a_check_gets_the_connection_after_it() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.keepalive(seconds(30)).max_per_key(1));
        drop(pool.acquire(&1).await.unwrap());
        set(&world.check, Act::After(1000));
        while world.checks.load(SeqCst) == 0 {
            sleep(ms(100)).await;
        }
        assert_eq!((pool.metrics().idle, pool.metrics().size), (0, 1));
        let begun = Instant::now();
        assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
        assert!(
            (ms(800)..ms(1100)).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
    });
}

#[test]
fn some_are_kept_idle_and_replaced() {
    paused(|| async {
        let (pool, world) =
            pool_of(|builder| builder.min_idle(3).max_per_key(5).idle_timeout(seconds(10)));
        settle().await;
        assert_eq!(world.live.load(SeqCst), 0, "no key is known");
        pool.warm_up(&1).await.unwrap();
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (3, 3));
        sleep(seconds(60)).await;
        assert_eq!(
            (world.live.load(SeqCst), world.attempts.load(SeqCst)),
            (3, 3),
            "they stay"
        );
        let lease = pool.acquire(&1).await.unwrap();
        settle().await;
        assert_eq!((pool.metrics().idle, pool.metrics().size), (3, 4));
        lease.discard();
        let leases = [
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        ];
        settle().await;
        assert_eq!(
            (pool.metrics().idle, pool.metrics().size),
            (2, 5),
            "no more than the limit"
        );
        drop(leases);
        sleep(seconds(30)).await;
        assert_eq!(
            (pool.metrics().idle, pool.metrics().size),
            (3, 3),
            "what is beyond them grows old"
        );
    });
}

#[test]
fn a_warm_up_tells_the_first_failure() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.min_idle(2).acquire_timeout(seconds(3)));
        set(&world.connect, Act::Fails);
        let begun = Instant::now();
        let error = pool.warm_up(&1).await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        assert!(begun.elapsed() < ms(1));
        // The pool goes on to try; then they are there.
        set(&world.connect, Act::Well);
        sleep(seconds(1)).await;
        assert_eq!(pool.metrics().idle, 2);
        pool.warm_up(&1).await.unwrap();
        set(&world.connect, Act::Hangs);
        let error = pool.warm_up(&2).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
    });
}

#[test]
fn a_warm_up_of_none_is_over_at_once() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        pool.warm_up(&1).await.unwrap();
        assert_eq!((pool.metrics().keys, world.attempts.load(SeqCst)), (0, 0));
    });
}

#[test]
fn more_idle_ones_than_allowed_are_not_kept() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_idle_per_key(1).min_idle(2));
        drop([
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        ]);
        settle().await;
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (1, 1));
    });
}

#[test]
fn what_is_retired_is_not_handed_out_any_more() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let (out, idle) = (
            pool.acquire(&1).await.unwrap(),
            pool.acquire(&1).await.unwrap(),
        );
        let other = pool.acquire(&2).await.unwrap();
        drop(idle);
        pool.retire(&1);
        settle().await;
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (0, 2));
        drop(out);
        drop(other);
        assert_eq!(pool.metrics().closed(CloseReason::Retired), 2);
        assert_eq!(pool.acquire(&2).await.unwrap().number, 3);
        assert_eq!(pool.acquire(&1).await.unwrap().number, 4);
        // So is what was on its way.
        set(&world.connect, Act::After(100));
        let (lease, ()) = blitz_io::join!(pool.acquire(&3), async {
            sleep(ms(50)).await;
            pool.retire_all();
        });
        assert_eq!(lease.unwrap().number, 6);
    });
}

#[test]
fn who_has_one_for_too_long_is_told_of_once_with_its_line() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.leak_after(seconds(20)));
        let line = line!() + 1;
        let leaked = pool.acquire(&1).await.unwrap();
        sleep(seconds(19)).await;
        assert_eq!(pool.metrics().leaks, 0);
        let fine = pool.acquire(&1).await.unwrap();
        sleep(seconds(2)).await;
        assert_eq!(pool.metrics().leaks, 1);
        drop(fine);
        sleep(seconds(60)).await;
        assert_eq!(pool.metrics().leaks, 1);
        let holders = pool.holders();
        assert_eq!(holders.len(), 1);
        assert_eq!((holders[0].0.as_secs(), holders[0].1.line()), (81, line));
        drop(leaked);
        assert!(pool.holders().is_empty());
    });
}

#[test]
fn leaks_and_slow_acquires_are_in_the_log() {
    let kept = crate::events::Kept::default();
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .start_paused(true)
        .build()
        .unwrap();
    let _default = tracing::subscriber::set_default(kept.clone());
    let line = Arc::new(Mutex::new(0));
    runtime.block_on(async {
        let (pool, _) = pool_of(|builder| {
            builder
                .name("records")
                .max_per_key(1)
                .leak_after(seconds(20))
        });
        *line.lock().unwrap() = line!() + 1;
        let leaked = pool.acquire(&1).await.unwrap();
        let (lease, ()) = blitz_io::join!(pool.acquire(&1), async {
            sleep(seconds(25)).await;
            drop(leaked);
        });
        drop(lease.unwrap());
    });
    let place = format!("life.rs:{}", line.lock().unwrap());
    assert!(
        kept.has(&["WARN", "is it leaked", "pool=\"records\"", &place]),
        "{kept:?}"
    );
    assert!(
        kept.has(&["WARN", "long in coming", "pool=\"records\"", "waiting=0"]),
        "{kept:?}"
    );
}
