//! What the leaves beside TCP's say that they wait for.

use std::io;
use std::process::Stdio;

use blitz_io::io::{AsyncReadExt, Interest};
use blitz_io::net::unix::pipe;
use blitz_io::net::{UdpSocket, UnixDatagram, UnixListener, UnixStream};
use blitz_io::process::Command;
use blitz_io::runtime::dump::Target;

use super::tasks::assert_waits;
use crate::harness::{on_every, run};

/// What kind of descriptor the task waits for, and who is at its other end.
#[track_caller]
fn descriptor(on: Option<Target>) -> (&'static str, Option<String>) {
    let Some(Target::Descriptor { kind, peer, .. }) = on else {
        panic!("{on:?}")
    };
    (kind, peer)
}

#[test]
fn unix_sockets_say_which_and_to_whom() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("socket");
            let listener = UnixListener::bind(&path)?;
            let mut client = UnixStream::connect(&path).await?;
            let (_server, _) = listener.accept().await?;

            let line = line!() + 2;
            let accept = blitz_io::spawn(async move {
                listener.accept().await.map(drop).unwrap_or(());
            });
            let on = assert_waits(accept, "UnixListener::accept", line).await;
            assert_eq!(descriptor(on).0, "UnixListener");

            let line = line!() + 2;
            let read = blitz_io::spawn(async move {
                client.read(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let on = assert_waits(read, "read", line).await;
            let peer = Some(path.display().to_string());
            assert_eq!(descriptor(on), ("UnixStream", peer));

            let (one, _other) = UnixStream::pair()?;
            let line = line!() + 2;
            let ready = blitz_io::spawn(async move {
                one.ready(Interest::READABLE).await.map(drop).unwrap_or(());
            });
            assert_waits(ready, "UnixStream::ready", line).await;

            let (one, _other) = UnixStream::pair()?;
            let line = line!() + 2;
            let leased = blitz_io::spawn(async move {
                one.recv_lease().await.map(drop).unwrap_or(());
            });
            assert_waits(leased, "UnixStream::recv_lease", line).await;
            io::Result::Ok(())
        })
        .expect("sockets work");
    });
}

#[test]
fn datagram_sockets_say_which_and_to_whom() {
    on_every(|runtime| {
        run(runtime, async {
            let one = UdpSocket::bind("127.0.0.1:0").await?;
            let other = UdpSocket::bind("127.0.0.1:0").await?;
            one.connect(other.local_addr()?).await?;
            let line = line!() + 2;
            let recv = blitz_io::spawn(async move {
                one.recv(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let on = assert_waits(recv, "UdpSocket::recv", line).await;
            let peer = Some(other.local_addr()?.to_string());
            assert_eq!(descriptor(on), ("UdpSocket", peer));

            let line = line!() + 2;
            let recv = blitz_io::spawn(async move {
                other.recv_from(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let on = assert_waits(recv, "UdpSocket::recv_from", line).await;
            assert_eq!(descriptor(on), ("UdpSocket", None));

            let (one, _other) = UnixDatagram::pair()?;
            let line = line!() + 2;
            let recv = blitz_io::spawn(async move {
                one.recv(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let on = assert_waits(recv, "UnixDatagram::recv", line).await;
            assert_eq!(descriptor(on).0, "UnixDatagram");

            let (_sender, mut receiver) = pipe::pipe()?;
            let line = line!() + 2;
            let read = blitz_io::spawn(async move {
                receiver.read(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            assert_waits(read, "read", line).await;
            let (_sender, receiver) = pipe::pipe()?;
            let line = line!() + 2;
            let readable = blitz_io::spawn(async move {
                receiver.readable().await.unwrap_or(());
            });
            assert_waits(readable, "pipe::Receiver::readable", line).await;
            io::Result::Ok(())
        })
        .expect("sockets work");
    });
}

#[test]
fn a_wait_for_a_child_says_so() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
            let stdin = child.stdin.take();
            let line = line!() + 2;
            let waits = blitz_io::spawn(async move {
                child.wait().await.map(drop).unwrap_or(());
            });
            assert_waits(waits, "Child::wait", line).await;
            drop(stdin);
            io::Result::Ok(())
        })
        .expect("children can be started");
    });
}
