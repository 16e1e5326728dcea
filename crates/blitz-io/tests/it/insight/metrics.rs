//! Counters and histograms.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use blitz_io::runtime::{
    HistogramConfiguration, HistogramScale, InvalidHistogramConfiguration, LogHistogram,
    RuntimeMetrics,
};
use blitz_io::task::{coop, yield_now};

use super::until;
use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, on_every, run};

fn sum(metrics: &RuntimeMetrics, figure: impl Fn(&RuntimeMetrics, usize) -> u64) -> u64 {
    (0..metrics.num_workers())
        .map(|worker| figure(metrics, worker))
        .sum()
}

#[test]
fn polls_and_spawns_are_counted() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        run(runtime, async {
            let tasks: Vec<_> = (0..100)
                .map(|_| blitz_io::spawn(async { yield_now().await }))
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            let polls = RuntimeMetrics::worker_poll_count;
            until("two polls for each task", || sum(&metrics, polls) >= 200).await;
        });
        assert_eq!(metrics.spawned_tasks_count(), 100);
        assert_eq!(metrics.num_alive_tasks(), metrics.active_tasks_count());
        let queued = sum(&metrics, RuntimeMetrics::worker_local_schedule_count);
        assert!(queued >= 100, "a yield is queued at home: {queued}");
        let mean = |metrics: &RuntimeMetrics, worker| {
            u64::from(!metrics.worker_mean_poll_time(worker).is_zero())
        };
        run(runtime, async {
            until("a wait", || sum(&metrics, mean) > 0).await;
        });
        assert_eq!(
            metrics.injection_queue_depth(),
            metrics.global_queue_depth()
        );
        for worker in 0..metrics.num_workers() {
            assert!(metrics.worker_local_queue_depth(worker) <= 200);
        }
    });
}

/// (A worker that was told to end between two turns kept what it had counted since the first.)
#[test]
fn what_was_done_before_the_end_is_counted() {
    const ROUNDS: usize = 50;
    each_case(&FLAVORS, |case| {
        for _ in 0..ROUNDS {
            let mut builder = case.builder();
            // What another thread goes on with is queued once more.
            builder.stuck_rescue_after(Duration::MAX);
            let runtime = builder.build().unwrap();
            let metrics = runtime.metrics();
            run(&runtime, async {
                let outer = blitz_io::spawn(async {
                    blitz_io::spawn(async {}).await.expect("no panic");
                });
                outer.await.expect("no panic");
            });
            drop(runtime);
            let polls = sum(&metrics, RuntimeMetrics::worker_poll_count);
            assert!((2..=3).contains(&polls), "{polls} polls of two tasks");
            if case.flavor == Flavor::MultiThread {
                let queued = sum(&metrics, RuntimeMetrics::worker_local_schedule_count);
                assert!((1..=2).contains(&queued), "{queued} queued at home");
                assert_eq!(metrics.remote_schedule_count(), 1);
            }
        }
    });
}

#[test]
fn a_worker_says_which_thread_it_is() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let metrics = runtime.metrics();
        let inside = run(&runtime, async {
            let spawned = blitz_io::spawn(async {
                let worker = blitz_io::runtime::worker_index().expect("a task is on a worker");
                (worker, std::thread::current().id())
            });
            let (worker, thread) = spawned.await.expect("no panic");
            assert_eq!(metrics.worker_thread_id(worker), Some(thread));
            worker
        });
        if case.flavor == Flavor::CurrentThread {
            let here = Some(std::thread::current().id());
            assert_eq!(metrics.worker_thread_id(inside), here, "it had it last");
        }
    });
}

#[test]
fn tasks_from_other_threads_are_counted() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        let before = metrics.remote_schedule_count();
        let handle = runtime.handle().clone();
        run(runtime, async move {
            let tasks = std::thread::spawn(move || {
                (0..10).map(|_| handle.spawn(async {})).collect::<Vec<_>>()
            });
            for task in tasks.join().expect("no panic") {
                task.await.expect("no panic");
            }
        });
        assert!(metrics.remote_schedule_count() >= before + 10);
    });
}

#[test]
fn a_task_without_budget_is_counted() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        run(runtime, async {
            let task = blitz_io::spawn(async {
                for _ in 0..1_000 {
                    coop::consume_budget().await;
                }
            });
            task.await.expect("no panic");
            until("a forced yield", || {
                metrics.budget_forced_yield_count() >= 7
            })
            .await;
        });
    });
}

