//! The builder's knobs: what each does, and what its default is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use blitz_io::runtime::{Backend, Builder, LocalOptions, RngSeed, UnhandledPanic, worker_index};
use blitz_io::task;

use crate::child;
use crate::harness::{FLAVORS, Flavor, GUARD, cases, each_case, guarded, run};

#[test]
fn threads_are_named_and_their_hooks_called() {
    each_case(&FLAVORS, |case| {
        let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (start, stop) = (Arc::clone(&started), Arc::clone(&stopped));
        let count = Arc::new(AtomicUsize::new(0));
        let runtime = case
            .builder()
            .thread_name_fn(move || format!("mine-{}", count.fetch_add(1, SeqCst)))
            .on_thread_start(move || {
                start.fetch_add(1, SeqCst);
            })
            .on_thread_stop(move || {
                stop.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        let name = run(
            &runtime,
            runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned)),
        );
        assert!(name.unwrap().is_some_and(|name| name.starts_with("mine-")));
        guarded(GUARD, || drop(runtime));
        assert!(started.load(SeqCst) >= 1);
        assert_eq!(started.load(SeqCst), stopped.load(SeqCst));
    });
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let name = runtime.spawn(async { std::thread::current().name().map(str::to_owned) });
    assert_eq!(
        run(&runtime, name).unwrap().as_deref(),
        Some("blitz-io-worker")
    );
}

#[test]
fn waits_and_tasks_are_told_of() {
    each_case(&FLAVORS, |case| {
        let seen: Arc<Mutex<BTreeSet<&'static str>>> = Arc::default();
        let note = |what: &'static str| {
            let seen = Arc::clone(&seen);
            move || {
                seen.lock().unwrap().insert(what);
            }
        };
        let (spawn, before, after, end) =
            (note("spawn"), note("before"), note("after"), note("end"));
        let runtime = case
            .builder()
            .on_thread_park(note("park"))
            .on_thread_unpark(note("unpark"))
            .on_task_spawn(move |_| spawn())
            .on_before_task_poll(move |_| before())
            .on_after_task_poll(move |_| after())
            .on_task_terminate(move |_| end())
            .build()
            .unwrap();
        run(&runtime, async {
            // A sleep may be over before anybody looks, and then nobody waits.
            while !seen.lock().unwrap().contains("unpark") {
                blitz_io::spawn(blitz_io::time::sleep(Duration::from_millis(1)))
                    .await
                    .unwrap();
            }
        });
        guarded(GUARD, || drop(runtime));
        let all = ["after", "before", "end", "park", "spawn", "unpark"];
        assert_eq!(
            seen.lock().unwrap().iter().copied().collect::<Vec<_>>(),
            all
        );
    });
}

#[test]
fn workers_are_counted_and_know_their_number() {
    each_case(&[Flavor::MultiThread, Flavor::ThreadPerCore], |case| {
        let runtime = case.builder().worker_threads(3).build().unwrap();
        assert_eq!(runtime.metrics().num_workers(), 3);
        assert_eq!(worker_index(), None);
        let index = run(&runtime, runtime.spawn(async { worker_index() })).unwrap();
        assert!(index.is_some_and(|index| index < 3));
        assert_eq!(
            run(&runtime, runtime.spawn_blocking(worker_index)).unwrap(),
            None
        );
        let default = case.flavor;
        let mut builder = match default {
            Flavor::ThreadPerCore => Builder::new_thread_per_core(),
            _ => Builder::new_multi_thread(),
        };
        let workers = builder
            .driver_backend(case.backend)
            .build()
            .unwrap()
            .metrics()
            .num_workers();
        assert!(workers >= 1);
    });
}

#[test]
fn workers_run_on_the_processors_they_are_tied_to() {
    fn allowed() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap_or_default().trim().to_owned()
    }
    let here = allowed();
    let Some(first) = here
        .split([',', '-'])
        .next()
        .and_then(|cpu| cpu.parse::<usize>().ok())
    else {
        return;
    };
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().worker_affinity([first]).build().unwrap();
        let tied = if case.flavor == Flavor::CurrentThread {
            run(&runtime, async { allowed() })
        } else {
            run(&runtime, runtime.spawn(async { allowed() })).unwrap()
        };
        assert_eq!(tied, first.to_string());
        drop(runtime);
        assert_eq!(allowed(), here, "the thread of `block_on` is free again");
    });
}

