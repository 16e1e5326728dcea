//! Timers through a driver's turn: exact ends of waits, other threads, paused time beside real events.

use std::io::Write;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use blitz_driver::clock::to_ns;
use blitz_driver::{Direction, Driver, Timer};

use crate::support::*;

/// A registered timer that ends `after` from now, and that moment; later if the machine was away for so long meanwhile.
fn timer(driver: &Driver, after: Duration, waker: &Waker) -> (Timer, Instant) {
    let mut after = after;
    loop {
        let deadline = driver.handle().clock().now() + after;
        let mut timer = Timer::new(driver.handle().clone());
        if poll(&mut timer, deadline, waker).is_pending() {
            return (timer, deadline);
        }
        assert!(after < GUARD, "a timer that is not due never waits");
        after *= 2;
    }
}

fn poll(timer: &mut Timer, deadline: Instant, waker: &Waker) -> Poll<()> {
    let mut cx = Context::from_waker(waker);
    timer
        .poll(&mut cx, to_ns(deadline))
        .map(|fired| fired.unwrap())
}

#[test]
fn a_wait_ends_at_the_deadline_and_never_before() {
    on_each(|driver| {
        for micros in [50, 300, 999, 1_000, 2_500, 70_000] {
            let (counter, waker) = Counter::new();
            let deadline = driver.handle().clock().now() + Duration::from_micros(micros);
            let mut timer = Timer::new(driver.handle().clone());
            if poll(&mut timer, deadline, &waker).is_ready() {
                // A machine that was away for longer than the wait: there is none to look at.
                assert!(Instant::now() >= deadline, "{micros} µs: early");
                continue;
            }
            let mut turns = 0;
            while counter.count() == 0 {
                driver.turn(None);
                turns += 1;
                assert_eq!(
                    counter.count() != 0,
                    poll(&mut timer, deadline, &waker).is_ready()
                );
            }
            assert!(Instant::now() >= deadline, "{micros} µs: early");
            // One wait; one more if the kernel's clock ended it a moment early; the ring's own first event; and the kernel may
            // interrupt a wait for its own sake. Who looks again and again takes thousands.
            assert!(turns <= 20, "{micros} µs: {turns} turns");
        }
    });
}

#[test]
fn a_past_deadline_is_ready_at_the_first_poll() {
    on_each(|driver| {
        let mut timer = Timer::new(driver.handle().clone());
        assert!(!timer.is_elapsed());
        let past = Instant::now() - Duration::from_millis(1);
        assert!(poll(&mut timer, past, Waker::noop()).is_ready());
        assert!(timer.is_elapsed());
        assert!(driver.handle().timers().is_empty());
    });
}

#[test]
fn another_threads_earlier_timer_ends_the_wait() {
    on_each(|driver| {
        let hour = Duration::from_secs(3600);
        let (_late, _) = timer(driver, hour, Waker::noop());
        let (counter, waker) = Counter::new();
        let home = driver.handle().clone();
        let other = thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_millis(30);
            let mut timer = Timer::new(home);
            if poll(&mut timer, deadline, &waker).is_ready() {
                // The machine was away for so long: there is no wait to end.
                assert!(Instant::now() >= deadline);
                waker.wake_by_ref();
                timer.home().unpark();
            }
            (timer, deadline)
        });
        while counter.count() == 0 {
            driver.turn(None);
        }
        let (mut timer, deadline) = other.join().unwrap();
        assert!(Instant::now() >= deadline);
        assert!(poll(&mut timer, deadline, Waker::noop()).is_ready());
    });
}

#[test]
fn a_reset_timer_ends_at_its_new_deadline_alone() {
    on_each(|driver| {
        let (counter, waker) = Counter::new();
        let (mut timer, start) = timer(driver, Duration::ZERO + Duration::from_millis(1), &waker);
        let deadline = start + Duration::from_millis(4);
        timer.reset(to_ns(deadline));
        while counter.count() == 0 {
            driver.turn(None);
        }
        assert!(Instant::now() >= deadline);
        assert!(poll(&mut timer, deadline, &waker).is_ready());
        let past = Instant::now();
        timer.reset(to_ns(past));
        assert!(!timer.is_elapsed());
        assert!(poll(&mut timer, past, &waker).is_ready());
    });
}

