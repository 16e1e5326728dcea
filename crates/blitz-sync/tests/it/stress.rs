//! Many threads, and waits that are dropped at random: the numbers come out right.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use blitz_sync::{Mutex, Semaphore};
use futures::executor::block_on;
use futures::future::{Either, select};

use crate::harness::Hand;

const THREADS: usize = 4;
const ROUNDS: usize = 5_000;

/// Never more inside than permits, and all permits there at the end, though a third of the waits is dropped.
#[test]
fn permits_hold_under_threads_that_give_up() {
    let semaphore = Semaphore::new(2);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (semaphore, inside) = (&semaphore, &inside);
            scope.spawn(move || {
                let mut random = seed as u64 + 1;
                for _ in 0..ROUNDS {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let count = 1 + (random >> 40) as u32 % 2;
                    if (random >> 50).is_multiple_of(3) {
                        let mut wait = Hand::new(semaphore.acquire_many(count));
                        let _ = wait.poll();
                        continue;
                    }
                    let permit = block_on(semaphore.acquire_many(count)).unwrap();
                    let now = inside.fetch_add(count as usize, SeqCst) + count as usize;
                    assert!(now <= 2);
                    inside.fetch_sub(count as usize, SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(semaphore.available_permits(), 2);
}

/// Two waits for one lock race in each round; the loser is dropped wherever it stands.
#[test]
fn a_lock_survives_races_that_drop_the_loser() {
    let mutex = Mutex::new(0usize);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    block_on(async {
                        let (one, other) = (mutex.lock(), mutex.lock());
                        let (one, other) = (std::pin::pin!(one), std::pin::pin!(other));
                        match select(one, other).await {
                            Either::Left((mut guard, _)) | Either::Right((mut guard, _)) => {
                                *guard += 1
                            }
                        }
                    });
                }
            });
        }
    });
    assert_eq!(mutex.into_inner(), THREADS * ROUNDS);
}
