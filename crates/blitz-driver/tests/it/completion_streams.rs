//! Multishot accept and receive: order, exhaustion, fairness, and what is left when the stream goes.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::task::Poll;

use blitz_driver::completion::{Accepts, BufferConfig, BufferView, Leases};
use blitz_driver::{Config, Driver, Interest, Registration};
use blitz_sys::completion::Opcode;
use blitz_sys::descriptor::AsFd as _;

use crate::completion_support::{drain, drive, listener, poll_once};
use crate::support::{GUARD, on_each, on_ring, tcp_pair, turn_now, turn_until};

fn next(driver: &mut Driver, leases: &Leases, socket: &Registration) -> BufferView {
    drive(driver, poll_fn(|cx| leases.poll_next(cx, socket))).unwrap()
}

fn small(count: u16, pool_count: u32) -> Config {
    let buffers = BufferConfig {
        count,
        size: 64,
        pool_count,
        per_connection: 2,
        ..BufferConfig::default()
    };
    Config {
        buffers,
        ..Config::default()
    }
}

fn arm(leases: &Leases, socket: &Registration) {
    let (_, waker) = crate::support::Counter::new();
    let polled = leases.poll_next(&mut std::task::Context::from_waker(&waker), socket);
    assert!(polled.is_pending());
}

#[test]
fn connections_come_one_by_one_and_the_rest_is_closed_with_the_listener() {
    on_each(|driver| {
        let (listener, address) = listener(driver);
        let accepts = Accepts::new();
        let mut stream = accepts.stream(&listener);
        let mut clients = Vec::new();
        let mut taken: Vec<OwnedFd> = Vec::new();
        for _ in 0..100 {
            clients.push(TcpStream::connect(address).unwrap());
            taken.push(drive(driver, poll_fn(|cx| stream.poll_next(cx))).unwrap());
        }
        let late = (0..100)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect::<Vec<_>>();
        turn_now(driver);
        drop(stream);
        drop(accepts);
        drain(driver);
        drop(listener);
        turn_now(driver);
        for mut client in late {
            client.set_read_timeout(Some(GUARD)).unwrap();
            assert!(
                matches!(client.read(&mut [0]), Ok(0) | Err(_)),
                "its socket is still open"
            );
        }
        drop((clients, taken));
    });
}

/// A connection for one who accepts by readiness, with what was accepted ahead first.
async fn accepted(accepts: &Accepts, listener: &Registration) -> OwnedFd {
    let accept = || match accepts.take(listener) {
        Some(taken) => taken,
        None => blitz_sys::socket::accept(listener.fd().as_fd()).map(|(socket, _)| socket),
    };
    listener.async_io(Interest::READABLE, accept).await.unwrap()
}

#[test]
fn what_a_dropped_stream_has_accepted_is_left_to_the_others() {
    on_each(|driver| {
        let (listener, address) = listener(driver);
        let accepts = Accepts::new();
        for round in 0..20 {
            let mut stream = accepts.stream(&listener);
            let (_, waker) = crate::support::Counter::new();
            let mut cx = std::task::Context::from_waker(&waker);
            assert!(stream.poll_next(&mut cx).is_pending());
            let mut clients = Vec::new();
            let mut connect = |count: usize| {
                clients.extend((0..count).map(|_| TcpStream::connect(address).unwrap()));
            };
            connect(round % 7);
            turn_now(driver);
            connect(round % 3);
            drop(stream);
            connect(round % 5 + 1);
            for mut client in clients {
                client.write_all(&[round as u8]).unwrap();
                // No order is promised between those ahead and the backlog: each has one of its own.
                let mut socket = TcpStream::from(drive(driver, accepted(&accepts, &listener)));
                socket.set_nonblocking(false).unwrap();
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [round as u8]);
            }
        }
        drop(accepts);
        drain(driver);
        assert_eq!(armed(driver, Opcode::ACCEPT), 0);
    });
}