#[test]
fn a_dropped_timer_is_forgotten() {
    on_each(|driver| {
        let (counter, waker) = Counter::new();
        let (timer, deadline) = timer(driver, Duration::from_millis(1), &waker);
        drop(timer);
        assert!(driver.handle().timers().is_empty());
        while Instant::now() < deadline + Duration::from_millis(1) {
            driver.turn(Some(Duration::from_millis(1)));
        }
        assert_eq!(counter.count(), 0);
    });
}

/// A timer belongs to its own runtime, whoever polls it.
#[test]
fn a_timer_never_moves_to_another_runtimes_driver() {
    let mut configs = configs().into_iter();
    let home = Driver::new(configs.next().unwrap()).unwrap();
    on_each(|other| {
        let (timer, _) = timer(&home, Duration::from_secs(3600), Waker::noop());
        assert!(timer.home().same_as(home.handle()));
        assert_eq!(home.handle().timers().len(), 1);
        assert!(other.handle().timers().is_empty());
    });
}

#[test]
fn a_timer_registers_with_the_siblings_driver_that_polls_it() {
    on_each(|driver| {
        let mut config = configs().remove(0);
        config.clock = driver.handle().clock().clone();
        let sibling = Driver::new(config).unwrap();
        let (timer, _) = timer(&sibling, Duration::from_secs(3600), Waker::noop());
        assert!(timer.home().same_as(driver.handle()));
        assert_eq!(driver.handle().timers().len(), 1);
    });
}

#[test]
fn paused_time_jumps_instead_of_waiting() {
    on_each(|driver| {
        let clock = driver.handle().clock().clone();
        clock.pause().unwrap();
        let start = clock.now();
        let (counter, waker) = Counter::new();
        let (_timer, deadline) = timer(driver, Duration::from_secs(3600), &waker);
        let (_later, _) = timer(driver, Duration::from_secs(7200), &waker);
        while counter.count() == 0 {
            driver.turn(None);
        }
        assert_eq!(clock.now(), deadline);
        assert_eq!(counter.count(), 1);
        assert_eq!(clock.now() - start, Duration::from_secs(3600));
    });
}

#[test]
fn what_the_kernel_has_ready_goes_before_a_jump() {
    on_each(|driver| {
        let clock = driver.handle().clock().clone();
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let mut buffer = [0; 16];
        let polled = socket.poll_io(&mut cx, Direction::Read, || read(&socket, &mut buffer));
        assert!(polled.is_pending());
        turn_now(driver);
        clock.pause().unwrap();
        let start = clock.now();
        let (_timer, _) = timer(driver, Duration::from_secs(3600), Waker::noop());
        peer.write_all(b"x").unwrap();
        while counter.count() == 0 {
            driver.turn(None);
        }
        assert_eq!(clock.now(), start, "time jumped over bytes that were there");
    });
}

/// Resuming ends waits that had no limit while time stood still.
#[test]
fn resuming_gives_the_wait_its_limit_back() {
    on_each(|driver| {
        let clock = driver.handle().clock().clone();
        clock.pause().unwrap();
        let held = clock.inhibit();
        let (counter, waker) = Counter::new();
        let (_timer, deadline) = timer(driver, Duration::from_millis(2), &waker);
        let other = thread::spawn({
            let clock = clock.clone();
            move || clock.resume().unwrap()
        });
        while counter.count() == 0 {
            driver.turn(None);
        }
        assert!(clock.now() >= deadline);
        other.join().unwrap();
        drop(held);
    });
}

#[test]
fn the_shutdown_wakes_and_tells_everyone() {
    for config in configs() {
        let mut driver = Driver::new(config).unwrap();
        let (counter, waker) = Counter::new();
        let deadline = Instant::now() + Duration::from_secs(3600);
        let mut timer = Timer::ahead(driver.handle().clone());
        assert!(poll(&mut timer, deadline, &waker).is_pending());
        driver.shutdown();
        assert_eq!(counter.count(), 1);
        let mut cx = Context::from_waker(&waker);
        assert!(matches!(
            timer.poll(&mut cx, to_ns(deadline)),
            Poll::Ready(Err(_))
        ));
        drop(driver);
        drop(timer);
    }
}
