//! What is not rescued, who only reports, how a runtime ends with tasks that do not, and the options at their extremes.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blitz_io::runtime::{Builder, StuckOutcome};
use blitz_io::time::sleep;

use super::{MS, Stop, builder, each_ring, reports_of, stick, unique, until};
use crate::harness::{Flavor, GUARD, each_case, guarded, run};

/// Beyond the bound a worker is reported and stays stuck; and with the rescue off, and with all off.
#[test]
fn what_is_not_rescued_is_reported() {
    each_ring(|case| {
        for (set, reported, why) in [
            (
                (|builder| builder.max_replaced_threads(0)) as fn(&mut Builder) -> &mut Builder,
                true,
                Some("as many threads are stuck as may be replaced"),
            ),
            (
                |builder| builder.stuck_rescue_after(Duration::MAX),
                true,
                None,
            ),
            (
                |builder| builder.stuck_report_after(Duration::MAX),
                false,
                None,
            ),
        ] {
            let mut builder = builder(case, 1);
            set(&mut builder);
            let runtime = builder.build().unwrap();
            let (name, stop) = (unique("spins"), Stop::new());
            let stuck = stop.clone();
            let spinning = stick(&runtime, &name, move || stuck.spin());
            let behind = runtime.spawn(async {});
            if reported {
                until("it is reported", || {
                    !reports_of(&name, &StuckOutcome::Reported).is_empty()
                });
            }
            if let Some(why) = why {
                let outcome = StuckOutcome::NotRescued(why.to_owned());
                until("its refusal is reported", || {
                    reports_of(&name, &outcome).len() == 1
                });
            }
            assert!(!behind.is_finished());
            stop.stop();
            run(&runtime, async {
                behind.await.unwrap();
                spinning.await.unwrap();
            });
            assert_eq!(runtime.metrics().rescue_count(), 0);
            assert_eq!(runtime.metrics().stuck_count() > 0, reported);
        }
    });
}

/// Flavours whose tasks belong to a thread report. `current_thread` does when it is asked to.
#[test]
fn the_other_flavors_report() {
    each_case(&[Flavor::CurrentThread, Flavor::ThreadPerCore], |case| {
        // The hook that the builder has turns reports on.
        let runtime = builder(case, 1).build().unwrap();
        let name = unique("waits");
        let told = name.clone();
        run(&runtime, async {
            let stuck = blitz_io::task::Builder::new()
                .name(&name)
                .spawn(async move {
                    until("it is reported", || {
                        !reports_of(&told, &StuckOutcome::Reported).is_empty()
                    });
                });
            stuck.unwrap().await.unwrap();
        });
        assert_eq!(reports_of(&name, &StuckOutcome::Reported).len(), 1);
        assert!(runtime.metrics().stuck_count() > 0);
        assert!(!runtime.metrics().stuck_reports().is_empty());
        guarded(GUARD, || drop(runtime));
    });
}