#[test]
fn who_waits_for_readiness_gets_what_a_stream_has_accepted() {
    on_each(|driver| {
        let (listener, address) = listener(driver);
        let accepts = Accepts::new();
        // It waits before there is a stream.
        let mut waits = Box::pin(accepted(&accepts, &listener));
        assert!(poll_once(waits.as_mut()).is_pending());
        turn_now(driver);
        let mut stream = accepts.stream(&listener);
        let (_, waker) = crate::support::Counter::new();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(stream.poll_next(&mut cx).is_pending());
        turn_now(driver);
        let mut clients = vec![TcpStream::connect(address).unwrap()];
        let mut taken = vec![drive(driver, waits)];
        // And more often than the stream takes ahead.
        for _ in 0..BufferConfig::default().per_listener * 2 {
            clients.push(TcpStream::connect(address).unwrap());
        }
        while taken.len() < clients.len() {
            taken.push(drive(driver, accepted(&accepts, &listener)));
        }
        drop(stream);
        drain(driver);
        clients.push(TcpStream::connect(address).unwrap());
        taken.push(drive(driver, accepted(&accepts, &listener)));
    });
}

#[test]
fn received_bytes_come_in_order_until_the_end() {
    on_each(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let writer = std::thread::spawn(move || {
            for n in 0..20_000_u32 {
                peer.write_all(&n.to_le_bytes()).unwrap();
            }
        });
        let leases = Leases::new();
        let mut got = Vec::new();
        loop {
            let view = next(driver, &leases, &mine);
            if view.is_empty() {
                break;
            }
            got.extend_from_slice(&view);
        }
        writer.join().unwrap();
        let expected: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        assert!(got == expected);
        assert!(
            next(driver, &leases, &mine).is_empty(),
            "the end stays the end"
        );
    });
}

#[test]
fn views_outlive_stream_and_driver() {
    let mut kept = Vec::new();
    for config in crate::support::configs() {
        let mut driver = Driver::new(config).unwrap();
        driver.bind();
        let (mine, mut peer) = tcp_pair(&driver);
        let leases = Leases::new();
        peer.write_all(b"kept").unwrap();
        kept.push(bytes::Bytes::from(next(&mut driver, &leases, &mine)));
        arm(&leases, &mine);
    }
    assert!(kept.iter().all(|bytes| &**bytes == b"kept"));
    std::thread::spawn(move || drop(kept)).join().unwrap();
}

#[test]
fn an_exhausted_ring_falls_back_on_the_pool_and_recovers() {
    on_ring(small(4, 64), |driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let leases = Leases::new();
        let mut held = Vec::new();
        for n in 0..32_u8 {
            peer.write_all(&[n; 8]).unwrap();
            held.push(next(driver, &leases, &mine));
        }
        let got: Vec<u8> = held.iter().flat_map(|view| view.to_vec()).collect();
        assert_eq!(got, (0..32_u8).flat_map(|n| [n; 8]).collect::<Vec<_>>());
        let pool = driver.handle().buffer_pool();
        assert!(
            pool.in_use() > 0,
            "more views are out than the ring has buffers"
        );
        drop(held);
        assert_eq!(pool.in_use(), 0);
        for n in 0..32_u8 {
            peer.write_all(&[n; 8]).unwrap();
            assert_eq!(&next(driver, &leases, &mine)[..], &[n; 8]);
        }
        assert_eq!(pool.in_use(), 0, "the ring serves again");
    });
}

#[test]
fn an_empty_pool_makes_readers_wait_in_line_and_nobody_is_forgotten() {
    on_each_small(|driver| {
        let pool = driver.handle().buffer_pool();
        let mut sockets = Vec::new();
        for _ in 0..16 {
            let (mine, mut peer) = tcp_pair(driver);
            peer.write_all(&[1; 8]).unwrap();
            sockets.push((mine, peer, Leases::new()));
        }
        // More is wanted than ring and pool have together: whoever has none waits until a view is dropped.
        let mut served = 0;
        let mut held = std::collections::VecDeque::new();
        let mut open: Vec<usize> = (0..sockets.len()).collect();
        let (counter, waker) = crate::support::Counter::new();
        let begun = std::time::Instant::now();
        while !open.is_empty() {
            assert!(begun.elapsed() < GUARD, "{} of 16 were served", served);
            let mut cx = std::task::Context::from_waker(&waker);
            open.retain(|n| match sockets[*n].2.poll_next(&mut cx, &sockets[*n].0) {
                std::task::Poll::Ready(view) => {
                    served += 1;
                    held.push_back(view.unwrap());
                    false
                }
                std::task::Poll::Pending => true,
            });
            let woken = counter.count();
            turn_now(driver);
            if counter.count() == woken {
                held.pop_front();
            }
        }
        assert_eq!(served, 16);
        drop(held);
        assert_eq!(pool.in_use(), 0);
    });
}

