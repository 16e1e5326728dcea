//! Locks, signals and channels: one source for those with tokio's API, small adapters for the others.
//!
//! What is compared is the library, so all but `blitz-mt` run on tokio's multi-thread runtime with two workers, ours there too
//! (`blitz-on-tokio`); `blitz-mt` is ours on our own. A contended row has so many tasks at work at once. Allocations and their bytes are
//! counted between the first operation and the last, after some that warm up.

use std::sync::Arc;
use std::time::Instant;

use crate::counted;
use crate::measure::Sample;

pub const OPS: usize = 400_000;
const WARM: usize = 4_000;

/// Measures `ops` operations that `work` makes, after a warm-up of the same kind.
pub async fn measured<F: Future<Output = ()>>(
    ops: usize,
    mut work: impl FnMut(usize) -> F,
) -> Sample {
    work(WARM).await;
    counted::begin();
    let started = Instant::now();
    work(ops).await;
    let value = started.elapsed().as_nanos() as f64 / ops as f64;
    let (allocs, alloc_bytes) = counted::end().per(ops);
    Sample {
        value,
        allocs,
        alloc_bytes,
        ..Sample::default()
    }
}

/// So many operations for each of `tasks`.
fn share(ops: usize, tasks: usize) -> usize {
    ops / tasks
}

