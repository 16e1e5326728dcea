//! Unix sockets: names, streams, halves, who is at the other end, and what the peer does.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, Interest};
use blitz_io::net::unix::SocketAddr;
use blitz_io::net::{UnixListener, UnixSocket, UnixStream};
use blitz_io::task;

use crate::child;
use crate::harness::{on_every, run, until_refused};

/// Runs a test with two connected streams on every back end and flavour.
fn with_pair<F: Future<Output = ()>>(test: impl Fn(UnixStream, UnixStream) -> F) {
    on_every(|runtime| {
        run(runtime, async {
            let (a, b) = UnixStream::pair().unwrap();
            test(a, b).await;
        });
    });
}

/// Polls once, and asserts that it waits.
async fn waits<F: Future>(mut future: std::pin::Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn paths_and_their_errors() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let error = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("socket\""), "{error}");

            let listener = UnixListener::bind(&path).unwrap();
            let addr = listener.local_addr().unwrap();
            assert_eq!(addr.as_pathname(), Some(path.as_path()));
            let error = UnixListener::bind(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert!(error.to_string().contains("remove it"), "{error}");

            let mut client = UnixStream::connect_addr(&addr).await.unwrap();
            let (mut server, peer) = listener.accept().await.unwrap();
            assert!(peer.is_unnamed());
            assert!(client.local_addr().unwrap().is_unnamed());
            let far = client.peer_addr().unwrap();
            assert_eq!(far.as_pathname(), Some(path.as_path()));
            client.write_all(b"one").await.unwrap();
            let mut buf = [0; 3];
            server.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"one");
            assert!(listener.take_error().unwrap().is_none());

            // The name outlives the listener, and nobody answers there.
            drop(listener);
            let error = until_refused(|| UnixStream::connect(&path)).await;
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(error.to_string().contains("nothing listens"), "{error}");

            let long = "x".repeat(200);
            for error in [
                UnixStream::connect(&long).await.unwrap_err(),
                UnixListener::bind(&long).unwrap_err(),
                UnixStream::connect("a\0b").await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            }
        });
    });
}

#[test]
fn abstract_names_are_no_files() {
    on_every(|runtime| {
        run(runtime, async {
            let name = format!(
                "blitz-abstract-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            );
            let Ok(addr) = SocketAddr::from_abstract_name(&name) else {
                return; // Linux alone has them.
            };
            let listener = UnixListener::bind_addr(&addr).unwrap();
            let seen = listener.local_addr().unwrap();
            assert_eq!(seen.as_abstract_name(), Some(name.as_bytes()));
            assert!(seen.as_pathname().is_none() && !seen.is_unnamed());
            let client = UnixStream::connect(format!("\0{name}")).await.unwrap();
            let far = client.peer_addr().unwrap();
            assert_eq!(far.as_abstract_name(), Some(name.as_bytes()));
            let std: std::os::unix::net::SocketAddr = far.into();
            assert_eq!(
                format!("{std:?}"),
                format!("{:?}", SocketAddr::from(std.clone()))
            );
            assert_eq!(
                UnixListener::bind(format!("\0{name}")).unwrap_err().kind(),
                ErrorKind::AddrInUse
            );
        });
    });
}

#[test]
fn both_ends_know_each_other() {
    with_pair(|a, b| async move {
        let (one, other) = (a.peer_cred().unwrap(), b.peer_cred().unwrap());
        assert_eq!(one, other);
        if let Some(pid) = one.pid() {
            assert_eq!(pid as u32, std::process::id());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert_eq!(server.peer_cred().unwrap(), one);
        drop(client);
    });
}

#[test]
fn a_socket_becomes_a_listener_or_a_stream() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let socket = UnixSocket::new_stream().unwrap();
            socket.bind(&path).unwrap();
            let listener = socket.listen(8).unwrap();
            let socket = UnixSocket::new_stream().unwrap();
            socket.bind(folder.path().join("client")).unwrap();
            let _client = socket.connect(&path).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.as_pathname(), Some(&*folder.path().join("client")));

            let datagrams = UnixSocket::new_datagram().unwrap();
            let error = datagrams.connect(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let error = UnixSocket::new_datagram().unwrap().listen(8).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn a_full_line_says_come_again() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let socket = UnixSocket::new_stream().unwrap();
            socket.bind(&path).unwrap();
            let listener = socket.listen(1).unwrap();
            let mut queued = Vec::new();
            let error = loop {
                match UnixStream::connect(&path).await {
                    Ok(stream) => queued.push(stream),
                    Err(error) => break error,
                }
                assert!(queued.len() < 100, "the line has an end");
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(
                error.to_string().contains("line of connections is full"),
                "{error}"
            );
            listener.accept().await.unwrap();
            UnixStream::connect(&path).await.unwrap();
        });
    });
}

#[test]
fn a_closed_sending_side_still_receives() {
    with_pair(|mut a, mut b| async move {
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        let mut text = String::new();
        b.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        b.write_all(b"answer").await.unwrap();
        drop(b);
        text.clear();
        a.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
        let error = a.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        a.shutdown().await.unwrap();
    });
}

