//! Connections that are made by who asked for them.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use blitz_io::pool::{Acquired, CloseReason, Lease, Place, Pool};
use blitz_io::runtime::Handle;
use blitz_io::time::{Instant, sleep, timeout};

use super::{Conn, Server, World, ms, paused, pool_of, seconds, settle};

/// A connection that no task of the pool has made.
fn made(world: &Arc<World>, key: u32) -> Conn {
    let number = world.attempts.fetch_add(1, SeqCst) + 1;
    world.live.fetch_add(1, SeqCst);
    Conn {
        number,
        key,
        is_dead: false,
        is_dirty: false,
        world: Arc::clone(world),
    }
}

async fn place(pool: &Pool<Server>, key: u32) -> Place<Server> {
    match pool.acquire_or_place(&key, None).await.unwrap() {
        Acquired::Place(place) => place,
        Acquired::Lease(lease) => panic!("connection {} is there", lease.number),
    }
}

async fn lease(pool: &Pool<Server>, key: u32) -> Lease<Server> {
    match pool.acquire_or_place(&key, None).await.unwrap() {
        Acquired::Lease(lease) => lease,
        Acquired::Place(place) => panic!("there is none of {}", place.key()),
    }
}

#[test]
fn who_makes_its_connection_has_it_first_and_others_after_it() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let place = place(&pool, 1).await;
        let metrics = pool.metrics();
        assert_eq!((metrics.connecting, metrics.in_use), (1, 0));
        let first = place.fill(made(&world, 1));
        assert_eq!((first.number, first.key, first.uses()), (1, 1, 1));
        let metrics = pool.metrics();
        assert_eq!((metrics.connecting, metrics.in_use), (0, 1));
        drop(first);
        let second = lease(&pool, 1).await;
        assert_eq!((second.number, second.uses()), (1, 2));
        let metrics = pool.metrics();
        assert_eq!((metrics.created, metrics.acquired_direct), (1, 1));
        assert_eq!(world.attempts.load(SeqCst), 1, "the pool has made none");
    });
}

#[test]
fn a_pool_of_places_makes_none_by_itself() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.min_idle(2));
        drop(place(&pool, 1).await.fill(made(&world, 1)));
        drop(lease(&pool, 1).await);
        assert!(pool.try_acquire(&1).is_some());
        settle().await;
        assert_eq!(world.attempts.load(SeqCst), 1);
        // Once it is asked for one it does: two others are to be idle while that is out.
        drop(pool.acquire(&1).await.unwrap());
        settle().await;
        assert_eq!(world.attempts.load(SeqCst), 3);
    });
}

#[test]
fn places_are_within_the_limits_and_the_line() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(2).max_total(3));
        let (one, two) = (place(&pool, 1).await, place(&pool, 1).await);
        let other = place(&pool, 2).await;
        let got = Arc::new(Mutex::new(Vec::new()));
        for (name, key) in [("a", 1), ("b", 1), ("c", 2)] {
            let (pool, world, got) = (pool.clone(), Arc::clone(&world), Arc::clone(&got));
            blitz_io::spawn(async move {
                let lease = match pool.acquire_or_place(&key, None).await.unwrap() {
                    Acquired::Lease(lease) => lease,
                    Acquired::Place(place) => place.fill(made(&world, key)),
                };
                got.lock().unwrap().push((name, lease.number, lease.uses()));
                sleep(seconds(1)).await;
            });
            settle().await;
        }
        assert_eq!((pool.metrics().waiting, pool.metrics().connecting), (3, 3));
        // One that gives up makes room; one that succeeds comes back to the next.
        drop(one);
        settle().await;
        assert_eq!(*got.lock().unwrap(), [("a", 1, 1)]);
        drop(two.fill(made(&world, 1)));
        settle().await;
        assert_eq!(got.lock().unwrap()[1..], [("b", 2, 2)]);
        drop(other.fill(made(&world, 2)));
        settle().await;
        assert_eq!(got.lock().unwrap()[2..], [("c", 3, 2)]);
        sleep(seconds(2)).await;
        let metrics = pool.metrics();
        assert_eq!((metrics.size, metrics.idle, metrics.waiting), (3, 3, 0));
        assert_eq!((metrics.connects, metrics.connect_failures), (4, 1));
    });
}

