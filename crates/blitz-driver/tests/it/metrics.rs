//! The driver's figures: each moves when, and only when, that happens which it counts.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use blitz_driver::clock::to_ns;
use blitz_driver::completion::{BufferConfig, Leases, open, receive};
use blitz_driver::{Backend, Config, Direction, Driver, RingMetrics, Timer};

use crate::completion_support::{Watched, drain, drive, poll_once};
use crate::support::{Counter, on_each, on_ring, pair, tcp_pair, turn_now, turn_until};

fn read(driver: &Driver) -> RingMetrics {
    driver.handle().metrics()
}

#[test]
fn a_new_driver_says_what_it_has_and_has_done_nothing() {
    on_each(|driver| {
        let metrics = read(driver);
        assert_eq!(metrics.backend, driver.handle().backend());
        assert_eq!(metrics.reason, driver.handle().capabilities().reason());
        assert_eq!(
            (metrics.turns, metrics.enters, metrics.selector_waits),
            (0, 0, 0)
        );
        assert_eq!((metrics.submitted, metrics.completions), (0, 0));
        assert_eq!(metrics.submitted_per_enter(), 0.0);
        if metrics.backend == Backend::IoUring {
            assert!(metrics.sq_entries >= 16 && metrics.cq_entries >= metrics.sq_entries);
            assert!(metrics.ring_bytes >= 80 * metrics.sq_entries as usize);
        } else {
            assert_eq!(
                (metrics.sq_entries, metrics.cq_entries, metrics.ring_bytes),
                (0, 0, 0)
            );
        }
    });
}

#[test]
fn turns_waits_and_events_are_counted() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
        assert_eq!((read(driver).registered, read(driver).sources), (1, 1));
        peer.write_all(b"x").unwrap();
        turn_until(driver, || counter.count() == 1);
        let metrics = read(driver);
        assert!(metrics.turns >= 1);
        assert!(metrics.enters + metrics.selector_waits >= 1, "{metrics:?}");
        assert!(metrics.ready_events >= 1);
        if metrics.sq_entries > 0 && metrics.selector_waits == 0 {
            // The socket's poll and the wake-up's.
            assert!(
                metrics.submitted >= 2 && metrics.completions >= 1,
                "{metrics:?}"
            );
            assert!(metrics.submitted_per_enter() > 0.0 && metrics.completions_per_turn() > 0.0);
        }
        drop(socket);
        turn_now(driver);
        let metrics = read(driver);
        assert_eq!((metrics.sources, metrics.deregistered()), (0, 1));
    });
}

#[test]
fn operations_in_flight_are_told_by_kind_and_cancels_are_counted() {
    on_ring(Config::default(), |driver| {
        let (mine, _peer) = tcp_pair(driver);
        let mut ops = Vec::new();
        for _ in 0..3 {
            let (buffer, _) = Watched::new(Vec::with_capacity(8));
            let mut op = receive(driver.handle(), mine.fd().clone(), buffer, false);
            assert!(poll_once(Pin::new(&mut op)).is_pending());
            ops.push(op);
        }
        turn_now(driver);
        let metrics = read(driver);
        assert_eq!(metrics.operations(), 3);
        assert_eq!(metrics.in_flight.len(), 1);
        assert_eq!(
            (metrics.in_flight[0].operation, metrics.in_flight[0].count),
            ("RECV", 3)
        );
        assert!(metrics.table_bytes > 0);
        drop(ops);
        drain(driver);
        let metrics = read(driver);
        assert_eq!((metrics.cancels, metrics.operations()), (3, 0));
        assert_eq!(metrics.cancels_late, 0, "each found its operation");
    });
}