#[test]
fn a_peer_that_leaves_unread_bytes_resets() {
    with_pair(|mut a, mut b| async move {
        a.write_all(b"never read").await.unwrap();
        let reader = task::spawn(async move { a.read(&mut [0; 8]).await });
        task::yield_now().await;
        b.readable().await.unwrap();
        b.write_all(b"last").await.unwrap();
        drop(b);
        // What came before is read before the error, or the error has overtaken it.
        match reader.await.unwrap() {
            Ok(n) => assert_eq!(n, 4),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn a_cancelled_read_and_write_take_nothing() {
    with_pair(|mut a, mut b| async move {
        let mut buf = [0; 16];
        for round in 0..20_u8 {
            {
                let mut read = pin!(a.read(&mut buf));
                waits(read.as_mut()).await;
            }
            b.write_all(&[round; 3]).await.unwrap();
            a.read_exact(&mut buf[..3]).await.unwrap();
            assert_eq!(&buf[..3], [round; 3]);
        }
        let mut sent = 0;
        while let Ok(n) = a.try_write(&[7; 4096]) {
            sent += n;
        }
        for _ in 0..5 {
            let mut write = pin!(a.write(&[8; 8]));
            waits(write.as_mut()).await;
        }
        drop(a);
        let mut all = Vec::new();
        b.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, vec![7; sent]);
    });
}

#[test]
fn a_cancelled_accept_and_wait_take_nothing() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            for _ in 0..10 {
                {
                    let mut accept = pin!(listener.accept());
                    waits(accept.as_mut()).await;
                }
                let client = UnixStream::connect(&path).await.unwrap();
                let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
                // It is taken for readable until a try has found otherwise.
                let nothing = server.try_read(&mut [0; 4]).unwrap_err();
                assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
                {
                    let mut readable = pin!(server.ready(Interest::READABLE));
                    waits(readable.as_mut()).await;
                }
                client.try_write(b"x").unwrap();
                server.readable().await.unwrap();
                assert_eq!(server.try_read(&mut [0; 4]).unwrap(), 1);
            }
        });
    });
}

#[test]
fn halves_of_both_kinds() {
    with_pair(|mut a, mut b| async move {
        {
            let (mut read, mut write) = a.split();
            write.write_all(b"hello").await.unwrap();
            let mut buf = [0; 5];
            b.read_exact(&mut buf).await.unwrap();
            b.write_all(b"world").await.unwrap();
            read.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"world");
        }
        let (read, write) = a.into_split();
        let (foreign, _kept) = UnixStream::pair().unwrap().0.into_split();
        let error = foreign.reunite(write).unwrap_err();
        assert!(error.to_string().contains("not from the same"));
        let a = read.reunite(error.1).unwrap();
        let (mut read, mut write) = a.into_split();
        write.write_all(b"last").await.unwrap();
        drop(write);
        let mut text = String::new();
        b.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last");
        b.write_all(b"still open").await.unwrap();
        drop(b);
        text.clear();
        read.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "still open");
    });
}

#[test]
fn owned_and_leased_bytes_stay_in_order() {
    with_pair(|a, mut b| async move {
        let (sent, _) = a.write_all_owned(vec![1; 100]).await;
        sent.unwrap();
        let lease = b.recv_lease().await.unwrap();
        assert_eq!(&lease[..], [1; 100]);
        a.try_write(b"abcdef").unwrap();
        let mut buf = [0; 3];
        b.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"abc");
        let (received, buf) = b.read_owned(Vec::with_capacity(16)).await;
        received.unwrap();
        assert_eq!(buf, b"def");
        drop(a);
        assert!(b.recv_lease().await.unwrap().is_empty());
    });
}

#[test]
fn std_streams_come_and_go() {
    on_every(|runtime| {
        run(runtime, async {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = UnixStream::try_from(ours).unwrap();
            ours.try_write(b"x").unwrap();
            let mut buf = [0; 1];
            std::io::Read::read_exact(&mut &theirs, &mut buf).unwrap();
            let std = ours.into_std().unwrap();
            std::io::Write::write_all(&mut &std, b"y").unwrap();
            std::io::Read::read_exact(&mut &theirs, &mut buf).unwrap();
            assert_eq!(&buf, b"y");

            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            listener.set_nonblocking(true).unwrap();
            let listener = UnixListener::try_from(listener).unwrap();
            let _client = UnixStream::connect(&path).await.unwrap();
            listener.accept().await.unwrap();
            let listener = listener.into_std().unwrap();
            assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        });
    });
}

#[cfg(debug_assertions)]
#[test]
fn blocking_sockets_are_refused() {
    on_every(|runtime| {
        run(runtime, async {
            let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let caught = std::panic::catch_unwind(|| UnixStream::from_std(ours));
            let panic = caught.expect_err("a blocking socket is a mistake");
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            assert!(
                text.unwrap_or_default().contains("set_nonblocking"),
                "{text:?}"
            );
        });
    });
}

#[test]
fn out_of_descriptors_accept_says_what_helps() {
    child::run("ulimit -n 100", "net_unix::out_of_descriptors");
}

#[test]
#[ignore = "run by out_of_descriptors_accept_says_what_helps, under its limit"]
fn out_of_descriptors() {
    on_every(|runtime| {
        run(runtime, async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let mut client = UnixStream::connect(&path).await.unwrap();
            let mut fillers = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                fillers.push(file);
            }
            for error in [
                listener.accept().await.unwrap_err(),
                UnixStream::connect(&path).await.unwrap_err(),
                UnixListener::bind(folder.path().join("other")).unwrap_err(),
            ] {
                assert!(error.to_string().contains("ulimit -n"), "{error}");
            }
            assert!(UnixStream::pair().is_err());
            drop(fillers);
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(b"x").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'x');
        });
    });
}
