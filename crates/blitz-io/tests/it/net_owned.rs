//! Owned and leased buffers, multishot accept, and bytes that go past the program.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream, bytes_copied, splice};
use blitz_io::runtime::Handle;
use blitz_io::task;
use blitz_io::time::sleep;

use crate::harness::{FLAVORS, each_case, on_every, within};

const LIMIT: Duration = Duration::from_secs(60);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = futures::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (client.unwrap(), server.unwrap().0)
}

/// Whether a receive is in flight on a ring of this runtime.
fn receives() -> bool {
    let metrics = Handle::current().metrics();
    (0..metrics.num_workers()).any(|worker| {
        let ring = metrics.worker_ring_metrics(worker);
        let mut kinds = ring.in_flight.iter();
        kinds.any(|kind| kind.operation == "RECV" && kind.count > 0)
    })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 9)) as u8).collect()
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Reads to the end in a task of its own.
fn reads(mut stream: TcpStream) -> task::JoinHandle<Vec<u8>> {
    task::spawn(async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    })
}

#[test]
fn owned_buffers_come_back_with_the_result() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (a, b) = pair().await;
            // The reader waits first, so that the ring and not the first try brings the bytes.
            let reader = task::spawn(async move {
                let (n, buf) = b.read_owned(Vec::with_capacity(64)).await;
                assert_eq!(n.unwrap(), 5);
                assert_eq!(buf, b"owned");
                let (n, buf) = b.read_owned(buf).await;
                assert_eq!((n.unwrap(), &buf[..]), (0, &b"owned"[..]));
            });
            task::yield_now().await;
            let (n, buf) = a.write_owned(b"owned".to_vec()).await;
            assert_eq!((n.unwrap(), &buf[..]), (5, &b"owned"[..]));
            drop(a);
            reader.await.unwrap();
        });
    });
}

#[test]
fn a_large_owned_buffer_is_written_whole() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (a, b) = pair().await;
            let reader = reads(b);
            let bytes = pattern(5 << 20);
            let (done, bytes) = a.write_all_owned(bytes).await;
            done.unwrap();
            drop(a);
            assert!(reader.await.unwrap() == bytes);
        });
    });
}

#[test]
fn a_dropped_owned_read_leaves_the_connection_usable() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (mut a, b) = pair().await;
            let mut b = b;
            for _ in 0..10 {
                let mut read = Box::pin(b.read_owned(vec![0; 4096]));
                std::future::poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                drop(read);
                // The cancel runs in the driver's next turns; until then the kernel may still give bytes to the dropped
                // read, which loses them, as documented. So nothing is sent before.
                while receives() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            drop(a.write_all(b"after").await);
            let mut buf = [0; 5];
            b.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"after");
        });
    });
}

/// A receive in flight holds the socket open until the kernel has let go of it: the connection still ends.
#[test]
fn a_stream_dropped_with_an_owned_read_in_flight_closes_the_connection() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            for leased in [false, true] {
                let (a, mut b) = pair().await;
                let reader = task::spawn(async move {
                    if leased {
                        drop(a.recv_lease().await);
                    } else {
                        drop(a.read_owned(vec![0; 64]).await);
                    }
                });
                for _ in 0..10 {
                    task::yield_now().await;
                }
                reader.abort();
                assert!(reader.await.unwrap_err().is_cancelled());
                assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 0);
            }
        });
    });
}

#[test]
fn zero_copy_sends_arrive_whole() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (a, b) = pair().await;
            let reader = reads(b);
            let bytes = pattern(300_000);
            let mut sent = 0;
            let mut left = bytes.clone();
            while !left.is_empty() {
                let (n, back) = a.send_zc(left).await;
                let n = n.unwrap();
                sent += n;
                left = back[n..].to_vec();
            }
            let (small, _) = a.send_zc(&b"small"[..]).await;
            assert_eq!((sent, small.unwrap()), (bytes.len(), 5));
            drop(a);
            let got = reader.await.unwrap();
            assert!(got[..bytes.len()] == bytes && got[bytes.len()..] == *b"small");
        });
    });
}

#[test]
fn leased_buffers_bring_everything_in_order() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (mut a, b) = pair().await;
            let bytes = pattern(3 << 20);
            let sent = bytes.clone();
            let writer = task::spawn(async move {
                a.write_all(&sent).await.unwrap();
                a.shutdown().await.unwrap();
                a
            });
            let mut got = Vec::new();
            loop {
                let view = b.recv_lease().await.unwrap();
                if view.is_empty() {
                    break;
                }
                got.extend_from_slice(&view);
            }
            assert!(got == bytes);
            writer.await.unwrap();
        });
    });
}

