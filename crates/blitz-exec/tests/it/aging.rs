//! Nobody waits for ever: what is less urgent has its turn on a scheduler that is saturated with all other classes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use blitz_exec::scheduler::{Config, Patience, aging};
use blitz_exec::task::{self, JoinHandle, Priority, SpawnInfo};

use crate::fake::{wait, yield_now};
use crate::priority::{Workers, info, single, spin};

/// Tasks that wake themselves for ever, in every class but one, and what each of that one's polls had to wait for.
struct Saturated {
    stop: AtomicBool,
    polls: AtomicUsize,
    /// The most polls of others between two of the observed task.
    longest: AtomicUsize,
}

const ROUNDS: usize = 50;

impl Saturated {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: AtomicBool::new(false),
            polls: AtomicUsize::new(0),
            longest: AtomicUsize::new(0),
        })
    }

    async fn busy(self: Arc<Self>) {
        while !self.stop.load(SeqCst) {
            self.polls.fetch_add(1, SeqCst);
            yield_now().await;
        }
    }

    async fn observe(self: Arc<Self>) {
        let mut before = None;
        for _ in 0..ROUNDS {
            let polls = self.polls.load(SeqCst);
            if let Some(before) = before.replace(polls) {
                self.longest.fetch_max(polls - before, SeqCst);
            }
            yield_now().await;
        }
        self.stop.store(true, SeqCst);
    }

    /// Spawns three busy tasks in each class but `observed`, and one that observes; it stops them in the end.
    fn spawn(
        self: &Arc<Self>,
        observed: Priority,
        spawn: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>, SpawnInfo) -> JoinHandle<()>,
    ) -> Vec<JoinHandle<()>> {
        let mut tasks = Vec::new();
        for priority in Priority::ALL {
            if priority != observed {
                tasks.extend(
                    (0..3).map(|_| spawn(Box::pin(Arc::clone(self).busy()), info(priority))),
                );
            }
        }
        tasks.push(spawn(Box::pin(Arc::clone(self).observe()), info(observed)));
        tasks
    }

    fn assert_bound(&self, observed: Priority, patience: &Patience) {
        let polls = match observed {
            // Others' shares: it is the first in all other cases.
            Priority::Critical => 0,
            Priority::High => patience.high,
            Priority::Normal => patience.normal,
            Priority::Low => patience.low,
        };
        let (longest, bound) = (self.longest.load(SeqCst), (polls + aging::SLACK) as usize);
        assert!(
            longest < bound,
            "{observed}: {longest} polls of others between two of it, {bound} at most: {patience:?}"
        );
    }
}

const PATIENCES: [Patience; 3] = [
    Patience {
        high: 8,
        normal: 16,
        low: 64,
    },
    Patience {
        high: 4,
        normal: 4,
        low: 4,
    },
    Patience {
        high: 300,
        normal: 5,
        low: 1_000,
    },
];

/// By counts, not by time: on a worker that is saturated with all other classes a task has its turn within its patience.
#[test]
fn no_class_starves_on_a_saturated_worker() {
    for patience in PATIENCES {
        for (event_interval, global_queue_interval, local_queue_len) in
            [(61, None, 256), (1, Some(1), 2)]
        {
            for observed in Priority::ALL {
                let workers = Workers::start(
                    1,
                    Config {
                        patience,
                        event_interval,
                        global_queue_interval,
                        local_queue_len,
                        ..Config::default()
                    },
                );
                let state = Saturated::new();
                let (scheduler, inner) = (Arc::clone(&workers.scheduler), Arc::clone(&state));
                // From inside, so that all of them are there from the beginning.
                let spawning =
                    workers.scheduler.spawn(
                        async move {
                            inner.spawn(observed, |future, info| scheduler.spawn(future, info))
                        },
                        SpawnInfo::here(),
                    );
                for task in wait(spawning).unwrap() {
                    wait(task).unwrap();
                }
                state.assert_bound(observed, &patience);
            }
        }
    }
}

