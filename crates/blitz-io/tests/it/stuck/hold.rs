//! What a stuck worker holds, and what holds it: tasks of every class, operations in the ring, paused time.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use blitz_io::io::AsyncReadExt;
use blitz_io::runtime::{Backend, Handle, Runtime};
use blitz_io::task::{Priority, block_in_place, spawn_with_priority};
use blitz_io::time::sleep;

use super::{MS, Stop, all_back, builder, each_ring, reports_of, stick, unique, until};
use crate::harness::{GUARD, guarded, patient, run};
use blitz_io::runtime::StuckOutcome;

const CLASSES: [Priority; 4] = [
    Priority::Critical,
    Priority::High,
    Priority::Normal,
    Priority::Low,
];

/// A worker is stuck with tasks of every class in its queues: they run all the same, by the thread that takes over, or by
/// another worker, which takes all but the one that was to be next.
#[test]
fn tasks_of_every_class_that_a_stuck_worker_holds_are_run() {
    each_ring(|case| {
        for (workers, rescued) in [(1, true), (2, true), (2, false)] {
            let mut builder = builder(case, workers);
            if !rescued {
                builder.stuck_rescue_after(Duration::MAX);
            }
            let runtime = builder.build().unwrap();
            let (told, all) = mpsc::channel();
            let stop = Stop::new();
            let stuck = stop.clone();
            let task = stick(&runtime, "holds", move || {
                for round in 0..3 {
                    for class in CLASSES {
                        let told = told.clone();
                        spawn_with_priority(class, async move {
                            told.send((class, round)).unwrap();
                        });
                    }
                }
                drop(told);
                stuck.spin();
            });
            let taken = if rescued { 12 } else { 11 };
            let mut ran: Vec<_> = (0..taken)
                .map(|_| {
                    all.recv_timeout(patient(GUARD))
                        .unwrap_or_else(|_| panic!("{workers} workers, rescued: {rescued}"))
                })
                .collect();
            assert!(!task.is_finished());
            stop.stop();
            ran.extend(std::iter::from_fn(|| all.recv_timeout(patient(GUARD)).ok()));
            ran.sort_by_key(|(class, round)| (CLASSES.iter().position(|c| c == class), *round));
            let expected: Vec<_> = CLASSES
                .into_iter()
                .flat_map(|class| (0..3).map(move |round| (class, round)))
                .collect();
            assert_eq!(ran, expected);
            run(&runtime, task).unwrap();
            all_back(&runtime);
        }
    });
}

fn threads() -> Vec<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

fn this_thread() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    let number = link.file_name().unwrap().to_str().unwrap();
    number.parse().unwrap()
}

/// Two threads of the pool have work at one time, of which one at least is not `holder`; returns when those are gone.
fn others_come_and_go(runtime: &Runtime, holder: u32) {
    let both = Arc::new(Barrier::new(2));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let both = Arc::clone(&both);
            let call = move || {
                both.wait();
                this_thread()
            };
            runtime.spawn_blocking(call)
        })
        .collect();
    for call in calls {
        let thread = run(runtime, call).unwrap();
        if thread != holder {
            until("a thread ends by its keep-alive", || {
                !threads().contains(&thread)
            });
        }
    }
}

/// The kernel cancels what a thread has in flight when it ends. So one that was a worker, and has read from a pipe in the ring
/// since, outlives its keep-alive until that is answered.
#[test]
fn a_thread_with_operations_in_flight_outlives_its_keep_alive() {
    each_ring(|case| {
        let mut builder = builder(case, 1);
        builder.thread_keep_alive(MS);
        let runtime = builder.build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut options = std::fs::File::options();
        let mut writer = options.read(true).write(true).open(&path).unwrap();
        let read = runtime.spawn(async move {
            let mut file = blitz_io::fs::File::open(&path).await.unwrap();
            file.read_u8().await.unwrap()
        });
        let ring = runtime.handle().capabilities().backend() == Backend::IoUring;
        let metrics = runtime.metrics();
        let in_flight = || {
            let now = metrics.worker_ring_metrics(0).in_flight;
            now.iter().any(|of| of.operation == "READ" && of.count == 1)
        };
        if ring {
            until("the read is in the ring", in_flight);
            // And with the kernel: the worker has slept since.
            for _ in 0..2 {
                run(&runtime, runtime.spawn(async { sleep(MS).await })).unwrap();
            }
        }
        let stop = Stop::new();
        let (stuck, (tell, told)) = (stop.clone(), mpsc::channel());
        let spinning = stick(&runtime, "spins", move || {
            tell.send(this_thread()).unwrap();
            stuck.spin();
        });
        let holder = told.recv_timeout(patient(GUARD)).unwrap();
        until("it is replaced", || metrics.rescue_count() == 1);
        stop.stop();
        run(&runtime, spinning).unwrap();
        all_back(&runtime);
        if ring {
            for _ in 0..3 {
                others_come_and_go(&runtime, holder);
                assert!(
                    threads().contains(&holder),
                    "it has left what it had in flight"
                );
                assert!(in_flight());
            }
        }
        writer.write_all(&[9]).unwrap();
        assert_eq!(run(&runtime, read).unwrap(), 9);
        until("it ends then", || !threads().contains(&holder));
        guarded(GUARD, || drop(runtime));
    });
}

