//! A descriptor of the user's, watched.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use blitz_io::io::unix::AsyncFd;
use blitz_io::io::{Interest, Ready};
use blitz_io::task;

use crate::harness::{on_every, within};

const LIMIT: Duration = Duration::from_secs(30);

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (AsyncFd::new(ours).unwrap(), theirs)
}

#[test]
fn readable_when_bytes_come_and_not_before() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (ours, mut theirs) = pair();
            let ours = Arc::new(ours);
            let waits = task::spawn({
                let ours = Arc::clone(&ours);
                async move {
                    let mut guard = ours.readable().await.unwrap();
                    let mut byte = [0];
                    let read = guard.try_io(|fd| fd.get_ref().read(&mut byte)).unwrap();
                    assert_eq!((read.unwrap(), byte), (1, *b"x"));
                    assert!(guard.try_io(|fd| fd.get_ref().read(&mut byte)).is_err());
                    assert!(guard.ready().is_empty());
                }
            });
            task::yield_now().await;
            assert!(!waits.is_finished());
            theirs.write_all(b"x").unwrap();
            waits.await.unwrap();
            let again = ours.try_io(Interest::READABLE, |mut fd| fd.read(&mut [0]));
            assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
        });
    });
}

#[test]
fn many_tasks_wait_for_one_descriptor() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (ours, mut theirs) = pair();
            let ours = Arc::new(ours);
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let ours = Arc::clone(&ours);
                    task::spawn(async move { ours.readable().await.map(|guard| guard.ready()) })
                })
                .collect();
            task::yield_now().await;
            theirs.write_all(b"all").unwrap();
            for task in tasks {
                assert!(task.await.unwrap().unwrap().is_readable());
            }
        });
    });
}

#[test]
fn one_direction_is_cleared_without_the_other() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (ours, mut theirs) = pair();
            theirs.write_all(b"x").unwrap();
            let mut guard = loop {
                let guard = ours
                    .ready(Interest::READABLE | Interest::WRITABLE)
                    .await
                    .unwrap();
                if guard.ready().is_readable() && guard.ready().is_writable() {
                    break guard;
                }
                drop(guard);
                ours.readable().await.unwrap().retain_ready();
            };
            guard.clear_ready_matching(Ready::READABLE);
            assert!(guard.ready().is_writable() && !guard.ready().is_readable());
            drop(guard);
            ours.writable().await.unwrap().retain_ready();
            let refused: std::io::Result<()> = ours.try_io(Interest::READABLE, |_| Ok(()));
            assert!(refused.is_err());
            theirs.write_all(b"y").unwrap();
            ours.readable().await.unwrap().retain_ready();
        });
    });
}

#[test]
fn a_closed_peer_is_an_event() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (mut ours, theirs) = pair();
            drop(theirs);
            let mut guard = ours.readable_mut().await.unwrap();
            assert!(guard.ready().is_read_closed());
            assert_eq!(
                guard
                    .try_io(|fd| fd.get_mut().read(&mut [0]))
                    .unwrap()
                    .unwrap(),
                0
            );
            // What is closed stays so.
            guard.clear_ready();
            ours.readable().await.unwrap().retain_ready();
        });
    });
}

#[test]
fn the_descriptor_comes_back_and_is_watched_again() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (ours, mut theirs) = pair();
            let ours = ours.into_inner();
            let ours = AsyncFd::with_interest(ours, Interest::READABLE).unwrap();
            theirs.write_all(b"again").unwrap();
            let mut buf = [0; 5];
            let n = ours
                .async_io(Interest::READABLE, |mut fd| fd.read(&mut buf))
                .await
                .unwrap();
            assert_eq!(&buf[..n], b"again");
            drop(ours);
            // Nothing holds it open: not the driver either.
            let mut end = loop {
                match theirs.read(&mut buf) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => task::yield_now().await,
                    done => break done,
                }
            };
            assert_eq!(end.as_mut().unwrap(), &0);
        });
    });
}

struct Bad;

impl AsRawFd for Bad {
    fn as_raw_fd(&self) -> RawFd {
        1 << 20
    }
}

#[test]
fn a_descriptor_that_is_not_open_comes_back_with_the_error() {
    on_every(|runtime| {
        let _guard = runtime.enter();
        let (Bad, error) = AsyncFd::try_new(Bad).err().unwrap().into_parts();
        assert!(error.raw_os_error().is_some());
    });
}

#[test]
fn a_regular_file_cannot_be_waited_for() {
    on_every(|runtime| {
        let _guard = runtime.enter();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let (_file, error) = AsyncFd::try_new(file).err().unwrap().into_parts();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
}