fn on_each_small(test: impl Fn(&mut Driver)) {
    for config in crate::support::configs() {
        let buffers = small(2, 2).buffers;
        let mut driver = Driver::new(Config { buffers, ..config }).unwrap();
        driver.bind();
        test(&mut driver);
    }
}

#[test]
fn a_flood_that_nobody_reads_starves_no_other() {
    on_ring(small(64, 64), |driver| {
        let (flooded, mut flooder) = tcp_pair(driver);
        let (quiet, mut quiet_peer) = tcp_pair(driver);
        let (flood, trickle) = (Leases::new(), Leases::new());
        arm(&flood, &flooded);
        arm(&trickle, &quiet);
        turn_now(driver);
        flooder.set_nonblocking(true).unwrap();
        for n in 0..64_u8 {
            // As much as the kernel takes: far more than all buffers hold.
            while flooder.write(&[0xff; 4096]).is_ok() {}
            turn_now(driver);
            quiet_peer.write_all(&[n; 4]).unwrap();
            assert_eq!(&next(driver, &trickle, &quiet)[..], &[n; 4]);
        }
        assert_eq!(
            driver.handle().buffer_pool().in_use(),
            0,
            "the ring had buffers for the quiet one all the time"
        );
        drop(flooder);
        let mut count = 0;
        loop {
            match drive(driver, poll_fn(|cx| flood.poll_next(cx, &flooded))) {
                Ok(view) if view.is_empty() => break,
                Ok(view) => count += view.len(),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(count >= 64 * 64);
    });
}

#[test]
fn a_stream_dropped_with_bytes_waiting_gives_its_buffers_back() {
    on_ring(small(8, 8), |driver| {
        for _ in 0..50 {
            let (mine, mut peer) = tcp_pair(driver);
            let leases = Leases::new();
            arm(&leases, &mine);
            turn_now(driver);
            peer.write_all(&[5; 1024]).unwrap();
            driver.turn(Some(std::time::Duration::ZERO));
            drop(leases);
        }
        drain(driver);
        let (mine, mut peer) = tcp_pair(driver);
        let leases = Leases::new();
        for _ in 0..8 {
            peer.write_all(&[6; 4]).unwrap();
            assert_eq!(&next(driver, &leases, &mine)[..], &[6; 4]);
        }
        assert_eq!(driver.handle().buffer_pool().in_use(), 0);
    });
}

#[test]
fn what_a_reader_puts_back_comes_first() {
    on_each(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let leases = Leases::new();
        peer.write_all(b"abcdef").unwrap();
        let mut view = next(driver, &leases, &mine);
        while view.len() < 6 {
            view = next(driver, &leases, &mine);
        }
        view.advance(4);
        leases.put_back(view);
        assert_eq!(&leases.try_next().unwrap().unwrap()[..], b"ef");
        assert!(leases.try_next().is_none());
    });
}

#[test]
fn a_reader_waits_no_longer_than_the_driver_lives() {
    on_each(|driver| {
        let (mine, _peer) = tcp_pair(driver);
        let leases = Leases::new();
        arm(&leases, &mine);
        turn_until(driver, || true);
        driver.shutdown();
        let (_, waker) = crate::support::Counter::new();
        let polled = leases.poll_next(&mut std::task::Context::from_waker(&waker), &mine);
        assert!(matches!(polled, std::task::Poll::Ready(Err(_))));
    });
}

/// Two that read one stream at once may each put something back. (The first one's bytes were lost.)
#[test]
fn what_is_put_back_twice_is_there_twice() {
    let pool = blitz_driver::completion::BufferPool::new(2, 16);
    let leases = blitz_driver::completion::Leases::new();
    for bytes in [b"one", b"two"] {
        let mut lease = pool.try_lease().unwrap();
        lease.as_mut_slice()[..3].copy_from_slice(bytes);
        leases.put_back(lease.freeze(3));
    }
    assert_eq!(&leases.try_next().unwrap().unwrap()[..], b"two");
    assert_eq!(&leases.try_next().unwrap().unwrap()[..], b"one");
    assert!(leases.try_next().is_none());
    assert!(!leases.is_armed());
}

/// Two drivers of one runtime; the first is bound.
fn siblings() -> Option<(Driver, Driver)> {
    if !crate::support::ring_allowed() {
        return None;
    }
    let config = Config {
        backend: Some(blitz_driver::Backend::IoUring),
        ..small(16, 4)
    };
    let mut first = Driver::new(config.clone()).unwrap();
    let second = Driver::new(config).unwrap(); // the same clock: a sibling
    first.bind();
    Some((first, second))
}

/// So many multishot entries of `opcode` are armed on `driver`.
fn armed(driver: &Driver, opcode: Opcode) -> usize {
    let all = driver.handle().operations_in_flight();
    all.iter()
        .filter(|(code, _)| *code == opcode)
        .map(|(_, count)| count)
        .sum()
}

/// What the old ring received comes first, what was sent during the move is not lost, and then the new ring receives.
#[test]
fn received_bytes_keep_their_order_when_the_stream_moves_to_the_ring_that_polls_it() {
    let Some((mut first, mut second)) = siblings() else {
        return;
    };
    let features = first.handle().features().cloned().unwrap_or_default();
    if !(features.multishot_recv && features.buffer_ring) {
        eprintln!("skipped: no receive that answers many times on this kernel, so none moves");
        return;
    }
    let (mine, mut peer) = tcp_pair(&first);
    let leases = Leases::new();
    let mut sent = 0_u32;
    let mut got = Vec::new();
    let mut send = |count: u32| {
        for n in sent..sent + count {
            peer.write_all(&n.to_le_bytes()).unwrap();
        }
        sent += count;
    };
    send(10);
    got.extend_from_slice(&next(&mut first, &leases, &mine));
    turn_now(&mut first);
    assert_eq!(armed(&first, Opcode::RECV), 1);
    first.unbind();
    second.bind();
    let begun = std::time::Instant::now();
    let (counter, waker) = crate::support::Counter::new();
    while armed(&second, Opcode::RECV) == 0 || armed(&first, Opcode::RECV) != 0 {
        assert!(begun.elapsed() < GUARD, "it never moved");
        send(1);
        let mut cx = std::task::Context::from_waker(&waker);
        while let Poll::Ready(view) = leases.poll_next(&mut cx, &mine) {
            got.extend_from_slice(&view.unwrap());
        }
        turn_now(&mut first);
        turn_now(&mut second);
    }
    send(10);
    drop(peer);
    loop {
        let view = next(&mut second, &leases, &mine);
        if view.is_empty() {
            break;
        }
        got.extend_from_slice(&view);
    }
    let expected: Vec<u8> = (0..sent).flat_map(u32::to_le_bytes).collect();
    assert!(got == expected);
    assert_eq!(armed(&first, Opcode::RECV), 0);
    assert!(counter.count() > 0);
    drop(leases);
    second.unbind();
}

#[test]
fn no_connection_is_lost_when_the_stream_moves_to_the_ring_that_polls_it() {
    let Some((mut first, mut second)) = siblings() else {
        return;
    };
    if !first
        .handle()
        .features()
        .is_some_and(|features| features.multishot_accept)
    {
        eprintln!("skipped: no accept that answers many times on this kernel, so none moves");
        return;
    }
    let (listener, address) = listener(&first);
    let accepts = Accepts::new();
    let mut stream = accepts.stream(&listener);
    let mut clients = vec![TcpStream::connect(address).unwrap()];
    let taken = drive(&mut first, poll_fn(|cx| stream.poll_next(cx)));
    let mut taken = vec![taken.unwrap()];
    turn_now(&mut first);
    assert_eq!(armed(&first, Opcode::ACCEPT), 1);
    first.unbind();
    second.bind();
    let begun = std::time::Instant::now();
    while armed(&second, Opcode::ACCEPT) == 0 || armed(&first, Opcode::ACCEPT) != 0 {
        assert!(begun.elapsed() < GUARD, "it never moved");
        clients.push(TcpStream::connect(address).unwrap());
        let (_, waker) = crate::support::Counter::new();
        let mut cx = std::task::Context::from_waker(&waker);
        while let Poll::Ready(socket) = stream.poll_next(&mut cx) {
            taken.push(socket.unwrap());
        }
        turn_now(&mut first);
        turn_now(&mut second);
    }
    clients.push(TcpStream::connect(address).unwrap());
    while taken.len() < clients.len() {
        let socket = drive(&mut second, poll_fn(|cx| stream.poll_next(cx)));
        taken.push(socket.unwrap());
    }
    // Each client's bytes come out of a socket of its own.
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    for socket in taken {
        let mut socket = TcpStream::from(socket);
        socket.set_nonblocking(false).unwrap();
        assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
    }
    drop(stream);
    drop(accepts);
    second.unbind();
}