#[test]
fn no_class_starves_on_one_saturated_thread() {
    for patience in PATIENCES {
        for event_interval in [61, 1] {
            for observed in Priority::ALL {
                let shared = single(Config {
                    patience,
                    event_interval,
                    ..Config::default()
                });
                let state = Saturated::new();
                shared.block_on(async {
                    let tasks = state.spawn(observed, |future, info| shared.spawn(future, info));
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
                // Busy normal tasks take turns with the root, which is not counted here, and is woken by no one meanwhile.
                state.assert_bound(observed, &patience);
                shared.shutdown();
            }
        }
    }
}

/// The future of `block_on` is normal: behind what is more urgent, ahead of what is low, and it does not starve.
#[test]
fn the_root_has_the_turns_of_a_normal_task() {
    for event_interval in [61, 3] {
        for (busy, low, high) in [(Priority::Critical, 0, 16 + 7), (Priority::Low, 0, 1)] {
            let shared = single(Config {
                event_interval,
                ..Config::default()
            });
            let state = Saturated::new();
            let mut between = Vec::new();
            shared.block_on(async {
                let tasks: Vec<_> = (0..3)
                    .map(|_| shared.spawn(Arc::clone(&state).busy(), info(busy)))
                    .collect();
                let mut before = 0;
                for _ in 0..100 {
                    yield_now().await;
                    let polls = state.polls.load(SeqCst);
                    between.push(polls - before);
                    before = polls;
                }
                state.stop.store(true, SeqCst);
                for task in tasks {
                    task.await.unwrap();
                }
            });
            let (least, most) = (between.iter().min(), between.iter().max());
            assert!(
                least >= Some(&low) && most <= Some(&high),
                "{busy}: {between:?}"
            );
            assert!(
                busy != Priority::Critical || between.iter().sum::<usize>() > 100 * 10,
                "what is critical goes ahead of the root: {between:?}"
            );
            assert!(
                busy != Priority::Low || between.iter().sum::<usize>() < 100 / 10,
                "the root goes ahead of what is low: {between:?}"
            );
            shared.shutdown();
        }
    }
}

/// Every worker is saturated with what is more urgent, and low tasks get on, those from outside too.
#[test]
fn low_tasks_get_on_while_every_worker_is_saturated() {
    for local_queue_len in [256, 2] {
        let workers = Workers::start(
            3,
            Config {
                local_queue_len,
                ..Config::default()
            },
        );
        let state = Saturated::new();
        let mut tasks: Vec<_> = [Priority::Critical, Priority::High, Priority::Normal]
            .into_iter()
            .flat_map(|priority| std::iter::repeat_n(priority, 12))
            .map(|priority| {
                workers
                    .scheduler
                    .spawn(Arc::clone(&state).busy(), info(priority))
            })
            .collect();
        spin("the load", || state.polls.load(SeqCst) > 1_000);
        let low: Vec<_> = (0..10)
            .map(|_| {
                let part = async {
                    for _ in 0..20 {
                        assert_eq!(task::priority(), Priority::Low);
                        yield_now().await;
                    }
                };
                workers.scheduler.spawn(part, info(Priority::Low))
            })
            .collect();
        for task in low {
            wait(task).unwrap();
        }
        state.stop.store(true, SeqCst);
        tasks.drain(..).for_each(|task| wait(task).unwrap());
    }
}

/// A worker that has only low tasks does not keep to them while another has normal ones to spare.
#[test]
fn low_tasks_do_not_hide_what_is_normal_elsewhere() {
    let workers = Workers::start(2, Config::default());
    let state = Saturated::new();
    let low: Vec<_> = (0..4)
        .map(|_| {
            workers
                .scheduler
                .spawn(Arc::clone(&state).busy(), info(Priority::Low))
        })
        .collect();
    spin("the low ones", || state.polls.load(SeqCst) > 100);
    let (scheduler, ran) = (
        Arc::clone(&workers.scheduler),
        Arc::new(AtomicUsize::new(0)),
    );
    let task = workers.scheduler.spawn(
        async move {
            // The last one stays in the slot.
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    scheduler.spawn(
                        async move {
                            ran.fetch_add(1, SeqCst);
                        },
                        SpawnInfo::here(),
                    )
                })
                .collect();
            spin("the other worker", || ran.load(SeqCst) == 4);
            tasks
        },
        SpawnInfo::here(),
    );
    for task in wait(task).unwrap() {
        wait(task).unwrap();
    }
    state.stop.store(true, SeqCst);
    for task in low {
        wait(task).unwrap();
    }
}