#[test]
fn a_cancel_that_comes_too_late_is_counted() {
    on_ring(Config::default(), |driver| {
        let path = std::ffi::CString::new("/dev/null").unwrap();
        let mut late = 0;
        // An open ends while it is submitted: the cancel behind it finds nothing, as a rule.
        for _ in 0..20 {
            let mut op = open(driver.handle(), path.clone(), 0, 0);
            assert!(poll_once(Pin::new(&mut op)).is_pending());
            drop(op);
            drain(driver);
            turn_now(driver);
            late = read(driver).cancels_late;
        }
        assert_eq!(read(driver).cancels, 20);
        assert!(late > 0, "{:?}", read(driver));
    });
}

#[test]
fn full_queues_are_counted() {
    let small = Config {
        sq_entries: 16,
        cq_entries: 16,
        ..Config::default()
    };
    on_ring(small, |driver| {
        let (mine, _peer) = tcp_pair(driver);
        let mut ops = Vec::new();
        for _ in 0..100 {
            let (buffer, _) = Watched::new(Vec::with_capacity(8));
            let mut op = receive(driver.handle(), mine.fd().clone(), buffer, false);
            assert!(poll_once(Pin::new(&mut op)).is_pending());
            ops.push(op);
        }
        let metrics = read(driver);
        assert!(
            metrics.queue_full >= 100 - u64::from(metrics.sq_entries),
            "{metrics:?}"
        );
        turn_now(driver);
        assert!(read(driver).submitted >= 100, "{:?}", read(driver));
        drop(ops);
        // A hundred answers and as many cancels' answers, in a queue for sixteen.
        drain(driver);
        turn_now(driver);
        let metrics = read(driver);
        assert!(metrics.overflows > 0, "{metrics:?}");
        assert_eq!(metrics.operations(), 0);
    });
}

#[test]
fn exhausted_buffers_and_streams_armed_again_are_counted() {
    let config = Config {
        buffers: BufferConfig {
            count: 4,
            size: 64,
            pool_count: 64,
            per_connection: 2,
            ..BufferConfig::default()
        },
        ..Config::default()
    };
    on_ring(config, |driver| {
        if !driver.handle().capabilities().has("multishot receive") {
            return;
        }
        let (mine, mut peer) = tcp_pair(driver);
        let leases = Leases::new();
        let mut held = Vec::new();
        for n in 0..32_u8 {
            peer.write_all(&[n; 8]).unwrap();
            held.push(drive(driver, poll_fn(|cx| leases.poll_next(cx, &mine))).unwrap());
        }
        let metrics = read(driver);
        assert!(metrics.buffers_exhausted > 0, "{metrics:?}");
        assert!(metrics.buffer_bytes >= (4 + 64) * 64, "{metrics:?}");
        drop(held);
        for n in 0..32_u8 {
            peer.write_all(&[n; 8]).unwrap();
            drop(drive(driver, poll_fn(|cx| leases.poll_next(cx, &mine))).unwrap());
        }
        assert!(read(driver).rearmed > 0, "{:?}", read(driver));
    });
}

#[test]
fn timers_are_counted_with_their_memory() {
    on_each(|driver| {
        let before = read(driver);
        assert_eq!(before.timers, 0);
        let deadline = driver.handle().clock().now() + Duration::from_secs(3600);
        let mut cx = Context::from_waker(Waker::noop());
        let timers: Vec<Timer> = (0..1000)
            .map(|_| {
                let mut timer = Timer::new(driver.handle().clone());
                assert!(timer.poll(&mut cx, to_ns(deadline)).is_pending());
                timer
            })
            .collect();
        let metrics = read(driver);
        assert_eq!(metrics.timers, 1000);
        assert!(metrics.timer_bytes > before.timer_bytes + 1000 * 32);
        drop(timers);
        assert_eq!(read(driver).timers, 0);
    });
}

#[test]
fn figures_can_be_read_after_the_end() {
    on_each(|driver| {
        driver.turn(Some(Duration::ZERO));
        driver.shutdown();
        assert!(read(driver).turns >= 1);
        assert_eq!(read(driver).sources, 0);
    });
}
