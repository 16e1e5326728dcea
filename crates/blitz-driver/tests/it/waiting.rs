//! The wait itself: who ends it, signals, and where a resource is served.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use blitz_driver::{Config, Direction, Driver};

use crate::support::*;

#[test]
fn an_unpark_before_the_wait_forestalls_it_once() {
    on_each(|driver| {
        driver.handle().unpark();
        driver.handle().unpark();
        driver.turn(Some(Duration::ZERO)); // leaves the token
        let begun = Instant::now();
        driver.turn(None);
        assert!(begun.elapsed() < GUARD);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(5) {
            driver.turn(Some(Duration::from_millis(5)));
        }
    });
}

#[test]
fn an_unpark_from_elsewhere_ends_the_wait() {
    on_each(|driver| {
        for _ in 0..100 {
            let handle = driver.handle().clone();
            let other = thread::spawn(move || handle.unpark());
            driver.turn(None);
            other.join().unwrap();
        }
    });
}

#[test]
fn a_wait_ends_at_its_limit() {
    on_each(|driver| {
        driver.turn(Some(Duration::ZERO));
        let limit = Duration::from_micros(1500);
        let mut waits: Vec<_> = (0..21)
            .map(|_| {
                let begun = Instant::now();
                driver.turn(Some(limit));
                begun.elapsed()
            })
            .collect();
        waits.sort();
        // A single one may end early: by the answer to what it submitted, or because the kernel takes the ring of
        // another test down, which interrupts like a signal.
        assert!(waits[10] >= limit, "{waits:?}");
    });
}

#[test]
fn a_signal_ends_a_wait_and_harms_nothing() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: an all-zero sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    // SAFETY: `action` is read during the call; the handler does nothing.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    for config in configs() {
        let done = &AtomicBool::new(false);
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let turner = thread::Builder::new();
            let turner = turner
                .spawn_scoped(scope, move || {
                    let mut driver = Driver::new(config).unwrap();
                    driver.bind();
                    let (socket, mut peer) = pair(&driver);
                    // SAFETY: no pointers.
                    let me = unsafe { libc::pthread_self() };
                    // It is a number here and a pointer there, and pointers are not sent.
                    sender.send(me as usize).unwrap();
                    driver.turn(None);
                    done.store(true, SeqCst);
                    let (counter, waker) = Counter::new();
                    let mut cx = Context::from_waker(&waker);
                    assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
                    peer.write_all(b"x").unwrap();
                    turn_until(&mut driver, || counter.count() == 1);
                })
                .unwrap();
            let target = receiver.recv().unwrap() as libc::pthread_t;
            let begun = Instant::now();
            while !done.load(SeqCst) && !turner.is_finished() {
                assert!(begun.elapsed() < GUARD, "no signal ended the wait");
                // SAFETY: the thread has not been joined.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                thread::yield_now();
            }
        });
    }
}

#[test]
fn a_resource_moves_to_the_driver_that_polls_it() {
    for config in configs()
        .into_iter()
        .filter(|config| config.ring == Default::default())
    {
        let mut first = Driver::new(config.clone()).unwrap();
        let mut second = Driver::new(config).unwrap(); // the same clock: a sibling
        first.bind();
        let (socket, mut peer) = pair(&first);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
        turn_now(&mut first);
        first.unbind();
        second.bind();
        for _ in 0..20 {
            assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
        }
        turn_now(&mut second);
        peer.write_all(b"x").unwrap();
        turn_until(&mut second, || counter.count() >= 1);
        // The first one has no part in it any more.
        turn_until(&mut first, || {
            std::sync::Arc::strong_count(socket.fd()) <= 2
        });
        drop(socket);
    }
}

#[test]
fn a_stranger_among_drivers_is_not_asked() {
    let config = || Config::default(); // a clock of its own each: no siblings
    let mut home = Driver::new(config()).unwrap();
    let mut stranger = Driver::new(config()).unwrap();
    stranger.bind();
    let (socket, mut peer) = pair(&home);
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..50 {
        assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
    }
    peer.write_all(b"x").unwrap();
    turn_now(&mut stranger);
    assert_eq!(counter.count(), 0);
    turn_until(&mut home, || counter.count() >= 1);
}

#[test]
fn a_turn_takes_no_more_events_than_it_may() {
    for config in configs() {
        let config = Config {
            events_per_turn: 7,
            events_per_busy_turn: Some(3),
            ..config
        };
        let mut driver = Driver::new(config).unwrap();
        driver.bind();
        if !driver.handle().is_ring() && !blitz_sys::readiness::EDGE {
            continue; // poll(2) gives all there is
        }
        let mut sockets: Vec<_> = (0..40)
            .map(|_| {
                let (socket, peer) = pair(&driver);
                let (counter, waker) = Counter::new();
                let mut cx = Context::from_waker(&waker);
                assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
                (socket, peer, counter)
            })
            .collect();
        for _ in 0..40 {
            turn_now(&mut driver); // what is writable is told, in small steps
        }
        for (_, peer, _) in &mut sockets {
            peer.write_all(b"x").unwrap();
        }
        let mut woken = 0;
        for limit in [Duration::ZERO, GUARD].into_iter().cycle() {
            driver.turn(Some(limit));
            let now = sockets.iter().filter(|(.., counter)| counter.count() > 0);
            let now = now.count();
            assert!(now - woken <= if limit == GUARD { 7 } else { 3 });
            woken = now;
            if woken == sockets.len() {
                break;
            }
        }
    }
}