/// The monitor goes on after a panic of the user's hook.
#[test]
fn a_hook_that_panics_costs_the_monitor_nothing() {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .stuck_report_after(MS)
        .stuck_rescue_after(5 * MS)
        .on_stuck(|_| panic!("a hook's own panic"));
    let runtime = builder.build().unwrap();
    for _ in 0..2 {
        let stop = Stop::new();
        let stuck = stop.clone();
        let spinning = stick(&runtime, "spins", move || stuck.spin());
        run(&runtime, runtime.spawn(async {})).unwrap();
        stop.stop();
        run(&runtime, spinning).unwrap();
    }
    guarded(GUARD, || drop(runtime));
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A deadline is kept while every worker spins; all other tasks are dropped, and what is left behind is told.
#[test]
fn a_shutdown_leaves_stuck_tasks_behind_and_says_so() {
    each_ring(|case| {
        for graceful in [false, true] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let tells = Arc::clone(&told);
            let mut builder = builder(case, 2);
            builder.on_stuck(move |report| tells.lock().unwrap().push(report.clone()));
            let runtime = builder.build().unwrap();
            let stop = Stop::new();
            let drops = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let count = CountDrop(Arc::clone(&drops));
                runtime.spawn(async move {
                    let _count = count;
                    sleep(Duration::from_secs(3600)).await;
                });
            }
            let spinning: Vec<_> = (0..2)
                .map(|_| {
                    let stop = stop.clone();
                    stick(&runtime, "spins", move || stop.spin())
                })
                .collect();
            // Named, since a shutdown takes tasks off the list that tells their names; and rescued, since nobody is any more when the
            // limit is over, and those who take over drop the other tasks.
            until("both are rescued", || {
                let told = told.lock().unwrap();
                let spins = told.iter().filter(|report| {
                    let task = report.task.as_ref().and_then(|task| task.name.as_deref());
                    task == Some("spins") && report.outcome == StuckOutcome::Rescued
                });
                spins.count() == 2
            });
            let limit = Duration::from_millis(500);
            guarded(GUARD, || {
                if graceful {
                    let report = runtime.shutdown_graceful(limit);
                    assert_eq!(report.leaked, 2);
                    assert!(!report.threads_ended);
                } else {
                    runtime.shutdown_timeout(limit);
                }
            });
            let leaked = told.lock().unwrap().clone();
            let leaked: Vec<_> = leaked
                .iter()
                .filter(|report| report.outcome == StuckOutcome::Leaked)
                .collect();
            assert_eq!(leaked.len(), 2, "{leaked:#?}");
            for report in leaked {
                assert_eq!(report.task.as_ref().unwrap().name.as_deref(), Some("spins"));
            }
            until("all other tasks are dropped", || drops.load(SeqCst) == 10);
            stop.stop();
            drop(spinning);
        }
    });
}

/// The monitor sleeps while the workers do: nobody pays for it then.
#[test]
fn the_monitor_of_an_idle_runtime_does_not_wake_up() {
    crate::child::run("", "stuck::bounds::alone_and_idle");
}

/// How often this process's monitors have gone to sleep.
fn monitors_sleeps() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let sleeps = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        if !name.starts_with("blitz-io-monito") {
            return None;
        }
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt"))?;
        line.split_whitespace().last()?.parse::<u64>().ok()
    });
    sleeps.sum()
}

#[test]
#[ignore = "run by the_monitor_of_an_idle_runtime_does_not_wake_up, alone in its process"]
fn alone_and_idle() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for _ in 0..3 {
        run(&runtime, runtime.spawn(async { sleep(MS).await })).unwrap();
        until("the monitor sleeps", || {
            // Awake it would look some twenty times in this time.
            let before = monitors_sleeps();
            std::thread::sleep(200 * MS);
            before > 0 && monitors_sleeps() == before
        });
    }
}

/// The options at their extremes, and what is refused.
#[test]
fn limits_at_their_extremes() {
    each_case(&crate::harness::FLAVORS, |case| {
        let least = Duration::from_nanos(1);
        let most = Duration::MAX - least;
        for (report, rescue, threads) in [
            (least, least, 1),
            (least, most, 0),
            (most, least, usize::MAX),
            (most, most, usize::MAX),
            (Duration::MAX, Duration::MAX, 0),
        ] {
            let mut builder = case.builder();
            builder
                .stuck_report_after(report)
                .stuck_rescue_after(rescue)
                .max_replaced_threads(threads);
            let runtime = builder.build().unwrap();
            run(&runtime, async {
                let tasks: Vec<_> = (0..20).map(|_| blitz_io::spawn(sleep(MS))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            guarded(GUARD, || drop(runtime));
        }
    });
    let refused = |set: fn(&mut Builder)| {
        assert!(std::panic::catch_unwind(|| set(&mut Builder::new_multi_thread())).is_err());
    };
    refused(|builder| drop(builder.stuck_report_after(Duration::ZERO).build()));
    refused(|builder| drop(builder.stuck_rescue_after(Duration::ZERO).build()));
}
