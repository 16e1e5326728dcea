//! The stacks of stuck threads: which function it is, what the signal does to the thread, and when there is none.
//!
//! A stack comes when the system gives the stuck thread a processor in time, and is rate-limited: tests try until one comes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use blitz_io::runtime::{Builder, Runtime, StuckOutcome, StuckPlace, StuckReport};
use blitz_io::signal::unix::{SignalKind, signal};
use blitz_io::task::yield_now;
use blitz_io::time::sleep;

use super::{MS, NAMED, Stop, all_back, builder, each_ring, stick, until};
use crate::harness::{Case, Flavor, GUARD, each_case, guarded, patient, run, within};

/// Whether this machine is one whose stacks are read.
fn are_read() -> bool {
    let machine = cfg!(target_arch = "x86_64") || cfg!(target_arch = "aarch64");
    machine && cfg!(target_pointer_width = "64") && std::path::Path::new("/proc/self/task").exists()
}

/// Reports of one runtime.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<StuckReport>>>);

impl Told {
    fn builder(&self, case: Case, workers: usize) -> Builder {
        let told = self.clone();
        let mut builder = builder(case, workers);
        builder.on_stuck(move |report| told.0.lock().unwrap().push(report.clone()));
        builder
    }

    /// Those that come when a thread is to be replaced, which is in a task.
    fn decided(&self) -> Vec<StuckReport> {
        self.decided_in(StuckPlace::Task)
    }

    /// The same for a place. (A thread without a processor may look stuck anywhere.)
    fn decided_in(&self, place: StuckPlace) -> Vec<StuckReport> {
        let mut told = self.0.lock().unwrap().clone();
        told.retain(|report| {
            let outcome = &report.outcome;
            let is_decided = matches!(outcome, StuckOutcome::Rescued | StuckOutcome::NotRescued(_));
            is_decided && report.place == place
        });
        told
    }
}

/// Whether it has a stack with that function.
fn has_named(report: &StuckReport, function: &str) -> bool {
    let frames = report.stack.as_ref().map(|stack| stack.frames());
    frames.into_iter().flatten().any(|frame| {
        let name = frame.function.as_deref();
        name.is_some_and(|name| name.contains(function))
    })
}

/// Has `stuck` run in a task, again and again, until a report comes with a stack from within `function`; returns it. (A thread without a
/// processor may look stuck on its way there.)
#[track_caller]
fn stack_of(
    told: &Told,
    runtime: &Runtime,
    function: &str,
    stuck: impl Fn(&Stop) + Clone + Send + 'static,
) -> StuckReport {
    let begun = Instant::now();
    loop {
        let (before, stop) = (told.decided().len(), Stop::new());
        let (runs, stuck) = (stop.clone(), stuck.clone());
        let task = stick(runtime, "stuck", move || stuck(&runs));
        until("it is decided about", || told.decided().len() > before);
        stop.stop();
        run(runtime, task).unwrap();
        let decided = told.decided();
        if let Some(with) = decided[before..]
            .iter()
            .find(|report| has_named(report, function))
        {
            return with.clone();
        }
        assert!(begun.elapsed() < patient(NAMED), "no stack: {decided:#?}");
    }
}

#[track_caller]
fn assert_names(report: &StuckReport, function: &str) {
    let stack = report.stack.as_ref().unwrap();
    let named = stack.frames().iter().position(|frame| {
        let name = frame.function.as_deref();
        name.is_some_and(|name| name.contains(function))
    });
    let named = named.unwrap_or_else(|| panic!("{function} is not in\n{report:#}"));
    let file = stack.frames()[named].file.as_ref().unwrap();
    assert!(file.ends_with("stuck/stacks.rs"), "{report:#}");
    assert!(report.to_string().lines().count() == 1);
    assert!(format!("{report:#}").contains(function));
}

#[inline(never)]
fn spins_in_this_function(stop: &Stop) {
    stop.spin();
    std::hint::black_box(stop);
}