/// Many connections on few buffers: each gets its bytes, although one keeps what it was lent for a while.
#[test]
fn no_connection_starves_when_buffers_run_out() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .ring_buffers(4, 512)
            .buffer_pool_len(4)
            .build()
            .unwrap();
        within(&runtime, LIMIT, async {
            let readers: Vec<_> = (0..16u8)
                .map(|who| {
                    task::spawn(async move {
                        let (mut a, b) = pair().await;
                        let writer = task::spawn(async move {
                            a.write_all(&vec![who; 20_000]).await.unwrap();
                            a.shutdown().await.unwrap();
                            a
                        });
                        let mut got = 0;
                        loop {
                            let view = b.recv_lease().await.unwrap();
                            if view.is_empty() {
                                break;
                            }
                            // Held over a turn of the others.
                            task::yield_now().await;
                            assert!(view.iter().all(|byte| *byte == who));
                            got += view.len();
                        }
                        writer.await.unwrap();
                        got
                    })
                })
                .collect();
            for reader in readers {
                assert_eq!(reader.await.unwrap(), 20_000);
            }
        });
    });
}

#[test]
fn reads_of_every_kind_find_leased_bytes_first() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (mut a, mut b) = pair().await;
            a.write_all(b"0").await.unwrap();
            assert_eq!(&b.recv_lease().await.unwrap()[..], b"0");
            a.write_all(b"abcdefgh").await.unwrap();
            let mut buf = [0; 2];
            assert!(b.peek(&mut buf).await.unwrap() > 0);
            assert_eq!(buf[0], b'a');
            b.readable().await.unwrap();
            assert!(
                b.ready(blitz_io::io::Interest::READABLE)
                    .await
                    .unwrap()
                    .is_readable()
            );
            assert_eq!(b.try_read(&mut buf[..1]).unwrap(), 1);
            b.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"bc");
            let (n, owned) = b.read_owned(vec![0; 2]).await;
            assert_eq!((n.unwrap(), &owned[..]), (2, &b"de"[..]));
            let view = b.recv_lease().await.unwrap();
            assert_eq!(&view[..], b"fgh");
            assert_eq!(
                b.try_read(&mut buf).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            a.write_all(b"late").await.unwrap();
            let mut late = [0; 4];
            b.read_exact(&mut late).await.unwrap();
            assert_eq!(&late, b"late");
            drop(a);
            assert_eq!(b.read(&mut late).await.unwrap(), 0);
            assert!(b.recv_lease().await.unwrap().is_empty());
        });
    });
}

#[test]
fn a_view_outlives_its_stream_and_becomes_bytes() {
    on_every(|runtime| {
        let view = within(runtime, LIMIT, async {
            let (mut a, b) = pair().await;
            a.write_all(b"kept for long").await.unwrap();
            b.recv_lease().await.unwrap()
        });
        let bytes: bytes::Bytes = std::thread::spawn(move || view.into()).join().unwrap();
        assert_eq!(&bytes[..], b"kept for long");
    });
}

#[test]
fn incoming_connections_are_accepted_ahead() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            let mut incoming = listener.incoming();
            for round in 0..3 {
                for _ in 0..100 {
                    clients.push(TcpStream::connect(addr).await.unwrap());
                }
                let mut peers = Vec::new();
                for _ in 0..100 {
                    let (mut stream, peer) = incoming.accept().await.unwrap();
                    stream.write_all(&[round]).await.unwrap();
                    peers.push(peer);
                }
                peers.sort_unstable();
                let mut locals: Vec<_> = clients[clients.len() - 100..]
                    .iter()
                    .map(|client| client.local_addr().unwrap())
                    .collect();
                locals.sort_unstable();
                assert_eq!(peers, locals);
            }
            for (who, client) in clients.iter_mut().enumerate() {
                let mut byte = [9];
                client.read_exact(&mut byte).await.unwrap();
                assert_eq!(usize::from(byte[0]), who / 100);
            }
            drop(incoming);
            let client = TcpStream::connect(addr).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        });
    });
}

/// The count is the process's, and other tests copy too.
#[test]
fn copies_are_counted() {
    for name in [
        "files_go_to_sockets_and_back_without_a_copy",
        "sockets_are_spliced_without_a_copy",
        "what_cannot_be_spliced_is_copied_and_counted",
    ] {
        crate::child::run("", &format!("net_owned::{name}"));
    }
}

