//! One connection's ways: halves, peeks, tries, vectors, and what the peer does to it.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest, ReadBuf};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::task;

use crate::harness::{FLAVORS, each_case, on_every, within};

const LIMIT: Duration = Duration::from_secs(30);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = futures::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (client.unwrap(), server.unwrap().0)
}

/// Runs a test with two connected streams on every back end and flavour.
fn with_pair<F: Future<Output = ()>>(test: impl Fn(TcpStream, TcpStream) -> F) {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (a, b) = pair().await;
            test(a, b).await;
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
        assert_eq!(
            a.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn a_reset_by_the_peer_ends_a_waiting_read() {
    with_pair(|mut a, b| async move {
        let reader = task::spawn(async move { a.read(&mut [0; 8]).await });
        task::yield_now().await;
        b.set_zero_linger().unwrap();
        drop(b);
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(
            error.raw_os_error().is_some(),
            "a read's error is the kernel's own"
        );
    });
}

#[test]
fn a_cancelled_read_takes_nothing() {
    with_pair(|mut a, mut b| async move {
        let mut buf = [0; 16];
        for round in 0..20_u8 {
            {
                let mut read = pin!(a.read(&mut buf));
                poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            b.write_all(&[round; 3]).await.unwrap();
            a.read_exact(&mut buf[..3]).await.unwrap();
            assert_eq!(&buf[..3], [round; 3]);
        }
    });
}

#[test]
fn peeked_bytes_are_read_afterwards() {
    with_pair(|mut a, mut b| async move {
        let peek = task::spawn(async move {
            let mut buf = [0; 4];
            let n = a.peek(&mut buf).await.unwrap();
            assert_eq!(&buf[..n], b"peek");
            let mut space = [0; 4];
            let mut read_buf = ReadBuf::new(&mut space);
            assert_eq!(
                poll_fn(|cx| a.poll_peek(cx, &mut read_buf)).await.unwrap(),
                4
            );
            assert_eq!(read_buf.filled(), b"peek");
            a.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"peek");
        });
        b.write_all(b"peek").await.unwrap();
        peek.await.unwrap();
    });
}

#[test]
fn borrowed_halves_work_at_once() {
    with_pair(|mut a, mut b| async move {
        let (mut read, mut write) = a.split();
        let mut buf = [0; 5];
        let (sent, got) = futures::join!(write.write_all(b"hello"), async {
            b.read_exact(&mut buf).await.unwrap();
            b.write_all(b"world").await.unwrap();
            buf
        });
        sent.unwrap();
        assert_eq!(&got, b"hello");
        let mut answer = [0; 5];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"world");
        // A borrowed half closes nothing when it is dropped.
        let _ = write;
        b.write_all(b"!").await.unwrap();
        read.read_exact(&mut answer[..1]).await.unwrap();
        a.write_all(b"?").await.unwrap();
        b.read_exact(&mut answer[..1]).await.unwrap();
        assert_eq!(&answer[..1], b"?");
    });
}

#[test]
fn owned_halves_reunite_and_the_writing_one_closes() {
    with_pair(|a, mut b| async move {
        let (other, _peer) = pair().await;
        let (read, write) = a.into_split();
        let (foreign_read, foreign_write) = other.into_split();
        let error = read.reunite(foreign_write).unwrap_err();
        assert!(error.to_string().contains("not from the same"));
        let (read, foreign_write) = (error.0, error.1);
        foreign_read.reunite(foreign_write).unwrap();
        let a = write.reunite(read).unwrap();

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
fn a_forgotten_half_leaves_the_sending_side_open() {
    with_pair(|a, mut b| async move {
        let (read, write) = a.into_split();
        write.forget();
        let mut one = [0];
        let mut waits = pin!(b.read(&mut one));
        poll_fn(|cx| {
            assert!(waits.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(read);
        assert_eq!(waits.await.unwrap(), 0);
    });
}

#[test]
fn readiness_and_tries() {
    with_pair(|a, b| async move {
        let mut buf = [0; 16];
        assert_eq!(
            a.try_read(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        b.writable().await.unwrap();
        assert_eq!(b.try_write(b"abc").unwrap(), 3);
        let n = loop {
            a.readable().await.unwrap();
            match a.try_read(&mut buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => break done.unwrap(),
            }
        };
        assert_eq!(&buf[..n], b"abc");
        assert_eq!(
            a.try_read(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        assert_eq!(
            b.try_write_vectored(&[IoSlice::new(b"de"), IoSlice::new(b"f")])
                .unwrap(),
            3
        );
        let (mut first, mut second) = ([0; 1], [0; 8]);
        let n = loop {
            assert!(a.ready(Interest::READABLE).await.unwrap().is_readable());
            let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            match a.try_read_vectored(&mut bufs) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => break done.unwrap(),
            }
        };
        assert_eq!((n, &first, &second[..2]), (3, b"d", &b"ef"[..]));

        b.try_write(b"tail").unwrap();
        let mut growing = Vec::with_capacity(4);
        loop {
            a.readable().await.unwrap();
            match a.try_read_buf(&mut growing) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => break assert_eq!(done.unwrap(), 4),
            }
        }
        assert_eq!(growing, b"tail");
    });
}

#[test]
fn try_io_clears_readiness_and_async_io_waits() {
    with_pair(|a, b| async move {
        b.try_write(b"x").unwrap();
        a.readable().await.unwrap();
        let refused: std::io::Result<()> =
            a.try_io(Interest::READABLE, || Err(ErrorKind::WouldBlock.into()));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::WouldBlock);
        // The lie above cleared the readiness: only a new event brings it back.
        let mut called = false;
        let refused: std::io::Result<()> = a.try_io(Interest::READABLE, || {
            called = true;
            Ok(())
        });
        assert!(refused.is_err() && !called);
        b.try_write(b"y").unwrap();
        let mut buf = [0; 2];
        let mut filled = 0;
        while filled < 2 {
            filled += a
                .async_io(Interest::READABLE, || (&a).try_peek_two(&mut buf))
                .await
                .unwrap();
            if filled < 2 {
                filled = 0;
                task::yield_now().await;
            }
        }
        assert_eq!(&buf, b"xy");
    });
}

/// A call of the user's own on the descriptor.
trait PeekTwo {
    fn try_peek_two(self, buf: &mut [u8; 2]) -> std::io::Result<usize>;
}

impl PeekTwo for &TcpStream {
    fn try_peek_two(self, buf: &mut [u8; 2]) -> std::io::Result<usize> {
        blitz_sys::socket::peek_bytes(std::os::fd::AsFd::as_fd(self), buf)
    }
}

#[test]
fn a_full_socket_is_not_writable_until_it_is_read() {
    with_pair(|a, mut b| async move {
        let chunk = vec![7; 65_536];
        let mut sent = 0;
        loop {
            a.writable().await.unwrap();
            match a.try_write(&chunk) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        {
            let mut writable = pin!(a.writable());
            poll_fn(|cx| {
                assert!(writable.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let drain = task::spawn(async move {
            let mut left = sent;
            let mut buf = vec![0; 65_536];
            while left > 0 {
                left -= b.read(&mut buf).await.unwrap();
            }
            b
        });
        a.writable().await.unwrap();
        let _b = drain.await.unwrap();
    });
}

#[test]
fn vectored_writes_arrive_in_order() {
    with_pair(|mut a, mut b| async move {
        let parts: Vec<Vec<u8>> = (0..40_u8).map(|i| vec![i; 1000 + usize::from(i)]).collect();
        let whole: Vec<u8> = parts.concat();
        let reader = task::spawn(async move {
            let mut got = Vec::new();
            b.read_to_end(&mut got).await.unwrap();
            got
        });
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let n = a.write_vectored(rest).await.unwrap();
            assert!(n > 0);
            IoSlice::advance_slices(&mut rest, n);
        }
        drop(a);
        assert!(reader.await.unwrap() == whole);
    });
}

#[test]
fn a_stream_goes_to_the_standard_library_and_back() {
    with_pair(|a, mut b| async move {
        // Polled once, so that it is registered with the driver.
        let mut a = a;
        let mut byte = [0];
        {
            let mut read = pin!(a.read(&mut byte));
            poll_fn(|cx| {
                assert!(read.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let std = a.into_std().unwrap();
        std.set_nonblocking(true).unwrap();
        let mut a = TcpStream::from_std(std).unwrap();
        b.write_all(b"z").await.unwrap();
        a.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"z");
        assert!(format!("{a:?}").contains("peer"));
    });
}

#[test]
fn options_are_set_and_read() {
    with_pair(|a, _b| async move {
        a.set_nodelay(true).unwrap();
        assert!(a.nodelay().unwrap());
        a.set_zero_linger().unwrap();
        assert_eq!(a.linger().unwrap(), Some(Duration::ZERO));
        a.set_ttl(33).unwrap();
        assert_eq!(a.ttl().unwrap(), 33);
        a.set_quickack(true).unwrap();
        a.quickack().unwrap();
        assert!(a.take_error().unwrap().is_none());
        let option = blitz_sys::socket::SockRef::from(&a);
        option
            .set_tcp_keepalive(
                &blitz_sys::socket::TcpKeepalive::new().with_time(Duration::from_secs(60)),
            )
            .unwrap();
        assert!(option.keepalive().unwrap());
    });
}

/// Only the last poll's waker is kept: the one before is not called.
#[test]
fn the_last_reader_is_woken() {
    with_pair(|mut a, mut b| async move {
        let mut space = [0; 4];
        let mut first = ReadBuf::new(&mut space);
        let mut ignored = Context::from_waker(Waker::noop());
        assert!(
            Pin::new(&mut a)
                .poll_read(&mut ignored, &mut first)
                .is_pending()
        );
        b.write_all(b"w").await.unwrap();
        let mut byte = [0];
        a.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"w");
    });
}

#[test]
fn a_stream_dropped_with_its_reader_waiting_closes_the_connection() {
    with_pair(|mut a, mut b| async move {
        let reader = task::spawn(async move {
            let _ = a.read(&mut [0; 8]).await;
        });
        task::yield_now().await;
        reader.abort();
        assert!(reader.await.unwrap_err().is_cancelled());
        assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

/// An accepted connection is taken for ready until a call finds otherwise.
#[test]
fn an_accepted_stream_is_tried_before_it_is_waited_for() {
    with_pair(|mut client, server| async move {
        poll_fn(|cx| {
            assert!(server.poll_read_ready(cx).is_ready());
            assert!(server.poll_write_ready(cx).is_ready());
            Poll::Ready(())
        })
        .await;
        assert_eq!(
            server.try_read(&mut [0; 4]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        {
            let mut readable = pin!(server.readable());
            poll_fn(|cx| {
                assert!(readable.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        client.write_all(b"x").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut [0; 4]).unwrap(), 1);
    });
}

/// `readable` spends no budget: what is ready is ready, however often it is asked.
#[test]
fn readiness_is_told_beyond_the_budget() {
    with_pair(|mut a, b| async move {
        a.write_all(b"x").await.unwrap();
        b.readable().await.unwrap();
        poll_fn(|cx| {
            for _ in 0..1000 {
                assert!(pin!(b.readable()).poll(cx).is_ready());
            }
            Poll::Ready(())
        })
        .await;
    });
}

/// More buffers than one call takes: a part is written, and the socket is not taken for full.
#[test]
fn as_many_vectors_as_anyone_likes() {
    with_pair(|mut a, mut b| async move {
        let bytes: Vec<u8> = (0..3_000).map(|i| i as u8).collect();
        let slices: Vec<IoSlice<'_>> = bytes.chunks(1).map(IoSlice::new).collect();
        let mut sent = 0;
        while sent < slices.len() {
            sent += a.write_vectored(&slices[sent..]).await.unwrap();
        }
        let mut got = vec![0; bytes.len()];
        b.read_exact(&mut got).await.unwrap();
        assert_eq!(got, bytes);
        assert_eq!(a.try_write_vectored(&slices).unwrap(), 1_024);
    });
}

/// A stream that waits, whose runtime stands still before the driver has told anything of it, is tried on another one.
#[test]
fn a_stream_is_used_elsewhere_while_its_own_runtime_stands_still() {
    each_case(&FLAVORS, |case| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let own = case.runtime();
        let mut stream = own.block_on(async {
            let mut stream = TcpStream::from_std(stream).unwrap();
            let mut buf = [0; 8];
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(stream.read(&mut buf)).poll(&mut cx).is_pending());
            stream
        });
        std::io::Write::write_all(&mut peer, b"question").unwrap();
        within(&case.runtime(), LIMIT, async {
            let mut buf = [0; 8];
            stream.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"question");
            stream.write_all(b"answer").await.unwrap();
            drop(stream);
        });
        let mut text = String::new();
        std::io::Read::read_to_string(&mut peer, &mut text).unwrap();
        assert_eq!(text, "answer");
    });
}
