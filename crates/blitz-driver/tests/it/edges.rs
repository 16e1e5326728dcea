//! Events are edges on both back ends: reported when something changes, told apart from what is merely so.

use std::io::Write;
use std::task::{Context, Poll};

use blitz_driver::{Direction, Interest};

use crate::support::*;

#[test]
fn what_was_reported_and_not_read_is_not_reported_again() {
    on_each_edge(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        assert!(socket.poll_ready(&mut cx, Direction::Read).is_pending());
        turn_now(driver);
        peer.write_all(b"x").unwrap();
        turn_until(driver, || counter.count() == 1);
        let tick = socket.look(Interest::READABLE).unwrap().tick();
        for _ in 0..20 {
            driver.turn(Some(std::time::Duration::ZERO));
        }
        assert_eq!(
            socket.look(Interest::READABLE).unwrap().tick(),
            tick,
            "no level"
        );
        peer.write_all(b"y").unwrap();
        turn_until(driver, || {
            socket.look(Interest::READABLE).unwrap().tick() != tick
        });
    });
}

#[test]
fn a_partial_read_leaves_the_rest_readable() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let mut buffer = [0; 4];
        let mut poll = |cx: &mut Context<'_>| {
            socket.poll_transfer(cx, Direction::Read, 4, || read(&socket, &mut buffer))
        };
        assert!(poll(&mut cx).is_pending());
        peer.write_all(b"ten bytes.").unwrap();
        turn_until(driver, || counter.count() == 1);
        // No event in between: the rest was there all along.
        for expected in [4, 4, 2] {
            assert!(matches!(poll(&mut cx), Poll::Ready(Ok(n)) if n == expected));
        }
        assert!(poll(&mut cx).is_pending());
    });
}

#[test]
fn a_false_alarm_is_cleared_and_the_true_one_comes() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let poll = |cx: &mut Context<'_>| {
            socket.poll_io(cx, Direction::Read, || read(&socket, &mut [0; 8]))
        };
        assert!(poll(&mut cx).is_pending());
        peer.write_all(b"x").unwrap();
        turn_until(driver, || counter.count() == 1);
        // Somebody else reads it first.
        assert_eq!(read(&socket, &mut [0; 8]).unwrap(), 1);
        assert!(poll(&mut cx).is_pending());
        turn_now(driver);
        assert_eq!(counter.count(), 1);
        peer.write_all(b"y").unwrap();
        turn_until(driver, || counter.count() == 2);
        assert!(matches!(poll(&mut cx), Poll::Ready(Ok(1))));
    });
}

#[test]
fn an_error_wakes_both_directions() {
    on_each(|driver| {
        let (socket, peer) = tcp_pair(driver);
        while write(&socket, &[0; 65536]).is_ok() {}
        let (reader, read_waker) = Counter::new();
        let (writer, write_waker) = Counter::new();
        let mut read_cx = Context::from_waker(&read_waker);
        let mut write_cx = Context::from_waker(&write_waker);
        assert!(
            socket
                .poll_ready(&mut read_cx, Direction::Read)
                .is_pending()
        );
        assert!(
            socket
                .poll_ready(&mut write_cx, Direction::Write)
                .is_pending()
        );
        turn_now(driver);
        drop(peer); // with unread bytes: a reset
        turn_until(driver, || reader.count() >= 1 && writer.count() >= 1);
        let mut results = [Direction::Read, Direction::Write].map(|direction| {
            let polled = socket.poll_io(&mut read_cx, direction, || match direction {
                Direction::Read => read(&socket, &mut [0; 8]),
                Direction::Write => write(&socket, b"x"),
            });
            matches!(polled, Poll::Ready(Err(_)))
        });
        results.sort();
        assert!(results[1], "one of the two fetches the error");
    });
}

#[test]
fn an_error_without_data_wakes_a_datagram_reader() {
    on_each(|driver| {
        // Kept, so that no other test gets the port; connected elsewhere, so that it takes nothing of ours.
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        taken.connect("127.0.0.1:9").unwrap();
        let nobody = taken.local_addr().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(nobody).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = register(driver, socket);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let poll = |cx: &mut Context<'_>| {
            socket.poll_io(cx, Direction::Read, || read(&socket, &mut [0; 8]))
        };
        assert!(poll(&mut cx).is_pending());
        turn_now(driver);
        write(&socket, b"anyone?").unwrap();
        turn_until(driver, || counter.count() >= 1);
        let Poll::Ready(Err(error)) = poll(&mut cx) else {
            panic!("the port is closed")
        };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(poll(&mut cx).is_pending(), "fetched, it is gone");
    });
}

#[test]
fn closed_and_yet_blocking_uses_the_budget_up_instead_of_the_processor() {
    on_each(|driver| {
        let (socket, peer) = pair(driver);
        drop(peer);
        socket.arm().unwrap();
        let look = || socket.look(Interest::READABLE).unwrap().ready;
        turn_until(driver, || look().is_read_closed());
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let polled: Poll<std::io::Result<()>> = blitz_core::budget::with_budget(|| {
            socket.poll_io(&mut cx, Direction::Read, || {
                Err(std::io::ErrorKind::WouldBlock.into())
            })
        });
        assert!(polled.is_pending());
        assert_eq!(counter.count(), 1, "it yields, and is polled again");
    });
}

#[test]
fn a_writer_waits_for_room() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let poll = |cx: &mut Context<'_>| {
            socket.poll_transfer(cx, Direction::Write, 4096, || write(&socket, &[7; 4096]))
        };
        let mut sent = 0;
        for round in 1..=5 {
            loop {
                match poll(&mut cx) {
                    Poll::Ready(done) => sent += done.unwrap(),
                    Poll::Pending => {
                        turn_now(driver);
                        if counter.count() < round {
                            break;
                        }
                    }
                }
                assert!(sent < 1 << 30);
            }
            let mut taken = 0;
            let mut buffer = [0; 65536];
            while let Ok(n) = std::io::Read::read(&mut peer, &mut buffer) {
                taken += n;
            }
            assert_eq!(std::mem::take(&mut sent), taken);
            turn_until(driver, || counter.count() >= round);
        }
    });
}

#[test]
fn what_cannot_be_polled_says_so() {
    on_each_edge(|driver| {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let registration = register(driver, file);
        // A ring would say of a file that it is always ready; all back ends say what epoll says.
        let error = registration.arm().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        // Nothing is left behind of the attempt: another one fails the same way.
        assert!(registration.arm().is_err());
    });
}
