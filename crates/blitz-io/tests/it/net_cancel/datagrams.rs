//! Datagrams: each that a send says it has sent arrives, once and in order, and no other does.

use std::io::IoSliceMut;
use std::sync::Arc;

use blitz_io::io::Interest;
use blitz_io::net::UdpSocket;
use blitz_io::net::udp::Datagram;
use blitz_io::sync::Semaphore;

use super::Polls;
use crate::harness::{on_every, run};

const TOTAL: u32 = 400;
/// So many are under way at a time: a socket's queue holds them, so that the system drops none.
const UNDER_WAY: usize = 16;

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

async fn pair() -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

/// One kind of send against one kind of receive. Both are tried until they are not dropped.
macro_rules! survives {
    ($runtime:ident: $pair:expr; |$sender:ident, $bytes:ident| $send:expr; |$receiver:ident, $buffer:ident| $receive:expr) => {
        run($runtime, async {
            let ($sender, $receiver) = $pair;
            let room = Arc::new(Semaphore::new(UNDER_WAY));
            let taken = Arc::clone(&room);
            let task = blitz_io::spawn(async move {
                let mut polls = Polls::new();
                for number in 0..TOTAL {
                    taken.acquire().await.unwrap().forget();
                    let $bytes = number.to_be_bytes();
                    while polls.give(async { $send.await.unwrap() }).await.is_none() {}
                }
                $sender
            });
            let mut polls = Polls::new();
            let mut next = 0;
            while next < TOTAL {
                let mut space = [0; 64];
                let $buffer = &mut space[..];
                let received: Option<Vec<u32>> = polls.give(async { $receive }).await;
                for number in received.into_iter().flatten() {
                    assert_eq!(number, next);
                    next += 1;
                    room.add_permits(1);
                }
            }
            let $sender = task.await.unwrap();
            // And nothing after the last.
            let mut space = [0; 64];
            let more = $receiver.try_recv(&mut space);
            assert_eq!(more.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            drop($sender);
        })
    };
}

#[test]
fn udp_by_send_and_recv() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
            |sender, bytes| sender.send(&bytes);
            |receiver, buffer| { let len = receiver.recv(buffer).await.unwrap(); vec![number(&buffer[..len])] });
    });
}

#[test]
fn udp_by_send_to_and_recv_from() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| async { let peer = sender.peer_addr().unwrap(); sender.send_to(&bytes, peer).await };
        |receiver, buffer| {
            let (len, from) = receiver.recv_from(buffer).await.unwrap();
            assert_eq!(from, receiver.peer_addr().unwrap());
            vec![number(&buffer[..len])]
        });
    });
}

#[test]
fn udp_by_messages() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| async { sender.send_message(&Datagram::to_peer(&bytes)).await };
        |receiver, buffer| {
            let received = receiver.recv_message(buffer).await.unwrap();
            vec![number(&buffer[..received.len()])]
        });
    });
}

/// Many in one call: all that are there come, or none is taken.
#[test]
fn udp_by_many_at_once() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| async { sender.send_many(&[Datagram::to_peer(&bytes)]).await };
        |receiver, buffer| {
            let mut bufs: Vec<_> = buffer.chunks_mut(8).map(IoSliceMut::new).collect();
            let mut received = Vec::new();
            let count = receiver.recv_many(&mut bufs, &mut received).await.unwrap();
            assert_eq!(count, received.len());
            let numbers = bufs.iter().zip(&received).map(|(buf, received)| number(&buf[..received.len()]));
            numbers.collect()
        });
    });
}

#[test]
fn udp_into_a_buffer_that_grows() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| sender.send(&bytes);
        |receiver, _buffer| {
            let mut grows = Vec::with_capacity(64);
            let (len, _) = receiver.recv_buf_from(&mut grows).await.unwrap();
            assert_eq!(len, grows.len());
            vec![number(&grows)]
        });
    });
}

#[test]
fn udp_into_a_buffer_that_grows_without_the_sender() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| sender.async_io(Interest::WRITABLE, || sender.try_send(&bytes));
        |receiver, _buffer| {
            let mut grows = Vec::with_capacity(64);
            let len = receiver.recv_buf(&mut grows).await.unwrap();
            assert_eq!(len, grows.len());
            vec![number(&grows)]
        });
    });
}

#[test]
fn udp_whose_sender_is_looked_at_first() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| sender.send(&bytes);
        |receiver, buffer| {
            let from = receiver.peek_sender().await.unwrap();
            let (len, again) = receiver.peek_from(buffer).await.unwrap();
            let seen = number(&buffer[..len]);
            assert_eq!((from, again), (receiver.peer_addr().unwrap(), from));
            assert_eq!(receiver.try_recv(buffer).unwrap(), len);
            vec![seen]
        });
    });
}

#[test]
fn udp_by_readiness() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| async {
            sender.writable().await?;
            sender.try_send(&bytes)
        };
        |receiver, buffer| {
            receiver.ready(Interest::READABLE).await.unwrap();
            match receiver.try_recv(buffer) {
                Ok(len) => vec![number(&buffer[..len])],
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    vec![]
                }
            }
        });
    });
}

#[test]
fn udp_that_is_looked_at_first() {
    on_every(|runtime| {
        survives!(runtime: pair().await;
        |sender, bytes| sender.send(&bytes);
        |receiver, buffer| {
            let len = receiver.peek(buffer).await.unwrap();
            let seen = number(&buffer[..len]);
            let len = receiver.try_recv(buffer).unwrap();
            assert_eq!(number(&buffer[..len]), seen);
            vec![seen]
        });
    });
}

#[cfg(unix)]
#[test]
fn unix_by_send_and_recv() {
    use blitz_io::net::UnixDatagram;
    on_every(|runtime| {
        survives!(runtime: UnixDatagram::pair().unwrap();
            |sender, bytes| sender.send(&bytes);
            |receiver, buffer| { let len = receiver.recv(buffer).await.unwrap(); vec![number(&buffer[..len])] });
    });
}

/// The queue of the receiver is full again and again: there a send waits, and is dropped.
#[cfg(unix)]
#[test]
fn unix_to_a_name_whose_queue_is_full() {
    use blitz_io::net::UnixDatagram;
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receiver");
        run(runtime, async {
            let receiver = UnixDatagram::bind(&path).unwrap();
            let task = blitz_io::spawn(async move {
                let sender = UnixDatagram::unbound().unwrap();
                let (mut polls, mut dropped) = (Polls::new(), 0);
                for number in 0..TOTAL {
                    let bytes = number.to_be_bytes();
                    while polls
                        .give(sender.send_to(&bytes, &path))
                        .await
                        .map(Result::unwrap)
                        .is_none()
                    {
                        dropped += 1;
                    }
                }
                dropped
            });
            let mut polls = Polls::new();
            let mut buffer = [0; 64];
            for next in 0..TOTAL {
                let (len, _) = loop {
                    if let Some(received) = polls.give(receiver.recv_from(&mut buffer)).await {
                        break received.unwrap();
                    }
                };
                assert_eq!(number(&buffer[..len]), next);
            }
            // One in five is not even polled.
            assert!(task.await.unwrap() > TOTAL / 5 - 5);
            let more = receiver.try_recv(&mut buffer);
            assert_eq!(more.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        });
    });
}
