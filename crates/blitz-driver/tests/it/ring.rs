//! The ring at its limits: queues too small, threads that exit, forks, teardown in flight.

use std::future::Future;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use blitz_driver::completion::{Op, Receive, receive};
use blitz_driver::{Backend, Config, Direction, Driver, Interest, Registration, RingUse, SqPoll};

use crate::child;
use crate::support::*;

type Armed = (Registration, UnixStream, Arc<Counter>);

/// Many sockets, each with a task that waits for something to read.
fn armed(driver: &Driver, count: usize) -> Vec<Armed> {
    (0..count)
        .map(|_| {
            let (socket, peer) = pair(driver);
            let (counter, waker) = Counter::new();
            let polled = socket.poll_ready(&mut Context::from_waker(&waker), Direction::Read);
            assert!(polled.is_pending());
            (socket, peer, counter)
        })
        .collect()
}

fn write_to_all(sockets: &mut [Armed]) {
    for (_, peer, _) in sockets {
        peer.write_all(b"x").unwrap();
    }
}

fn all_woken(sockets: &[Armed], times: usize) -> bool {
    sockets
        .iter()
        .all(|(_, _, counter)| counter.count() >= times)
}

/// A ring with small queues in which sockets are polled: beside a selector it would have nothing to do.
fn small() -> Config {
    Config {
        ring: RingUse::SingleThread,
        sq_entries: 16,
        cq_entries: 16,
        ..Config::default()
    }
}

#[test]
fn more_submissions_than_the_queue_holds_lose_none() {
    let config = Config {
        ring: RingUse::SingleThread,
        sq_entries: 16,
        ..Config::default()
    };
    on_ring(config, |driver| {
        let mut sockets = armed(driver, 500);
        // Some leave while they still wait in the list behind the queue.
        let gone: Vec<_> = sockets.drain(100..200).collect();
        drop(gone);
        write_to_all(&mut sockets);
        turn_until(driver, || all_woken(&sockets, 1));
    });
}

#[test]
fn more_answers_than_the_queue_holds_lose_none() {
    on_ring(small(), |driver| {
        let mut sockets = armed(driver, 500);
        turn_now(driver);
        for round in 1..4 {
            write_to_all(&mut sockets);
            turn_until(driver, || all_woken(&sockets, round));
            for (socket, _, counter) in &sockets {
                while read(socket, &mut [0; 8]).is_ok() {}
                socket.clear(socket.look(Interest::READABLE).unwrap());
                let waker = std::task::Waker::from(Arc::clone(counter));
                let mut cx = Context::from_waker(&waker);
                while socket.poll_ready(&mut cx, Direction::Read).is_ready() {
                    socket.clear(socket.look(Interest::READABLE).unwrap());
                }
            }
        }
    });
}

#[test]
fn an_overflow_is_flushed_though_nothing_new_happens() {
    on_ring(small(), |driver| {
        let mut sockets = armed(driver, 200);
        turn_now(driver);
        write_to_all(&mut sockets);
        // Everything has happened: only a turn that enters the kernel for the flag's sake finds the rest.
        for _ in 0..100 {
            driver.turn(Some(Duration::ZERO));
        }
        assert!(all_woken(&sockets, 1));
    });
}

#[test]
fn shutdown_with_thousands_in_flight_lets_go_of_everything() {
    let count = 3000;
    on_each(|driver| {
        let sockets: Vec<_> = (0..count)
            .map(|_| {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_nonblocking(true).unwrap();
                let socket = register(driver, socket);
                let (counter, waker) = Counter::new();
                let mut cx = Context::from_waker(&waker);
                assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
                (socket, counter)
            })
            .collect();
        turn_now(driver);
        driver.shutdown();
        for (socket, counter) in &sockets {
            assert!(counter.count() >= 1, "whoever waits is told");
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let Poll::Ready(Err(error)) = socket.poll_ready(&mut cx, Direction::Read) else {
                panic!("nothing is served any more")
            };
            assert!(blitz_driver::is_shutting_down(&error), "{error}");
            assert_eq!(Arc::strong_count(socket.fd()), 1, "the driver has let go");
        }
    });
}

#[test]
fn resources_may_outlive_their_driver_and_come_too_late() {
    on_each(|driver| {
        let (socket, _peer) = pair(driver);
        let (late, _late_peer) = pair(driver);
        socket.arm().unwrap();
        driver.shutdown();
        driver.shutdown();
        assert!(late.arm().is_err());
        driver.turn(None);
        drop(socket);
    });
}

#[test]
fn a_descriptor_stays_open_while_it_is_queued() {
    for config in configs() {
        let alone = config.ring == RingUse::SingleThread || !blitz_sys::readiness::EDGE;
        let mut driver = Driver::new(config).unwrap();
        let in_queue = driver.handle().is_ring() && alone;
        let (socket, _peer) = pair(&driver);
        // Bound to no thread, so that nothing is submitted before the turn.
        socket.arm().unwrap();
        let fd = Arc::downgrade(socket.fd());
        drop(socket);
        assert_eq!(
            fd.upgrade().is_some(),
            in_queue,
            "as long as the number is in the queue nobody else may get it"
        );
        driver.bind();
        turn_until(&mut driver, || fd.upgrade().is_none());
    }
}

#[test]
fn a_foreign_drop_wakes_the_driver_and_closes() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        socket.arm().unwrap();
        turn_now(driver);
        thread::scope(|scope| {
            scope.spawn(move || drop(socket));
            let end = scope.spawn(move || std::io::Read::read(&mut peer, &mut [0; 8]).unwrap());
            turn_until(driver, || end.is_finished());
            assert_eq!(end.join().unwrap(), 0);
        });
    });
}