#[test]
fn a_worker_that_waits_again_with_nothing_done_is_counted() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        run(runtime, async {
            let noops = RuntimeMetrics::worker_noop_count;
            // On `multi_thread` this thread is no worker, so its timer wakes a worker that has nothing to poll; elsewhere the
            // driver's own wake-ups do.
            until("a wait after a wait", || {
                sum(&metrics, noops) > 0 || metrics.num_workers() == 1
            })
            .await;
        });
    });
}

#[test]
fn full_queues_are_counted_and_no_theft_takes_nothing() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.builder().local_queue_len(2).build().expect("built");
        let metrics = runtime.metrics();
        run(&runtime, async {
            let burst = blitz_io::spawn(async {
                let tasks: Vec<_> = (0..64).map(|_| blitz_io::spawn(yield_now())).collect();
                for task in tasks {
                    task.await.expect("it ends");
                }
            });
            burst.await.expect("it ends");
        });
        // Told at a worker's next turn of its driver.
        run(&runtime, async {
            until("an overflow", || {
                sum(&metrics, RuntimeMetrics::worker_overflow_count) > 0
            })
            .await;
        });
        let tasks = sum(&metrics, RuntimeMetrics::worker_steal_count);
        assert!(tasks >= sum(&metrics, RuntimeMetrics::worker_steal_operations));
    });
}

#[test]
#[should_panic(expected = "worker 7 is out of range")]
fn a_worker_that_there_is_not_is_refused() {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .build()
        .expect("built");
    runtime.metrics().worker_poll_count(7);
}

#[test]
fn histograms_are_switched_while_the_runtime_runs() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        assert!(!metrics.poll_time_histogram_enabled());
        assert_eq!(metrics.poll_time_histogram_num_buckets(), 0);
        let polls = |metrics: &RuntimeMetrics| {
            sum(metrics, |metrics, worker| {
                metrics.poll_time_histogram(worker).count()
            })
        };
        let waits = |metrics: &RuntimeMetrics| {
            sum(metrics, |metrics, worker| {
                metrics.schedule_latency_histogram(worker).count()
            })
        };
        run(runtime, async {
            blitz_io::spawn(async {}).await.expect("no panic");
            assert_eq!((polls(&metrics), waits(&metrics)), (0, 0), "off");
            metrics.set_poll_time_histogram(true);
            metrics.set_schedule_latency_histogram(true);
            until("polls and waits are measured", || {
                blitz_io::spawn(async { yield_now().await });
                polls(&metrics) > 100 && waits(&metrics) > 100
            })
            .await;
        });
        let line = line!() - 5;
        let sites = metrics.spawn_sites();
        let site = sites
            .iter()
            .find(|site| site.location.line() == line)
            .expect("the tasks' spawn site");
        assert!(site.location.file().ends_with("metrics.rs"));
        assert!(site.poll_time.count() > 0 && site.latency.count() > 0);
        for times in [
            &site.poll_time,
            &site.latency,
            &metrics.poll_time_histogram(0),
        ] {
            let (Some(min), Some(max)) = (times.min(), times.max()) else {
                continue;
            };
            assert!(min <= max && max <= times.sum());
        }
        let buckets = metrics.poll_time_histogram_num_buckets();
        assert_eq!(buckets, 10);
        let in_buckets = || {
            sum(&metrics, |metrics, worker| {
                (0..buckets)
                    .map(|bucket| metrics.poll_time_histogram_bucket_count(worker, bucket))
                    .sum()
            })
        };
        guarded(GUARD, || {
            loop {
                // What was spawned last may be polled yet: a reading during which nothing was counted.
                let (before, counted) = (polls(&metrics), in_buckets());
                if polls(&metrics) == before {
                    assert_eq!(counted, before);
                    break;
                }
            }
        });
        metrics.set_poll_time_histogram(false);
        metrics.set_schedule_latency_histogram(false);
        run(runtime, async {
            // Until the workers have seen it.
            until("no more is measured", || {
                blitz_io::spawn(async {});
                let before = polls(&metrics);
                std::thread::yield_now();
                polls(&metrics) == before
            })
            .await;
        });
    });
}

