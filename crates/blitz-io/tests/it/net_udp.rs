//! UDP: datagrams and their addresses, what goes beside a datagram, and what becomes of one that nobody takes.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use blitz_io::io::{Interest, ReadBuf};
use blitz_io::net::UdpSocket;
use blitz_io::net::udp::{Datagram, Ecn};
use blitz_io::task;

use crate::child;
use crate::harness::{on_every, run, until_refused};

const LOOPBACK: &str = "127.0.0.1:0";
/// `EMSGSIZE`: Linux's, and everyone else's.
const TOO_LONG: [i32; 2] = [90, 40];

pub(crate) async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Runs a test with two sockets, each the other's peer, on every back end and flavour.
fn with_pair<F: Future<Output = ()>>(test: impl Fn(UdpSocket, UdpSocket) -> F) {
    on_every(|runtime| {
        run(runtime, async {
            let (a, a_addr) = socket().await;
            let (b, b_addr) = socket().await;
            a.connect(b_addr).await.unwrap();
            b.connect(a_addr).await.unwrap();
            test(a, b).await;
        });
    });
}

/// Polls once, and asserts that it waits.
async fn waits<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn to_anyone_and_from_anyone() {
    on_every(|runtime| {
        run(runtime, async {
            let (server, server_addr) = socket().await;
            let server = Arc::new(server);
            let echo = task::spawn({
                let server = Arc::clone(&server);
                async move {
                    let mut buf = [0; 100];
                    for _ in 0..20 {
                        let (len, from) = server.recv_from(&mut buf).await.unwrap();
                        assert_eq!(server.send_to(&buf[..len], from).await.unwrap(), len);
                    }
                }
            });
            let (one, _) = socket().await;
            let (other, _) = socket().await;
            for round in 0..10_u8 {
                for client in [&one, &other] {
                    client.send_to(&[round; 10], server_addr).await.unwrap();
                    let mut buf = Vec::with_capacity(64);
                    let (len, from) = client.recv_buf_from(&mut buf).await.unwrap();
                    assert_eq!((len, from), (10, server_addr));
                    assert_eq!(buf, [round; 10]);
                }
            }
            echo.await.unwrap();
            // A name's first address is taken.
            let port = server_addr.port();
            one.send_to(b"by name", ("127.0.0.1", port)).await.unwrap();
            assert_eq!(server.recv(&mut [0; 16]).await.unwrap(), 7);
            let none: &[SocketAddr] = &[];
            let error = one.send_to(b"x", none).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn connected_pairs_polled_and_tried() {
    with_pair(|a, b| async move {
        assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
        assert_eq!(poll_fn(|cx| a.poll_send(cx, b"one")).await.unwrap(), 3);
        let mut space = [0; 16];
        let mut buf = ReadBuf::new(&mut space);
        poll_fn(|cx| b.poll_peek(cx, &mut buf)).await.unwrap();
        assert_eq!(buf.filled(), b"one");
        buf.clear();
        poll_fn(|cx| b.poll_recv(cx, &mut buf)).await.unwrap();
        assert_eq!(buf.filled(), b"one");

        let to = b.local_addr().unwrap();
        let sent = poll_fn(|cx| a.poll_send_to(cx, b"two", to)).await;
        assert_eq!(sent.unwrap(), 3);
        let from = poll_fn(|cx| b.poll_peek_sender(cx)).await.unwrap();
        assert_eq!(from, a.local_addr().unwrap());
        buf.clear();
        let from = poll_fn(|cx| b.poll_peek_from(cx, &mut buf)).await.unwrap();
        assert_eq!(from, a.local_addr().unwrap());
        buf.clear();
        let from = poll_fn(|cx| b.poll_recv_from(cx, &mut buf)).await.unwrap();
        assert_eq!((buf.filled(), from), (&b"two"[..], a.local_addr().unwrap()));

        let nothing = b.try_recv(&mut [0; 4]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        let nothing = b.try_peek_sender().unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        assert_eq!(a.try_send(b"three").unwrap(), 5);
        assert_eq!(a.try_send_to(b"four", to).unwrap(), 4);
        b.readable().await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(b.try_peek(&mut buf).unwrap(), 5);
        assert_eq!(b.try_peek_from(&mut buf).unwrap().0, 5);
        assert_eq!(b.try_recv(&mut buf).unwrap(), 5);
        assert_eq!(b.recv_from(&mut buf).await.unwrap().0, 4);

        poll_fn(|cx| a.poll_send_ready(cx)).await.unwrap();
        a.writable().await.unwrap();
        a.send(b"five").await.unwrap();
        poll_fn(|cx| b.poll_recv_ready(cx)).await.unwrap();
        assert!(b.ready(Interest::READABLE).await.unwrap().is_readable());
        let call = || b.try_recv_from(&mut [0; 16]).map(|(len, _)| len);
        assert_eq!(call().unwrap(), 4);
    });
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    with_pair(|a, b| async move {
        assert_eq!(a.send(b"").await.unwrap(), 0);
        assert_eq!(b.recv(&mut [0; 8]).await.unwrap(), 0);
        // And one that is received into no room is taken.
        a.send(b"gone").await.unwrap();
        a.send(b"next").await.unwrap();
        assert_eq!(b.recv(&mut []).await.unwrap(), 0);
        let mut buf = [0; 8];
        assert_eq!(b.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"next");
    });
}

#[test]
fn what_does_not_fit_is_lost_and_nothing_of_the_next() {
    with_pair(|a, b| async move {
        a.send(b"0123456789").await.unwrap();
        a.send(b"next").await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(b.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"0123");
        assert_eq!(b.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"next");
    });
}

#[test]
fn a_datagram_longer_than_any_is_refused() {
    with_pair(|a, b| async move {
        let error = a.send(&vec![0; 70_000]).await.unwrap_err();
        let number = error.raw_os_error().unwrap();
        assert!(TOO_LONG.contains(&number), "{error}");
        let to = b.local_addr().unwrap();
        let error = a.send_to(&vec![0; 70_000], to).await.unwrap_err();
        assert!(TOO_LONG.contains(&error.raw_os_error().unwrap()), "{error}");
        // The socket is as good as before.
        a.send(b"short").await.unwrap();
        assert_eq!(b.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_peer_that_is_gone_refuses_once_for_each_datagram() {
    with_pair(|a, b| async move {
        let gone = b.local_addr().unwrap();
        drop(b);
        let error = until_refused(async || {
            a.send(b"anybody?").await?;
            match a.try_recv(&mut [0; 8]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                received => received.map(drop),
            }
        });
        assert_eq!(error.await.kind(), ErrorKind::ConnectionRefused);
        // It is gone for good now; the last datagrams may have been refused each by itself.
        while a.take_error().unwrap().is_some() {}
        for _ in 0..3 {
            // A send that tells of an earlier refusal has sent nothing.
            while a.send(b"anybody?").await.is_err() {}
            let error = a.recv(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        // A wait that has begun before the refusal is ended by it, too.
        {
            let mut buf = [0; 8];
            let mut receive = pin!(a.recv(&mut buf));
            waits(receive.as_mut()).await;
            a.send(b"anybody?").await.unwrap();
            let error = receive.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        a.send(b"anybody?").await.unwrap();
        // That it is readable may be known from before, and where the machine is busy the refusal comes later than the send's end.
        a.ready(Interest::READABLE).await.unwrap();
        let mut refused = None;
        while refused.is_none() {
            refused = a.take_error().unwrap();
        }
        assert_eq!(refused.unwrap().kind(), ErrorKind::ConnectionRefused);
        // The error is gone with that, and one who comes back is heard.
        let again = UdpSocket::bind(gone).await.unwrap();
        let mut buf = [0; 8];
        let mut receive = pin!(a.recv(&mut buf));
        waits(receive.as_mut()).await;
        again
            .send_to(b"here", a.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(receive.await.unwrap(), 4);
    });
}

#[test]
fn dropped_waits_take_nothing() {
    with_pair(|a, b| async move {
        let mut bytes = [0; 16];
        for round in 0..10_u8 {
            let mut buf = Vec::with_capacity(64);
            {
                let mut wait = pin!(b.recv(&mut bytes));
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.recv_buf(&mut buf));
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.recv_from(&mut bytes));
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.peek_from(&mut bytes));
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.peek_sender());
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.async_io(Interest::READABLE, || b.try_recv(&mut [0; 4])));
                waits(wait.as_mut()).await;
            }
            a.send(&[round; 3]).await.unwrap();
            assert_eq!(b.recv(&mut bytes).await.unwrap(), 3);
            assert_eq!(bytes[..3], [round; 3]);
            assert!(buf.is_empty());
        }
    });
}

#[test]
fn many_tasks_share_a_socket_and_each_datagram_has_one_taker() {
    with_pair(|a, b| async move {
        let b = Arc::new(b);
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let b = Arc::clone(&b);
                task::spawn(async move {
                    let mut buf = [0; 16];
                    let len = b.recv(&mut buf).await.unwrap();
                    buf[..len].to_vec()
                })
            })
            .collect();
        for round in 0..8_u8 {
            a.send(&[round; 2]).await.unwrap();
        }
        let mut taken = Vec::new();
        for taker in takers {
            taken.push(taker.await.unwrap());
        }
        taken.sort();
        assert_eq!(
            taken,
            (0..8).map(|round| vec![round; 2]).collect::<Vec<_>>()
        );
    });
}

#[test]
fn options_are_kept() {
    on_every(|runtime| {
        run(runtime, async {
            let (socket, _) = socket().await;
            assert!(!socket.broadcast().unwrap());
            socket.set_broadcast(true).unwrap();
            assert!(socket.broadcast().unwrap());
            socket.set_ttl(42).unwrap();
            assert_eq!(socket.ttl().unwrap(), 42);
            socket.set_tos_v4(0x20).unwrap();
            assert_eq!(socket.tos_v4().unwrap(), 0x20);
            socket.set_multicast_loop_v4(false).unwrap();
            assert!(!socket.multicast_loop_v4().unwrap());
            socket.set_multicast_ttl_v4(7).unwrap();
            assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
            socket.set_multicast_if_v4(Ipv4Addr::LOCALHOST).unwrap();
            assert_eq!(socket.multicast_if_v4().unwrap(), Ipv4Addr::LOCALHOST);
            assert!(socket.take_error().unwrap().is_none());
            if let Ok(device) = socket.device() {
                assert_eq!(device, None);
                assert!(socket.bind_device(Some(b"no-such-device")).is_err());
            }
            let Ok(socket) = UdpSocket::bind("[::1]:0").await else {
                return; // This machine has no IPv6.
            };
            socket.set_multicast_loop_v6(false).unwrap();
            assert!(!socket.multicast_loop_v6().unwrap());
            socket.set_multicast_hops_v6(9).unwrap();
            assert_eq!(socket.multicast_hops_v6().unwrap(), 9);
            socket.set_tclass_v6(0x20).unwrap();
            assert_eq!(socket.tclass_v6().unwrap(), 0x20);
        });
    });
}

/// Whether this system serves what goes beside a datagram.
fn has_messages(socket: &UdpSocket) -> bool {
    match socket.set_recv_tos(true) {
        Err(error) if error.kind() == ErrorKind::Unsupported => false,
        done => {
            done.unwrap();
            true
        }
    }
}

#[test]
fn marks_arrive_on_both_families() {
    on_every(|runtime| {
        run(runtime, async {
            for local in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(a) = UdpSocket::bind(local).await else {
                    continue; // This machine has no IPv6.
                };
                let b = UdpSocket::bind(local).await.unwrap();
                if !has_messages(&b) {
                    return;
                }
                b.set_recv_destination(true).unwrap();
                let to = b.local_addr().unwrap();
                let mut buf = [0; 16];
                for ecn in [
                    Ecn::Ect0,
                    Ecn::Ect1,
                    Ecn::CongestionExperienced,
                    Ecn::NotCapable,
                ] {
                    let datagram = Datagram::new(b"mark", to).tos(0x28).ecn(ecn);
                    assert_eq!(a.send_message(&datagram).await.unwrap(), 4);
                    let received = b.recv_message(&mut buf).await.unwrap();
                    assert_eq!(received.ecn(), Some(ecn), "{local}");
                    assert_eq!(received.tos(), Some(0x28 | ecn as u8));
                    assert_eq!(received.len(), 4);
                    assert!(!received.is_truncated());
                    assert_eq!(received.from(), a.local_addr().unwrap());
                    assert_eq!(received.destination(), Some(to.ip()));
                    assert!(received.interface().is_some());
                    assert_eq!(received.segments(&buf).next(), Some(&b"mark"[..]));
                }
                // Also to a peer, and without any.
                a.connect(to).await.unwrap();
                a.send_message(&Datagram::to_peer(b"peer").ecn(Ecn::Ect0))
                    .await
                    .unwrap();
                let received = b.recv_message(&mut buf).await.unwrap();
                assert_eq!(received.ecn(), Some(Ecn::Ect0), "{local}");
                a.send(b"plain").await.unwrap();
                let received = b.recv_message(&mut buf[..2]).await.unwrap();
                assert_eq!(received.ecn(), Some(Ecn::NotCapable));
                assert!(received.is_truncated());
            }
        });
    });
}

#[test]
fn a_socket_of_both_families_tells_of_both() {
    on_every(|runtime| {
        run(runtime, async {
            let Ok(both) = UdpSocket::bind("[::]:0").await else {
                return; // This machine has no IPv6.
            };
            if !has_messages(&both) {
                return;
            }
            both.set_recv_destination(true).unwrap();
            let port = both.local_addr().unwrap().port();
            let (four, _) = socket().await;
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            four.send_message(&Datagram::new(b"four", to).ecn(Ecn::Ect0))
                .await
                .unwrap();
            let received = both.recv_message(&mut [0; 8]).await.unwrap();
            assert_eq!(received.ecn(), Some(Ecn::Ect0));
            let destination = received.destination().unwrap().to_canonical();
            assert_eq!(destination, IpAddr::from(Ipv4Addr::LOCALHOST));
            // And answers, marked, to an address of IPv4 that is written as one of IPv6.
            has_messages(&four);
            let answer = Datagram::new(b"back", received.from()).ecn(Ecn::Ect1);
            both.send_message(&answer).await.unwrap();
            let received = four.recv_message(&mut [0; 8]).await.unwrap();
            assert_eq!(received.ecn(), Some(Ecn::Ect1));
        });
    });
}

#[test]
fn the_address_to_send_from_can_be_chosen() {
    on_every(|runtime| {
        run(runtime, async {
            let all = UdpSocket::bind("0.0.0.0:0").await.unwrap();
            let (receiver, to) = socket().await;
            if !has_messages(&receiver) {
                return;
            }
            let from = IpAddr::from(Ipv4Addr::new(127, 0, 0, 77));
            all.send_message(&Datagram::new(b"x", to).from(from))
                .await
                .unwrap();
            let received = receiver.recv_message(&mut [0; 8]).await.unwrap();
            assert_eq!(received.from().ip(), from);
        });
    });
}

#[test]
fn long_sends_are_cut_and_short_ones_joined() {
    with_pair(|a, b| async move {
        if a.max_segments() == 1 {
            let error = a.send_message(&Datagram::to_peer(b"x")).await.err();
            assert!(error.is_none_or(|error| error.kind() == ErrorKind::Unsupported));
            return;
        }
        let bytes: Vec<u8> = (0..2500_u32).map(|n| n as u8).collect();
        let datagram = Datagram::to_peer(&bytes).segment_len(1000);
        assert_eq!(a.send_message(&datagram).await.unwrap(), 2500);
        let mut buf = [0; 2000];
        for len in [1000, 1000, 500] {
            assert_eq!(b.recv(&mut buf).await.unwrap(), len);
        }
        let error = a
            .send_message(&Datagram::to_peer(&bytes).segment_len(1))
            .await;
        assert!(error.is_err(), "2,500 datagrams are too many");

        // Joined again, or not: the kernel may deliver each by itself.
        b.set_gro(true).unwrap();
        a.send_message(&datagram).await.unwrap();
        let (mut buf, mut all) = (vec![0; 65_536], Vec::new());
        while all.len() < 2500 {
            let received = b.recv_message(&mut buf).await.unwrap();
            for segment in received.segments(&buf) {
                assert!(segment.len() == 1000 || segment.len() == 500);
                all.extend_from_slice(segment);
            }
        }
        assert_eq!(all, bytes);
    });
}

#[test]
fn many_at_once_and_dropped_waits() {
    with_pair(|a, b| async move {
        if !has_messages(&b) {
            return;
        }
        let mut space = [[0; 16]; 40];
        let mut received = Vec::new();
        let mut bufs: Vec<_> = space.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        {
            let mut wait = pin!(b.recv_many(&mut bufs, &mut received));
            waits(wait.as_mut()).await;
        }
        {
            let mut buf = [0; 4];
            let mut wait = pin!(b.recv_message(&mut buf));
            waits(wait.as_mut()).await;
        }
        assert!(received.is_empty());
        let bytes: Vec<_> = (0..40_u8).map(|n| vec![n; 1 + n as usize % 7]).collect();
        let datagrams: Vec<_> = bytes.iter().map(|bytes| Datagram::to_peer(bytes)).collect();
        let mut sent = 0;
        while sent < datagrams.len() {
            sent += a.send_many(&datagrams[sent..]).await.unwrap();
        }
        let mut count = 0;
        while count < 40 {
            let came = b
                .recv_many(&mut bufs[count..], &mut received)
                .await
                .unwrap();
            assert!((1..=32).contains(&came));
            count += came;
        }
        for ((bytes, buf), received) in bytes.iter().zip(&bufs).zip(&received) {
            assert_eq!(bytes, &buf[..received.len()]);
            assert_eq!(received.from(), a.local_addr().unwrap());
        }
        let nothing = b.try_recv_many(&mut bufs, &mut received).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        let error = b.recv_many(&mut [], &mut received).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = a.send_many(&[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let long = vec![0; 70_000];
        let mixed = [Datagram::to_peer(b"fits"), Datagram::to_peer(&long)];
        assert_eq!(a.try_send_many(&mixed).unwrap(), 1);
        assert!(a.try_send_many(&mixed[1..]).is_err());
    });
}

#[test]
fn std_sockets_come_and_go_and_ports_are_taken_once() {
    on_every(|runtime| {
        run(runtime, async {
            let std = std::net::UdpSocket::bind(LOOPBACK).unwrap();
            std.set_nonblocking(true).unwrap();
            let socket = UdpSocket::try_from(std).unwrap();
            let addr = socket.local_addr().unwrap();
            socket.send_to(b"self", addr).await.unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
            let error = UdpSocket::bind(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
            let std = socket.into_std().unwrap();
            std.send_to(b"still", addr).unwrap();
            assert_eq!(std.recv(&mut [0; 8]).unwrap(), 5);
        });
    });
}

#[test]
fn out_of_descriptors_bind_says_what_helps() {
    child::run("ulimit -n 100", "net_udp::out_of_descriptors");
}

#[test]
#[ignore = "run by out_of_descriptors_bind_says_what_helps, under its limit"]
fn out_of_descriptors() {
    on_every(|runtime| {
        run(runtime, async {
            let (socket, addr) = socket().await;
            let mut fillers = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                fillers.push(file);
            }
            let error = UdpSocket::bind(LOOPBACK).await.unwrap_err();
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            // What there is goes on.
            socket.send_to(b"self", addr).await.unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
        });
    });
}