#[test]
fn a_task_that_panics_ends_the_runtime_if_asked_to() {
    for case in cases(&[Flavor::CurrentThread]) {
        let runtime = case
            .builder()
            .unhandled_panic(UnhandledPanic::ShutdownRuntime)
            .build()
            .unwrap();
        let result = std::panic::catch_unwind(|| {
            run(&runtime, async {
                blitz_io::spawn(async { panic!("expected") });
                std::future::pending::<()>().await;
            });
        });
        assert!(result.is_err());
    }
    let refused = std::panic::catch_unwind(|| {
        Builder::new_multi_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime);
    });
    assert!(refused.is_err());
}

#[test]
fn blocking_threads_are_bounded_and_their_queue_too() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .max_blocking_threads(1)
            .max_blocking_queue(1)
            .build()
            .unwrap();
        let (begun, begins) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let first = runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        guarded(GUARD, || begins.recv()).unwrap();
        let second = runtime.spawn_blocking(|| 2);
        let third = runtime.spawn_blocking(|| 3);
        assert!(run(&runtime, third).unwrap_err().is_cancelled());
        assert_eq!(runtime.metrics().blocking_queue_depth(), 1);
        drop(release);
        run(&runtime, first).unwrap();
        assert_eq!(run(&runtime, second).unwrap(), 2);
    });
}

#[test]
fn a_seed_is_made_of_bytes_or_of_a_number() {
    let seed = RngSeed::from_bytes(b"the same");
    assert_eq!(
        format!("{seed:?}"),
        format!("{:?}", RngSeed::from_bytes(b"the same"))
    );
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().rng_seed(seed.clone()).build().unwrap();
        assert_eq!(run(&runtime, runtime.spawn(async { 1 })).unwrap(), 1);
    });
}

#[test]
fn a_back_end_that_is_asked_for_is_the_one_that_runs() {
    for case in cases(&FLAVORS) {
        let runtime = case.runtime();
        let capabilities = runtime.handle().capabilities();
        assert_eq!(capabilities.backend(), case.backend);
        assert!(!capabilities.reason().is_empty());
        assert_eq!(
            capabilities.features().is_empty(),
            case.backend == Backend::Epoll
        );
        let report = capabilities.to_string();
        assert!(report.contains(&case.backend.to_string()), "{report}");
    }
}

#[test]
fn local_runtimes_are_current_thread_alone() {
    let refused = std::panic::catch_unwind(|| {
        drop(Builder::new_multi_thread().build_local(LocalOptions::default()))
    });
    assert!(refused.is_err());
    let runtime = Builder::new_current_thread()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .unwrap();
    let slept = guarded(GUARD, || {
        runtime.block_on(async {
            let start = blitz_io::time::Instant::now();
            task::spawn_local(blitz_io::time::sleep(Duration::from_secs(60)))
                .await
                .unwrap();
            start.elapsed()
        })
    });
    assert!(slept >= Duration::from_secs(60));
}

#[test]
fn a_thread_of_the_kernel_may_submit() {
    for case in cases(&[Flavor::CurrentThread])
        .into_iter()
        .filter(|case| case.backend == Backend::IoUring)
    {
        let built = case
            .builder()
            .ring_sqpoll(Duration::from_millis(1), None)
            .build();
        // Some systems refuse it to some users; then the error says so.
        match built {
            Ok(runtime) => run(&runtime, async {
                blitz_io::time::sleep(Duration::from_millis(1)).await
            }),
            Err(error) => assert!(error.to_string().contains("io_uring"), "{error}"),
        }
    }
}

#[test]
fn the_environment_names_the_number_of_workers() {
    child::run(
        "export BLITZ_IO_WORKER_THREADS=3",
        "builder::three_workers_by_the_environment",
    );
    child::run(
        "export BLITZ_IO_WORKER_THREADS=many",
        "builder::nonsense_in_the_environment_is_told",
    );
}

#[test]
#[ignore = "a child of the_environment_names_the_number_of_workers"]
fn three_workers_by_the_environment() {
    let runtime = Builder::new_multi_thread().build().unwrap();
    assert_eq!(runtime.metrics().num_workers(), 3);
}

#[test]
#[ignore = "a child of the_environment_names_the_number_of_workers"]
fn nonsense_in_the_environment_is_told() {
    let error = Builder::new_multi_thread().build().unwrap_err().to_string();
    assert!(
        error.contains("BLITZ_IO_WORKER_THREADS") && error.contains("many"),
        "{error}"
    );
}