#[test]
fn buckets_are_what_the_builder_says() {
    each_case(&[Flavor::CurrentThread], |case| {
        let mut builder = case.builder();
        builder
            .enable_metrics_poll_time_histogram()
            .metrics_poll_time_histogram_configuration(HistogramConfiguration::linear(
                Duration::from_micros(50),
                4,
            ))
            .enable_metrics_schedule_latency_histogram()
            .metrics_schedule_latency_histogram_configuration(HistogramConfiguration::log(
                LogHistogram::builder()
                    .min_value(Duration::from_micros(1))
                    .max_value(Duration::from_millis(1))
                    .precision_exact(0),
            ));
        let metrics = builder.build().expect("built").metrics();
        assert_eq!(metrics.poll_time_histogram_num_buckets(), 4);
        let range = metrics.poll_time_histogram_bucket_range(1);
        assert_eq!(range, Duration::from_micros(50)..Duration::from_micros(100));
        let last = metrics.poll_time_histogram_bucket_range(3);
        assert_eq!(
            last,
            Duration::from_micros(150)..Duration::from_nanos(u64::MAX)
        );
        let buckets = metrics.schedule_latency_histogram_num_buckets();
        let first = metrics.schedule_latency_histogram_bucket_range(0);
        assert_eq!(first, Duration::ZERO..Duration::from_nanos(512));
        let last = metrics.schedule_latency_histogram_bucket_range(buckets - 1);
        assert_eq!(last.start, Duration::from_nanos(1 << 20));

        let metrics = case
            .builder()
            .enable_metrics_poll_count_histogram()
            .metrics_poll_count_histogram_scale(HistogramScale::Log)
            .metrics_poll_count_histogram_resolution(Duration::from_nanos(100))
            .metrics_poll_count_histogram_buckets(3)
            .build()
            .expect("built")
            .metrics();
        assert_eq!(metrics.poll_count_histogram_num_buckets(), 3);
        let ranges: Vec<_> = (0..3)
            .map(|bucket| {
                metrics
                    .poll_count_histogram_bucket_range(bucket)
                    .end
                    .as_nanos()
            })
            .collect();
        assert_eq!(ranges, [128, 256, u128::from(u64::MAX)]);
    });
    let refused = LogHistogram::builder().max_error(0.001).max_buckets(10);
    let Err(InvalidHistogramConfiguration::TooManyBuckets {
        required_bucket_count,
    }) = refused
    else {
        panic!("a thousandth wants more than ten buckets")
    };
    assert!(required_bucket_count > 10_000);
    assert!(LogHistogram::default().max_value() >= 60_000_000_000);
}

#[test]
fn hooks_are_told_how_long_a_task_was_ready() {
    each_case(&FLAVORS, |case| {
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let (before, after) = (Arc::clone(&seen), Arc::clone(&seen));
        let runtime = case
            .builder()
            .track_task_schedule_latency()
            .on_before_task_poll(move |meta| {
                before
                    .lock()
                    .expect("no panic")
                    .push((meta.id(), meta.schedule_latency()));
            })
            .on_after_task_poll(move |meta| {
                let latency = meta.schedule_latency();
                let seen = after.lock().expect("no panic");
                let begun = seen.iter().rev().find(|(id, _)| *id == meta.id());
                assert_eq!(begun.map(|(_, latency)| *latency), Some(latency));
            })
            .build()
            .expect("built");
        run(&runtime, async {
            blitz_io::spawn(async { yield_now().await })
                .await
                .expect("no panic");
        });
        let seen = seen.lock().expect("no hook panicked");
        assert!(seen.len() >= 2);
        assert!(seen.iter().all(|(_, latency)| latency.is_some()));
        assert_eq!(
            runtime.metrics().schedule_latency_histogram(0).count(),
            0,
            "for hooks alone"
        );
    });
}

#[test]
fn the_memory_of_tasks_is_counted() {
    on_every(|runtime| {
        let metrics = runtime.metrics();
        run(runtime, async {
            let empty = metrics.task_bytes();
            let large = [0_u8; 64 * 1024];
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    blitz_io::spawn(async move {
                        std::future::pending::<()>().await;
                        std::hint::black_box(&large);
                    })
                })
                .collect();
            let with = metrics.task_bytes() - empty;
            assert!(with >= 10 * large.len(), "boxed futures count: {with}");
            tasks.iter().for_each(|task| task.abort());
        });
    });
}
