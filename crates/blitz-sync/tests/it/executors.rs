//! The same suite under executors of other people: futures' own, smol's and compio's.
//!
//! An executor runs a root future and those that it spawns, on one thread; tasks meet through this crate's types alone.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use blitz_sync::{
    Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce, TaskTracker,
    UnfairMutex, broadcast, mpmc, mpsc, oneshot, watch,
};
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;

use crate::waiter_contract::{Sleeper, contract};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// An executor: how it runs a root future, which can spawn others on the same thread.
trait Executor: 'static {
    fn run<F: Future + 'static>(root: impl FnOnce(Spawner) -> F) -> F::Output;
}

/// Spawns beside the root.
#[derive(Clone)]
struct Spawner(Rc<dyn Fn(Task)>);

impl Spawner {
    /// What the task returns comes through a channel of ours.
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        let (sender, receiver) = oneshot::channel();
        (self.0)(Box::pin(async move {
            assert!(sender.send(task.await).is_ok(), "somebody waits for it");
        }));
        async { receiver.await.expect("the task ends") }
    }

    /// Runs so many tasks and waits for all.
    async fn all<F: Future<Output = ()> + 'static>(&self, count: usize, task: impl Fn(usize) -> F) {
        let tasks: Vec<_> = (0..count).map(|index| self.spawn(task(index))).collect();
        for task in tasks {
            task.await;
        }
    }
}

/// Lets others go first, under any executor.
async fn yield_now() {
    let mut is_second = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut is_second, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}

struct Futures;

impl Executor for Futures {
    fn run<F: Future + 'static>(root: impl FnOnce(Spawner) -> F) -> F::Output {
        let mut pool = LocalPool::new();
        let spawner: LocalSpawner = pool.spawner();
        let root = root(Spawner(Rc::new(move |task| {
            spawner.spawn_local(task).expect("the pool is there");
        })));
        pool.run_until(root)
    }
}

struct Smol;

impl Executor for Smol {
    fn run<F: Future + 'static>(root: impl FnOnce(Spawner) -> F) -> F::Output {
        let executor = Rc::new(async_executor::LocalExecutor::new());
        let theirs = Rc::clone(&executor);
        let root = root(Spawner(Rc::new(move |task| theirs.spawn(task).detach())));
        async_io::block_on(executor.run(root))
    }
}

struct Compio;

impl Executor for Compio {
    fn run<F: Future + 'static>(root: impl FnOnce(Spawner) -> F) -> F::Output {
        let runtime = compio_runtime::Runtime::new().expect("a runtime of compio's");
        let root = root(Spawner(Rc::new(|task| {
            compio_runtime::spawn(task).detach();
        })));
        runtime.block_on(root)
    }
}

impl Sleeper for Smol {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(future)
    }
}

impl Sleeper for Compio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let runtime = compio_runtime::Runtime::new().expect("a runtime of compio's");
        runtime.block_on(future)
    }
}

const TASKS: usize = 8;
const ROUNDS: usize = 100;

/// A guard that is held while others run lets nobody in.
fn locks<E: Executor>() {
    E::run(|spawner| async move {
        let (mutex, unfair) = (Arc::new(Mutex::new(0)), Arc::new(UnfairMutex::new(0)));
        let rwlock = Arc::new(RwLock::new(0));
        spawner
            .all(TASKS, |_| {
                let (mutex, unfair) = (Arc::clone(&mutex), Arc::clone(&unfair));
                let rwlock = Arc::clone(&rwlock);
                async move {
                    for _ in 0..ROUNDS {
                        let mut guard = mutex.lock().await;
                        let before = *guard;
                        yield_now().await;
                        *guard = before + 1;
                        drop(guard);
                        let mut guard = unfair.lock().await;
                        let before = *guard;
                        yield_now().await;
                        *guard = before + 1;
                        drop(guard);
                        let before = *rwlock.read().await;
                        let mut guard = rwlock.write().await;
                        assert!(*guard >= before);
                        *guard += 1;
                        yield_now().await;
                    }
                }
            })
            .await;
        let all = TASKS * ROUNDS;
        assert_eq!(*mutex.lock().await, all);
        assert_eq!(*unfair.lock().await, all);
        assert_eq!(*rwlock.read().await, all);
    });
}

fn permits<E: Executor>() {
    E::run(|spawner| async move {
        let (semaphore, inside) = (Arc::new(Semaphore::new(3)), Rc::new(RefCell::new(0)));
        spawner
            .all(TASKS, |task| {
                let (semaphore, inside) = (Arc::clone(&semaphore), Rc::clone(&inside));
                let count = 1 + task % 3;
                async move {
                    for _ in 0..ROUNDS {
                        let permits = semaphore.acquire_many(count as u32).await.unwrap();
                        *inside.borrow_mut() += count;
                        assert!(*inside.borrow() <= 3);
                        yield_now().await;
                        *inside.borrow_mut() -= count;
                        drop(permits);
                    }
                }
            })
            .await;
        assert_eq!(semaphore.available_permits(), 3);
    });
}

