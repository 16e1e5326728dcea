//! Workers that are stuck in a task, and whose cores go to other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use blitz_exec::blocking::{Pool, PoolConfig};
use blitz_exec::park::{Park, Unpark};
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::{Beat, Config, Handle, NotRescued, block_in_place, worker_index};
use blitz_exec::task::{JoinHandle, SpawnInfo};

use crate::fake::{FakePark, Token, wait, yield_now};

struct World {
    scheduler: Arc<MultiThread>,
    handle: Handle,
    pool: Pool,
    tokens: Vec<Arc<Token>>,
}

impl World {
    fn new(workers: usize, config: Config) -> Self {
        let pool = Pool::new(PoolConfig {
            // Spares come on top.
            threads_max: workers,
            ..PoolConfig::default()
        });
        let (parks, tokens) = (0..workers).map(|_| FakePark::pair()).unzip();
        let config = Arc::new(Config { workers, ..config });
        let scheduler = MultiThread::new(parks, config, pool.spawner().clone());
        scheduler.start().unwrap();
        Self {
            handle: Handle::Multi(Arc::clone(&scheduler)),
            scheduler,
            pool,
            tokens,
        }
    }

    /// A task that spins until `stop`; returns when it does.
    fn spin(&self, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
        let (started, wait) = mpsc::channel();
        let stop = Arc::clone(stop);
        let task = self.scheduler.spawn(
            async move {
                started.send(()).unwrap();
                while !stop.load(SeqCst) {
                    std::hint::spin_loop();
                }
            },
            SpawnInfo::here(),
        );
        wait.recv().unwrap();
        task
    }

    /// What the worker does that is in a task.
    fn in_task(&self, worker: usize) -> Beat {
        loop {
            if let Some(beat) = self.handle.beat(worker).filter(Beat::is_in_task) {
                return beat;
            }
            std::thread::yield_now();
        }
    }

    /// Rescues the worker, which is stuck.
    fn rescue(&self, worker: usize) -> Result<(), NotRescued> {
        let (done, wait) = mpsc::channel();
        let beat = self.in_task(worker);
        self.scheduler.rescue(
            worker,
            beat,
            move |result| done.send(result).unwrap(),
            || (),
        )?;
        wait.recv().unwrap()
    }

    fn end(self) {
        self.scheduler.shutdown();
        assert!(self.pool.shutdown(Some(Duration::from_secs(30))));
        for token in &self.tokens {
            assert_eq!(token.shutdowns.load(SeqCst), 1);
            assert!(!token.bound.load(SeqCst));
            assert_eq!(token.seized.load(SeqCst), token.lost.load(SeqCst));
        }
        assert_eq!(self.scheduler.tasks_alive(), 0);
        assert_eq!(self.scheduler.spares_lent(), 0);
    }
}

/// Everything else goes on while a task spins on each worker; then all is as it was, with as many workers.
#[test]
fn what_waits_behind_a_stuck_task_goes_on() {
    let world = World::new(2, Config::default());
    for round in 1..=3 {
        let stop = Arc::new(AtomicBool::new(false));
        let spinning = [world.spin(&stop), world.spin(&stop)];
        let behind: Vec<_> = (0..10)
            .map(|_| world.scheduler.spawn(yield_now(), SpawnInfo::here()))
            .collect();
        for worker in 0..2 {
            world.rescue(worker).unwrap();
            assert_eq!(world.tokens[worker].seized.load(SeqCst), round);
        }
        for task in behind {
            wait(task).unwrap();
        }
        assert_eq!(world.scheduler.spares_lent(), 2);
        assert!(spinning.iter().all(|task| !task.is_finished()));
        stop.store(true, SeqCst);
        for task in spinning {
            wait(task).unwrap();
        }
        while world.scheduler.spares_lent() > 0 {
            std::thread::yield_now();
        }
        let four: Vec<_> = (0..4)
            .map(|_| world.scheduler.spawn(yield_now(), SpawnInfo::here()))
            .collect();
        for task in four {
            wait(task).unwrap();
        }
    }
    world.end();
}

/// What a task does after it was robbed of its worker: it spawns, wakes, blocks in place, and awaits.
#[test]
fn a_stuck_task_goes_on_from_outside() {
    let world = World::new(1, Config::default());
    let (rescued, wait_for) = mpsc::channel::<()>();
    let inner = Arc::clone(&world.scheduler);
    let task = world.scheduler.spawn(
        async move {
            assert_eq!(worker_index(), Some(0));
            wait_for.recv().unwrap();
            assert_eq!(worker_index(), None);
            let child = inner.spawn(async { worker_index() }, SpawnInfo::here());
            while !child.is_finished() {
                std::thread::yield_now();
            }
            let grandchild = inner.spawn(yield_now(), SpawnInfo::here());
            block_in_place(|| {
                while !grandchild.is_finished() {
                    std::thread::yield_now();
                }
                block_in_place(|| ());
            });
            assert_eq!(worker_index(), None);
            grandchild.await.unwrap();
            // Polled again, on the worker that there is.
            yield_now().await;
            assert_eq!(worker_index(), Some(0));
            child.await.unwrap()
        },
        SpawnInfo::here(),
    );
    world.rescue(0).unwrap();
    rescued.send(()).unwrap();
    assert_eq!(wait(task).unwrap(), Some(0));
    world.end();
}

