//! What should not be, and is noticed.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Waker;
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::runtime::Handle;
use blitz_io::runtime::dump::{TaskState, WarningKind};
use blitz_io::task::yield_now;

use super::{until, until_outside};
use crate::harness::{FLAVORS, Flavor, each_case, on_every, run};

#[test]
fn a_task_that_nobody_can_wake_is_found() {
    on_every(|runtime| {
        run(runtime, async {
            let lost = blitz_io::spawn(std::future::pending::<()>());
            let kept = blitz_io::spawn(blitz_io::time::sleep(Duration::from_secs(3600)));
            until("both wait", || {
                let tasks = Handle::current().tasks();
                tasks
                    .iter()
                    .filter(|task| task.state == TaskState::Idle)
                    .count()
                    == 2
            })
            .await;
            let found = Handle::current().check_tasks();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].task, lost.id());
            assert!(matches!(found[0].kind, WarningKind::LostWaker { .. }));
            assert!(found[0].to_string().contains("nobody has its waker"));
            assert_eq!(Handle::current().warnings(), found);
            // Told once, however often it is found.
            Handle::current().check_tasks();
            assert_eq!(Handle::current().metrics().warnings_count(), 1);
            lost.abort();
            kept.abort();
        });
    });
}

#[test]
fn a_task_that_spins_is_found() {
    on_every(|runtime| {
        run(runtime, async {
            let spins = blitz_io::spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let mut found = None;
            until("it has spun long enough", || {
                // A poll without a processor does not come back either, and that is told before.
                found = Handle::current()
                    .check_tasks()
                    .into_iter()
                    .filter(|warning| warning.task == spins.id())
                    .find_map(|warning| match warning.kind {
                        WarningKind::SelfWakes { self_wakes, polls } => Some((self_wakes, polls)),
                        WarningKind::NeverYields { .. } => None,
                        _ => panic!("{warning}"),
                    });
                found.is_some()
            })
            .await;
            let (self_wakes, polls) = found.expect("found");
            assert!(self_wakes >= 500 && polls >= 1_000);
            spins.abort();
        });
    });
}

/// Wakes that are in vain: a task whose other future says so by a waker of its own, and waits for an hour all the time.
#[test]
fn a_task_that_others_wake_in_vain_is_found_and_one_that_gets_something_is_not() {
    on_every(|runtime| {
        run(runtime, async {
            let waker = Arc::new(Mutex::new(None::<Waker>));
            let mine = Arc::clone(&waker);
            let vain = blitz_io::spawn(async move {
                let mut sleep = std::pin::pin!(blitz_io::time::sleep(Duration::from_secs(3600)));
                poll_fn(|cx| {
                    *mine.lock().expect("nobody panics") = Some(cx.waker().clone());
                    sleep.as_mut().poll(cx)
                })
                .await;
            });
            let (mut asks, mut answers) = blitz_io::net::UnixStream::pair().expect("two ends");
            let busy = blitz_io::spawn(async move {
                let mut buf = [0; 1];
                while answers.read(&mut buf).await.is_ok_and(|read| read == 1)
                    && answers.write_all(&buf).await.is_ok()
                {}
            });
            // A task, so that what takes a thousand rounds takes none of this thread's turns.
            let waking = blitz_io::spawn(async move {
                let mut buf = [0; 1];
                while asks.write_all(&buf).await.is_ok() && asks.read_exact(&mut buf).await.is_ok()
                {
                    let waker = waker.lock().expect("nobody panics").take();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            });
            let (vain_id, busy_id) = (vain.id(), busy.id());
            let mut found = None;
            until("it was woken often enough", || {
                let mut told = Handle::current().check_tasks();
                // Of a poll that has no processor for a while, as it may be.
                told.retain(|warning| !matches!(warning.kind, WarningKind::NeverYields { .. }));
                assert!(told.iter().all(|warning| warning.task != busy_id));
                found = told.into_iter().find(|warning| warning.task == vain_id);
                found.is_some()
            })
            .await;
            let warning = found.expect("found");
            let WarningKind::VainWakes {
                vain: wakes,
                polls,
                what,
                ..
            } = warning.kind
            else {
                panic!("{warning}")
            };
            assert!(wakes >= 50 && polls >= 100, "{warning}");
            assert_eq!(what, "time::sleep");
            assert!(warning.to_string().contains("in vain"), "{warning}");
            waking.abort();
            vain.abort();
            busy.abort();
        });
    });
}

#[test]
fn a_poll_that_does_not_come_back_is_found() {
    each_case(&[Flavor::MultiThread, Flavor::ThreadPerCore], |case| {
        let runtime = case.runtime();
        let (release, held) = mpsc::channel::<()>();
        let stuck = runtime.spawn(async move { held.recv().unwrap_or(()) });
        until_outside("it is noticed", || {
            runtime.handle().check_tasks().iter().any(|warning| {
                warning.task == stuck.id()
                    && matches!(warning.kind, WarningKind::NeverYields { .. })
            })
        });
        drop(release);
        run(&runtime, stuck).expect("no panic");
    });
}

#[test]
fn long_polls_and_large_futures_are_told_at_once() {
    each_case(&FLAVORS, |case| {
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let sink = Arc::clone(&told);
        let runtime = case
            .builder()
            .enable_metrics_poll_time_histogram()
            .long_poll_threshold(Duration::from_millis(1))
            .on_warning(move |warning| {
                {
                    let mut told = sink.lock().expect("not held in a panic");
                    told.push(warning.clone());
                }
                panic!("a hook's panic goes no further");
            })
            .build()
            .expect("built");
        run(&runtime, async {
            let large = [0_u8; 64 * 1024];
            let large = blitz_io::spawn(async move {
                yield_now().await;
                std::hint::black_box(&large);
            });
            let long = blitz_io::spawn(async {
                let begun = std::time::Instant::now();
                while begun.elapsed() < Duration::from_millis(2) {
                    std::hint::spin_loop();
                }
            });
            let (long_id, large_id) = (long.id(), large.id());
            long.await.expect("no panic");
            large.await.expect("no panic");
            until("both were told", || {
                let told = told.lock().expect("not held in a panic");
                let is_long = |kind| matches!(kind, WarningKind::LongPoll { took } if took >= Duration::from_millis(2));
                let is_large = |kind| matches!(kind, WarningKind::LargeFuture { bytes } if bytes >= 64 * 1024);
                told.iter().any(|warning| warning.task == long_id && is_long(warning.kind))
                    && told.iter().any(|warning| warning.task == large_id && is_large(warning.kind))
            })
            .await;
        });
    });
}