#[test]
#[ignore = "run by copies_are_counted, in a process of its own"]
fn files_go_to_sockets_and_back_without_a_copy() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let bytes = pattern(3_000_000);
            let file = file_of(&bytes);
            let before = bytes_copied();

            let (a, b) = pair().await;
            let reader = reads(b);
            assert_eq!(a.send_file(&file, 1000, u64::MAX).await.unwrap(), 2_999_000);
            assert_eq!(a.send_file(&file, 0, 500).await.unwrap(), 500);
            assert_eq!(a.send_file(&file, 1 << 40, 500).await.unwrap(), 0);
            drop(a);
            let got = reader.await.unwrap();
            assert!(got[..2_999_000] == bytes[1000..] && got[2_999_000..] == bytes[..500]);

            let (mut a, b) = pair().await;
            let target = file_of(b"head");
            let receiver = task::spawn(async move {
                let n = b.receive_file(&target, 4, 2_000_000).await.unwrap();
                (n, target, b)
            });
            a.write_all(&bytes).await.unwrap();
            let (n, target, mut b) = receiver.await.unwrap();
            assert_eq!(n, 2_000_000);
            let mut stored = vec![0; 2_000_004];
            target.read_exact_at(&mut stored, 0).unwrap();
            assert!(&stored[..4] == b"head" && stored[4..] == bytes[..2_000_000]);
            drop(a);
            let mut rest = Vec::new();
            b.read_to_end(&mut rest).await.unwrap();
            assert!(rest == bytes[2_000_000..]);

            assert_eq!(bytes_copied(), before, "bytes were copied in this program");
        });
    });
}

#[test]
#[ignore = "run by copies_are_counted, in a process of its own"]
fn sockets_are_spliced_without_a_copy() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let before = bytes_copied();
            let bytes = pattern(4_000_000);
            let (mut near, proxy_near) = pair().await;
            let (proxy_far, far) = pair().await;
            let reader = reads(far);
            let proxy = task::spawn(async move {
                let first = splice(&proxy_near, &proxy_far, 1_000_000).await.unwrap();
                let rest = splice(&proxy_near, &proxy_far, u64::MAX).await.unwrap();
                (first, rest)
            });
            near.write_all(&bytes).await.unwrap();
            drop(near);
            assert_eq!(proxy.await.unwrap(), (1_000_000, 3_000_000));
            assert!(reader.await.unwrap() == bytes);
            assert_eq!(bytes_copied(), before, "bytes were copied in this program");
        });
    });
}

#[test]
#[ignore = "run by copies_are_counted, in a process of its own"]
fn what_cannot_be_spliced_is_copied_and_counted() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            // A file that only `read` knows.
            let status = File::open("/proc/self/status").unwrap();
            let before = bytes_copied();
            let (a, b) = pair().await;
            let reader = reads(b);
            let sent = a.send_file(&status, 0, u64::MAX).await.unwrap();
            drop(a);
            let text = String::from_utf8(reader.await.unwrap()).unwrap();
            assert_eq!(text.len() as u64, sent);
            assert!(text.starts_with("Name:"), "{text}");
            assert_eq!(bytes_copied() - before, sent);

            // Bytes that are in leased buffers already.
            let (mut near, proxy_near) = pair().await;
            let (proxy_far, far) = pair().await;
            let reader = reads(far);
            near.write_all(b"x").await.unwrap();
            assert_eq!(proxy_near.recv_lease().await.unwrap().len(), 1);
            near.write_all(&pattern(10_000)).await.unwrap();
            drop(near);
            let before = bytes_copied();
            assert_eq!(
                splice(&proxy_near, &proxy_far, u64::MAX).await.unwrap(),
                10_000
            );
            drop(proxy_far);
            assert!(reader.await.unwrap() == pattern(10_000));
            assert!(bytes_copied() - before >= 10_000);
        });
    });
}

/// A task whose reads and writes never wait yields all the same, and its neighbours run.
#[test]
fn owned_calls_that_never_wait_take_of_the_budget() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (a, b) = pair().await;
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let neighbour = task::spawn(async move { stopped.store(true, SeqCst) });
            let mut bytes = vec![0; 1];
            while !stop.load(SeqCst) {
                let sent;
                (sent, bytes) = a.write_owned(bytes).await;
                assert_eq!(sent.unwrap(), 1);
                let received;
                (received, bytes) = b.read_owned(bytes).await;
                assert_eq!(received.unwrap(), 1);
            }
            neighbour.await.unwrap();
        });
    });
}