/// Waits for a byte from a peer that sends none.
fn idle_receive(driver: &Driver) -> (Op<Receive<UnixStream, Vec<u8>>>, UnixStream) {
    let (mine, peer) = UnixStream::pair().unwrap();
    let mut op = receive(driver.handle(), Arc::new(mine), Vec::with_capacity(1), true);
    let polled = Pin::new(&mut op).poll(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(polled.is_pending());
    (op, peer)
}

#[test]
fn a_thread_that_exits_takes_no_poll_with_it() {
    for with_operation in [false, true] {
        on_ring(Config::default(), |driver| {
            driver.unbind();
            let (socket, mut peer, counter, _op) = thread::scope(|scope| {
                let armed = scope.spawn(|| {
                    driver.bind();
                    let (socket, peer, counter) = armed(driver, 1).pop().unwrap();
                    let op = with_operation.then(|| idle_receive(driver));
                    // It waits, and with an operation in flight it polls the selector from the ring.
                    driver.turn(Some(Duration::from_millis(1)));
                    driver.unbind();
                    (socket, peer, counter, op)
                });
                armed.join().unwrap()
            });
            driver.bind();
            // The exit cancels what the thread had submitted, some time after it: all of it comes again here.
            driver.turn(Some(Duration::from_millis(100)));
            turn_now(driver);
            peer.write_all(b"x").unwrap();
            turn_until(driver, || counter.count() >= 1);
            drop(socket);
            let handle = driver.handle().clone();
            thread::spawn(move || handle.unpark());
            driver.turn(None);
            driver.shutdown();
        });
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Each time the core changes hands, the thread that had it last still lives and never enters the kernel for it.
#[test]
fn no_event_needs_the_thread_that_waited_last() {
    on_ring(Config::default(), |driver| {
        let (socket, mut peer, counter) = armed(driver, 1).pop().unwrap();
        let (_op, _idle) = idle_receive(driver);
        let over = &AtomicBool::new(false);
        thread::scope(|scope| {
            let _over = SetOnDrop(over);
            let mut driver = driver;
            for round in 1..=5 {
                // The ring waits, and polls the selector in this thread's name.
                driver.turn(Some(Duration::from_millis(1)));
                driver.unbind();
                let (sender, receiver) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    driver.bind();
                    driver.turn(Some(Duration::from_millis(1)));
                    driver.unbind();
                    sender.send(driver).unwrap();
                    while !over.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                });
                driver = receiver.recv().unwrap();
                driver.bind();
                peer.write_all(b"x").unwrap();
                turn_until(driver, || counter.count() >= round);
                while read(&socket, &mut [0; 8]).is_ok() {}
                socket.clear(socket.look(Interest::READABLE).unwrap());
                let waker = std::task::Waker::from(Arc::clone(&counter));
                let mut cx = Context::from_waker(&waker);
                assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
            }
            driver.shutdown();
        });
    });
}

#[test]
fn a_ring_for_one_thread_dropped_on_another_leaks_and_harms_nothing() {
    let config = Config {
        ring: RingUse::SingleThread,
        drain_limit: Duration::from_millis(200),
        ..Config::default()
    };
    if !ring_allowed() {
        return;
    }
    let mut driver = Driver::new(Config {
        backend: Some(Backend::IoUring),
        ..config
    })
    .unwrap();
    let (driver, mut sockets) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            driver.bind();
            let sockets = armed(&driver, 10);
            turn_now(&mut driver);
            driver.unbind();
            (driver, sockets)
        });
        other.join().unwrap()
    });
    drop(driver);
    assert!(all_woken(&sockets, 1), "whoever waits is told all the same");
    write_to_all(&mut sockets);
}

#[test]
fn a_kernel_thread_may_submit() {
    let config = Config {
        ring: RingUse::SingleThread,
        sqpoll: Some(SqPoll {
            idle_ms: 1,
            cpu: None,
        }),
        ..Config::default()
    };
    on_ring(config, |driver| {
        for _ in 0..3 {
            let mut sockets = armed(driver, 300);
            write_to_all(&mut sockets);
            turn_until(driver, || all_woken(&sockets, 1));
            drop(sockets);
            // Long enough for it to fall asleep: the next submission has to wake it.
            driver.turn(Some(Duration::from_millis(20)));
        }
    });
}

#[test]
fn a_forked_child_is_told_and_does_no_harm() {
    child::run("ring::child_forks", &[]);
}

#[test]
#[ignore = "forks its process: run in a child by `a_forked_child_is_told_and_does_no_harm`"]
fn child_forks() {
    on_each(|driver| {
        let (socket, mut peer, counter) = armed(driver, 1).pop().unwrap();
        let (other, _other_peer) = pair(driver);
        turn_now(driver);
        // SAFETY: this process has no other thread that does anything.
        let child = unsafe { libc::fork() };
        if child == 0 {
            std::panic::set_hook(Box::new(|_| ()));
            let turned = std::panic::AssertUnwindSafe(|| driver.turn(Some(Duration::ZERO)));
            let panic = std::panic::catch_unwind(turned).unwrap_err();
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let told =
                said.contains("forked") && other.arm().unwrap_err().to_string().contains("forked");
            driver.handle().unpark();
            drop((socket, other));
            driver.shutdown();
            // SAFETY: the child ends here, without running what belongs to its parent.
            unsafe { libc::_exit(if told { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: `status` is written during the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the child was told");
        assert_eq!(counter.count(), 0);
        peer.write_all(b"x").unwrap();
        turn_until(driver, || counter.count() == 1);
        drop((socket, other));
    });
}
