//! Streams whose short writes go out together: the order of bytes, the bound of what waits, errors, and every end.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use blitz_io::net::{BatchedStream, TcpListener, TcpSocket, TcpStream};
use blitz_io::runtime::{Backend, Runtime};
use blitz_io::task;

use crate::harness::{Case, FLAVORS, Flavor, each_case, guarded, on_every, within};

// As `faults` is.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod faults;

const LIMIT: Duration = Duration::from_secs(60);
/// What waits in a stream at most.
const WAITS_MAX: usize = 2 * 4096;

/// A stream that batches, and its peer. The test's body is a task: on `thread_per_core` the thread that blocks has no ring.
async fn pair() -> (BatchedStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = futures::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (server.unwrap().0.into_batched(), client.unwrap())
}

/// The same, with little room between the two.
async fn narrow_pair() -> (BatchedStream, TcpStream) {
    let listener = TcpSocket::new_v4().unwrap();
    listener.set_send_buffer_size(4096).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(8).unwrap();
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(4096).unwrap();
    let (client, server) = futures::join!(
        client.connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (server.unwrap().0.into_batched(), client.unwrap())
}

/// Runs `future` as a task of `runtime`.
#[track_caller]
fn as_task<F>(runtime: &Runtime, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    within(runtime, LIMIT, async {
        task::spawn(future).await.unwrap();
    });
}

fn batches(case: Case) -> bool {
    case.backend == Backend::IoUring && case.flavor != Flavor::MultiThread
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i ^ (i >> 9)) as u8).collect()
}

/// Writes what is taken at once; none if the writer is to wait.
fn try_write(stream: &mut BatchedStream, bytes: &[u8]) -> Option<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(stream).poll_write(&mut cx, bytes) {
        Poll::Ready(n) => Some(n.unwrap()),
        Poll::Pending => None,
    }
}

/// Writes until nothing is taken, in pieces of 100 bytes, within one poll; returns how many were.
fn fill(stream: &mut BatchedStream) -> usize {
    let mut written = 0;
    while let Some(n) = try_write(stream, &pattern(written, 100)) {
        written += n;
        assert!(written < 16 << 20, "nothing bounds what is taken");
    }
    written
}

/// As `fill`, with turns of the driver in between, until these change nothing any more: no event tells that nothing will come, and a machine
/// that is slower than this only writes less.
async fn fill_up(stream: &mut BatchedStream, before: usize) -> usize {
    let (mut written, mut idle) = (before, 0);
    while idle < 20 {
        match try_write(stream, &pattern(written, 100)) {
            Some(n) => {
                written += n;
                idle = 0;
            }
            None => {
                idle += 1;
                blitz_io::time::sleep(Duration::from_millis(2)).await;
            }
        }
        assert!(written < 16 << 20, "nothing bounds what is taken");
    }
    written
}

#[test]
fn a_short_write_waits_for_the_turn_where_the_ring_takes_it() {
    each_case(&FLAVORS, |case| {
        as_task(&case.runtime(), async move {
            let (mut stream, mut peer) = pair().await;
            stream.write_all(b"short").await.unwrap();
            let waits = if batches(case) { 5 } else { 0 };
            assert_eq!(stream.unsent().unwrap(), waits, "{case}");
            let mut bytes = [0; 5];
            peer.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"short");
            // The driver learns of it in the turn that sent it, or the next.
            while stream.unsent().unwrap() != 0 {
                task::yield_now().await;
            }
        });
    });
}

#[test]
fn the_builder_says_whether_writes_are_batched() {
    for batched in [false, true] {
        each_case(&FLAVORS, |case| {
            let mut builder = case.builder();
            let runtime = builder.batched_writes(batched).build().unwrap();
            as_task(&runtime, async move {
                let (mut stream, mut peer) = pair().await;
                stream.write_all(b"x").await.unwrap();
                // On `multi_thread` another worker may have taken the turn already.
                if !batched || case.backend == Backend::Epoll {
                    assert_eq!(stream.unsent().unwrap(), 0, "{case}");
                } else if case.flavor != Flavor::MultiThread {
                    assert_eq!(stream.unsent().unwrap(), 1, "{case}");
                }
                assert_eq!(peer.read_u8().await.unwrap(), b'x');
            });
        });
    }
}

#[test]
fn bytes_keep_their_order_however_they_are_written() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, mut peer) = narrow_pair().await;
            let reader = task::spawn(async move {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).await.unwrap();
                all
            });
            let mut written = 0;
            for round in 0..400 {
                let len = [1, 3000, 64, 1024, 1025, 500, 9000, 7][round % 8];
                let bytes = pattern(written, len);
                if round % 3 == 0 {
                    let (a, b) = bytes.split_at(len / 3);
                    let pieces = [IoSlice::new(a), IoSlice::new(&[]), IoSlice::new(b)];
                    let n = stream.write_vectored(&pieces).await.unwrap();
                    stream.write_all(&bytes[n..]).await.unwrap();
                } else {
                    stream.write_all(&bytes).await.unwrap();
                }
                stream.flush().await.unwrap();
                written += len;
            }
            stream.shutdown().await.unwrap();
            assert_eq!(stream.unsent().unwrap(), 0);
            assert_eq!(reader.await.unwrap(), pattern(0, written));
        });
    });
}

