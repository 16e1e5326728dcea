//! Echo: one connection, many, and many that come at once.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpSocket, TcpStream};
use blitz_io::runtime::Runtime;
use blitz_io::task;

use crate::harness::{on_both, on_every, within};

const LIMIT: Duration = Duration::from_secs(60);

/// An echo server for as many connections as are told; its address.
async fn serve(connections: usize) -> (SocketAddr, task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = task::spawn(async move {
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.push(task::spawn(echo(stream)));
        }
        let mut bytes = 0;
        for task in tasks {
            bytes += task.await.unwrap();
        }
        bytes
    });
    (addr, server)
}

async fn echo(mut stream: TcpStream) -> usize {
    let mut buf = vec![0; 4096];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return bytes,
            n => stream.write_all(&buf[..n]).await.unwrap(),
        }
        bytes += 1;
    }
}

/// Sends messages of its own and wants them back.
async fn talk(addr: SocketAddr, who: usize, rounds: usize, size: usize) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; size];
    for round in 0..rounds {
        let message: Vec<u8> = (0..size)
            .map(|i| (i * 31 + who * 7 + round) as u8)
            .collect();
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, message, "connection {who}, round {round}");
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
}

fn run(runtime: &Runtime, connections: usize, rounds: usize, size: usize) {
    within(runtime, LIMIT, async {
        let (addr, server) = serve(connections).await;
        let clients: Vec<_> = (0..connections)
            .map(|who| task::spawn(talk(addr, who, rounds, size)))
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert!(server.await.unwrap() >= connections * rounds);
    });
}

#[test]
fn one_connection() {
    on_every(|runtime| run(runtime, 1, 200, 64));
}

#[test]
fn fifty_connections() {
    on_every(|runtime| run(runtime, 50, 40, 1024));
}

#[test]
fn a_thousand_connections() {
    on_every(|runtime| run(runtime, 1000, 3, 64));
}

#[test]
fn messages_larger_than_the_kernels_buffers() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (addr, server) = serve(1).await;
            let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
            let message: Vec<u8> = (0..8 << 20).map(|i: u32| (i ^ (i >> 11)) as u8).collect();
            let sent = message.clone();
            let writer = task::spawn(async move {
                write.write_all(&sent).await.unwrap();
                write.shutdown().await.unwrap();
            });
            let mut answer = Vec::new();
            read.read_to_end(&mut answer).await.unwrap();
            assert!(
                answer == message,
                "{} bytes came back of {}",
                answer.len(),
                message.len()
            );
            writer.await.unwrap();
            server.await.unwrap();
        });
    });
}

/// The kernel's queue holds a burst that nobody accepts yet: each client is connected. Beyond the queue its SYN would be dropped
/// again and again, since nothing is accepted before all are there.
#[test]
fn a_burst_of_five_hundred_connects_loses_none() {
    on_both(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let connects: Vec<_> = (0..500)
                .map(|_| task::spawn(TcpStream::connect(addr)))
                .collect();
            let mut clients = Vec::new();
            for connect in connects {
                clients.push(connect.await.unwrap().unwrap());
            }
            let mut accepted = Vec::new();
            for _ in 0..500 {
                accepted.push(listener.accept().await.unwrap());
            }
            let mut peers: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
            let mut locals: Vec<_> = clients
                .iter()
                .map(|client| client.local_addr().unwrap())
                .collect();
            peers.sort_unstable();
            locals.sort_unstable();
            assert_eq!(peers, locals);
        });
    });
}

#[test]
fn a_socket_with_options_listens_and_connects() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.set_keepalive(true).unwrap();
            assert!(socket.reuseaddr().unwrap() && socket.keepalive().unwrap());
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(16).unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_nodelay(true).unwrap();
            let patience = Some(Duration::from_millis(1500));
            match socket.set_user_timeout(patience) {
                Ok(()) => assert_eq!(socket.user_timeout().unwrap(), patience),
                // Off Linux.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            }
            socket.set_recv_buffer_size(65_536).unwrap();
            assert!(socket.recv_buffer_size().unwrap() >= 65_536);
            let client = socket
                .connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (server, peer) = listener.accept().await.unwrap();
            assert!(client.nodelay().unwrap());
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
        });
    });
}

#[test]
fn names_are_looked_up() {
    on_both(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (client, server) = futures::join!(
                TcpStream::connect(format!("localhost:{port}")),
                listener.accept()
            );
            assert_eq!(client.unwrap().local_addr().unwrap(), server.unwrap().1);
        });
    });
}
