//! Time that is paused, moved, and moves by itself; the last part by loom.

use std::sync::Arc;
use std::task::Waker;

use super::*;
use crate::timer::Timers;

/// A driver without a kernel.
struct Fake {
    sleeper: Sleeper,
    timers: Option<Timers>,
}

impl Member for Fake {
    fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }

    fn unpark(&self) {
        self.sleeper.notify();
    }

    fn next_deadline(&self) -> Option<u64> {
        self.timers.as_ref()?.next_deadline()
    }

    fn fire(&self, now: u64) {
        if let Some(timers) = &self.timers {
            timers.fire(now);
        }
    }
}

fn driver(clock: &Clock) -> Arc<Fake> {
    let fake = Arc::new(Fake {
        sleeper: Sleeper::new(),
        timers: Some(Timers::new()),
    });
    let member: Arc<dyn Member> = fake.clone();
    clock.attach(Arc::downgrade(&member));
    fake
}

impl Fake {
    fn timers(&self) -> &Timers {
        self.timers.as_ref().expect("a driver")
    }

    /// As a driver does before its wait. True if it sleeps then.
    fn sleeps(&self, clock: &Clock) -> bool {
        self.sleeper.fall_asleep() && !clock.try_auto_advance(&self.sleeper)
    }
}

#[cfg(not(loom))]
mod plain {
    use std::time::Duration;

    use super::*;

    /// A thread in `block_on`, which keeps no timers.
    fn thread() -> Arc<Fake> {
        Arc::new(Fake {
            sleeper: Sleeper::new(),
            timers: None,
        })
    }

    #[test]
    fn instants_survive_the_way_to_nanoseconds_and_back() {
        let now = Instant::now();
        let _ = origin();
        let later = now + Duration::from_nanos(1_234_567_891);
        assert_eq!(from_ns(to_ns(later)), later);
        assert_eq!(to_ns(origin() - Duration::from_nanos(1)), 0);
        if let Some(far) = now.checked_add(Duration::from_secs(600 * 365 * 24 * 3600)) {
            assert_eq!(to_ns(far), u64::MAX);
        }
    }

    #[test]
    fn a_sleeper_takes_each_notification_once() {
        let sleeper = Sleeper::new();
        assert!(!sleeper.notify(), "it is awake: no system call");
        assert!(!sleeper.notify());
        assert!(!sleeper.fall_asleep(), "it was notified");
        assert!(sleeper.fall_asleep());
        assert!(sleeper.is_asleep());
        assert!(sleeper.notify(), "it must be woken");
        assert!(!sleeper.notify(), "one call is enough");
        sleeper.wake_up();
        assert!(
            sleeper.fall_asleep(),
            "the wait's end took the notification"
        );
    }

    #[test]
    fn paused_time_moves_by_hand_alone_and_goes_on_from_there() {
        let clock = Clock::new();
        assert_eq!(clock.resume(), Err(WrongMode));
        assert_eq!(clock.advance(Duration::ZERO), Err(WrongMode));
        clock.pause().unwrap();
        assert_eq!(clock.pause(), Err(WrongMode));
        let start = clock.now();
        clock.advance(Duration::from_nanos(7)).unwrap();
        assert_eq!(
            clock.now() - start,
            Duration::from_nanos(7),
            "exact: no rounding to a millisecond"
        );
        clock.advance(Duration::from_secs(3600)).unwrap();
        clock.resume().unwrap();
        assert!(clock.now() >= start + Duration::from_secs(3600));
        assert!(clock.now() < start + Duration::from_secs(7200));
        clock.pause().unwrap();
        clock.advance(Duration::from_secs(u64::MAX)).unwrap();
        clock.advance(Duration::MAX).unwrap();
        assert_eq!(clock.now_ns(), LATEST);
        clock.resume().unwrap();
        assert!(clock.now_ns() >= LATEST);
    }

