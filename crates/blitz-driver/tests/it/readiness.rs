//! Readiness: what wakes whom, what clears what, on both back ends.

use std::future::Future;
use std::io::{Read, Write};
use std::pin::pin;
use std::task::{Context, Poll};

use blitz_driver::{Direction, Interest, Ready};

use crate::support::*;

#[test]
fn a_tcp_socket_wakes_its_reader() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let mut buffer = [0; 16];
        let mut poll = |cx: &mut Context<'_>| {
            socket.poll_io(cx, Direction::Read, || read(&socket, &mut buffer))
        };
        assert!(poll(&mut cx).is_pending());
        turn_now(driver);
        assert_eq!(counter.count(), 0);
        peer.write_all(b"hello").unwrap();
        turn_until(driver, || counter.count() == 1);
        let Poll::Ready(Ok(5)) = poll(&mut cx) else {
            panic!("the bytes are there")
        };
        assert!(poll(&mut cx).is_pending());
        peer.write_all(b"again").unwrap();
        turn_until(driver, || counter.count() == 2);
        assert!(poll(&mut cx).is_ready());
    });
}

#[test]
fn the_first_try_needs_no_driver() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        peer.write_all(b"early").unwrap();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut buffer = [0; 16];
        let polled = socket.poll_io(&mut cx, Direction::Read, || read(&socket, &mut buffer));
        assert!(matches!(polled, Poll::Ready(Ok(5))));
        assert_eq!(
            format!("{:?}", socket.look(Interest::READABLE).unwrap().ready),
            "(empty)"
        );
    });
}

#[test]
fn clearing_one_direction_leaves_the_other() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        peer.write_all(b"x").unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        socket.arm().unwrap();
        turn_until(driver, || {
            let ready = socket.look(both).unwrap().ready;
            ready.is_readable() && ready.is_writable()
        });
        let readable = socket.look(Interest::READABLE).unwrap();
        assert_eq!(readable.ready, Ready::READABLE);
        socket.clear(readable);
        assert!(socket.look(Interest::READABLE).unwrap().ready.is_empty());
        assert_eq!(socket.look(both).unwrap().ready, Ready::WRITABLE);
    });
}

#[test]
fn an_event_between_look_and_clear_is_kept() {
    on_each_edge(|driver| {
        let (socket, mut peer) = pair(driver);
        peer.write_all(b"x").unwrap();
        socket.arm().unwrap();
        let ready = || socket.look(Interest::READABLE).unwrap();
        turn_until(driver, || ready().ready.is_readable());
        let before = ready();
        assert_eq!(read(&socket, &mut [0; 8]).unwrap(), 1);
        peer.write_all(b"y").unwrap();
        turn_until(driver, || ready().tick() != before.tick());
        socket.clear(before);
        assert!(
            ready().ready.is_readable(),
            "the second event is not the first's to clear"
        );
    });
}

#[test]
fn a_hangup_wakes_both_directions_and_stays() {
    on_each(|driver| {
        let (socket, peer) = pair(driver);
        // Fill it, so that the writer waits too.
        while write(&socket, &[0; 4096]).is_ok() {}
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
        drop(peer);
        turn_until(driver, || reader.count() == 1 && writer.count() == 1);
        let Poll::Ready(Ok(event)) = socket.poll_ready(&mut read_cx, Direction::Read) else {
            panic!("closed is ready")
        };
        assert!(event.ready.is_read_closed());
        socket.clear(event);
        let again = socket.look(Interest::READABLE).unwrap();
        assert!(again.ready.is_read_closed(), "closed stays closed");
        let write = socket.look(Interest::WRITABLE).unwrap();
        assert!(write.ready.is_write_closed());
    });
}

#[test]
fn a_half_close_ends_reading_only() {
    on_each(|driver| {
        let (socket, peer) = tcp_pair(driver);
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        socket.arm().unwrap();
        let look = || {
            socket
                .look(Interest::READABLE | Interest::WRITABLE)
                .unwrap()
                .ready
        };
        turn_until(driver, || look().is_read_closed());
        assert!(!look().is_write_closed());
        assert!(look().is_writable());
    });
}