/// Time that was paused while a worker was stuck stands still until its thread is back; then it runs on.
#[test]
fn paused_time_waits_for_a_thread_that_lost_its_worker() {
    each_ring(|case| {
        let runtime = builder(case, 1).build().unwrap();
        let metrics = runtime.metrics();
        for pause_first in [false, true] {
            let (stop, before) = (Stop::new(), metrics.rescue_count());
            if pause_first {
                run(&runtime, async { blitz_io::time::pause() });
            }
            let stuck = stop.clone();
            let spinning = stick(&runtime, "spins", move || stuck.spin());
            until("it is replaced", || metrics.rescue_count() > before);
            if !pause_first {
                run(&runtime, async { blitz_io::time::pause() });
            }
            let slept = runtime.spawn(async {
                let begun = blitz_io::time::Instant::now();
                sleep(Duration::from_secs(3600)).await;
                begun.elapsed()
            });
            // Others work and wait meanwhile.
            for _ in 0..20 {
                run(&runtime, runtime.spawn(blitz_io::task::yield_now())).unwrap();
            }
            assert!(
                !slept.is_finished(),
                "time has jumped over a task in its poll"
            );
            stop.stop();
            run(&runtime, spinning).unwrap();
            assert_eq!(run(&runtime, slept).unwrap(), Duration::from_secs(3600));
            all_back(&runtime);
            run(&runtime, async { blitz_io::time::resume() });
        }
    });
}

/// What a task waits for in `block_in_place`, after it has lost its worker, may be time that is paused: it moves then.
#[test]
fn paused_time_moves_while_a_thread_without_its_worker_waits_for_it() {
    each_ring(|case| {
        let mut builder = builder(case, 1);
        let runtime = builder.build().unwrap();
        run(&runtime, async { blitz_io::time::pause() });
        let metrics = runtime.metrics();
        let polls = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&polls);
        let task = runtime.spawn(async move {
            until("it is rescued", || metrics.rescue_count() > 0);
            let handle = Handle::current();
            let begun = blitz_io::time::Instant::now();
            for hours in 1..=2 {
                block_in_place(|| handle.block_on(sleep(Duration::from_secs(3600))));
                assert_eq!(begun.elapsed(), Duration::from_secs(3600) * hours);
                // In between it works, and time stands still.
                let other = blitz_io::spawn(async { sleep(Duration::from_secs(1)).await });
                for _ in 0..20 {
                    let work = blitz_io::spawn(async {});
                    until("others work", || work.is_finished());
                }
                assert!(!other.is_finished());
                seen.fetch_add(1, SeqCst);
            }
        });
        run(&runtime, task).unwrap();
        assert_eq!(polls.load(SeqCst), 2);
        all_back(&runtime);
        guarded(GUARD, || drop(runtime));
    });
}

/// The three figures, each by its own path: reports, rescues, and threads that are replaced now.
#[test]
fn the_figures_count_reports_rescues_and_replaced_threads() {
    each_ring(|case| {
        let runtime = builder(case, 1).build().unwrap();
        let metrics = runtime.metrics();
        let page = |name: &str| {
            let text = metrics.prometheus();
            let line = text
                .lines()
                .find(|line| line.split(['{', ' ']).next() == Some(name));
            let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(page("blitz_io_replaced_threads"), 0);
        for round in 1..=2 {
            let (name, stop) = (unique("spins"), Stop::new());
            let stuck = stop.clone();
            let task = stick(&runtime, &name, move || stuck.spin());
            until("it is rescued", || {
                !reports_of(&name, &StuckOutcome::Rescued).is_empty()
            });
            // The one behind it: nothing more is stuck now.
            let rescued = metrics.rescue_count();
            assert!(rescued >= round, "{rescued}");
            assert!(metrics.stuck_count() >= rescued);
            assert!(metrics.num_replaced_threads() >= 1);
            let figures: [(&str, &dyn Fn() -> u64); 3] = [
                ("blitz_io_stuck_polls_total", &|| metrics.stuck_count()),
                ("blitz_io_rescues_total", &|| metrics.rescue_count()),
                ("blitz_io_replaced_threads", &|| {
                    metrics.num_replaced_threads() as u64
                }),
            ];
            for (name, figure) in figures {
                // A thread without a processor may look stuck meanwhile.
                until("the page agrees", || {
                    let before = figure();
                    let told = page(name);
                    let is_still = figure() == before;
                    assert!(!is_still || told == before, "{name}: {told}, not {before}");
                    is_still
                });
            }
            stop.stop();
            run(&runtime, task).unwrap();
            all_back(&runtime);
            assert_eq!(page("blitz_io_replaced_threads"), 0);
        }
    });
}
