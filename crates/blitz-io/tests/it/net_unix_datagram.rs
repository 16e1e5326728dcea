//! Unix datagrams: names, queues that are full, and receivers that are gone.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::Poll;

use blitz_io::io::{Interest, ReadBuf};
use blitz_io::net::{UnixDatagram, UnixSocket};

use crate::harness::{on_every, run, until_refused};

/// Runs a test with two sockets, each the other's peer, on every back end and flavour.
fn with_pair<F: Future<Output = ()>>(test: impl Fn(UnixDatagram, UnixDatagram) -> F) {
    on_every(|runtime| {
        run(runtime, async {
            let (a, b) = UnixDatagram::pair().unwrap();
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
fn names_and_their_errors() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let (one_path, other_path) = (folder.path().join("one"), folder.path().join("other"));
            let one = UnixDatagram::bind(&one_path).unwrap();
            let error = one.send_to(b"x", &other_path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let error = one.connect(&other_path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("other"), "{error}");

            let other = UnixSocket::new_datagram().unwrap();
            other.bind(&other_path).unwrap();
            let other = other.datagram().unwrap();
            assert_eq!(one.send_to(b"hello", &other_path).await.unwrap(), 5);
            let mut buf = [0; 16];
            let (len, from) = other.recv_from(&mut buf).await.unwrap();
            assert_eq!(&buf[..len], b"hello");
            assert_eq!(from.as_pathname(), Some(one_path.as_path()));
            let error = UnixDatagram::bind(&one_path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);

            let nobody = UnixDatagram::unbound().unwrap();
            assert!(nobody.local_addr().unwrap().is_unnamed());
            nobody.connect(&other_path).unwrap();
            assert_eq!(
                nobody.peer_addr().unwrap().as_pathname(),
                Some(other_path.as_path())
            );
            nobody.send(b"who?").await.unwrap();
            let mut buf = Vec::with_capacity(64);
            let (len, from) = other.recv_buf_from(&mut buf).await.unwrap();
            assert_eq!((len, from.is_unnamed()), (4, true));

            // The name outlives the socket, and nobody answers there.
            drop(other);
            let error = until_refused(|| one.send_to(b"x", &other_path)).await;
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            for error in [
                nobody.send(b"x").await.unwrap_err(),
                one.send_to(b"x", &other_path).await.unwrap_err(),
                one.connect(&other_path).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
            let error = UnixSocket::new_stream().unwrap().datagram().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn polled_and_tried() {
    with_pair(|a, b| async move {
        poll_fn(|cx| a.poll_send_ready(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| a.poll_send(cx, b"one")).await.unwrap(), 3);
        poll_fn(|cx| b.poll_recv_ready(cx)).await.unwrap();
        let mut space = [0; 16];
        let mut buf = ReadBuf::new(&mut space);
        let from = poll_fn(|cx| b.poll_recv_from(cx, &mut buf)).await.unwrap();
        assert!(from.is_unnamed());
        assert_eq!(buf.filled(), b"one");
        buf.clear();
        assert_eq!(a.try_send(b"two").unwrap(), 3);
        poll_fn(|cx| b.poll_recv(cx, &mut buf)).await.unwrap();
        assert_eq!(buf.filled(), b"two");
        a.send(b"three").await.unwrap();
        b.readable().await.unwrap();
        let mut vec = Vec::with_capacity(64);
        assert_eq!(b.try_recv_buf(&mut vec).unwrap(), 5);
        let nothing = b.try_recv_from(&mut [0; 4]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn long_and_empty_ones() {
    with_pair(|a, b| async move {
        a.send(b"0123456789").await.unwrap();
        a.send(b"").await.unwrap();
        a.send(b"next").await.unwrap();
        let mut buf = [0; 4];
        for (len, bytes) in [(4, &b"0123"[..]), (0, b""), (4, b"next")] {
            assert_eq!(b.recv(&mut buf).await.unwrap(), len);
            assert_eq!(&buf[..len], bytes);
        }
        let error = a.send(&vec![0; 64 << 20]).await.unwrap_err();
        assert!(
            error.raw_os_error().is_some(),
            "EMSGSIZE or ENOBUFS: {error}"
        );
        a.send(b"short").await.unwrap();
        assert_eq!(b.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_full_queue_is_waited_for_and_a_dropped_wait_sends_nothing() {
    with_pair(|a, b| async move {
        let mut queued = 0_u32;
        while a.try_send(&queued.to_ne_bytes()).is_ok() {
            queued += 1;
        }
        for _ in 0..3 {
            let mut send = pin!(a.send(b"dropped"));
            waits(send.as_mut()).await;
        }
        let mut send = pin!(a.send(b"last"));
        waits(send.as_mut()).await;
        let (sent, ()) = futures::join!(send, async {
            let mut buf = [0; 16];
            for number in 0..queued {
                assert_eq!(b.recv(&mut buf).await.unwrap(), 4);
                assert_eq!(buf[..4], number.to_ne_bytes());
            }
            assert_eq!(b.recv(&mut buf).await.unwrap(), 4);
            assert_eq!(&buf[..4], b"last");
        });
        sent.unwrap();
        assert!(b.try_recv(&mut [0; 4]).is_err());
    });
}

/// The kernel says of a socket that is not connected to the receiver that it is writable all the while.
#[test]
fn the_full_queue_of_another_is_waited_for_too() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("receiver");
            let receiver = UnixDatagram::bind(&path).unwrap();
            let sender = UnixDatagram::unbound().unwrap();
            for round in 0..3 {
                let mut queued = 0;
                while sender.try_send_to(b"fill", &path).is_ok() {
                    queued += 1;
                }
                sender.writable().await.unwrap();
                {
                    let mut dropped = pin!(sender.send_to(b"dropped", &path));
                    waits(dropped.as_mut()).await;
                }
                let send = async {
                    if round % 2 == 0 {
                        sender.send_to(b"last!", &path).await
                    } else {
                        poll_fn(|cx| sender.poll_send_to(cx, b"last!", &path)).await
                    }
                };
                let mut send = pin!(send);
                waits(send.as_mut()).await;
                let (sent, ()) = futures::join!(send, async {
                    let mut buf = [0; 16];
                    for _ in 0..queued {
                        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 4);
                    }
                    assert_eq!(receiver.recv(&mut buf).await.unwrap(), 5);
                });
                assert_eq!(sent.unwrap(), 5);
            }
            // One who waits hears that the receiver is gone.
            while sender.try_send_to(b"fill", &path).is_ok() {}
            let mut send = pin!(sender.send_to(b"last!", &path));
            waits(send.as_mut()).await;
            drop(receiver);
            let error = send.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn dropped_receives_take_nothing() {
    with_pair(|a, b| async move {
        let mut bytes = [0; 16];
        for round in 0..10_u8 {
            {
                let mut wait = pin!(b.recv(&mut bytes));
                waits(wait.as_mut()).await;
            }
            {
                let mut wait = pin!(b.recv_from(&mut bytes));
                waits(wait.as_mut()).await;
            }
            a.send(&[round; 3]).await.unwrap();
            assert_eq!(b.recv(&mut bytes).await.unwrap(), 3);
            assert_eq!(bytes[..3], [round; 3]);
        }
    });
}

#[test]
fn a_direction_that_is_shut_sends_no_more_and_does_not_spin() {
    with_pair(|a, b| async move {
        a.send(b"before").await.unwrap();
        b.shutdown(Shutdown::Read).unwrap();
        assert_eq!(b.recv(&mut [0; 8]).await.unwrap(), 6);
        // The kernel says "closed" and "would block" of it at once.
        b.ready(Interest::READABLE).await.unwrap();
        let nothing = b.try_recv(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        {
            let mut readable = pin!(b.readable());
            waits(readable.as_mut()).await;
        }
        // A peer that receives no more cannot be sent to, and one that sends no more cannot send.
        let error = a.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        b.shutdown(Shutdown::Write).unwrap();
        let error = b.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn std_sockets_come_and_go() {
    on_every(|runtime| {
        run(runtime, async {
            let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = UnixDatagram::try_from(ours).unwrap();
            ours.send(b"one").await.unwrap();
            assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 3);
            let std = ours.into_std().unwrap();
            std.send(b"four").unwrap();
            assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 4);
        });
    });
}
