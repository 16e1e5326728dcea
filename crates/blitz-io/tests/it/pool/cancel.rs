//! Acquires that are dropped, at every poll and at random: no connection, place in a line or wake is lost.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blitz_io::task::{JoinSet, yield_now};
use blitz_io::time::{Instant, sleep, timeout};

use super::{Act, ms, paused, pool_of, seconds, set};
use crate::harness::{Flavor, each_case, run};

/// What happens around the one that is dropped; in between it is polled.
const STEPS: usize = 4;

/// A wait for an idle connection that has to be checked, which fails, and for the next, which is made; dropped after each number of
/// polls at each step. Afterwards another gets a connection, and nothing is counted that is not there.
#[test]
fn wherever_an_acquire_is_dropped_the_next_gets_a_connection() {
    paused(|| async {
        for (check, connect) in [
            (Act::Well, Act::Well),
            (Act::After(5), Act::After(5)),
            (Act::Fails, Act::After(5)),
        ] {
            for max in [1, 2] {
                for drop_at in 0..=STEPS {
                    for polls in 0..4 {
                        play(check, connect, max, drop_at, polls).await;
                    }
                }
            }
        }
    });
}

async fn play(check: Act, connect: Act, max: usize, drop_at: usize, polls: usize) {
    let (pool, world) = pool_of(|builder| builder.max_per_key(max));
    let mut held = Some(pool.acquire(&1).await.unwrap());
    set(&world.check, check);
    set(&world.connect, connect);
    {
        let mut victim = pin!(pool.acquire(&1));
        let mut is_over = false;
        for step in 0..=drop_at {
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                if !is_over && let Poll::Ready(lease) = victim.as_mut().poll(&mut cx) {
                    drop(lease.unwrap());
                    is_over = true;
                }
            }
            match step {
                0 => sleep(ms(1)).await,
                // It comes back, and is idle for long if nobody takes it.
                1 => drop(held.take()),
                2 => sleep(seconds(1)).await,
                _ => sleep(ms(5)).await,
            }
        }
    }
    drop(held);
    set(&world.check, Act::Well);
    let leases = timeout(seconds(5), async {
        let mut leases = Vec::new();
        for _ in 0..max {
            leases.push(pool.acquire(&1).await.unwrap());
        }
        leases
    });
    let leases = leases.await.unwrap_or_else(|_| {
        panic!("lost: {check:?} {connect:?} {max} {drop_at} {polls}: {pool:?}")
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.in_use, metrics.waiting, metrics.idle), (max, 0, 0));
    assert_eq!(metrics.size, max);
    drop(leases);
    assert_eq!(pool.close(seconds(60)).await, 0);
    assert_eq!(world.live.load(SeqCst), 0);
}

/// One in the line goes: those behind it move up, and what it was given goes to the next.
#[test]
fn who_leaves_the_line_takes_nothing_along() {
    paused(|| async {
        let (pool, _) = pool_of(|builder| builder.max_per_key(1));
        let held = pool.acquire(&1).await.unwrap();
        let mut first = Box::pin(pool.acquire(&1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        let mut second = Box::pin(pool.acquire(&1));
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert_eq!(pool.metrics().waiting, 2);
        // The first has been given it and has not come for it.
        drop(held);
        assert_eq!(pool.metrics().waiting, 1);
        drop(first);
        assert_eq!(second.await.unwrap().number, 1);
        assert_eq!(pool.metrics().waiting, 0);
    });
}

/// The same at random, with threads: tasks that come, wait, are cut off and give back well or badly.
#[test]
fn no_connection_is_lost_in_a_crowd() {
    each_case(&[Flavor::MultiThread, Flavor::CurrentThread], |case| {
        let runtime = case.runtime();
        run(&runtime, async {
            let (pool, world) = pool_of(|builder| {
                builder
                    .max_per_key(2)
                    .max_total(3)
                    .check_after(Duration::ZERO)
            });
            let mut tasks = JoinSet::new();
            for task in 0..24_u32 {
                let pool = pool.clone();
                tasks.spawn(async move {
                    let mut state = task + 1;
                    for round in 0..150_u32 {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let (key, chance) = (state >> 8 & 1, state >> 16 & 15);
                        let wait = if chance < 6 {
                            Duration::from_micros(u64::from(chance) * 30)
                        } else {
                            seconds(50)
                        };
                        let Ok(mut lease) = pool.acquire_until(&key, Instant::now() + wait).await
                        else {
                            continue;
                        };
                        assert_eq!(lease.key, key);
                        match round % 16 {
                            0 => lease.discard(),
                            1 => lease.is_dirty = true,
                            2 => drop(lease.detach()),
                            _ => yield_now().await,
                        }
                    }
                });
            }
            tasks.join_all().await;
            // Who resets brings back what is left.
            let mut all = Vec::new();
            for _ in 0..2 {
                all.push(pool.acquire(&0).await.unwrap());
            }
            all.push(pool.acquire(&1).await.unwrap());
            let metrics = pool.metrics();
            assert_eq!(
                (metrics.in_use, metrics.waiting, metrics.size),
                (3, 0, 3),
                "{metrics:?}"
            );
            drop(all);
            assert_eq!(pool.close(seconds(50)).await, 0);
            assert_eq!(world.live.load(SeqCst), 0);
            let closed = pool.metrics().closed_total();
            assert_eq!(
                pool.metrics().created,
                closed,
                "each that was made was closed"
            );
        });
    });
}