    #[test]
    fn advancing_fires_what_is_due_on_every_driver() {
        let clock = Clock::new();
        let drivers = [driver(&clock), driver(&clock)];
        clock.pause().unwrap();
        let start = clock.now_ns();
        for (n, driver) in drivers.iter().enumerate() {
            driver
                .timers()
                .insert(start + 10 + n as u64, Waker::noop())
                .unwrap();
        }
        clock.advance(Duration::from_nanos(10)).unwrap();
        assert_eq!(drivers[0].timers().next_deadline(), None);
        assert_eq!(drivers[1].timers().next_deadline(), Some(start + 11));
        clock.advance(Duration::from_nanos(1)).unwrap();
        assert_eq!(drivers[1].timers().next_deadline(), None);
    }

    #[test]
    fn time_jumps_when_the_last_falls_asleep() {
        let clock = Clock::new();
        let [first, second] = [driver(&clock), driver(&clock)];
        clock.pause().unwrap();
        let start = clock.now_ns();
        second.timers().insert(start + 500, Waker::noop()).unwrap();
        second.timers().insert(start + 900, Waker::noop()).unwrap();
        assert!(first.sleeps(&clock), "the second is awake");
        assert!(
            !second.sleeps(&clock),
            "time jumped, so it must look around"
        );
        assert_eq!(clock.now_ns(), start + 500);
        first.unpark();
        assert!(second.sleeps(&clock), "a wake of the first is under way");
        assert_eq!(clock.now_ns(), start + 500);
        first.sleeper.wake_up();
        assert!(!first.sleeps(&clock));
        assert_eq!(clock.now_ns(), start + 900);
        assert!(first.sleeps(&clock), "no deadline is left");
    }

    #[test]
    fn a_running_clock_never_jumps() {
        let clock = Clock::new();
        let driver = driver(&clock);
        driver.timers().insert(u64::MAX / 2, Waker::noop()).unwrap();
        assert!(driver.sleeps(&clock));
        assert!(clock.now_ns() < u64::MAX / 4);
    }

    #[test]
    fn a_blocking_call_holds_time_and_its_end_lets_it_go() {
        let clock = Clock::new();
        let driver = driver(&clock);
        clock.pause().unwrap();
        let start = clock.now_ns();
        for by in [10, 20] {
            driver.timers().insert(start + by, Waker::noop()).unwrap();
        }
        let calls = [clock.inhibit(), clock.inhibit()];
        assert!(driver.sleeps(&clock));
        let [first, second] = calls;
        drop(first);
        assert_eq!(clock.now_ns(), start);
        drop(second);
        // A no-op waker wakes nobody, so everyone still sleeps and time goes on to the last deadline.
        assert_eq!(clock.now_ns(), start + 20);
    }

    #[test]
    fn with_workers_time_moves_only_while_somebody_blocks_on_the_runtime() {
        let clock = Clock::for_workers();
        let driver = driver(&clock);
        clock.pause().unwrap();
        let start = clock.now_ns();
        driver.timers().insert(start + 10, Waker::noop()).unwrap();
        assert!(driver.sleeps(&clock));
        assert_eq!(clock.now_ns(), start);
        let [main, other] = [thread(), thread()];
        let visit = clock.visit(main.clone());
        let other_visit = clock.visit(other.clone());
        assert!(main.sleeps(&clock), "the other is awake");
        drop(other_visit);
        assert_eq!(clock.now_ns(), start + 10, "the other is gone");
        driver.timers().insert(start + 30, Waker::noop()).unwrap();
        main.sleeper.wake_up();
        drop(visit);
        assert_eq!(clock.now_ns(), start + 10);
    }

