//! Many threads, and waits that are dropped at random: the numbers come out right.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;

use blitz_core::budget;
use blitz_sync::{Mutex, Semaphore, mpmc, mpsc};
use futures::executor::block_on;
use futures::future::{Either, select};

use crate::harness::Hand;

const THREADS: usize = 4;
const ROUNDS: usize = if cfg!(miri) { 20 } else { 5_000 };

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

/// Numbers that look like chance, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }

    /// Waits for a few polls at most, of which some are for nothing and some find no budget. `None` if that was too little.
    async fn fickle<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut polls = 1 + self.below(4);
        poll_fn(|cx| {
            if polls == 0 {
                // Also where it was woken, and does not look.
                return Poll::Ready(None);
            }
            polls -= 1;
            let is_tired = self.below(4) == 0;
            let polled = if is_tired {
                budget::with_budget(|| {
                    let mut none = Context::from_waker(Waker::noop());
                    while let Poll::Ready(coop) = budget::poll_proceed(&mut none) {
                        coop.made_progress();
                    }
                    future.as_mut().poll(cx)
                })
            } else {
                future.as_mut().poll(cx)
            };
            if polled.is_pending() && self.below(2) == 0 {
                cx.waker().wake_by_ref();
            }
            polled.map(Some)
        })
        .await
    }
}

/// What was sent is received, once and in each sender's order, and all room is there at the end, whoever gives up.
#[test]
fn nothing_is_lost_in_a_channel_whose_ends_give_up() {
    for room in [1, 3, 40] {
        let (sender, mut receiver) = mpsc::channel::<(usize, usize)>(room);
        thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|number| {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let mut random = Random(number as u64);
                        let mut sent = Vec::new();
                        for value in (0..ROUNDS).map(|count| (number, count)) {
                            let is_sent = block_on(async {
                                match random.below(4) {
                                    0 => sender.send(value).await.is_ok(),
                                    1 => random
                                        .fickle(sender.send(value))
                                        .await
                                        .is_some_and(|sent| sent.is_ok()),
                                    2 => sender.try_send(value).is_ok(),
                                    _ => match random.fickle(sender.reserve()).await {
                                        Some(Ok(permit)) if random.below(2) == 0 => {
                                            permit.send(value);
                                            true
                                        }
                                        _ => false,
                                    },
                                }
                            });
                            if is_sent {
                                sent.push(value);
                            }
                        }
                        sent
                    })
                })
                .collect();
            drop(sender);
            let mut random = Random(THREADS as u64);
            let mut received = vec![Vec::new(); THREADS];
            block_on(async {
                loop {
                    let value = match random.below(2) {
                        0 => receiver.recv().await,
                        _ => match random.fickle(receiver.recv()).await {
                            Some(value) => value,
                            None => continue,
                        },
                    };
                    let Some(value) = value else { break };
                    received[value.0].push(value);
                }
            });
            for (sender, received) in senders.into_iter().zip(received) {
                assert_eq!(sender.join().unwrap(), received);
            }
        });
        assert_eq!(receiver.capacity(), room);
    }
}

/// The same where there are many receivers, each of which gets some.
#[test]
fn nothing_is_lost_between_many_who_give_up() {
    for (sender, receiver) in [
        mpmc::channel(1),
        mpmc::channel(7),
        mpmc::unbounded_channel(),
    ] {
        let (sent, received) = thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|number| {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let mut random = Random(number as u64);
                        let mut sent = Vec::new();
                        for value in (0..ROUNDS).map(|count| count * THREADS + number) {
                            let is_sent = block_on(async {
                                match random.below(3) {
                                    0 => sender.send(value).await.is_ok(),
                                    1 => random
                                        .fickle(sender.send(value))
                                        .await
                                        .is_some_and(|sent| sent.is_ok()),
                                    _ => sender.try_send(value).is_ok(),
                                }
                            });
                            if is_sent {
                                sent.push(value);
                            }
                        }
                        sent
                    })
                })
                .collect();
            drop(sender);
            let receivers: Vec<_> = (THREADS..2 * THREADS)
                .map(|number| {
                    let receiver = receiver.clone();
                    scope.spawn(move || {
                        let mut random = Random(number as u64);
                        let mut received = Vec::new();
                        block_on(async {
                            loop {
                                let value = match random.below(2) {
                                    0 => receiver.recv().await,
                                    _ => match random.fickle(receiver.recv()).await {
                                        Some(value) => value,
                                        None => continue,
                                    },
                                };
                                let Some(value) = value else { break };
                                received.push(value);
                            }
                        });
                        received
                    })
                })
                .collect();
            let all = |threads: Vec<thread::ScopedJoinHandle<'_, Vec<usize>>>| {
                let mut values: Vec<_> = threads
                    .into_iter()
                    .flat_map(|thread| thread.join().unwrap())
                    .collect();
                values.sort_unstable();
                values
            };
            (all(senders), all(receivers))
        });
        assert!(sent == received, "{} and {}", sent.len(), received.len());
    }
}
