//! Priorities through the public API, on every flavour: who goes first, and that nobody waits for ever.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use blitz_io::runtime::{Builder, LocalOptions, Runtime};
use blitz_io::task::{self, JoinHandle, JoinSet, LocalSet, Priority, yield_now};
use blitz_io::time::sleep;

use crate::harness::{self, Case, FLAVORS, Flavor, GUARD, each_case, guarded, patient};

/// A runtime whose tasks all run on one worker.
fn of_one_worker(case: Case) -> Runtime {
    case.builder_of_one().build().unwrap()
}

type Order = Arc<Mutex<Vec<&'static str>>>;

const EXPECTED: [&str; 6] = ["urgent", "critical", "high", "normal", "also normal", "low"];

/// Spawns one task a class, the least urgent first, each by another way to do so.
fn spawn_each(order: &Order) -> (Vec<JoinHandle<()>>, JoinSet<()>) {
    let say = |what: &'static str| {
        let order = Arc::clone(order);
        async move { order.lock().unwrap().push(what) }
    };
    let mut set = JoinSet::new();
    let build = || task::Builder::new();
    let tasks = vec![
        task::spawn_with_priority(Priority::Low, say("low")),
        blitz_io::spawn(say("normal")),
        build().name("also").spawn(say("also normal")).unwrap(),
        build()
            .priority(Priority::Critical)
            .spawn(say("critical"))
            .unwrap(),
        task::spawn_urgent(say("urgent")),
    ];
    set.build_task()
        .priority(Priority::High)
        .name("member")
        .spawn(say("high"))
        .unwrap();
    (tasks, set)
}

#[test]
fn the_most_urgent_goes_first_on_every_flavour() {
    each_case(&FLAVORS, |case| {
        let runtime = of_one_worker(case);
        let order = Order::default();
        let inside = Arc::clone(&order);
        harness::run(&runtime, async {
            let spawned = blitz_io::spawn(async move { spawn_each(&inside) }).await;
            let (tasks, set) = spawned.unwrap();
            for task in tasks {
                task.await.unwrap();
            }
            set.join_all().await;
        });
        let mut order = order.lock().unwrap().clone();
        if case.flavor == Flavor::MultiThread {
            // The normal one that was spawned last runs out of its slot.
            order.swap(3, 4);
        }
        assert_eq!(order, EXPECTED);
    });
}

#[test]
fn the_most_urgent_goes_first_in_a_local_runtime_and_in_a_set() {
    let runtime = Builder::new_current_thread()
        .build_local(LocalOptions::default())
        .unwrap();
    let set = LocalSet::new();
    for in_set in [false, true] {
        let order = Order::default();
        let say = |what: &'static str| {
            let order = Arc::clone(&order);
            // Not `Send`.
            let local = std::rc::Rc::new(what);
            async move { order.lock().unwrap().push(*local) }
        };
        let tasks = async {
            let spawn = |priority, what| {
                let builder = task::Builder::new().priority(priority);
                if in_set {
                    builder.spawn_local_on(say(what), &set).unwrap()
                } else {
                    builder.spawn_local(say(what)).unwrap()
                }
            };
            [
                spawn(Priority::Low, "low"),
                spawn(Priority::Normal, "normal"),
                spawn(Priority::High, "high"),
                spawn(Priority::Critical, "critical"),
                task::Builder::new()
                    .urgent()
                    .spawn_local(say("urgent"))
                    .unwrap(),
            ]
        };
        let all = async {
            for task in tasks.await {
                task.await.unwrap();
            }
        };
        guarded(GUARD, || {
            if in_set {
                runtime.block_on(set.run_until(all));
            } else {
                runtime.block_on(all);
            }
        });
        assert_eq!(
            *order.lock().unwrap(),
            ["urgent", "critical", "high", "normal", "low"],
            "in a set: {in_set}"
        );
    }
}