    /// Before time jumps every driver looks at the kernel, after everyone else has done all they do.
    #[test]
    fn a_jump_waits_until_every_driver_has_looked() {
        struct Looks(Sleeper, Mutex<u32>);
        impl Member for Looks {
            fn sleeper(&self) -> &Sleeper {
                &self.0
            }
            fn unpark(&self) {
                self.0.notify();
            }
            fn has_looked(&self, epoch: u64) -> bool {
                let looked = self.0.has_looked(epoch);
                if !looked && self.0.ask() {
                    *self.1.lock() += 1;
                }
                looked
            }
        }
        let clock = Clock::new();
        let looks = Arc::new(Looks(Sleeper::new(), Mutex::new(0)));
        let member: Arc<dyn Member> = looks.clone();
        clock.attach(Arc::downgrade(&member));
        let driver = driver(&clock);
        clock.pause().unwrap();
        let start = clock.now_ns();
        driver.timers().insert(start + 10, Waker::noop()).unwrap();
        looks.0.set_looked(clock.epoch());
        assert!(looks.0.fall_asleep());
        clock.touch();
        assert!(driver.sleeps(&clock), "the first has not looked since");
        assert_eq!(*looks.1.lock(), 1, "so it was asked to");
        assert!(!looks.0.is_asleep() && !clock.try_auto_advance(&driver.sleeper));
        assert!(looks.0.wake_up());
        looks.0.set_looked(clock.epoch());
        assert!(looks.0.fall_asleep());
        assert!(clock.try_auto_advance(&looks.0));
        assert_eq!(clock.now_ns(), start + 10);
        assert!(looks.0.fall_asleep());
        assert!(
            !looks.0.notify() || !looks.0.ask(),
            "who is notified need not be asked"
        );
        assert!(!looks.0.wake_up());
    }

    #[test]
    fn a_deadline_at_the_end_of_time_is_no_reason_to_jump() {
        let clock = Clock::new();
        let driver = driver(&clock);
        clock.pause().unwrap();
        driver.timers().insert(u64::MAX, Waker::noop()).unwrap();
        assert!(driver.sleeps(&clock));
    }
}

#[cfg(loom)]
mod model {
    use loom::sync::Arc as LoomArc;
    use loom::sync::atomic::AtomicBool;
    use loom::sync::atomic::Ordering::Relaxed as LoomRelaxed;
    use loom::thread as loom_thread;

    use super::*;

    /// Time never jumps while work that one member handed to another is not done, and it does jump in the end.
    #[test]
    fn no_jump_over_a_wake_under_way() {
        loom::model(|| {
            let clock = Clock::new();
            let [giver, taker] = [driver(&clock), driver(&clock)];
            clock.pause().unwrap();
            let start = clock.now_ns();
            taker.timers().insert(start + 10, Waker::noop()).unwrap();
            let work = LoomArc::new(AtomicBool::new(false));
            let other = loom_thread::spawn({
                let (clock, taker, work) = (clock.clone(), taker.clone(), work.clone());
                move || {
                    // Two rounds are enough: asleep, woken, at work, asleep.
                    for _ in 0..2 {
                        if work.swap(false, LoomRelaxed) {
                            assert_eq!(clock.now_ns(), start, "time jumped over work");
                        }
                        if taker.sleeps(&clock) {
                            if taker.sleeper.is_asleep() {
                                return;
                            }
                            taker.sleeper.wake_up();
                        }
                    }
                }
            });
            work.store(true, LoomRelaxed);
            taker.unpark();
            let _ = giver.sleeps(&clock);
            other.join().unwrap();
            assert!(
                clock.now_ns() == start || !work.load(LoomRelaxed),
                "time jumped over work"
            );
        });
    }

    /// Two who fall asleep at once: one of them sees both asleep and moves time. Nobody waits for ever.
    #[test]
    fn no_jump_is_missed_by_both() {
        loom::model(|| {
            let clock = Clock::new();
            let members = [driver(&clock), driver(&clock)];
            clock.pause().unwrap();
            let start = clock.now_ns();
            members[0]
                .timers()
                .insert(start + 10, Waker::noop())
                .unwrap();
            let second = loom_thread::spawn({
                let (clock, member) = (clock.clone(), members[1].clone());
                move || member.sleeps(&clock)
            });
            let first = members[0].sleeps(&clock);
            let second = second.join().unwrap();
            assert_eq!(clock.now_ns(), start + 10);
            assert!(!(first && second));
        });
    }

    /// A blocking call wakes a sleeper and ends while somebody else falls asleep.
    #[test]
    fn no_jump_over_the_answer_of_a_blocking_call() {
        loom::model(|| {
            let clock = Clock::new();
            let [asker, other] = [driver(&clock), driver(&clock)];
            clock.pause().unwrap();
            let start = clock.now_ns();
            other.timers().insert(start + 10, Waker::noop()).unwrap();
            let call = clock.inhibit();
            assert!(asker.sleeper.fall_asleep());
            let pool = loom_thread::spawn({
                let asker = asker.clone();
                move || {
                    asker.unpark();
                    drop(call);
                }
            });
            assert!(other.sleeps(&clock));
            pool.join().unwrap();
            assert_eq!(clock.now_ns(), start, "the asker has an answer to look at");
        });
    }

