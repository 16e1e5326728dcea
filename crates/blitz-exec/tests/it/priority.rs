//! Which task runs next: the most urgent, here, in another's queue and from outside.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use blitz_exec::blocking::{Pool, PoolConfig};
use blitz_exec::scheduler::local::LocalSet;
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::single::Shared;
use blitz_exec::scheduler::{Config, Patience};
use blitz_exec::task::{self, JoinHandle, Priority, SpawnInfo};

use crate::fake::{FakePark, wait, yield_now};

/// Long enough for a busy machine.
const GUARD: Duration = Duration::from_secs(30);

pub(crate) fn single(config: Config) -> Arc<Shared> {
    Shared::new(0, FakePark::pair().0, Arc::new(config))
}

/// Workers that run until this is dropped.
pub(crate) struct Workers {
    pub(crate) scheduler: Arc<MultiThread>,
    pool: Pool,
}

impl Workers {
    pub(crate) fn start(workers: usize, config: Config) -> Self {
        let pool = Pool::new(PoolConfig::default());
        let parks = (0..workers).map(|_| FakePark::pair().0).collect();
        let config = Arc::new(Config { workers, ..config });
        let scheduler = MultiThread::new(parks, config, pool.spawner().clone());
        scheduler.start().unwrap();
        Self { scheduler, pool }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.scheduler.shutdown();
        assert!(self.pool.shutdown(Some(GUARD)), "the workers end");
        assert_eq!(self.scheduler.tasks_alive(), 0);
        assert_eq!(self.scheduler.injector_len(), 0);
    }
}

/// Spins until `done`, which another thread brings about.
pub(crate) fn spin(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < GUARD, "{what}: waited for too long");
        std::thread::yield_now();
    }
}

pub(crate) fn info(priority: Priority) -> SpawnInfo {
    SpawnInfo::here().with_priority(priority)
}

/// What is spawned in reverse, and the order in which it is to run.
const ORDER: [&str; 8] = [
    "urgent", "urgent", "critical", "critical", "high", "normal", "low", "low",
];

fn of_name(name: &str) -> SpawnInfo {
    match name {
        "urgent" => SpawnInfo::here().urgent(),
        "critical" => info(Priority::Critical),
        "high" => info(Priority::High),
        "low" => info(Priority::Low),
        _ => SpawnInfo::here(),
    }
}