/// The rows of everything that has tokio's API, for a library `$sync` on a runtime `$rt`.
macro_rules! tokio_shaped {
    ($module:ident, $sync:path, $rt:ident) => {
        mod $module {
            use $sync as sync;

            use super::*;
            use crate::rt::$rt::{run, spawn};

            /// Waits for `tasks` tasks that each do the same.
            async fn at_once<F>(tasks: usize, mut make: impl FnMut(usize) -> F)
            where
                F: Future<Output = ()> + Send + 'static,
            {
                let tasks: Vec<_> = (0..tasks).map(|task| spawn(make(task))).collect();
                for task in tasks {
                    task.await.expect("no panic");
                }
            }

            fn mutex(tasks: usize) -> Sample {
                run(async move {
                    let mutex = Arc::new(sync::Mutex::new(0_u64));
                    measured(OPS, |ops| {
                        let mutex = Arc::clone(&mutex);
                        at_once(tasks, move |_| {
                            let mutex = Arc::clone(&mutex);
                            async move {
                                for _ in 0..share(ops, tasks) {
                                    *mutex.lock().await += 1;
                                }
                            }
                        })
                    })
                    .await
                })
            }

            fn rwlock(tasks: usize) -> Sample {
                run(async move {
                    let lock = Arc::new(sync::RwLock::new(0_u64));
                    measured(OPS, |ops| {
                        let lock = Arc::clone(&lock);
                        at_once(tasks, move |task| {
                            let lock = Arc::clone(&lock);
                            async move {
                                for op in 0..share(ops, tasks) {
                                    // One write in sixteen.
                                    if tasks > 1 && (op + task) % 16 == 0 {
                                        *lock.write().await += 1;
                                    } else {
                                        std::hint::black_box(*lock.read().await);
                                    }
                                }
                            }
                        })
                    })
                    .await
                })
            }

            fn semaphore(tasks: usize) -> Sample {
                run(async move {
                    let semaphore = Arc::new(sync::Semaphore::new(2));
                    measured(OPS, |ops| {
                        let semaphore = Arc::clone(&semaphore);
                        at_once(tasks, move |_| {
                            let semaphore = Arc::clone(&semaphore);
                            async move {
                                for _ in 0..share(ops, tasks) {
                                    drop(semaphore.acquire().await.expect("it is open"));
                                }
                            }
                        })
                    })
                    .await
                })
            }

            /// Notified before the wait; with more tasks, a notification goes round.
            fn notify(tasks: usize) -> Sample {
                run(async move {
                    let places: Arc<Vec<_>> =
                        Arc::new((0..tasks).map(|_| sync::Notify::new()).collect());
                    measured(OPS, |ops| {
                        let places = Arc::clone(&places);
                        places[0].notify_one();
                        at_once(tasks, move |task| {
                            let places = Arc::clone(&places);
                            async move {
                                let rounds = share(ops, tasks);
                                for round in 0..rounds {
                                    places[task].notified().await;
                                    if round + 1 < rounds || task + 1 < tasks {
                                        places[(task + 1) % tasks].notify_one();
                                    }
                                }
                            }
                        })
                    })
                    .await
                })
            }

            fn oneshot(tasks: usize) -> Sample {
                run(async move {
                    measured(OPS, |ops| async move {
                        if tasks == 1 {
                            for op in 0..ops {
                                let (sender, receiver) = sync::oneshot::channel();
                                let _ = sender.send(op);
                                std::hint::black_box(receiver.await).expect("it was sent");
                            }
                            return;
                        }
                        // The other side answers each request.
                        let (requests, mut inbox) = sync::mpsc::channel(16);
                        let answering = spawn(async move {
                            while let Some(answer) = inbox.recv().await {
                                let answer: sync::oneshot::Sender<usize> = answer;
                                let _ = answer.send(1);
                            }
                        });
                        at_once(tasks, |_| {
                            let requests = requests.clone();
                            async move {
                                for _ in 0..share(ops, tasks) {
                                    let (answer, receiver) = sync::oneshot::channel();
                                    requests.send(answer).await.expect("it answers");
                                    receiver.await.expect("it answers");
                                }
                            }
                        })
                        .await;
                        drop(requests);
                        answering.await.expect("no panic");
                    })
                    .await
                })
            }

            fn mpsc(senders: usize) -> Sample {
                run(async move {
                    let (sender, receiver) = sync::mpsc::channel(128);
                    let receiver = Arc::new(sync::Mutex::new(receiver));
                    measured(OPS, |ops| {
                        let (sender, receiver) = (sender.clone(), Arc::clone(&receiver));
                        async move {
                            // Held for the whole of the work: the lock is not what is measured.
                            let mut receiver = receiver.lock_owned().await;
                            if senders == 0 {
                                for op in 0..ops {
                                    sender.send(op).await.expect("the receiver is there");
                                    std::hint::black_box(receiver.recv().await);
                                }
                                return;
                            }
                            let receiving = spawn(async move {
                                for _ in 0..share(ops, senders) * senders {
                                    std::hint::black_box(receiver.recv().await);
                                }
                            });
                            at_once(senders, |_| {
                                let sender = sender.clone();
                                async move {
                                    for op in 0..share(ops, senders) {
                                        sender.send(op).await.expect("the receiver is there");
                                    }
                                }
                            })
                            .await;
                            receiving.await.expect("no panic");
                        }
                    })
                    .await
                })
            }

            /// Each value goes to every receiver; what counts is one value to all of them.
            fn broadcast(receivers: usize) -> Sample {
                run(async move {
                    measured(OPS / 4, |ops| async move {
                        let (sender, mut own) = sync::broadcast::channel(128);
                        if receivers == 1 {
                            for op in 0..ops {
                                sender.send(op).expect("a receiver is there");
                                std::hint::black_box(own.recv().await).expect("it was sent");
                            }
                            return;
                        }
                        drop(own);
                        let mut tasks = Vec::new();
                        for _ in 0..receivers {
                            let mut receiver = sender.subscribe();
                            tasks.push(spawn(async move {
                                let mut seen = 0;
                                loop {
                                    match receiver.recv().await {
                                        Ok(_) => seen += 1,
                                        Err(sync::broadcast::error::RecvError::Lagged(missed)) => {
                                            seen += missed as usize
                                        }
                                        Err(sync::broadcast::error::RecvError::Closed) => break,
                                    }
                                }
                                assert_eq!(seen, ops);
                            }));
                        }
                        for op in 0..ops {
                            sender.send(op).expect("a receiver is there");
                            if op % 64 == 63 {
                                crate::rt::$rt::yield_now().await;
                            }
                        }
                        drop(sender);
                        for task in tasks {
                            task.await.expect("no panic");
                        }
                    })
                    .await
                })
            }

            /// A value is changed and seen; with more receivers, all but the last may miss some.
            fn watch(receivers: usize) -> Sample {
                run(async move {
                    measured(OPS / 4, |ops| async move {
                        let (sender, mut own) = sync::watch::channel(0);
                        if receivers == 1 {
                            for op in 1..=ops {
                                sender.send(op).expect("a receiver is there");
                                own.changed().await.expect("the sender is there");
                                std::hint::black_box(*own.borrow_and_update());
                            }
                            return;
                        }
                        drop(own);
                        let mut tasks = Vec::new();
                        for _ in 0..receivers {
                            let mut receiver = sender.subscribe();
                            tasks.push(spawn(async move {
                                while receiver.changed().await.is_ok() {
                                    if *receiver.borrow_and_update() == ops {
                                        break;
                                    }
                                }
                            }));
                        }
                        for op in 1..=ops {
                            sender.send(op).expect("a receiver is there");
                            if op % 64 == 63 {
                                crate::rt::$rt::yield_now().await;
                            }
                        }
                        for task in tasks {
                            task.await.expect("no panic");
                        }
                    })
                    .await
                })
            }

            pub fn measure(what: &str, tasks: usize) -> Sample {
                match what {
                    "mutex" => mutex(tasks),
                    "rwlock" => rwlock(tasks),
                    "semaphore" => semaphore(tasks),
                    "notify" => notify(tasks),
                    "oneshot" => oneshot(tasks),
                    "mpsc" => mpsc(tasks),
                    "broadcast" => broadcast(tasks),
                    "watch" => watch(tasks),
                    other => panic!("no row {other}"),
                }
            }
        }
    };
}