    /// Those whom a jump woke are seen awake by the next who falls asleep.
    #[test]
    fn no_jump_over_those_whom_a_jump_woke() {
        struct Wakes(Arc<Fake>);
        impl std::task::Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        loom::model(|| {
            let clock = Clock::new();
            let [woken, other] = [driver(&clock), driver(&clock)];
            clock.pause().unwrap();
            let start = clock.now_ns();
            let waker = Waker::from(Arc::new(Wakes(woken.clone())));
            woken.timers().insert(start + 10, &waker).unwrap();
            other.timers().insert(start + 20, Waker::noop()).unwrap();
            let call = clock.inhibit();
            assert!(woken.sleeper.fall_asleep() && other.sleeper.fall_asleep());
            let pool = loom_thread::spawn(move || drop(call));
            other.sleeper.wake_up();
            let _ = other.sleeps(&clock);
            pool.join().unwrap();
            assert_eq!(
                clock.now_ns(),
                start + 10,
                "the first is awake and has work"
            );
        });
    }

    /// What one member sends to another through the kernel is found by a look, or time stands.
    #[test]
    fn no_jump_over_what_is_in_the_kernel() {
        struct Looks(Sleeper);
        impl Member for Looks {
            fn sleeper(&self) -> &Sleeper {
                &self.0
            }
            fn unpark(&self) {
                self.0.notify();
            }
            fn has_looked(&self, epoch: u64) -> bool {
                self.0.has_looked(epoch)
            }
        }
        loom::model(|| {
            let clock = Clock::new();
            let looks = Arc::new(Looks(Sleeper::new()));
            let member: Arc<dyn Member> = looks.clone();
            clock.attach(Arc::downgrade(&member));
            let sender = driver(&clock);
            clock.pause().unwrap();
            let start = clock.now_ns();
            sender.timers().insert(start + 10, Waker::noop()).unwrap();
            // The kernel orders nothing for us: it only has it from the system call on.
            let kernel = LoomArc::new(AtomicBool::new(false));
            let looker = loom_thread::spawn({
                let (clock, looks, kernel) = (clock.clone(), looks.clone(), kernel.clone());
                move || {
                    let epoch = clock.epoch();
                    let found = kernel.load(LoomRelaxed);
                    if !found {
                        looks.0.set_looked(epoch);
                        if looks.0.fall_asleep() {
                            clock.try_auto_advance(&looks.0);
                        }
                    }
                    found
                }
            });
            kernel.store(true, LoomRelaxed);
            clock.touch();
            sender.sleeps(&clock);
            if !looker.join().unwrap() {
                assert_eq!(
                    clock.now_ns(),
                    start,
                    "the looker slept before it was sent, and was not asked to look"
                );
            }
        });
    }

    /// Who sees time run again sees it run from where it stood.
    #[test]
    fn no_step_back_when_time_is_resumed() {
        loom::model(|| {
            let clock = Clock::new();
            clock.pause().unwrap();
            let hour = Duration::from_secs(3600);
            let start = clock.now_ns();
            clock.advance(hour).unwrap();
            let other = loom_thread::spawn({
                let clock = clock.clone();
                move || clock.resume().unwrap()
            });
            assert!(clock.now_ns() >= start + 3_600_000_000_000);
            other.join().unwrap();
        });
    }

    /// A blocking call ends while the driver falls asleep: whichever is later moves time.
    #[test]
    fn no_jump_is_missed_at_the_end_of_a_blocking_call() {
        loom::model(|| {
            let clock = Clock::new();
            let member = driver(&clock);
            clock.pause().unwrap();
            let start = clock.now_ns();
            member.timers().insert(start + 10, Waker::noop()).unwrap();
            let call = clock.inhibit();
            let pool = loom_thread::spawn(move || drop(call));
            member.sleeps(&clock);
            pool.join().unwrap();
            assert_eq!(clock.now_ns(), start + 10);
        });
    }
}
