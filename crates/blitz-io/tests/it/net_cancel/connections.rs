//! Connections: each that a client has made is accepted once, and an attempt that was dropped leaves nothing behind.

use std::collections::HashSet;
use std::net::SocketAddr;

use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};

use super::Polls;
use crate::harness::{on_every, run};

const TOTAL: u8 = 60;

/// Connects, by attempts of which most are dropped if it `drops` them, and says its number; ends when the server has said each back.
async fn clients(addr: SocketAddr, drops: bool) {
    let (mut polls, mut open) = (Polls::new(), Vec::new());
    for number in 0..TOTAL {
        let mut stream = loop {
            let connect = TcpStream::connect(addr);
            if !drops {
                break connect.await.unwrap();
            }
            if let Some(stream) = polls.give(connect).await {
                break stream.unwrap();
            }
        };
        stream.write_all(&[number]).await.unwrap();
        open.push(stream);
    }
    for (number, mut stream) in open.into_iter().enumerate() {
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, [number as u8], "it was served");
    }
}

/// Says its number by a connection, and waits until it is said back.
async fn is_served(mut stream: impl AsyncRead + AsyncWrite + Unpin, number: u8) {
    stream.write_all(&[number]).await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, [number], "it was served");
}

/// Serves one connection. False if its client has given up before it was one.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &mut HashSet<u8>) -> bool {
    let mut number = [0];
    if stream.read(&mut number).await.is_ok_and(|len| len == 1) {
        assert!(seen.insert(number[0]), "twice: {}", number[0]);
        stream.write_all(&number).await.unwrap();
        return true;
    }
    false
}

#[test]
fn accept_loses_no_connection() {
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let task = blitz_io::spawn(clients(addr, false));
            let (mut polls, mut seen) = (Polls::new(), HashSet::new());
            while seen.len() < usize::from(TOTAL) {
                if let Some(accepted) = polls.give(listener.accept()).await {
                    assert!(serve(accepted.unwrap().0, &mut seen).await);
                }
            }
            task.await.unwrap();
        });
    });
}

/// The stream lives; it is the wait for its next connection that is dropped.
#[test]
fn incoming_loses_no_connection() {
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let task = blitz_io::spawn(clients(addr, false));
            let (mut polls, mut seen) = (Polls::new(), HashSet::new());
            let mut incoming = listener.incoming();
            while seen.len() < usize::from(TOTAL) {
                if let Some(accepted) = polls.give(incoming.accept()).await {
                    assert!(serve(accepted.unwrap().0, &mut seen).await);
                }
            }
            task.await.unwrap();
        });
    });
}

/// What a dropped attempt has begun is closed: the server sees its end, and nothing of it comes later.
#[test]
fn a_dropped_connect_leaves_no_connection_behind() {
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let task = blitz_io::spawn(clients(addr, true));
            let mut seen = HashSet::new();
            while seen.len() < usize::from(TOTAL) {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &mut seen).await;
            }
            task.await.unwrap();
        });
    });
}

#[cfg(unix)]
#[test]
fn unix_accept_loses_no_connection() {
    use blitz_io::net::{UnixListener, UnixStream};
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listener");
        run(runtime, async {
            let listener = UnixListener::bind(&path).unwrap();
            let addr = listener.local_addr().unwrap();
            let task = blitz_io::spawn(async move {
                let mut polls = Polls::new();
                for number in 0..TOTAL {
                    let stream = loop {
                        let stream = if number % 2 == 0 {
                            polls.give(UnixStream::connect(&path)).await
                        } else {
                            polls.give(UnixStream::connect_addr(&addr)).await
                        };
                        if let Some(stream) = stream {
                            break stream.unwrap();
                        }
                    };
                    is_served(stream, number).await;
                }
            });
            let (mut polls, mut seen) = (Polls::new(), HashSet::new());
            while seen.len() < usize::from(TOTAL) {
                let Some(accepted) = polls.give(listener.accept()).await else {
                    continue;
                };
                serve(accepted.unwrap().0, &mut seen).await;
            }
            task.await.unwrap();
        });
    });
}

/// The same by a socket that was set up before: each attempt has one of its own, which goes with it.
#[test]
fn a_dropped_connect_of_a_socket_leaves_no_connection_behind() {
    use blitz_io::net::TcpSocket;
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let task = blitz_io::spawn(async move {
                let mut polls = Polls::new();
                for number in 0..TOTAL {
                    let stream = loop {
                        let socket = TcpSocket::new_v4().unwrap();
                        socket.set_nodelay(true).unwrap();
                        if let Some(stream) = polls.give(socket.connect(addr)).await {
                            break stream.unwrap();
                        }
                    };
                    is_served(stream, number).await;
                }
            });
            let mut seen = HashSet::new();
            while seen.len() < usize::from(TOTAL) {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &mut seen).await;
            }
            task.await.unwrap();
        });
    });
}

#[cfg(unix)]
#[test]
fn a_dropped_connect_of_a_unix_socket_leaves_no_connection_behind() {
    use blitz_io::net::UnixSocket;
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listener");
        run(runtime, async {
            let listening = UnixSocket::new_stream().unwrap();
            listening.bind(&path).unwrap();
            // So few that most attempts wait for room.
            let listener = listening.listen(1).unwrap();
            let task = blitz_io::spawn(async move {
                let mut polls = Polls::new();
                for number in 0..TOTAL {
                    let stream = loop {
                        let socket = UnixSocket::new_stream().unwrap();
                        if let Some(stream) = polls.give(socket.connect(&path)).await {
                            break stream.unwrap();
                        }
                    };
                    is_served(stream, number).await;
                }
            });
            let mut seen = HashSet::new();
            while seen.len() < usize::from(TOTAL) {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &mut seen).await;
            }
            task.await.unwrap();
        });
    });
}

/// By names, which are looked up: whoever gives up has taken no port, and a socket keeps the peer that it has.
#[test]
fn a_dropped_bind_takes_no_port_and_a_dropped_connect_of_datagrams_no_peer() {
    use crate::fs_cancel::at_each_poll;
    use blitz_io::net::UdpSocket;
    on_every(|runtime| {
        run(runtime, async {
            let bind = async || TcpListener::bind("localhost:0").await;
            let port = at_each_poll(bind).await.unwrap().local_addr().unwrap();
            // It is free again; an attempt that was dropped would hold it.
            let again = async || TcpListener::bind(port).await;
            drop(at_each_poll(again).await.unwrap());
            drop(at_each_poll(again).await.unwrap());
            let bind = async || UdpSocket::bind("localhost:0").await;
            let port = at_each_poll(bind).await.unwrap().local_addr().unwrap();
            let again = async || UdpSocket::bind(port).await;
            let one = at_each_poll(again).await.unwrap();
            let other = UdpSocket::bind((port.ip(), 0)).await.unwrap();
            let peer = other.local_addr().unwrap();
            one.connect(peer).await.unwrap();
            let mut polls = Polls::new();
            for _ in 0..20 {
                if let Some(connected) = polls.give(one.connect("localhost:9")).await {
                    connected.unwrap();
                    assert_eq!(one.peer_addr().unwrap().port(), 9);
                    one.connect(peer).await.unwrap();
                }
                assert_eq!(one.peer_addr().unwrap(), peer);
            }
            at_each_poll(async || one.connect(("localhost", peer.port())).await)
                .await
                .unwrap();
            assert_eq!(one.peer_addr().unwrap().port(), peer.port());
        });
    });
}
