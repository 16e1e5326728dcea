//! Bytes: sockets, pipes, a child's standard streams.

use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use blitz_io::net::{TcpListener, TcpStream};

use super::{Polls, byte_at};
use crate::harness::{on_every, run};

const TOTAL: usize = 300_000;

/// Writes all bytes, in pieces that grow, each by a write that may be dropped; then ends.
async fn writes(mut writer: impl AsyncWrite + Unpin) {
    let mut polls = Polls::new();
    let mut place = 0;
    while place < TOTAL {
        let len = (place % 40_009 + 1).min(TOTAL - place);
        let bytes: Vec<u8> = (place..place + len).map(byte_at).collect();
        if let Some(written) = polls.give(writer.write(&bytes)).await {
            place += written.unwrap();
        }
    }
    writer.shutdown().await.unwrap();
}

/// Reads to the end, in pieces, each by a read that may be dropped. Every byte stands where it belongs.
async fn reads(mut reader: impl AsyncRead + Unpin) {
    let mut polls = Polls::new();
    let mut place = 0;
    let mut buffer = vec![0; 30_000];
    loop {
        let len = place % 29_989 + 1;
        let Some(read) = polls.give(reader.read(&mut buffer[..len])).await else {
            continue;
        };
        let read = read.unwrap();
        if read == 0 {
            break;
        }
        for (offset, byte) in buffer[..read].iter().enumerate() {
            assert_eq!(*byte, byte_at(place + offset), "at {}", place + offset);
        }
        place += read;
    }
    assert_eq!(place, TOTAL);
}

pub(super) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (client, server) = blitz_io::join!(TcpStream::connect(addr), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

#[test]
fn tcp() {
    on_every(|runtime| {
        run(runtime, async {
            let (client, server) = tcp_pair().await;
            let task = blitz_io::spawn(writes(client));
            reads(server).await;
            task.await.unwrap();
        });
    });
}

#[test]
fn tcp_both_ways_at_once() {
    on_every(|runtime| {
        run(runtime, async {
            let (client, server) = tcp_pair().await;
            let (client_reads, client_writes) = client.into_split();
            let (server_reads, server_writes) = server.into_split();
            let tasks = [
                blitz_io::spawn(writes(client_writes)),
                blitz_io::spawn(writes(server_writes)),
                blitz_io::spawn(reads(client_reads)),
            ];
            reads(server_reads).await;
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

/// What waits for readiness, what looks at bytes, and what takes them in a leased buffer, one after the other on one stream.
#[test]
fn tcp_by_every_kind_of_read() {
    on_every(|runtime| {
        run(runtime, async {
            let (client, server) = tcp_pair().await;
            let task = blitz_io::spawn(writes(client));
            let mut polls = Polls::new();
            let (mut place, mut buffer, mut turn) = (0, vec![0; 10_000], 0);
            while place < TOTAL {
                turn += 1;
                let bytes = match turn % 4 {
                    0 => {
                        let is_ready = if place % 2 == 0 {
                            polls.give(server.readable()).await.is_some()
                        } else {
                            polls.give(server.ready(Interest::READABLE)).await.is_some()
                        };
                        if !is_ready {
                            continue;
                        }
                        match server.try_read(&mut buffer) {
                            Ok(len) => buffer[..len].to_vec(),
                            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                                continue;
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    1 => {
                        // Looks twice: nothing is taken by the first.
                        let Some(len) = polls.give(server.peek(&mut buffer)).await else {
                            continue;
                        };
                        let len = len.unwrap();
                        let seen = buffer[..len].to_vec();
                        let read = server.try_read(&mut buffer[..len]).unwrap();
                        assert_eq!(seen[..read], buffer[..read]);
                        buffer[..read].to_vec()
                    }
                    2 => {
                        let read = || server.try_read(&mut buffer);
                        match polls.give(server.async_io(Interest::READABLE, read)).await {
                            Some(len) => buffer[..len.unwrap()].to_vec(),
                            None => continue,
                        }
                    }
                    _ => match polls.give(server.recv_lease()).await {
                        Some(view) => view.unwrap().to_vec(),
                        None => continue,
                    },
                };
                assert!(!bytes.is_empty(), "the end at {place}");
                for (offset, byte) in bytes.iter().enumerate() {
                    assert_eq!(*byte, byte_at(place + offset), "at {}", place + offset);
                }
                place += bytes.len();
            }
            task.await.unwrap();
        });
    });
}

#[cfg(unix)]
#[test]
fn unix() {
    on_every(|runtime| {
        run(runtime, async {
            let (one, other) = blitz_io::net::UnixStream::pair().unwrap();
            let task = blitz_io::spawn(writes(one));
            reads(other).await;
            task.await.unwrap();
        });
    });
}

#[cfg(unix)]
#[test]
fn pipe() {
    on_every(|runtime| {
        run(runtime, async {
            let (sender, receiver) = blitz_io::net::unix::pipe::pipe().unwrap();
            let task = blitz_io::spawn(writes(sender));
            reads(receiver).await;
            task.await.unwrap();
        });
    });
}

/// Through a child and back, and its end is heard of by a wait that was dropped many times.
#[cfg(unix)]
#[test]
fn a_childs_streams_and_its_end() {
    use blitz_io::process::Command;
    use std::process::Stdio;
    use std::time::Duration;
    on_every(|runtime| {
        run(runtime, async {
            let mut child = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut polls = Polls::new();
            let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            // It waits for its input, so each of these is dropped.
            for _ in 0..20 {
                let waits = blitz_io::time::timeout(Duration::ZERO, child.wait());
                assert!(waits.await.is_err());
            }
            let task = blitz_io::spawn(writes(input));
            reads(output).await;
            task.await.unwrap();
            let status = loop {
                if let Some(status) = polls.give(child.wait()).await {
                    break status.unwrap();
                }
            };
            assert!(status.success());
            assert_eq!(child.wait().await.unwrap(), status, "it stays known");
        });
    });
}

/// By waiting for readiness, and what is then tried.
#[cfg(unix)]
#[test]
fn pipe_by_readiness() {
    use std::io::ErrorKind::WouldBlock;
    on_every(|runtime| {
        run(runtime, async {
            let (sender, receiver) = blitz_io::net::unix::pipe::pipe().unwrap();
            let task = blitz_io::spawn(async move {
                let (mut polls, mut place) = (Polls::new(), 0);
                while place < TOTAL {
                    if polls.give(sender.writable()).await.is_none() {
                        continue;
                    }
                    let end = TOTAL.min(place + 5000);
                    let bytes: Vec<u8> = (place..end).map(byte_at).collect();
                    match sender.try_write(&bytes) {
                        Ok(written) => place += written,
                        Err(error) => assert_eq!(error.kind(), WouldBlock),
                    }
                }
            });
            let (mut polls, mut place, mut buffer) = (Polls::new(), 0, [0; 3001]);
            loop {
                let is_ready = if place % 2 == 0 {
                    polls.give(receiver.readable()).await.is_some()
                } else {
                    let ready = polls.give(receiver.ready(Interest::READABLE)).await;
                    ready.is_some()
                };
                if !is_ready {
                    continue;
                }
                match receiver.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => {
                        let expected = (place..place + read).map(byte_at);
                        assert!(buffer[..read].iter().copied().eq(expected), "at {place}");
                        place += read;
                    }
                    Err(error) => assert_eq!(error.kind(), WouldBlock),
                }
            }
            assert_eq!(place, TOTAL);
            task.await.unwrap();
        });
    });
}