/// Spawns one task for each name of [`ORDER`], the last name first; answers in which order they ran.
async fn order_of_run(
    spawn: impl Fn(Box<dyn FnOnce() + Send>, SpawnInfo) -> JoinHandle<()>,
) -> Vec<&'static str> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = ORDER
        .into_iter()
        .rev()
        .map(|name| {
            let order = Arc::clone(&order);
            spawn(
                Box::new(move || order.lock().unwrap().push(name)),
                of_name(name),
            )
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    order.clone()
}

#[test]
fn one_thread_takes_the_most_urgent_first() {
    let shared = single(Config::default());
    let spawner = Arc::clone(&shared);
    let order = shared.block_on(order_of_run(move |run, info| {
        spawner.spawn(async move { run() }, info)
    }));
    assert_eq!(order, ORDER);
    shared.shutdown();
}

#[test]
fn a_worker_takes_the_most_urgent_first() {
    for disable_lifo_slot in [false, true] {
        let workers = Workers::start(
            1,
            Config {
                disable_lifo_slot,
                ..Config::default()
            },
        );
        let spawner = Arc::clone(&workers.scheduler);
        let task = workers.scheduler.spawn(
            order_of_run(move |run, info| spawner.spawn(async move { run() }, info)),
            SpawnInfo::here(),
        );
        assert_eq!(wait(task).unwrap(), ORDER);
    }
}

#[test]
fn a_set_takes_the_most_urgent_first() {
    let set = LocalSet::new();
    let mut root = std::pin::pin!(order_of_run(|run, info| {
        set.spawn_local(async move { run() }, info)
    }));
    let order = wait(poll_fn(|cx| {
        set.poll_until(cx, |cx| root.as_mut().poll(cx))
    }));
    assert_eq!(order, ORDER);
}

/// From another thread, while the thread that runs the tasks is in a poll.
#[test]
fn what_comes_from_outside_is_taken_by_priority_too() {
    let order = |spawn: &dyn Fn(Box<dyn FnOnce() + Send>, SpawnInfo) -> JoinHandle<()>,
                 hold: &dyn Fn(Arc<[AtomicBool; 2]>) -> JoinHandle<()>| {
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let held = hold(Arc::clone(&flags));
        spin("the holding task", || flags[0].load(SeqCst));
        let mut root = std::pin::pin!(order_of_run(spawn));
        // The first poll spawns.
        let waker = Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        assert!(root.as_mut().poll(&mut cx).is_pending());
        flags[1].store(true, SeqCst);
        let order = wait(root);
        wait(held).unwrap();
        order
    };
    let hold = |flags: Arc<[AtomicBool; 2]>| {
        flags[0].store(true, SeqCst);
        spin("the release", || flags[1].load(SeqCst));
    };

    let workers = Workers::start(1, Config::default());
    let scheduler = &workers.scheduler;
    let seen = order(
        &|run, info| scheduler.spawn(async move { run() }, info),
        &|flags| scheduler.spawn(async move { hold(flags) }, SpawnInfo::here()),
    );
    assert_eq!(seen, ORDER);

    let shared = single(Config::default());
    let runner = Arc::clone(&shared);
    let stop = Arc::new(Mutex::new((false, None::<Waker>)));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        runner.block_on(poll_fn(|cx| {
            let mut stopped = stopped.lock().unwrap();
            stopped.1 = Some(cx.waker().clone());
            if stopped.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
    });
    let seen = order(
        &|run, info| shared.spawn(async move { run() }, info),
        &|flags| shared.spawn(async move { hold(flags) }, SpawnInfo::here()),
    );
    assert_eq!(seen, ORDER);
    let waker = {
        let mut stop = stop.lock().unwrap();
        stop.0 = true;
        stop.1.take()
    };
    waker.into_iter().for_each(Waker::wake);
    thread.join().unwrap();
    shared.shutdown();
}

/// Two workers are held in polls, one with tasks of each class in its queues; the other, let go, takes them by class.
#[test]
fn a_thief_takes_the_most_urgent_class_first() {
    let workers = Workers::start(2, Config::default());
    let flags: Arc<[AtomicBool; 4]> = Arc::default();
    let hold = |at: usize| {
        let flags = Arc::clone(&flags);
        move || {
            flags[at].store(true, SeqCst);
            spin("the release", || flags[at + 2].load(SeqCst));
        }
    };
    let thief = {
        let hold = hold(0);
        workers
            .scheduler
            .spawn(async move { hold() }, SpawnInfo::here())
    };
    spin("the thief", || flags[0].load(SeqCst));
    let order: Arc<Mutex<Vec<Priority>>> = Arc::default();
    let (hold, spawner, seen) = (hold(1), Arc::clone(&workers.scheduler), Arc::clone(&order));
    let victim = workers.scheduler.spawn(
        async move {
            let classes = [Priority::Low, Priority::Normal, Priority::High];
            let tasks: Vec<_> = classes
                .into_iter()
                .flat_map(|priority| std::iter::repeat_n(priority, 4))
                .map(|priority| {
                    let seen = Arc::clone(&seen);
                    spawner.spawn(
                        async move { seen.lock().unwrap().push(priority) },
                        info(priority),
                    )
                })
                .collect();
            hold();
            tasks
        },
        SpawnInfo::here(),
    );
    spin("the victim", || flags[1].load(SeqCst));
    flags[2].store(true, SeqCst);
    // All but the normal task that was woken last, which only its own worker takes.
    spin("the robbery", || order.lock().unwrap().len() == 11);
    let stolen = order.lock().unwrap().clone();
    flags[3].store(true, SeqCst);
    wait(thief).unwrap();
    for task in wait(victim).unwrap() {
        wait(task).unwrap();
    }
    assert!(
        stolen.is_sorted_by(|before, after| before >= after),
        "{stolen:?}"
    );
}

/// A critical task that is woken in the middle of a poll does not wait for that poll while another worker has nothing to do; nor
/// does an urgent one that is spawned there.
#[test]
fn an_idle_worker_comes_at_once_for_a_critical_task() {
    let workers = Workers::start(2, Config::default());
    for round in 0..100 {
        let polled = Arc::new(AtomicBool::new(false));
        let (scheduler, seen) = (Arc::clone(&workers.scheduler), Arc::clone(&polled));
        let task = workers.scheduler.spawn(
            async move {
                let info = if round % 2 == 0 {
                    SpawnInfo::here().urgent()
                } else {
                    info(Priority::Critical)
                };
                let done = Arc::clone(&seen);
                let other = scheduler.spawn(async move { done.store(true, SeqCst) }, info);
                spin("the idle worker", || seen.load(SeqCst));
                other.await.unwrap();
            },
            SpawnInfo::here(),
        );
        wait(task).unwrap();
    }
}

#[test]
fn a_task_reads_and_changes_its_own_priority() {
    assert_eq!(task::priority(), Priority::Normal);
    assert!(std::panic::catch_unwind(|| task::set_priority(Priority::High)).is_err());
    let shared = single(Config::default());
    let order: Arc<Mutex<Vec<&str>>> = Arc::default();
    shared.block_on(async {
        let named = |name: &'static str, change: Option<Priority>| {
            let order = Arc::clone(&order);
            async move {
                if let Some(priority) = change {
                    assert_eq!(task::set_priority(priority), Priority::Normal);
                    assert_eq!(task::priority(), priority);
                    assert_eq!(task::current_meta(|meta| meta.priority()), Some(priority));
                }
                for _ in 0..2 {
                    yield_now().await;
                    order.lock().unwrap().push(name);
                }
            }
        };
        let tasks = [
            shared.spawn(named("lower", Some(Priority::Low)), SpawnInfo::here()),
            shared.spawn(named("same", None), SpawnInfo::here()),
            shared.spawn(named("higher", Some(Priority::High)), SpawnInfo::here()),
        ];
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(
        *order.lock().unwrap(),
        ["higher", "higher", "same", "same", "lower", "lower"]
    );
    let urgent = shared.spawn(async { task::priority() }, SpawnInfo::here().urgent());
    assert_eq!(urgent.meta().priority(), Priority::Critical);
    assert_eq!(shared.block_on(urgent).unwrap(), Priority::Critical);
    shared.shutdown();
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// All priorities, changed as they run, spawned from inside and outside, robbed, overflowing, aborted, and shut down in the
/// middle: every future is dropped once.
#[test]
fn each_task_runs_or_is_dropped_once_under_stress() {
    for config in [
        Config::default(),
        Config {
            local_queue_len: 2,
            event_interval: 2,
            global_queue_interval: Some(1),
            patience: Patience {
                high: 4,
                normal: 4,
                low: 4,
            },
            ..Config::default()
        },
    ] {
        let workers = Workers::start(4, config);
        let drops = Arc::new(AtomicUsize::new(0));
        let total = 4_000;
        let spawn_half = {
            let (scheduler, drops) = (Arc::clone(&workers.scheduler), Arc::clone(&drops));
            move |first: usize| -> Vec<JoinHandle<()>> {
                (first..first + total / 2)
                    .map(|n| {
                        let count = CountDrop(Arc::clone(&drops));
                        let info = match n % 5 {
                            4 => SpawnInfo::here().urgent(),
                            class => info(Priority::ALL[class]),
                        };
                        let future = async move {
                            let _count = count;
                            for round in 0..n % 7 {
                                task::set_priority(Priority::ALL[(n + round) % 4]);
                                yield_now().await;
                            }
                            if n % 11 == 0 {
                                std::future::pending::<()>().await;
                            }
                        };
                        scheduler.spawn(future, info)
                    })
                    .collect()
            }
        };
        let inside = {
            let spawn_half = spawn_half.clone();
            workers
                .scheduler
                .spawn(async move { spawn_half(0) }, SpawnInfo::here())
        };
        let mut tasks = spawn_half(total / 2);
        tasks.extend(wait(inside).unwrap());
        for (n, task) in tasks.iter().enumerate() {
            if n % 3 == 0 {
                task.abort();
            }
        }
        for (n, task) in tasks.into_iter().enumerate() {
            // Those that wait for ever are left to the shutdown, if nobody has aborted them.
            let waits_for_ever = if n < total / 2 {
                n + total / 2
            } else {
                n - total / 2
            } % 11
                == 0;
            if n % 3 == 0 {
                let _ = wait(task);
            } else if !waits_for_ever {
                wait(task).unwrap();
            }
        }
        drop(workers);
        assert_eq!(drops.load(SeqCst), total);
    }
}