fn signals<E: Executor>() {
    E::run(|spawner| async move {
        let (notify, barrier) = (Arc::new(Notify::new()), Arc::new(Barrier::new(TASKS)));
        let leaders = Rc::new(RefCell::new(0));
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (cell, once) = (Arc::new(OnceCell::new()), Arc::new(SetOnce::new()));
        let tasks = spawner.all(TASKS, |task| {
            let (notify, barrier) = (Arc::clone(&notify), Arc::clone(&barrier));
            let (leaders, token) = (Rc::clone(&leaders), token.child_token());
            let (cell, once) = (Arc::clone(&cell), Arc::clone(&once));
            tracker.track_future(async move {
                // The first lets all others go on, one after the other.
                if task != 0 {
                    notify.notified().await;
                }
                notify.notify_one();
                if barrier.wait().await.is_leader() {
                    *leaders.borrow_mut() += 1;
                    once.set(7).unwrap();
                }
                let value = cell.get_or_init(|| async {
                    yield_now().await;
                    5
                });
                assert_eq!(*value.await, 5);
                assert_eq!(*once.wait().await, 7);
                token.cancelled().await;
            })
        });
        let ending = async {
            assert_eq!(*once.wait().await, 7);
            token.cancel();
            tracker.close();
            tracker.wait().await;
        };
        futures::future::join(tasks, ending).await;
        assert_eq!(*leaders.borrow(), 1);
    });
}

fn channels<E: Executor>() {
    E::run(|spawner| async move {
        let sum: usize = (0..TASKS * ROUNDS).sum();
        // One receiver.
        let (sender, mut receiver) = mpsc::channel(2);
        let receiving = spawner.spawn(async move {
            let mut received = 0;
            while let Some(value) = receiver.recv().await {
                let value: usize = value;
                received += value;
            }
            received
        });
        spawner
            .all(TASKS, |task| {
                let sender = sender.clone();
                async move {
                    for round in 0..ROUNDS {
                        sender.send(task * ROUNDS + round).await.unwrap();
                    }
                }
            })
            .await;
        drop(sender);
        assert_eq!(receiving.await, sum);
        // Many receivers.
        for (sender, receiver) in [mpmc::channel(2), mpmc::unbounded_channel()] {
            let receiving: Vec<_> = (0..TASKS)
                .map(|_| {
                    let receiver = receiver.clone();
                    spawner.spawn(async move {
                        let mut received = 0;
                        while let Some(value) = receiver.recv().await {
                            received += value;
                            yield_now().await;
                        }
                        received
                    })
                })
                .collect();
            for value in 0..TASKS * ROUNDS {
                sender.send(value).await.unwrap();
            }
            drop(sender);
            let mut received = 0;
            for receiving in receiving {
                received += receiving.await;
            }
            assert_eq!(received, sum);
        }
        // All receivers, and the latest value.
        let (everyone, _) = broadcast::channel(ROUNDS);
        let (latest, watching) = watch::channel(0);
        let receiving: Vec<_> = (0..TASKS)
            .map(|_| {
                let (mut receiver, mut watching) = (everyone.subscribe(), watching.clone());
                spawner.spawn(async move {
                    for value in 0..ROUNDS {
                        assert_eq!(receiver.recv().await, Ok(value));
                    }
                    *watching.wait_for(|value| *value == ROUNDS).await.unwrap()
                })
            })
            .collect();
        for value in 0..ROUNDS {
            everyone.send(value).unwrap();
            latest.send(value + 1).unwrap();
            if value % 10 == 0 {
                yield_now().await;
            }
        }
        for receiving in receiving {
            assert_eq!(receiving.await, ROUNDS);
        }
    });
}

/// Two executors, each on its own thread, that talk to each other.
fn across<A: Executor, B: Executor>() {
    let (requests, inbox) = mpmc::channel::<(usize, oneshot::Sender<usize>)>(4);
    let answering = thread::spawn(move || {
        A::run(|spawner| async move {
            spawner
                .all(TASKS, |_| {
                    let inbox = inbox.clone();
                    async move {
                        while let Some((number, answer)) = inbox.recv().await {
                            answer.send(number + 1).unwrap();
                        }
                    }
                })
                .await;
        });
    });
    B::run(|spawner| async move {
        spawner
            .all(TASKS, |task| {
                let requests = requests.clone();
                async move {
                    for round in 0..ROUNDS {
                        let (sender, answer) = oneshot::channel();
                        requests.send((task * round, sender)).await.unwrap();
                        assert_eq!(answer.await, Ok(task * round + 1));
                    }
                }
            })
            .await;
    });
    answering.join().unwrap();
}

macro_rules! suite {
    ($($module:ident: $executor:ident),*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn locks() {
                super::locks::<$executor>();
            }

            #[test]
            fn permits() {
                super::permits::<$executor>();
            }

            #[test]
            fn signals() {
                super::signals::<$executor>();
            }

            #[test]
            fn channels() {
                super::channels::<$executor>();
            }

            #[test]
            fn across() {
                super::across::<$executor, Futures>();
                super::across::<$executor, Smol>();
                super::across::<$executor, Compio>();
            }
        }
    )*};
}

suite!(futures_own: Futures, smol: Smol, compio: Compio);

/// The line of waiters, where threads sleep in the reactor of smol.
mod smol_sleeps {
    use super::*;

    contract!([Smol]);
}

/// The line of waiters, where threads sleep in compio's driver.
mod compio_sleeps {
    use super::*;

    contract!([Compio]);
}