/// No more threads are replaced at once than may be.
#[test]
fn spares_are_bounded() {
    let world = World::new(
        2,
        Config {
            spares_max: 1,
            ..Config::default()
        },
    );
    let stop = Arc::new(AtomicBool::new(false));
    let spinning = [world.spin(&stop), world.spin(&stop)];
    world.rescue(0).unwrap();
    assert!(matches!(world.rescue(1), Err(NotRescued::NoSpare)));
    assert_eq!(world.scheduler.spares_lent(), 1);
    // Worker 0 goes on for both.
    wait(world.scheduler.spawn(yield_now(), SpawnInfo::here())).unwrap();
    stop.store(true, SeqCst);
    for task in spinning {
        wait(task).unwrap();
    }
    world.end();
}

/// A shutdown while every thread is stuck: all other tasks are dropped, and the drivers end, by those who took over.
#[test]
fn a_shutdown_is_done_by_those_who_took_over() {
    let world = World::new(2, Config::default());
    let stop = Arc::new(AtomicBool::new(false));
    let _spinning = [world.spin(&stop), world.spin(&stop)];
    let pending = world
        .scheduler
        .spawn(std::future::pending::<()>(), SpawnInfo::here());
    world.rescue(0).unwrap();
    world.scheduler.shutdown();
    assert!(!world.pool.shutdown(Some(Duration::from_millis(1))));
    // Also while the pool ends.
    world.rescue(1).unwrap();
    assert!(wait(pending).unwrap_err().is_cancelled());
    while world.scheduler.workers_left() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(world.scheduler.spares_lent(), 2);
    // The last one that leaves ends the drivers then.
    while world.tokens[0].shutdowns.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    stop.store(true, SeqCst);
    world.end();
}

/// A driver whose turn waits for the test.
struct Gate {
    park: Box<dyn Park>,
    closed: Arc<AtomicBool>,
    inside: Arc<AtomicBool>,
}

impl Gate {
    fn pass(&self) {
        while self.closed.load(SeqCst) {
            self.inside.store(true, SeqCst);
            std::thread::yield_now();
        }
    }
}

impl Park for Gate {
    fn bind(&mut self) {
        self.park.bind();
    }

    fn unbind(&mut self) {
        self.park.unbind();
    }

    fn seize(&mut self) {
        self.park.seize();
    }

    fn park(&mut self) {
        self.pass();
        self.park.park();
    }

    fn park_timeout(&mut self, limit: Duration) {
        self.pass();
        self.park.park_timeout(limit);
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        self.park.unparker()
    }

    fn shutdown(&mut self) {
        self.park.shutdown();
    }
}

/// A driver does not change hands in the middle of its turn.
#[test]
fn nobody_takes_over_in_a_turn() {
    let pool = Pool::new(PoolConfig::default());
    let (park, _token) = FakePark::pair();
    let (closed, inside) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let gate = Gate {
        park,
        closed: Arc::clone(&closed),
        inside: Arc::clone(&inside),
    };
    let parks: Vec<Box<dyn Park>> = vec![Box::new(gate)];
    let scheduler = MultiThread::new(parks, Arc::new(Config::default()), pool.spawner().clone());
    scheduler.start().unwrap();
    while !inside.load(SeqCst) {
        std::thread::yield_now();
    }
    let handle = Handle::Multi(Arc::clone(&scheduler));
    let beat = handle.beat(0).unwrap();
    assert!(!beat.is_in_task());
    let (done, wait_for) = mpsc::channel();
    scheduler
        .rescue(0, beat, move |result| done.send(result).unwrap(), || ())
        .unwrap();
    assert!(matches!(wait_for.recv().unwrap(), Err(NotRescued::InTurn)));
    closed.store(false, SeqCst);
    wait(scheduler.spawn(yield_now(), SpawnInfo::here())).unwrap();
    scheduler.shutdown();
    assert!(pool.shutdown(Some(Duration::from_secs(30))));
}

/// Rescues that come as the poll ends, or begins, or wakes others: no task is lost or run twice, whoever wins.
#[test]
fn rescues_that_race_with_the_worker() {
    let world = World::new(2, Config::default());
    let (count, left) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(20)),
    );
    let tasks: Vec<_> = (0..20)
        .map(|n: usize| {
            let (count, left, scheduler) = (
                Arc::clone(&count),
                Arc::clone(&left),
                Arc::clone(&world.scheduler),
            );
            world.scheduler.spawn(
                async move {
                    for round in 0..100 {
                        for _ in 0..(n * 37 + round * 11) % 200 {
                            std::hint::spin_loop();
                        }
                        let child = scheduler.spawn(async move { n }, SpawnInfo::here());
                        if (n + round).is_multiple_of(7) {
                            block_in_place(std::thread::yield_now);
                        }
                        yield_now().await;
                        assert_eq!(child.await.unwrap(), n);
                        count.fetch_add(1, SeqCst);
                    }
                    left.fetch_sub(1, SeqCst);
                },
                SpawnInfo::here(),
            )
        })
        .collect();
    let rescued = Arc::new(AtomicUsize::new(0));
    while left.load(SeqCst) > 0 {
        for worker in 0..2 {
            if let Some(beat) = world.handle.beat(worker).filter(Beat::is_in_task) {
                let rescued = Arc::clone(&rescued);
                let done = move |result: Result<(), NotRescued>| {
                    rescued.fetch_add(usize::from(result.is_ok()), SeqCst);
                };
                // Refused while too many are on their way.
                let _ = world.scheduler.rescue(worker, beat, done, || ());
            }
        }
        std::thread::yield_now();
    }
    for task in tasks {
        wait(task).unwrap();
    }
    assert_eq!(count.load(SeqCst), 2_000);
    eprintln!("{} rescues", rescued.load(SeqCst));
    world.end();
}