#[test]
fn a_report_names_the_function_that_spins() {
    if !are_read() {
        return;
    }
    each_ring(|case| {
        let told = Told::default();
        let runtime = told.builder(case, 1).build().unwrap();
        let name = "spins_in_this_function";
        let report = stack_of(&told, &runtime, name, spins_in_this_function);
        assert_eq!(report.outcome, StuckOutcome::Rescued);
        assert_names(&report, "spins_in_this_function");
        // The rest of the list is the task, not what runs tasks.
        let stack = report.stack.unwrap();
        let last = stack.frames().last().unwrap().function.clone().unwrap();
        assert!(last.contains("it::"), "{stack}");
        all_back(&runtime);
        assert!(
            runtime
                .metrics()
                .stuck_reports()
                .iter()
                .any(|kept| kept.stack.as_ref() == Some(&stack))
        );
    });
}

/// All of them, at one time.
#[test]
fn each_of_all_workers_is_named() {
    if !are_read() {
        return;
    }
    each_ring(|case| {
        let told = Told::default();
        let runtime = told.builder(case, 2).build().unwrap();
        let stop = Stop::new();
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let stop = stop.clone();
                stick(&runtime, "stuck", move || spins_in_this_function(&stop))
            })
            .collect();
        until("both are replaced", || told.decided().len() >= 2);
        stop.stop();
        for task in tasks {
            run(&runtime, task).unwrap();
        }
        for report in told.decided() {
            // Unless the machine was too busy to give it a processor in all that time.
            if report.stack.is_some() {
                assert_names(&report, "spins_in_this_function");
            }
        }
        guarded(GUARD, || drop(runtime));
    });
}

#[inline(never)]
fn waits_in_this_function(mut reader: &UnixStream) {
    let mut byte = [0];
    // No loop: the system call goes on by itself.
    assert_eq!(reader.read(&mut byte).expect("it is not interrupted"), 1);
    std::hint::black_box(byte);
}

#[test]
fn a_report_names_who_waits_in_a_system_call_which_goes_on() {
    if !are_read() {
        return;
    }
    each_ring(|case| {
        let told = Told::default();
        let runtime = told.builder(case, 1).build().unwrap();
        let report = stack_of(&told, &runtime, "waits_in_this_function", |stop| {
            let (reader, mut writer) = UnixStream::pair().unwrap();
            let stop = stop.clone();
            let writes = std::thread::spawn(move || {
                stop.wait();
                writer.write_all(b"x").unwrap();
            });
            waits_in_this_function(&reader);
            writes.join().unwrap();
        });
        assert_names(&report, "waits_in_this_function");
        guarded(GUARD, || drop(runtime));
    });
}

/// The flavours that rescue nobody have a stack in the report that says so.
#[test]
fn the_other_flavors_name_it_too() {
    if !are_read() {
        return;
    }
    each_case(&[Flavor::CurrentThread, Flavor::ThreadPerCore], |case| {
        let told = Told::default();
        let runtime = told.builder(case, 1).build().unwrap();
        let tells = told.clone();
        let begun = Instant::now();
        let mut found = None;
        while found.is_none() {
            assert!(begun.elapsed() < patient(NAMED));
            let (tells, before) = (tells.clone(), told.decided().len());
            within(&runtime, NAMED + GUARD, async move {
                let stuck = blitz_io::spawn(async move {
                    let decided = move || tells.decided().len() > before;
                    spins_until_in_this_function(&decided);
                });
                stuck.await.unwrap();
            });
            let decided = told.decided();
            found = decided[before..]
                .iter()
                .find(|report| has_named(report, "spins_until_in_this_function"))
                .cloned();
        }
        let report = found.unwrap();
        let why = "on this flavor tasks belong to their threads";
        assert_eq!(report.outcome, StuckOutcome::NotRescued(why.to_owned()));
        assert_names(&report, "spins_until_in_this_function");
    });
}

#[inline(never)]
fn spins_until_in_this_function(done: &dyn Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < patient(NAMED));
        std::hint::spin_loop();
    }
}