tokio_shaped!(tokio, ::tokio::sync, tokio_mt);
tokio_shaped!(blitz, ::blitz_io::sync, blitz_mt);
tokio_shaped!(blitz_on_tokio, ::blitz_io::sync, tokio_mt);

/// async-lock's locks, which let whoever comes take them, before those who wait.
mod async_lock {
    use super::*;
    use crate::rt::tokio_mt::{run, spawn};

    async fn at_once<F>(tasks: usize, mut make: impl FnMut(usize) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks: Vec<_> = (0..tasks).map(|task| spawn(make(task))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    }

    pub fn measure(what: &str, tasks: usize) -> Sample {
        let mutex = Arc::new(::async_lock::Mutex::new(0_u64));
        let lock = Arc::new(::async_lock::RwLock::new(0_u64));
        let semaphore = Arc::new(::async_lock::Semaphore::new(2));
        let what = what.to_owned();
        run(async move {
            measured(OPS, |ops| {
                let (mutex, lock, semaphore) = (
                    Arc::clone(&mutex),
                    Arc::clone(&lock),
                    Arc::clone(&semaphore),
                );
                let what = what.clone();
                at_once(tasks, move |task| {
                    let (mutex, lock, semaphore) = (
                        Arc::clone(&mutex),
                        Arc::clone(&lock),
                        Arc::clone(&semaphore),
                    );
                    let what = what.clone();
                    async move {
                        match &*what {
                            "mutex" => {
                                for _ in 0..share(ops, tasks) {
                                    *mutex.lock().await += 1;
                                }
                            }
                            "rwlock" => {
                                for op in 0..share(ops, tasks) {
                                    if tasks > 1 && (op + task) % 16 == 0 {
                                        *lock.write().await += 1;
                                    } else {
                                        std::hint::black_box(*lock.read().await);
                                    }
                                }
                            }
                            "semaphore" => {
                                for _ in 0..share(ops, tasks) {
                                    drop(semaphore.acquire().await);
                                }
                            }
                            other => panic!("no row {other}"),
                        }
                    }
                })
            })
            .await
        })
    }
}

/// Our own lock without an order, on tokio's runtime as async-lock's.
mod unfair {
    use super::*;
    use crate::rt::tokio_mt::{run, spawn};