#[test]
fn any_number_wait_in_the_list_first_come_first_woken() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        let waits: Vec<_> = (0..100)
            .map(|_| (socket.ready(Interest::READABLE), Counter::new()))
            .collect();
        let mut waits: Vec<_> = waits
            .into_iter()
            .map(|(wait, counter)| (Box::pin(wait), counter))
            .collect();
        for (wait, (_, waker)) in &mut waits {
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        turn_now(driver);
        // One leaves before the event; nobody calls it.
        let (gone, (silent, _)) = waits.remove(50);
        drop(gone);
        peer.write_all(b"x").unwrap();
        turn_until(driver, || {
            waits.iter().all(|(_, (counter, _))| counter.count() == 1)
        });
        assert_eq!(silent.count(), 0);
        for (wait, (_, waker)) in &mut waits {
            let ready = wait.as_mut().poll(&mut Context::from_waker(waker));
            let Poll::Ready(Ok(event)) = ready else {
                panic!("it is readable")
            };
            assert!(event.ready.is_readable() && !event.ready.is_writable());
        }
    });
}

#[test]
fn a_short_transfer_clears_and_the_next_event_comes() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let mut buffer = [0; 64];
        let calls = std::cell::Cell::new(0);
        let mut poll = |cx: &mut Context<'_>| {
            socket.poll_transfer(cx, Direction::Read, 64, || {
                calls.set(calls.get() + 1);
                read(&socket, &mut buffer)
            })
        };
        assert!(poll(&mut cx).is_pending());
        for round in 1..=10 {
            peer.write_all(b"short").unwrap();
            turn_until(driver, || counter.count() >= round);
            assert!(matches!(poll(&mut cx), Poll::Ready(Ok(5))));
            calls.set(0);
            assert!(poll(&mut cx).is_pending());
            if socket.is_edge() {
                assert_eq!(calls.get(), 0, "the short read has said that it is empty");
            }
        }
    });
}

#[test]
fn try_io_asks_nobody_and_clears() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        socket.arm().unwrap();
        turn_now(driver);
        let attempt = || socket.try_io(Interest::READABLE, || read(&socket, &mut [0; 8]));
        assert_eq!(
            attempt().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        peer.write_all(b"x").unwrap();
        turn_until(driver, || {
            socket.look(Interest::READABLE).unwrap().ready.is_readable()
        });
        assert_eq!(attempt().unwrap(), 1);
        assert!(attempt().is_err());
        assert!(
            socket.look(Interest::READABLE).unwrap().ready.is_empty(),
            "WouldBlock cleared it"
        );
    });
}

#[test]
fn async_io_waits_and_tries_again() {
    on_each(|driver| {
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let mut receive = pin!(socket.async_io(Interest::READABLE, || read(&socket, &mut [0; 8])));
        assert!(receive.as_mut().poll(&mut cx).is_pending());
        peer.write_all(b"abc").unwrap();
        turn_until(driver, || counter.count() > 0);
        assert!(matches!(receive.as_mut().poll(&mut cx), Poll::Ready(Ok(3))));
    });
}

#[test]
fn a_dropped_registration_closes_at_once_on_its_own_thread() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        socket.arm().unwrap();
        turn_now(driver);
        drop(socket);
        // No turn in between: the peer, who may block, sees the end.
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_dropped_listener_frees_its_port_at_once() {
    on_each(|driver| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let registration = register(driver, listener);
        registration.arm().unwrap();
        turn_now(driver);
        drop(registration);
        // No turn in between. Another test may be about to start a process, which has everything open until it begins.
        let begun = std::time::Instant::now();
        while let Err(error) = std::net::TcpListener::bind(address) {
            assert!(begun.elapsed() < GUARD, "the port is not free: {error}");
            std::thread::yield_now();
        }
    });
}

#[test]
fn dropped_before_it_was_submitted_it_closes_too() {
    on_each(|driver| {
        let (socket, mut peer) = tcp_pair(driver);
        socket.arm().unwrap();
        drop(socket);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
        turn_now(driver);
    });
}
