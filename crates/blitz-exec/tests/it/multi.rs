//! Workers that steal.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::time::Duration;

use blitz_core::wake::in_turn;
use blitz_exec::blocking::{Pool, PoolConfig};
use blitz_exec::park::{Park, Unpark};
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::{Config, Hooks, block_in_place};
use blitz_exec::task::SpawnInfo;

use crate::fake::{FakePark, Token, wait, yield_now};

fn start(workers: usize, config: Config) -> (Arc<MultiThread>, Pool, Vec<Arc<Token>>) {
    let pool = Pool::new(PoolConfig::default());
    let (parks, tokens) = (0..workers).map(|_| FakePark::pair()).unzip();
    let scheduler = MultiThread::new(
        parks,
        Arc::new(Config { workers, ..config }),
        pool.spawner().clone(),
    );
    scheduler.start().unwrap();
    (scheduler, pool, tokens)
}

fn end(scheduler: &MultiThread, pool: &Pool, tokens: &[Arc<Token>]) {
    scheduler.shutdown();
    assert!(
        pool.shutdown(Some(Duration::from_secs(30))),
        "the workers end"
    );
    for token in tokens {
        assert_eq!(token.shutdowns.load(SeqCst), 1);
        assert!(!token.bound.load(SeqCst));
    }
    assert_eq!(scheduler.tasks_alive(), 0);
}

/// A task from outside wakes one worker, and that one no other. (Each wake was two: the second found nothing.)
#[test]
fn a_task_from_outside_wakes_one_worker() {
    const TASKS: usize = 500;
    let (scheduler, pool, tokens) = start(2, Config::default());
    for _ in 0..TASKS {
        assert!(wait(scheduler.spawn(async {}, SpawnInfo::here())).is_ok());
    }
    let parks: usize = tokens.iter().map(|token| token.parks.load(SeqCst)).sum();
    // The workers' first waits, and one after each wake.
    assert!(parks <= TASKS + tokens.len(), "{parks} waits");
    end(&scheduler, &pool, &tokens);
}