/// Spins in a task until it was decided about so often; then none of those reports may have a stack.
#[track_caller]
fn no_stack_comes(told: &Told, runtime: &Runtime) {
    for _ in 0..2 {
        let (before, stop) = (told.decided().len(), Stop::new());
        let stuck = stop.clone();
        let task = stick(runtime, "stuck", move || stuck.spin());
        until("it is decided about", || told.decided().len() > before);
        stop.stop();
        run(runtime, task).unwrap();
    }
    for report in told.decided() {
        assert_eq!(report.stack, None);
    }
}

#[test]
fn without_a_signal_there_are_no_stacks() {
    each_ring(|case| {
        let told = Told::default();
        let mut builder = told.builder(case, 1);
        let runtime = builder.stuck_stack_signal(None).build().unwrap();
        no_stack_comes(&told, &runtime);
    });
}

/// A signal that the program handles: it is not sent, and the program's handler stays.
#[test]
fn a_signal_that_the_program_handles_is_left_to_it() {
    // Real-time signals that nobody else here uses.
    let next = AtomicI32::new(42);
    each_ring(|case| {
        let number = next.fetch_add(1, SeqCst);
        let told = Told::default();
        let mut builder = told.builder(case, 1);
        let runtime = builder.stuck_stack_signal(number).build().unwrap();
        let mut own = run(&runtime, async {
            signal(SignalKind::from_raw(number)).unwrap()
        });
        no_stack_comes(&told, &runtime);
        let raise = || {
            let process = std::process::id().to_string();
            let mut kill = std::process::Command::new("kill");
            let kill = kill.args(["-s", &number.to_string(), &process]);
            assert!(kill.status().unwrap().success());
        };
        run(&runtime, async {
            let early = futures::poll!(Box::pin(own.recv()));
            assert!(early.is_pending(), "it was sent");
            raise();
            own.recv().await.unwrap();
        });
    });
}

/// More polls that are stuck than stacks may be taken of: all are rescued, few have a stack.
#[test]
fn stacks_are_rate_limited() {
    each_ring(|case| {
        let told = Told::default();
        let runtime = told.builder(case, 1).build().unwrap();
        let begun = Instant::now();
        for number in 1..=10 {
            let stop = Stop::new();
            let stuck = stop.clone();
            let task = stick(&runtime, "stuck", move || stuck.spin());
            until("it is decided about", || told.decided().len() >= number);
            stop.stop();
            run(&runtime, task).unwrap();
        }
        let decided = told.decided();
        let with = decided.iter().filter(|report| report.stack.is_some());
        let most = 4 + begun.elapsed().as_secs() as usize + 1;
        assert!(with.count() <= most, "{decided:#?}");
        assert!(!are_read() || decided.iter().any(|report| report.stack.is_some()));
    });
}

#[test]
fn what_is_no_signal_for_this_is_refused() {
    for signal in [9, 11, 0, -1, 1000] {
        let refused = std::panic::catch_unwind(|| {
            let mut builder = Builder::new_multi_thread();
            builder.stuck_stack_signal(signal);
        });
        assert!(!are_read() || refused.is_err(), "{signal}");
    }
    let mut builder = Builder::new_multi_thread();
    builder.stuck_stack_signal(23).stuck_stack_signal(None);
}

/// A waker of the user's own, which a timer calls in the driver's turn.
struct SpinsInWake(Stop, AtomicBool);

impl Wake for SpinsInWake {
    fn wake(self: Arc<Self>) {
        self.1.store(true, SeqCst);
        spins_in_this_function(&self.0);
    }
}