    pub fn measure(tasks: usize) -> Sample {
        run(async move {
            let mutex = Arc::new(blitz_io::sync::UnfairMutex::new(0_u64));
            measured(OPS, |ops| {
                let mutex = Arc::clone(&mutex);
                async move {
                    let tasks: Vec<_> = (0..tasks)
                        .map(|_| {
                            let mutex = Arc::clone(&mutex);
                            spawn(async move {
                                for _ in 0..share(ops, tasks) {
                                    *mutex.lock().await += 1;
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.expect("no panic");
                    }
                }
            })
            .await
        })
    }
}

/// Channels that many receive from: `bounded` and `unbounded` make one, `send` and `recv` wait.
macro_rules! many_to_many {
    ($module:ident, $rt:ident, $sender:ty, $receiver:ty, $bounded:expr, $unbounded:expr, |$s:ident, $v:ident| $send:expr, |$r:ident| $recv:expr) => {
        mod $module {
            use super::*;
            use crate::rt::$rt::{run, spawn};

            async fn send($s: &$sender, $v: usize) {
                $send
            }

            async fn recv($r: &$receiver) -> Option<usize> {
                $recv
            }

            /// As many senders as receivers; with none, one task does both.
            pub fn measure(what: &str, side: usize) -> Sample {
                let (senders, receivers) = match what {
                    "mpsc" => (side, usize::from(side != 0)),
                    _ => (side, side),
                };
                let is_bounded = what != "mpmc_unbounded";
                run(async move {
                    measured(OPS, |ops| async move {
                        let (sender, receiver): ($sender, $receiver) = if is_bounded {
                            $bounded(128)
                        } else {
                            $unbounded()
                        };
                        if senders == 0 {
                            for op in 0..ops {
                                send(&sender, op).await;
                                std::hint::black_box(recv(&receiver).await);
                            }
                            return;
                        }
                        let mut tasks = Vec::new();
                        for _ in 0..receivers {
                            let receiver = receiver.clone();
                            tasks.push(spawn(async move {
                                while let Some(value) = recv(&receiver).await {
                                    std::hint::black_box(value);
                                }
                            }));
                        }
                        drop(receiver);
                        for _ in 0..senders {
                            let sender = sender.clone();
                            tasks.push(spawn(async move {
                                for op in 0..share(ops, senders) {
                                    send(&sender, op).await;
                                }
                            }));
                        }
                        drop(sender);
                        for task in tasks {
                            task.await.expect("no panic");
                        }
                    })
                    .await
                })
            }
        }
    };
}

many_to_many!(
    blitz_mpmc,
    blitz_mt,
    blitz_io::sync::mpmc::Sender<usize>,
    blitz_io::sync::mpmc::Receiver<usize>,
    blitz_io::sync::mpmc::channel,
    blitz_io::sync::mpmc::unbounded_channel,
    |s, v| s.send(v).await.expect("a receiver is there"),
    |r| r.recv().await
);
many_to_many!(
    blitz_mpmc_on_tokio,
    tokio_mt,
    blitz_io::sync::mpmc::Sender<usize>,
    blitz_io::sync::mpmc::Receiver<usize>,
    blitz_io::sync::mpmc::channel,
    blitz_io::sync::mpmc::unbounded_channel,
    |s, v| s.send(v).await.expect("a receiver is there"),
    |r| r.recv().await
);
many_to_many!(
    async_channel,
    tokio_mt,
    ::async_channel::Sender<usize>,
    ::async_channel::Receiver<usize>,
    ::async_channel::bounded,
    ::async_channel::unbounded,
    |s, v| s.send(v).await.expect("a receiver is there"),
    |r| r.recv().await.ok()
);
many_to_many!(
    flume,
    tokio_mt,
    ::flume::Sender<usize>,
    ::flume::Receiver<usize>,
    ::flume::bounded,
    ::flume::unbounded,
    |s, v| s.send_async(v).await.expect("a receiver is there"),
    |r| r.recv_async().await.ok()
);

many_to_many!(
    kanal,
    tokio_mt,
    ::kanal::AsyncSender<usize>,
    ::kanal::AsyncReceiver<usize>,
    ::kanal::bounded_async,
    ::kanal::unbounded_async,
    |s, v| s.send(v).await.expect("a receiver is there"),
    |r| r.recv().await.ok()
);

many_to_many!(
    kanal_on_blitz,
    blitz_mt,
    ::kanal::AsyncSender<usize>,
    ::kanal::AsyncReceiver<usize>,
    ::kanal::bounded_async,
    ::kanal::unbounded_async,
    |s, v| s.send(v).await.expect("a receiver is there"),
    |r| r.recv().await.ok()
);

/// Whether a row is one of these.
pub fn has(row: &str) -> bool {
    const WHAT: [&str; 10] = [
        "mutex",
        "rwlock",
        "semaphore",
        "notify",
        "oneshot",
        "mpsc",
        "mpmc",
        "mpmc_unbounded",
        "broadcast",
        "watch",
    ];
    row.rsplit_once('_')
        .is_some_and(|(what, _)| WHAT.contains(&what))
}

/// A row is named `WHAT_TASKS`.
pub fn run(row: &str, library: &str) -> Sample {
    let (what, tasks) = row.rsplit_once('_').expect("WHAT_TASKS");
    let tasks = tasks.parse().expect("a number of tasks");
    let is_mpmc = what.starts_with("mpmc");
    match library {
        "blitz-unfair" => unfair::measure(tasks),
        "tokio-mt" => tokio::measure(what, tasks),
        "blitz-mt" if is_mpmc => blitz_mpmc::measure(what, tasks),
        "blitz-mt" => blitz::measure(what, tasks),
        "blitz-on-tokio" if is_mpmc => blitz_mpmc_on_tokio::measure(what, tasks),
        "blitz-on-tokio" => blitz_on_tokio::measure(what, tasks),
        "async-lock" => async_lock::measure(what, tasks),
        "async-channel" => async_channel::measure(what, tasks),
        "flume" => flume::measure(what, tasks),
        "kanal" => kanal::measure(what, tasks),
        "kanal-on-blitz" => kanal_on_blitz::measure(what, tasks),
        other => panic!("no library {other}"),
    }
}