/// From a thread that is in no runtime, while every worker sleeps, and while every worker is busy.
#[test]
fn an_urgent_task_from_outside_runs() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let handle = runtime.handle().clone();
        let (stop, stopped) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let outside = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let (send, receive) = mpsc::channel();
                let ask = || {
                    let send = send.clone();
                    handle.spawn_urgent(async move {
                        assert_eq!(task::priority(), Priority::Critical);
                        send.send(()).unwrap();
                    });
                    receive.recv_timeout(patient(GUARD)).unwrap();
                };
                for _ in 0..20 {
                    ask();
                }
                let busy: Vec<_> = Priority::ALL
                    .into_iter()
                    .flat_map(|priority| std::iter::repeat_n(priority, 10))
                    .map(|priority| {
                        let stop = Arc::clone(&stop);
                        handle.spawn_with_priority(priority, async move {
                            while !stop.load(SeqCst) {
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                for _ in 0..20 {
                    ask();
                }
                stop.store(true, SeqCst);
                busy
            })
        };
        let count = Arc::clone(&stopped);
        harness::run(&runtime, async move {
            let busy = task::spawn_blocking(move || outside.join().unwrap()).await;
            for task in busy.unwrap() {
                task.await.unwrap();
                count.fetch_add(1, SeqCst);
            }
        });
        assert_eq!(stopped.load(SeqCst), 40);
    });
}

