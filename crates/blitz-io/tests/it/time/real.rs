//! Real time: never early, from nanoseconds to for ever, wherever a timer is polled, reset and dropped.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io::runtime::Builder;
use blitz_io::task;
use blitz_io::time::{self, Duration, Instant, Sleep, error::Elapsed};

use super::{GUARD, on_every, panic_of};

/// Numbers without a pattern that matters.
fn scrambled(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 27)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn no_sleep_ends_early() {
    on_every(false, || async {
        let sleeps = (0..300).map(|n| async move {
            let duration = Duration::from_nanos(scrambled(n + 1) % 4_000_000);
            let start = std::time::Instant::now();
            time::sleep(duration).await;
            let took = start.elapsed();
            assert!(took >= duration, "{duration:?} ended after {took:?}");
        });
        futures::future::join_all(sleeps).await;
        let tasks: Vec<_> = (0..50u64)
            .map(|n| async move {
                let deadline = Instant::now() + Duration::from_micros(scrambled(n) % 3_000);
                time::sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
            })
            .collect();
        futures::future::join_all(tasks).await;
    });
}

#[test]
fn spawned_sleeps_end_too() {
    on_every(false, || async {
        let tasks: Vec<_> = (0..200u64)
            .map(|n| {
                blitz_io::spawn(async move {
                    let start = std::time::Instant::now();
                    let duration = Duration::from_micros(scrambled(n) % 5_000);
                    time::sleep(duration).await;
                    assert!(start.elapsed() >= duration);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Sleeps shorter than anything a wheel distinguishes (tokio-rs/tokio#3069).
#[test]
fn the_smallest_sleeps_end() {
    on_every(false, || async {
        for nanos in [0, 1, 2, 10, 100, 999, 1_000, 1_001, 10_000] {
            for _ in 0..20 {
                time::sleep(Duration::from_nanos(nanos)).await;
            }
        }
        let tasks: Vec<_> = (0..500)
            .map(|n| blitz_io::spawn(time::sleep(Duration::from_nanos(n))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Nothing overflows, and nothing that lies beyond the end of time fires (#3551, #4495, #5710, #6487, #6612).
#[test]
fn huge_durations_are_waits_like_others() {
    on_every(false, || async {
        let year = Duration::from_secs(365 * 24 * 3600);
        for duration in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            year * 20_000,
            year * 600,
            year * 290,
            year * 3,
        ] {
            let mut sleep = pin!(time::sleep(duration));
            assert!(poll_once(sleep.as_mut()).is_pending(), "{duration:?}");
            assert!(sleep.deadline() > Instant::now() + year);
            sleep
                .as_mut()
                .reset(Instant::now() + Duration::from_micros(1));
            sleep.await;
            assert_eq!(time::timeout(duration, ready(3)).await, Ok(3));
            let mut timeout = pin!(time::timeout(duration, pending::<()>()));
            assert!(poll_once(timeout.as_mut()).is_pending());
            let mut interval = time::interval(duration);
            interval.tick().await;
            assert!(poll_once(pin!(interval.tick())).is_pending());
            interval.reset();
            interval.reset_after(duration);
            assert!(poll_once(pin!(interval.tick())).is_pending());
        }
        let mut sleep = pin!(time::sleep_until(Instant::now() + year * 500));
        assert!(poll_once(sleep.as_mut()).is_pending());
        // A driver with only such deadlines still sleeps and wakes.
        time::sleep(Duration::from_micros(200)).await;
    });
}

#[test]
fn past_deadlines_are_ready_at_once() {
    on_every(false, || async {
        let start = Instant::now();
        let past = start.checked_sub(Duration::from_secs(1)).unwrap_or(start);
        for deadline in [start, past] {
            let mut sleep = pin!(time::sleep_until(deadline));
            assert!(!sleep.is_elapsed(), "nobody has looked");
            assert!(poll_once(sleep.as_mut()).is_ready());
            assert!(sleep.is_elapsed());
            assert_eq!(sleep.deadline(), deadline);
        }
        assert!(poll_once(pin!(time::sleep(Duration::ZERO))).is_ready());
        assert_eq!(time::timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert!(
            time::timeout(Duration::ZERO, pending::<()>())
                .await
                .is_err()
        );
        assert!(time::timeout_at(past, pending::<()>()).await.is_err());
    });
}

#[test]
fn timeouts_give_the_future_back() {
    on_every(false, || async {
        let mut timeout = time::timeout(Duration::from_secs(60), ready(5));
        let _: &std::future::Ready<i32> = timeout.get_ref();
        *timeout.get_mut() = ready(6);
        assert_eq!(timeout.into_inner().await, 6);
        let late: Result<(), Elapsed> = time::timeout(Duration::from_micros(50), pending()).await;
        let error = late.unwrap_err();
        assert_eq!(error.to_string(), "deadline has elapsed");
        assert_eq!(
            std::io::Error::from(error).kind(),
            std::io::ErrorKind::TimedOut
        );
        let nested = time::timeout(
            GUARD,
            time::timeout(Duration::from_micros(50), pending::<()>()),
        );
        assert!(nested.await.unwrap().is_err());
    });
}

/// A future that uses up the budget in each poll cannot hold its own timeout off.
#[test]
fn a_timeout_fires_though_its_future_never_rests() {
    on_every(false, || async {
        let busy = async {
            loop {
                task::consume_budget().await;
            }
        };
        let late: Result<(), Elapsed> = time::timeout(Duration::from_millis(2), busy).await;
        assert!(late.is_err());
    });
}

#[test]
fn a_reset_sleep_ends_at_its_new_deadline_before_and_after_it_fired() {
    on_every(false, || async {
        let mut sleep = pin!(time::sleep(Duration::from_secs(3600)));
        assert!(poll_once(sleep.as_mut()).is_pending());
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_millis(1);
            sleep.as_mut().reset(deadline);
            // Another worker may fire it while this thread is kept from its processor.
            assert!(!sleep.is_elapsed() || Instant::now() >= deadline);
            sleep.as_mut().await;
            assert!(sleep.is_elapsed());
            assert!(Instant::now() >= deadline);
        }
        sleep.as_mut().reset(Instant::now());
        sleep.await;
    });
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A reset to a moment that has passed wakes the task that waits.
#[test]
fn a_reset_to_the_past_wakes() {
    on_every(false, || async {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut sleep = pin!(time::sleep(Duration::from_secs(3600)));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        sleep.as_mut().reset(Instant::now());
        let mut sleep = Some(sleep);
        poll_fn(|cx| {
            // By the reset itself or by the driver's next turn.
            if count.0.load(SeqCst) == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        sleep.take().expect("not polled meanwhile").await;
    });
}

/// A sleep is its own runtime's, wherever it is polled and reset (#8169).
#[test]
fn a_sleep_may_be_polled_and_reset_on_another_runtime() {
    let home = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    on_every(false, || async {
        let mut sleep: Pin<Box<Sleep>> = {
            let _home = home.enter();
            Box::pin(time::sleep(Duration::from_secs(3600)))
        };
        assert!(poll_once(sleep.as_mut()).is_pending());
        sleep
            .as_mut()
            .reset(Instant::now() + Duration::from_millis(1));
        sleep.as_mut().await;
        sleep
            .as_mut()
            .reset(Instant::now() + Duration::from_millis(1));
        let sleep = home.spawn(async move {
            sleep.as_mut().await;
            sleep
                .as_mut()
                .reset(Instant::now() + Duration::from_millis(1));
            vec![sleep]
        });
        for sleep in sleep.await.unwrap() {
            sleep.await;
        }
    });
    // And on no runtime at all.
    let sleep = {
        let _home = home.enter();
        time::timeout(Duration::from_millis(1), pending::<()>())
    };
    assert!(futures::executor::block_on(sleep).is_err());
}

/// Timers that are dropped and reset on one thread while they fire on another (#3229, #6683, #8252).
#[test]
fn firing_dropping_and_resetting_at_once_lose_nothing() {
    on_every(false, || async {
        let tasks: Vec<_> = (0..4u64)
            .map(|lane| {
                blitz_io::spawn(async move {
                    for n in 0..400u64 {
                        let near = Duration::from_nanos(scrambled(lane << 32 | n) % 60_000);
                        let mut sleep = Box::pin(time::sleep(near));
                        let _ = poll_once(sleep.as_mut());
                        let mover = blitz_io::spawn(async move {
                            match n % 3 {
                                0 => drop(sleep),
                                1 => sleep.await,
                                _ => {
                                    sleep.as_mut().reset(Instant::now() + near);
                                    sleep.await;
                                }
                            }
                        });
                        if n % 7 == 0 {
                            mover.abort();
                            let _ = mover.await;
                        } else {
                            mover.await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            time::timeout(GUARD, task)
                .await
                .expect("a timer was lost")
                .unwrap();
        }
    });
}

/// How long this thread has had a processor, where the system tells; else, what the clock says.
fn time_had(begun: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|told| told.split(' ').next()?.parse().ok());
    ns.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

/// A million pending timers cost the rest of the runtime nothing.
#[test]
fn a_million_pending_timers_are_no_burden() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let hour = Instant::now() + Duration::from_secs(3600);
        let mut sleeps: Vec<_> = (0..1_000_000u64)
            .map(|n| {
                Box::pin(time::sleep_until(
                    hour + Duration::from_micros(scrambled(n) % 10_000_000_000),
                ))
            })
            .collect();
        for sleep in &mut sleeps {
            assert!(poll_once(sleep.as_mut()).is_pending());
            task::consume_budget().await;
        }
        let start = Instant::now();
        let before = time_had(start);
        for _ in 0..200 {
            time::sleep(Duration::from_micros(20)).await;
        }
        let slow = time_had(start) - before;
        assert!(
            slow < crate::harness::patient(Duration::from_secs(1)),
            "200 short sleeps among a million took {slow:?} of a processor"
        );
        for sleep in sleeps.iter_mut().step_by(3) {
            sleep
                .as_mut()
                .reset(Instant::now() + Duration::from_millis(1));
        }
        for sleep in sleeps.iter_mut().step_by(3) {
            sleep.as_mut().await;
        }
    });
}

#[test]
fn without_a_runtime_the_message_names_the_call_and_the_remedies() {
    let second = Duration::from_secs(1);
    type Call = (&'static str, fn(Duration));
    let calls: [Call; 9] = [
        ("time::sleep", |second| drop(time::sleep(second))),
        ("time::sleep_until", |_| {
            drop(time::sleep_until(Instant::now()))
        }),
        ("time::timeout", |second| {
            drop(time::timeout(second, ready(())))
        }),
        ("time::timeout_at", |_| {
            drop(time::timeout_at(Instant::now(), ready(())))
        }),
        ("time::interval", |second| drop(time::interval(second))),
        ("time::interval_at", |second| {
            drop(time::interval_at(Instant::now(), second))
        }),
        ("time::pause", |_| time::pause()),
        ("time::resume", |_| time::resume()),
        ("time::advance", |second| {
            assert!(poll_once(pin!(time::advance(second))).is_pending())
        }),
    ];
    for (name, call) in calls {
        let message = panic_of(|| call(second));
        assert!(
            message.contains(&format!("`{name}`")) && message.contains("no runtime here"),
            "{message}"
        );
    }
}

#[test]
fn after_the_shutdown_a_sleep_says_so() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut sleep = {
        let _guard = runtime.enter();
        Box::pin(time::sleep(Duration::from_secs(60)))
    };
    drop(runtime);
    let message = panic_of(|| assert!(poll_once(sleep.as_mut()).is_pending()));
    assert!(message.contains("shutting down"), "{message}");
}

#[test]
fn instants_add_subtract_and_convert_as_stds() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    assert_eq!(Instant::from_std(now.into_std()), now);
    assert_eq!(Instant::from(std::time::Instant::from(now)), now);
    assert_eq!((now + second) - now, second);
    assert_eq!(now - (now + second), Duration::ZERO);
    assert_eq!((now + second).duration_since(now), second);
    assert_eq!(now.duration_since(now + second), Duration::ZERO);
    assert_eq!(now.saturating_duration_since(now + second), Duration::ZERO);
    assert_eq!(now.checked_duration_since(now + second), None);
    assert_eq!(now.checked_add(Duration::MAX), None);
    assert_eq!((now + second).checked_sub(second), Some(now));
    let mut moved = now;
    moved += second;
    moved -= second;
    assert_eq!(moved, now);
    assert!(moved.elapsed() < GUARD && (now + GUARD).elapsed() == Duration::ZERO);
}