#[test]
fn many_connections_echo_at_once() {
    on_every(|runtime| {
        as_task(runtime, async {
            let mut tasks = task::JoinSet::new();
            for number in 0..64_u8 {
                let (mut stream, mut peer) = pair().await;
                tasks.spawn(async move {
                    let mut bytes = [0; 64];
                    while stream.read_exact(&mut bytes).await.is_ok() {
                        stream.write_all(&bytes).await.unwrap();
                    }
                });
                tasks.spawn(async move {
                    for round in 0..50 {
                        let (sent, mut back) = ([number ^ round; 64], [0; 64]);
                        peer.write_all(&sent).await.unwrap();
                        peer.read_exact(&mut back).await.unwrap();
                        assert_eq!(sent, back);
                    }
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        });
    });
}

#[test]
fn what_waits_for_a_peer_that_does_not_read_is_bounded_and_not_lost() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, mut peer) = narrow_pair().await;
            // In one poll: no turn, and so no more than waits.
            let at_once = fill(&mut stream);
            if stream.unsent().unwrap() != 0 {
                assert!(at_once <= WAITS_MAX, "{at_once}");
            }
            let written = fill_up(&mut stream, at_once).await;
            assert!(stream.unsent().unwrap() <= WAITS_MAX);
            // A shutdown waits for the peer.
            if stream.unsent().unwrap() != 0 {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut stream).poll_shutdown(&mut cx).is_pending());
            }
            let reader = task::spawn(async move {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).await.unwrap();
                all
            });
            stream.shutdown().await.unwrap();
            let all = reader.await.unwrap();
            assert_eq!(all.len(), written);
            assert_eq!(all, pattern(0, written));
        });
    });
}

/// A writer that is done need not wait for what goes, and is woken by what does not.
#[test]
fn who_watches_is_told_that_the_peer_leaves_no_room() {
    each_case(&FLAVORS, |case| {
        as_task(&case.runtime(), async move {
            let (mut stream, mut peer) = narrow_pair().await;
            stream.write_all(&pattern(0, 1)).await.unwrap();
            let mut written = 1;
            loop {
                poll_fn(|cx| stream.poll_sent(cx)).await.unwrap();
                assert_eq!(stream.unsent().unwrap(), 0);
                // Past the queue, and behind it.
                while let Ok(n) = stream.get_mut().try_write(&pattern(written, 1000)) {
                    written += n;
                }
                let stalled = poll_fn(|cx| Poll::Ready(stream.poll_stalled(cx))).await;
                assert!(stalled.is_pending());
                if !batches(case) {
                    break;
                }
                // The turn that tries it is to come, or was in vain.
                stream.write_all(&pattern(written, 100)).await.unwrap();
                written += 100;
                let stalled = poll_fn(|cx| stream.poll_stalled(cx));
                if let Ok(stalled) = blitz_io::time::timeout(Duration::from_secs(1), stalled).await
                {
                    assert!((1..=100).contains(&stalled.unwrap()));
                    break;
                }
                // The kernel had room after all.
            }
            let reader = task::spawn(async move {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).await.unwrap();
                all
            });
            poll_fn(|cx| stream.poll_sent(cx)).await.unwrap();
            assert_eq!(stream.unsent().unwrap(), 0);
            stream.shutdown().await.unwrap();
            assert_eq!(reader.await.unwrap(), pattern(0, written));
        });
    });
}

#[test]
fn a_reset_is_told_by_whatever_is_called_next() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, peer) = pair().await;
            stream.write_all(b"nobody reads this").await.unwrap();
            peer.set_zero_linger().unwrap();
            drop(peer);
            let error = loop {
                if let Err(error) = stream.write_all(&[7; 100]).await {
                    break error;
                }
                task::yield_now().await;
            };
            let is_gone =
                |kind| [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind);
            assert!(is_gone(error.kind()), "{error}");
            if stream.unsent().is_err() {
                assert!(is_gone(stream.flush().await.unwrap_err().kind()));
                assert!(is_gone(stream.shutdown().await.unwrap_err().kind()));
                // A long write does not overtake the error.
                assert!(is_gone(stream.write(&[7; 4000]).await.unwrap_err().kind()));
            }
        });
    });
}

