//! Connections: each that a client has made is accepted once, and an attempt that was dropped leaves nothing behind.

use std::collections::HashSet;
use std::net::SocketAddr;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
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

/// Serves one connection. False if its client has given up before it was one.
async fn serve(mut stream: TcpStream, seen: &mut HashSet<u8>) -> bool {
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
                    let mut stream = loop {
                        let stream = if number % 2 == 0 {
                            polls.give(UnixStream::connect(&path)).await
                        } else {
                            polls.give(UnixStream::connect_addr(&addr)).await
                        };
                        if let Some(stream) = stream {
                            break stream.unwrap();
                        }
                    };
                    stream.write_all(&[number]).await.unwrap();
                    let mut back = Vec::new();
                    stream.read_to_end(&mut back).await.unwrap();
                    assert_eq!(back, [number]);
                }
            });
            let (mut polls, mut next) = (Polls::new(), 0);
            while next < TOTAL {
                let Some(accepted) = polls.give(listener.accept()).await else {
                    continue;
                };
                let mut stream = accepted.unwrap().0;
                let mut number = [0];
                if stream.read(&mut number).await.is_ok_and(|len| len == 1) {
                    assert_eq!(number[0], next);
                    next += 1;
                    stream.write_all(&number).await.unwrap();
                }
            }
            task.await.unwrap();
        });
    });
}