#[test]
fn who_is_dropped_with_a_place_on_its_way_takes_none_along() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        let first = place(&pool, 1).await;
        let mut second = Box::pin(pool.acquire_or_place(&1, None));
        assert!(timeout(ms(1), second.as_mut()).await.is_err());
        // The place is the second's now, which never comes for it.
        drop(first);
        drop(second);
        assert_eq!(pool.metrics().size, 0);
        drop(place(&pool, 1).await.fill(made(&world, 1)));
        let late = pool.place(&1, Some(Instant::now() + seconds(1))).await;
        drop(late.unwrap());
        let held = place(&pool, 1).await;
        let late = pool.place(&1, Some(Instant::now() + seconds(1))).await;
        assert!(late.unwrap_err().is_timeout());
        drop(held);
        assert_eq!(pool.metrics().size, 0);
    });
}

#[test]
fn who_wants_a_new_one_gets_none_that_there_is() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(2));
        let one = place(&pool, 1).await.fill(made(&world, 1));
        drop(place(&pool, 1).await.fill(made(&world, 1)));
        // An idle one goes, since it is what is in the way.
        let new = pool.place(&1, None).await.unwrap();
        settle().await;
        assert_eq!(pool.metrics().closed(CloseReason::Evicted), 1);
        let three = new.fill(made(&world, 1));
        // So does one that comes back.
        let waiter = blitz_io::spawn({
            let pool = pool.clone();
            async move { pool.place(&1, None).await.map(drop) }
        });
        settle().await;
        assert_eq!(pool.metrics().waiting, 1);
        drop(one);
        waiter.await.unwrap().unwrap();
        settle().await;
        assert_eq!(pool.metrics().closed(CloseReason::Evicted), 2);
        drop(three);
        // Where there is room nothing has to go.
        drop(pool.place(&1, None).await.unwrap());
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (1, 1));
    });
}

#[test]
fn what_was_retired_while_it_was_made_is_not_kept() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let place = place(&pool, 1).await;
        pool.retire(&1);
        drop(place.fill(made(&world, 1)));
        assert_eq!(pool.metrics().closed(CloseReason::Retired), 1);
    });
}

#[test]
fn a_close_waits_for_places_and_lends_none() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder.max_per_key(1));
        let place = place(&pool, 1).await;
        let waiter = blitz_io::spawn({
            let pool = pool.clone();
            async move { pool.acquire_or_place(&1, None).await.map(drop) }
        });
        settle().await;
        assert_eq!(pool.close(seconds(1)).await, 0, "no connection is out");
        assert!(waiter.await.unwrap().unwrap_err().is_closed());
        drop(place.fill(made(&world, 1)));
        settle().await;
        assert_eq!((pool.metrics().size, world.live.load(SeqCst)), (0, 0));
        assert!(pool.place(&1, None).await.unwrap_err().is_closed());
    });
}

#[test]
fn idle_ones_are_dropped_and_others_left_alone() {
    paused(|| async {
        let (pool, world) = pool_of(|builder| builder);
        let held = pool.acquire(&1).await.unwrap();
        drop((pool.acquire(&1).await.unwrap(), pool.acquire(&2).await));
        settle().await;
        pool.drop_idle();
        settle().await;
        assert_eq!((pool.metrics().idle, world.live.load(SeqCst)), (0, 1));
        drop(held);
        assert_eq!(pool.metrics().idle, 1);
    });
}

#[test]
fn a_pool_with_nothing_to_look_after_has_no_task() {
    paused(|| async {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let (pool, _world) = pool_of(|builder| builder.idle_timeout(seconds(60)));
        settle().await;
        assert_eq!(tasks(), before);
        for _ in 0..2 {
            drop(pool.acquire(&1).await.unwrap());
            settle().await;
            assert_eq!(tasks(), before + 1, "the keeper");
            pool.drop_idle();
            settle().await;
            assert_eq!(tasks(), before);
        }
        drop(pool.acquire(&1).await.unwrap());
        sleep(seconds(62)).await;
        assert_eq!((pool.metrics().idle, tasks()), (0, before));
    });
}

#[test]
fn places_outlive_the_runtime_of_their_pool() {
    let runtime = || {
        blitz_io::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let first = runtime();
    let (pool, world) = first.block_on(async {
        let (pool, world) = pool_of(|builder| builder.idle_timeout(seconds(60)));
        drop(place(&pool, 1).await.fill(made(&world, 1)));
        settle().await;
        (pool, world)
    });
    drop(first);
    runtime().block_on(async {
        drop(lease(&pool, 1).await);
        assert_eq!(pool.metrics().idle, 1);
        sleep(seconds(62)).await;
        assert_eq!(pool.metrics().idle, 0, "another keeper has come");
        drop(place(&pool, 2).await.fill(made(&world, 2)));
        assert_eq!(pool.metrics().idle, 1);
    });
}