#[test]
fn a_stream_that_is_dropped_has_sent_what_fits() {
    on_every(|runtime| {
        as_task(runtime, async {
            for len in [1, 100, 1024] {
                let (mut stream, mut peer) = pair().await;
                for _ in 0..3 {
                    stream.write_all(&pattern(0, len)).await.unwrap();
                }
                drop(stream);
                let mut all = Vec::new();
                peer.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, pattern(0, len).repeat(3));
            }
        });
    });
}

#[test]
fn a_part_is_never_taken_for_the_whole() {
    each_case(&FLAVORS, |case| {
        as_task(&case.runtime(), async move {
            let (mut stream, mut peer) = narrow_pair().await;
            let written = fill_up(&mut stream, 0).await;
            let unsent = stream.unsent().unwrap();
            assert_eq!(unsent != 0, batches(case), "{case}");
            drop(stream);
            // The reset first: room that the peer makes would let the rest go out. It is told however full the peer is; an end is not.
            while unsent != 0
                && !peer
                    .ready(Interest::READABLE)
                    .await
                    .unwrap()
                    .is_read_closed()
            {
                task::yield_now().await;
            }
            let mut all = Vec::new();
            let ended = peer.read_to_end(&mut all).await;
            if unsent == 0 {
                assert_eq!((ended.unwrap(), all.len()), (written, written));
            } else {
                assert_eq!(
                    ended.unwrap_err().kind(),
                    ErrorKind::ConnectionReset,
                    "{case}"
                );
                assert_eq!(all, pattern(0, all.len()));
            }
        });
    });
}

#[test]
fn a_runtime_that_ends_sends_what_was_queued() {
    each_case(&FLAVORS, |case| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let runtime = case.runtime();
        // The stream outlives the block, and the runtime.
        let stream = within(&runtime, LIMIT, async {
            let writes = task::spawn(async move {
                let mut stream = TcpStream::connect(addr).await.unwrap().into_batched();
                stream.write_all(b"first ").await.unwrap();
                stream.write_all(b"and last").await.unwrap();
                stream
            });
            writes.await.unwrap()
        });
        guarded(LIMIT, || drop(runtime));
        drop(stream);
        let (mut peer, _) = listener.accept().unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "first and last", "{case}");
    });
}

/// Nobody turns the driver of a `current_thread` runtime between two calls of `block_on`.
#[test]
fn the_end_of_block_on_sends_what_was_queued() {
    on_every(|runtime| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stream = within(runtime, LIMIT, async {
            let mut stream = TcpStream::connect(addr).await.unwrap().into_batched();
            stream.write_all(b"out").await.unwrap();
            stream
        });
        let (mut peer, _) = listener.accept().unwrap();
        let mut text = [0; 3];
        guarded(LIMIT, || peer.read_exact(&mut text).unwrap());
        assert_eq!(&text, b"out");
        drop(stream);
    });
}

#[test]
fn a_write_that_is_dropped_has_taken_what_it_said_and_no_more() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, mut peer) = narrow_pair().await;
            let reader = task::spawn(async move {
                let (mut all, mut some) = (Vec::new(), [0; 777]);
                loop {
                    match peer.read(&mut some).await.unwrap() {
                        0 => break all,
                        n => all.extend_from_slice(&some[..n]),
                    }
                    task::yield_now().await;
                }
            });
            let mut written = 0;
            for round in 0..3000 {
                let bytes = pattern(written, [64, 900, 5000][round % 3]);
                let mut write = Box::pin(stream.write(&bytes));
                // Polled once, or until it is ready; and dropped.
                let once = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
                let done = match once {
                    Poll::Pending if round % 5 == 0 => Some(write.as_mut().await),
                    Poll::Pending => None,
                    Poll::Ready(done) => Some(done),
                };
                drop(write);
                written += done.map_or(0, |n| n.unwrap());
                if round % 7 == 0 {
                    let mut shut = Box::pin(stream.flush());
                    let _ = poll_fn(|cx| Poll::Ready(shut.as_mut().poll(cx))).await;
                }
                task::yield_now().await;
            }
            stream.shutdown().await.unwrap();
            assert_eq!(reader.await.unwrap(), pattern(0, written));
        });
    });
}

#[test]
fn the_other_direction_outlives_the_shutdown() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, mut peer) = pair().await;
            stream.write_all(b"the end").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            peer.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "the end");
            peer.write_all(b"and an answer").await.unwrap();
            drop(peer);
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "and an answer");
        });
    });
}

/// A stream that was made on one thread and is written on another: what it queued stays with the first one's ring.
#[test]
fn another_thread_may_write() {
    on_every(|runtime| {
        as_task(runtime, async {
            let (mut stream, mut peer) = pair().await;
            stream.write_all(b"here").await.unwrap();
            let mut there = task::spawn_blocking(move || {
                assert_eq!(try_write(&mut stream, b" and there"), Some(10));
                stream
            })
            .await
            .unwrap();
            there.shutdown().await.unwrap();
            let mut text = String::new();
            peer.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "here and there");
        });
    });
}