/// All workers are saturated with tasks of all other classes, and a task of each class still sees its timers and gets on.
#[test]
fn every_class_gets_on_with_its_timers_on_a_saturated_runtime() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .priority_aging(Priority::High, 4)
            .priority_aging(Priority::Normal, 8)
            .priority_aging(Priority::Low, 16)
            .build()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let handle = runtime.handle().clone();
        harness::run(&runtime, async {
            let busy: Vec<_> = Priority::ALL
                .into_iter()
                .flat_map(|priority| std::iter::repeat_n(priority, 6))
                .map(|priority| {
                    let stop = Arc::clone(&stop);
                    handle.spawn_with_priority(priority, async move {
                        while !stop.load(SeqCst) {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            let observed: Vec<_> = Priority::ALL
                .into_iter()
                .map(|priority| {
                    handle.spawn_with_priority(priority, async move {
                        for _ in 0..10 {
                            sleep(Duration::from_millis(1)).await;
                            yield_now().await;
                        }
                        task::priority()
                    })
                })
                .collect();
            for (task, priority) in observed.into_iter().zip(Priority::ALL) {
                assert_eq!(task.await.unwrap(), priority);
            }
            stop.store(true, SeqCst);
            for task in busy {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_task_changes_its_priority_and_keeps_it() {
    harness::on_every(|runtime| {
        harness::run(runtime, async {
            assert_eq!(task::priority(), Priority::Normal);
            let task = blitz_io::spawn(async {
                assert_eq!(task::set_priority(Priority::Low), Priority::Normal);
                sleep(Duration::from_millis(1)).await;
                // What it spawns is normal again.
                let child = blitz_io::spawn(async { task::priority() });
                (task::priority(), child.await.unwrap())
            });
            assert_eq!(task.await.unwrap(), (Priority::Low, Priority::Normal));
        });
    });
}

#[test]
fn hooks_and_shutdown_know_a_task_s_priority() {
    let seen: Arc<Mutex<Vec<Priority>>> = Arc::default();
    let record = |seen: &Arc<Mutex<Vec<Priority>>>| {
        let seen = Arc::clone(seen);
        move |meta: &blitz_io::runtime::TaskMeta<'_>| seen.lock().unwrap().push(meta.priority())
    };
    let runtime = Builder::new_current_thread()
        .on_task_spawn(record(&seen))
        .on_before_task_poll(record(&seen))
        .on_after_task_poll(record(&seen))
        .on_task_terminate(record(&seen))
        .build()
        .unwrap();
    harness::run(&runtime, task_of_priority(runtime.handle().clone()));
    assert_eq!(*seen.lock().unwrap(), [Priority::High; 4]);
}

async fn task_of_priority(handle: blitz_io::runtime::Handle) {
    handle
        .spawn_with_priority(Priority::High, async {})
        .await
        .unwrap();
}

/// Each class has its own histogram of latencies, while that is on; and tells how many of it wait.
#[test]
fn latencies_and_queues_are_told_by_class() {
    each_case(&FLAVORS, |case| {
        let runtime = of_one_worker(case);
        let metrics = runtime.metrics();
        for on in [false, true] {
            metrics.set_schedule_latency_histogram(on);
            let all_are_told = || {
                let mut counts =
                    Priority::ALL.map(|priority| metrics.schedule_latency(priority).count());
                counts.sort_unstable();
                counts[0] >= 20
            };
            harness::run(&runtime, async {
                loop {
                    let nested = blitz_io::spawn(async {
                        let tasks: Vec<_> = Priority::ALL
                            .into_iter()
                            .flat_map(|priority| std::iter::repeat_n(priority, 10))
                            .map(|priority| task::spawn_with_priority(priority, yield_now()))
                            .collect();
                        for task in tasks {
                            task.await.unwrap();
                        }
                    });
                    nested.await.unwrap();
                    // The worker sees the switch, and tells what it has counted, in turns of its driver.
                    sleep(Duration::from_millis(1)).await;
                    if !on || all_are_told() {
                        break;
                    }
                }
            });
            for priority in Priority::ALL {
                let latency = metrics.schedule_latency(priority);
                assert!(
                    on || latency.count() == 0,
                    "{case}, {priority}: {latency:?}"
                );
                let percentiles = [50.0, 99.0, 99.9].map(|percent| latency.percentile(percent));
                assert!(percentiles.is_sorted() && percentiles[2] <= latency.max());
            }
        }
    });
}

#[test]
fn the_depth_of_each_class_is_seen_while_its_worker_is_busy() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = of_one_worker(case);
        let (held, release) = (mpsc::channel(), mpsc::channel::<()>());
        let holding = runtime.spawn(async move {
            let low: Vec<_> = (0..3)
                .map(|_| task::spawn_with_priority(Priority::Low, async {}))
                .collect();
            held.0.send(()).unwrap();
            release.1.recv_timeout(patient(GUARD)).unwrap();
            low
        });
        held.1.recv_timeout(patient(GUARD)).unwrap();
        let outside: Vec<_> = [Priority::Critical, Priority::Critical, Priority::High]
            .map(|priority| runtime.handle().spawn_with_priority(priority, async {}))
            .into_iter()
            .chain([runtime.handle().spawn_urgent(async {})])
            .collect();
        let metrics = runtime.metrics();
        let depths = Priority::ALL.map(|priority| metrics.priority_queue_depth(priority));
        assert_eq!(depths, [3, 1, 0, 3]);
        assert_eq!(metrics.global_queue_depth(), 4);
        assert_eq!(metrics.worker_local_queue_depth(0), 3);
        release.0.send(()).unwrap();
        harness::run(&runtime, async {
            for task in holding.await.unwrap().into_iter().chain(outside) {
                task.await.unwrap();
            }
        });
    });
}

/// On one thread as of its last turn, which comes after each poll here.
#[test]
fn a_task_sees_how_many_wait_behind_it() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder_of_one().event_interval(1).build().unwrap();
        let metrics = runtime.metrics();
        harness::run(&runtime, async move {
            let looking = blitz_io::spawn(async move {
                let low: Vec<_> = (0..5)
                    .map(|_| task::spawn_with_priority(Priority::Low, async {}))
                    .collect();
                for _ in 0..3 {
                    yield_now().await;
                }
                let depths = Priority::ALL.map(|priority| metrics.priority_queue_depth(priority));
                (depths, low)
            });
            let (depths, low) = looking.await.unwrap();
            // One thread counted the task that looks as well: it had queued itself at that turn.
            let normal = usize::from(case.flavor != Flavor::MultiThread);
            assert_eq!(depths, [0, 0, normal, 5], "{case}");
            for task in low {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_class_cannot_be_promised_too_much() {
    for (priority, polls) in [
        (Priority::Low, 3),
        (Priority::High, 0),
        (Priority::Critical, 8),
    ] {
        let result = std::panic::catch_unwind(|| {
            Builder::new_current_thread().priority_aging(priority, polls);
        });
        assert!(result.is_err(), "{priority} {polls}");
    }
    Builder::new_current_thread().priority_aging(Priority::Low, 4);
}