/// Whoever is robbed, in whatever order queues overflow: each task runs once.
#[test]
fn each_task_runs_once() {
    for config in [
        Config::default(),
        Config {
            disable_lifo_slot: true,
            ..Config::default()
        },
        Config {
            local_queue_len: 2,
            global_queue_interval: Some(1),
            event_interval: 1,
            ..Config::default()
        },
    ] {
        let (scheduler, pool, tokens) = start(4, config);
        let count = Arc::new(AtomicUsize::new(0));
        let (inner, counted) = (Arc::clone(&scheduler), Arc::clone(&count));
        let task = scheduler.spawn(
            async move {
                let tasks: Vec<_> = (0..5_000)
                    .map(|_| {
                        let counted = Arc::clone(&counted);
                        inner.spawn(
                            async move {
                                yield_now().await;
                                counted.fetch_add(1, SeqCst);
                            },
                            SpawnInfo::here(),
                        )
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            },
            SpawnInfo::here(),
        );
        wait(task).unwrap();
        assert_eq!(count.load(SeqCst), 5_000);
        end(&scheduler, &pool, &tokens);
    }
}

/// Who is woken runs next, before what waits in the queue; who is woken in turn runs behind it.
#[test]
fn who_is_woken_in_turn_goes_behind_the_others() {
    for (is_in_turn, order) in [(false, ["woken", "spawned"]), (true, ["spawned", "woken"])] {
        let (scheduler, pool, tokens) = start(1, Config::default());
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let place = Arc::new(std::sync::Mutex::new(None::<Waker>));
        let (slept, told, left) = (AtomicUsize::new(0), Arc::clone(&seen), Arc::clone(&place));
        let sleeper = scheduler.spawn(
            poll_fn(move |cx| {
                if slept.fetch_add(1, SeqCst) == 0 {
                    *left.lock().unwrap() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                told.lock().unwrap().push("woken");
                Poll::Ready(())
            }),
            SpawnInfo::here(),
        );
        let (inner, told) = (Arc::clone(&scheduler), Arc::clone(&seen));
        let waker = scheduler.spawn(
            async move {
                let sleeper = loop {
                    if let Some(sleeper) = place.lock().unwrap().take() {
                        break sleeper;
                    }
                    yield_now().await;
                };
                let spawned = inner.spawn(
                    async move { told.lock().unwrap().push("spawned") },
                    SpawnInfo::here(),
                );
                if is_in_turn {
                    in_turn(|| sleeper.wake());
                } else {
                    sleeper.wake();
                }
                spawned.await.unwrap();
            },
            SpawnInfo::here(),
        );
        wait(waker).unwrap();
        wait(sleeper).unwrap();
        assert_eq!(*seen.lock().unwrap(), order, "in turn: {is_in_turn}");
        end(&scheduler, &pool, &tokens);
    }
}

/// Tasks that wake each other through the slot let the queue have its turn.
#[test]
fn a_pair_that_wakes_each_other_starves_nobody() {
    let (scheduler, pool, tokens) = start(1, Config::default());
    let stop = Arc::new(AtomicUsize::new(0));
    let mut pair = Vec::new();
    let turn = Arc::new((
        AtomicUsize::new(0),
        std::sync::Mutex::new([None::<std::task::Waker>, None]),
    ));
    for me in 0..2 {
        let (stop, turn) = (Arc::clone(&stop), Arc::clone(&turn));
        pair.push(scheduler.spawn(
            std::future::poll_fn(move |cx| {
                let other = {
                    let mut wakers = turn.1.lock().unwrap();
                    wakers[me] = Some(cx.waker().clone());
                    wakers[1 - me].take()
                };
                turn.0.fetch_add(1, SeqCst);
                if let Some(other) = other {
                    other.wake();
                }
                if stop.load(SeqCst) == 1 {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            }),
            SpawnInfo::here(),
        ));
    }
    let stopped = Arc::clone(&stop);
    let inner = Arc::clone(&scheduler);
    let third = scheduler.spawn(
        async move {
            // From inside: it goes behind the pair.
            inner
                .spawn(async move { stopped.store(1, SeqCst) }, SpawnInfo::here())
                .await
                .unwrap();
        },
        SpawnInfo::here(),
    );
    wait(third).unwrap();
    for waker in turn.1.lock().unwrap().iter_mut().filter_map(Option::take) {
        waker.wake();
    }
    for task in pair {
        wait(task).unwrap();
    }
    end(&scheduler, &pool, &tokens);
}

/// Each worker's core, driver included, is held by one thread at a time, whoever blocks when.
#[test]
fn cores_are_held_by_one_thread_at_a_time() {
    let (scheduler, pool, tokens) = start(2, Config::default());
    let tasks: Vec<_> = (0..200)
        .map(|n: usize| {
            scheduler.spawn(
                async move {
                    for _ in 0..5 {
                        if n.is_multiple_of(3) {
                            block_in_place(std::thread::yield_now);
                        }
                        yield_now().await;
                    }
                },
                SpawnInfo::here(),
            )
        })
        .collect();
    for task in tasks {
        wait(task).unwrap();
    }
    end(&scheduler, &pool, &tokens);
}

/// A driver whose turns call what hands a core on, as a waker or the drop of a user's buffer may.
struct Blocks(Box<dyn Park>);

impl Park for Blocks {
    fn bind(&mut self) {
        self.0.bind();
    }

    fn unbind(&mut self) {
        self.0.unbind();
    }

    fn seize(&mut self) {
        self.0.seize();
    }

    fn park(&mut self) {
        self.0.park();
        block_in_place(|| ());
    }

    fn park_timeout(&mut self, limit: Duration) {
        self.0.park_timeout(limit);
        block_in_place(|| ());
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        self.0.unparker()
    }

    fn shutdown(&mut self) {
        self.0.shutdown();
    }
}

/// A core does not change hands in the middle of its driver's turn. (Its driver was dropped, and its worker went on without.)
#[test]
fn a_driver_s_turn_may_block_in_place() {
    let pool = Pool::new(PoolConfig::default());
    let (park, token) = FakePark::pair();
    let config = Config {
        workers: 1,
        event_interval: 1,
        ..Config::default()
    };
    let parks: Vec<Box<dyn Park>> = vec![Box::new(Blocks(park))];
    let scheduler = MultiThread::new(parks, Arc::new(config), pool.spawner().clone());
    scheduler.start().unwrap();
    for _ in 0..20 {
        let task = scheduler.spawn(yield_now(), SpawnInfo::here());
        wait(task).unwrap();
    }
    end(&scheduler, &pool, &[token]);
}

/// A hook that hands the core on before the wait: the heir sleeps in its place, and wakes come to it.
#[test]
fn a_hook_before_the_wait_may_block_in_place() {
    let hooks = Hooks {
        before_park: Some(Arc::new(|| {
            block_in_place(std::thread::yield_now);
        })),
        ..Hooks::default()
    };
    let (scheduler, pool, tokens) = start(
        2,
        Config {
            hooks,
            ..Config::default()
        },
    );
    for _ in 0..200 {
        let task = scheduler.spawn(yield_now(), SpawnInfo::here());
        wait(task).unwrap();
    }
    end(&scheduler, &pool, &tokens);
}
