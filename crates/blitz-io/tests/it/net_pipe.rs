//! Pipes with and without a name: ends, order, writers that come and go.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, Interest};
use blitz_io::net::unix::pipe::{self, OpenOptions, Receiver, Sender};
use blitz_io::task;

use crate::child;
use crate::harness::{on_every, run};

/// Polls once, and asserts that it waits.
async fn waits<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A pipe with a name, for each test of every runtime.
fn with_fifo<F: Future<Output = ()>>(test: impl Fn(PathBuf) -> F) {
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        run(runtime, test(path));
    });
}

fn receiver(path: &Path) -> Receiver {
    OpenOptions::new().open_receiver(path).unwrap()
}

fn sender(path: &Path) -> Sender {
    OpenOptions::new().open_sender(path).unwrap()
}

#[test]
fn bytes_in_order_and_the_end() {
    on_every(|runtime| {
        run(runtime, async {
            let (mut to, mut from) = pipe::pipe().unwrap();
            let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
            let writer = task::spawn({
                let bytes = bytes.clone();
                async move { to.write_all(&bytes).await }
            });
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            writer.await.unwrap().unwrap();
            assert!(all == bytes);
            assert_eq!(from.read(&mut [0; 4]).await.unwrap(), 0);
        });
    });
}

#[test]
fn a_writer_whose_reader_is_gone_hears_so() {
    on_every(|runtime| {
        run(runtime, async {
            let (mut to, from) = pipe::pipe().unwrap();
            while to.try_write(&[1; 4096]).is_ok() {}
            {
                let mut write = pin!(to.write(b"waits"));
                waits(write.as_mut()).await;
                drop(from);
                let error = write.await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            }
            let error = to.write(b"again").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn dropped_waits_take_nothing_and_tries_and_vectors() {
    on_every(|runtime| {
        run(runtime, async {
            let (mut to, mut from) = pipe::pipe().unwrap();
            let mut buf = [0; 8];
            for round in 0..10_u8 {
                {
                    let mut read = pin!(from.read(&mut buf));
                    waits(read.as_mut()).await;
                }
                {
                    let mut readable = pin!(from.readable());
                    waits(readable.as_mut()).await;
                }
                let nothing = from.try_read(&mut buf).unwrap_err();
                assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
                to.write_all(&[round; 3]).await.unwrap();
                from.ready(Interest::READABLE).await.unwrap();
                from.read_exact(&mut buf[..3]).await.unwrap();
                assert_eq!(buf[..3], [round; 3]);
            }
            to.writable().await.unwrap();
            to.try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")])
                .unwrap();
            to.write_vectored(&[IoSlice::new(b"ef")]).await.unwrap();
            poll_fn(|cx| from.poll_read_ready(cx)).await.unwrap();
            let (mut one, mut two) = ([0; 1], [0; 2]);
            let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            assert_eq!(from.try_read_vectored(&mut bufs).unwrap(), 3);
            assert_eq!((&one, &two), (b"a", b"bc"));
            let mut rest = Vec::with_capacity(64);
            assert_eq!(from.try_read_buf(&mut rest).unwrap(), 3);
            assert_eq!(rest, b"def");

            let mut sent = 0;
            while let Ok(n) = to.try_write(&[7; 1024]) {
                sent += n;
            }
            {
                let mut write = pin!(to.write(&[8; 1024]));
                waits(write.as_mut()).await;
            }
            poll_fn(|cx| {
                assert!(to.poll_write_ready(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(to);
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            assert!(all == vec![7; sent]);
        });
    });
}

#[test]
fn a_receiver_waits_for_the_first_writer() {
    with_fifo(|path| async move {
        let mut from = receiver(&path);
        let mut buf = [0; 5];
        {
            let mut read = pin!(from.read(&mut buf));
            waits(read.as_mut()).await;
        }
        let mut to = sender(&path);
        to.write_all(b"first").await.unwrap();
        from.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"first");
    });
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn after_the_end_another_writer_is_waited_for_without_a_spin() {
    with_fifo(|path| async move {
        let mut from = receiver(&path);
        let mut buf = [0; 8];
        for round in 0..3 {
            let mut to = sender(&path);
            to.write_all(b"bytes").await.unwrap();
            from.read_exact(&mut buf[..5]).await.unwrap();
            drop(to);
            assert_eq!(from.read(&mut buf).await.unwrap(), 0);
            // Silent at first: a read waits, and nothing wakes it.
            let mut to = sender(&path);
            let wakes = Arc::new(Count(AtomicUsize::new(0)));
            {
                let mut read = pin!(from.read(&mut buf));
                let waker = Waker::from(Arc::clone(&wakes));
                let polled = read.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending(), "round {round}: {polled:?}");
                for _ in 0..100 {
                    task::yield_now().await;
                }
                let count = wakes.0.load(Ordering::SeqCst);
                assert!(count <= 1, "round {round}: woken {count} times for nothing");
            }
            to.write_all(b"again").await.unwrap();
            from.read_exact(&mut buf[..5]).await.unwrap();
            assert_eq!(&buf[..5], b"again");
            drop(to);
            assert_eq!(from.read(&mut buf).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_receiver_that_could_write_never_ends() {
    with_fifo(|path| async move {
        let Ok(mut from) = OpenOptions::new().read_write(true).open_receiver(&path) else {
            return; // Not every system allows it.
        };
        for _ in 0..3 {
            let mut to = sender(&path);
            to.write_all(b"bytes").await.unwrap();
            drop(to);
            let mut buf = [0; 5];
            from.read_exact(&mut buf).await.unwrap();
            let mut read = pin!(from.read(&mut buf));
            waits(read.as_mut()).await;
        }
    });
}

#[test]
fn what_is_no_pipe_or_the_wrong_end_is_refused() {
    with_fifo(|path| async move {
        let error = OpenOptions::new().open_sender(&path).unwrap_err();
        assert!(error.to_string().contains("fifo"), "{error}");
        let from = receiver(&path);
        let to = sender(&path);

        let file = path.with_file_name("file");
        std::fs::write(&file, "bytes").unwrap();
        for error in [
            OpenOptions::new().open_sender(&file).unwrap_err(),
            OpenOptions::new().open_receiver(&file).unwrap_err(),
            Sender::from_file(File::open(&file).unwrap()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("not a pipe"), "{error}");
        }
        let unchecked = OpenOptions::new().unchecked(true).open_receiver(&file);
        assert_eq!(unchecked.unwrap_err().kind(), ErrorKind::PermissionDenied);

        let read_end = from.into_blocking_fd().unwrap();
        let error = Sender::from_owned_fd(read_end.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let mut std = File::from(to.into_blocking_fd().unwrap());
        std.write_all(b"plain").unwrap();
        let mut from = Receiver::from_owned_fd(read_end).unwrap();
        let mut buf = [0; 5];
        from.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"plain");
        let fd = from.into_nonblocking_fd().unwrap();
        let nothing = File::from(fd).read(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn out_of_descriptors_a_pipe_is_refused() {
    child::run("ulimit -n 100", "net_pipe::out_of_descriptors");
}

#[test]
#[ignore = "run by out_of_descriptors_a_pipe_is_refused, under its limit"]
fn out_of_descriptors() {
    on_every(|runtime| {
        run(runtime, async {
            let (mut to, mut from) = pipe::pipe().unwrap();
            let mut fillers = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                fillers.push(file);
            }
            assert!(pipe::pipe().is_err());
            to.write_all(b"goes on").await.unwrap();
            from.read_exact(&mut [0; 7]).await.unwrap();
        });
    });
}