/// A turn cannot change hands half-way: a waker that spins there is reported, with its stack, and why nobody takes over. Tasks
/// go on where there is another worker.
#[test]
fn a_waker_that_spins_in_the_drivers_turn_is_reported() {
    each_ring(|case| {
        let told = Told::default();
        let runtime = told.builder(case, 2).build().unwrap();
        // The monitor is awake, since one worker always is: it falls asleep when it finds both in their waits a few times, and is woken
        // after a turn, not in one.
        let awake = runtime.spawn(async {
            loop {
                yield_now().await;
            }
        });
        // All their timers may be the stuck driver's.
        let stay_up: Vec<_> = (0..4)
            .map(|_| {
                runtime.spawn(async {
                    loop {
                        sleep(MS).await;
                    }
                })
            })
            .collect();
        let stop = Stop::new();
        let waker = Arc::new(SpinsInWake(stop.clone(), AtomicBool::new(false)));
        let wakes = Waker::from(Arc::clone(&waker));
        let task = runtime.spawn(async move {
            let mut timer = Box::pin(sleep(200 * MS));
            assert!(
                timer
                    .as_mut()
                    .poll(&mut Context::from_waker(&wakes))
                    .is_pending()
            );
            // It stays armed.
            std::future::pending::<()>().await;
            drop(timer);
        });
        until("the waker was called", || waker.1.load(SeqCst));
        let why = "it is in the turn of its driver, which cannot change hands half-way";
        let why = StuckOutcome::NotRescued(why.to_owned());
        let of_it = || {
            let mut decided = told.decided_in(StuckPlace::Scheduler);
            decided.retain(|report| report.outcome == why);
            decided.pop()
        };
        until("it is reported", || of_it().is_some());
        let report = of_it().unwrap();
        assert_eq!(report.task, None);
        if report.stack.is_some() {
            assert_names(&report, "spins_in_this_function");
        }
        // Nor is the other one for long, if it had no processor in a poll.
        until("nobody is replaced", || {
            runtime.metrics().num_replaced_threads() == 0
        });
        // The other worker runs whatever needs nothing of the first one's driver.
        for _ in 0..8 {
            run(&runtime, runtime.spawn(async {})).unwrap();
        }
        stop.stop();
        task.abort();
        awake.abort();
        for task in stay_up {
            task.abort();
        }
        run(&runtime, async { sleep(MS).await });
        guarded(GUARD, || drop(runtime));
    });
}

/// A hook is outside of the turn: whoever is stuck there is rescued.
#[test]
fn a_hook_that_spins_is_rescued() {
    each_ring(|case| {
        let told = Told::default();
        // Dropped after what would wait for it.
        let runtime;
        let stop = Stop::new();
        let spins = Arc::new(AtomicBool::new(false));
        let (stuck, once) = (stop.clone(), Arc::clone(&spins));
        let mut builder = told.builder(case, 1);
        builder.on_thread_park(move || {
            if once.swap(false, SeqCst) {
                stuck.spin();
            }
        });
        runtime = builder.build().unwrap();
        spins.store(true, SeqCst);
        run(&runtime, runtime.spawn(async {})).unwrap();
        until("it spins", || !spins.load(SeqCst));
        for _ in 0..3 {
            run(&runtime, runtime.spawn(async { sleep(MS).await })).unwrap();
        }
        until("it is told", || {
            let decided = told.decided_in(StuckPlace::Scheduler);
            decided
                .iter()
                .any(|report| report.outcome == StuckOutcome::Rescued)
        });
        stop.stop();
        all_back(&runtime);
        run(&runtime, runtime.spawn(async { sleep(MS).await })).unwrap();
        guarded(GUARD, || drop(runtime));
    });
}

/// A user's hook that takes its time holds the reports behind it up, and no rescue.
#[test]
fn a_hook_for_reports_that_blocks_stops_no_rescue() {
    each_ring(|case| {
        let (let_go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let mut builder = builder(case, 1);
        builder.on_stuck(move |_| {
            // Ends when the test drops the other end.
            let _ = wait.lock().unwrap().recv_timeout(2 * patient(GUARD));
        });
        let runtime = builder.build().unwrap();
        for _ in 0..3 {
            let stop = Stop::new();
            let stuck = stop.clone();
            let task = stick(&runtime, "stuck", move || stuck.spin());
            run(
                &runtime,
                runtime.spawn(async { sleep(Duration::from_micros(100)).await }),
            )
            .unwrap();
            stop.stop();
            run(&runtime, task).unwrap();
        }
        assert!(runtime.metrics().rescue_count() >= 3);
        drop(let_go);
        guarded(GUARD, || drop(runtime));
    });
}
